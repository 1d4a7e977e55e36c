"""The pictures of one episode while it is recorded: an encoder and a tally for every camera and depth map."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from wbvla.data.depth import DepthCodec, DepthTally, DepthWriter, as_millimetres
from wbvla.data.format import DEPTH_PATH, Info, file_of
from wbvla.data.journal import Commit
from wbvla.data.stats import QUANTILES, ImageTally
from wbvla.data.values import check_value
from wbvla.data.video import VideoCodec, VideoWriter


@runtime_checkable
class Footage(Protocol):
    """Who encodes the pictures of one episode: here, or elsewhere (`collect.live.encode`)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras and depth maps."""
        ...

    def check(self, name: str, value: Any) -> Any:
        """One picture as `add` takes it; raises DataError when it does not fit its feature."""
        ...

    def add(self, pictures: Mapping[str, Any]) -> None:
        """Encode one checked frame of every camera."""
        ...

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Statistics by camera."""
        ...

    def close(self) -> None:
        """Flush every encoder."""
        ...

    def abandon(self) -> None:
        """Release every encoder."""
        ...


class EpisodeFootage:
    """Encoders of all cameras of the next episode; they take each frame at once and keep none."""

    def __init__(self, info: Info, commit: Commit, codec: VideoCodec) -> None:
        self._info = info
        self._colour: dict[str, tuple[VideoWriter, ImageTally]] = {}
        self._depth: dict[str, tuple[DepthWriter, DepthTally]] = {}
        index = info.total_episodes
        for name, feature in info.features.items():
            if not feature.is_video:
                continue
            height, width = feature.shape[:2]
            path = commit.stage(info.video_path.format(video_key=name, **file_of(index, info.chunks_size)))
            if feature.is_depth:
                lossless = commit.stage(DEPTH_PATH.format(video_key=name, episode_index=index))
                # as the dataset has it: one feature has one meaning of its codes
                meaning = DepthCodec.from_info(feature.info)
                self._depth[name] = (DepthWriter(path, lossless, (height, width), info.fps, meaning), DepthTally())
            else:
                self._colour[name] = (VideoWriter(path, height, width, info.fps, codec), ImageTally())

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras and depth maps."""
        return (*self._colour, *self._depth)

    def check(self, name: str, value: Any) -> np.ndarray:
        """One picture as it is encoded; raises DataError when it does not fit its feature."""
        feature = self._info.features[name]
        return as_millimetres(name, value, feature.shape) if feature.is_depth else check_value(name, feature, value)

    def add(self, pictures: Mapping[str, np.ndarray]) -> None:
        """Encode one checked frame of every camera."""
        for streams in (self._colour, self._depth):
            for name, (video, tally) in streams.items():
                video.add(pictures[name])
                tally.add(pictures[name])

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Statistics by camera."""
        found = {name: tally.summary() for name, (_, tally) in self._colour.items()}
        return found | {name: tally.summary(QUANTILES) for name, (_, tally) in self._depth.items()}

    def close(self) -> None:
        """Flush every encoder."""
        for streams in (self._colour, self._depth):
            for video, _ in streams.values():
                video.close()

    def abandon(self) -> None:
        """Release every encoder."""
        for streams in (self._colour, self._depth):
            for video, _ in streams.values():
                video.abandon()


MakeFootage = Callable[[Info, Commit, VideoCodec], Footage]
