"""The process that encodes one camera's frames out of shared memory, and the footage of an episode that is made so."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from wbvla.collect.cameras.faces import FaceBlur
from wbvla.collect.live.ring import FrameRing
from wbvla.core.errors import DataError, WbvlaError
from wbvla.data.depth import DepthCodec, DepthTally, DepthWriter, as_millimetres
from wbvla.data.features import DEPTH_OF, IMAGE
from wbvla.data.format import DEPTH_PATH, Info, file_of
from wbvla.data.journal import Commit
from wbvla.data.stats import QUANTILES, ImageTally
from wbvla.data.video import VideoCodec, VideoWriter

ANSWER_S = 60.0
"""longest wait for an encoder to flush its file [s]"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One clip of one camera."""

    fps: int
    """[Hz]"""
    codec: VideoCodec
    colour: str
    """file to write"""
    depth: str
    """file of the 12-bit depth video; empty: no depth"""
    lossless: str
    """file of the lossless depth"""
    meaning: DepthCodec
    """of the depth's codes"""


class _Clip:
    """The encoders and tallies of one clip."""

    def __init__(self, ring: FrameRing, job: Job, blur: FaceBlur | None) -> None:
        size = (ring.config.height, ring.config.width)
        self._ring, self._tally, self._blur = ring, ImageTally(), blur
        if blur is not None:
            blur.restart()
        self._colour = VideoWriter(Path(job.colour), *size, job.fps, job.codec)
        self._depth: DepthWriter | None = None
        self._depth_tally = DepthTally()
        if job.depth:
            self._depth = DepthWriter(Path(job.depth), Path(job.lossless), size, job.fps, job.meaning)

    def add(self, slot: int) -> None:
        if self._blur is not None:
            self._blur(self._ring.rgb(slot))
        self._colour.add(self._ring.rgb(slot))
        self._tally.add(self._ring.rgb(slot))
        if self._depth is not None:
            depth = as_millimetres("depth", self._ring.depth_mm(slot), (*self._ring.depth_mm(slot).shape, 1))
            self._depth.add(depth)
            self._depth_tally.add(depth)

    def close(self) -> dict[str, Any]:
        self._colour.close()
        summaries = {"": self._tally.summary()}
        if self._depth is not None:
            self._depth.close()
            summaries[DEPTH_OF] = self._depth_tally.summary(QUANTILES)
        return {"summaries": summaries, "frames": self._colour.num_frames}

    def abandon(self) -> None:
        self._colour.abandon()
        if self._depth is not None:
            self._depth.abandon()


def encode(ring: FrameRing, orders: Connection) -> None:
    """Body of the process: does what the writing process orders until that is gone. Errors are answered at `close`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    blur = FaceBlur(max(1, (os.cpu_count() or 1) // 2)) if ring.config.blur_faces else None
    clip: _Clip | None = None
    fault = ""
    while True:
        try:
            verb, what = orders.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            if verb == "open":
                fault, clip = "", _Clip(ring, what, blur)
            elif verb == "add" and clip is not None and not fault:
                clip.add(what)
            elif verb == "close":
                answer = {"error": fault or "no clip is open"} if clip is None or fault else clip.close()
                orders.send(answer)
                clip = None
            elif verb == "abandon":
                if clip is not None:
                    clip.abandon()
                orders.send({})
                clip = None
        except (WbvlaError, OSError, ValueError) as error:
            fault = fault or f"{ring.config.name} cannot be encoded ({error})"
            if verb in ("close", "abandon"):
                orders.send({"error": fault})
                clip = None
        finally:
            if verb == "add":
                ring.let_go(what)


class RemoteFootage:
    """The footage of one episode, encoded by other processes; a picture is the number of its slot.

    Stands in for `data.footage.EpisodeFootage` in an `EpisodeWriter`.
    """

    def __init__(self, orders: Mapping[str, Connection], info: Info, commit: Commit, codec: VideoCodec) -> None:
        self._orders, self._info = dict(orders), info
        self._summaries: dict[str, dict[str, Any]] = {}
        self._count, self._open = 0, True
        for camera, pipe in self._orders.items():
            pipe.send(("open", self._job(camera, commit, codec)))

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras and depth maps."""
        return tuple(name for name, feature in self._info.features.items() if feature.is_video)

    def check(self, name: str, value: Any) -> Any:
        """The slot of a picture; its shape was checked where it was captured."""
        if not isinstance(value, int):
            raise DataError(f"{name!r} is given as the number of its slot, not as {type(value).__name__}")
        return value

    def add(self, pictures: Mapping[str, Any]) -> None:
        """Hand one frame of every camera to its encoder, which lets go of the slot."""
        for camera, pipe in self._orders.items():
            pipe.send(("add", pictures[IMAGE + camera]))
        self._count += 1

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Statistics by camera; known after `close`."""
        return dict(self._summaries)

    def close(self) -> None:
        """Flush every encoder; raises DataError when one failed or did not get every frame."""
        self._open = False
        for pipe in self._orders.values():
            pipe.send(("close", None))
        answers = {camera: answer_of(camera, pipe) for camera, pipe in self._orders.items()}
        for camera, answer in answers.items():
            if "error" in answer:
                raise DataError(str(answer["error"]))
            if answer["frames"] != self._count:
                raise DataError(f"{camera}: {answer['frames']} of {self._count} frames were encoded")
            for suffix, summary in answer["summaries"].items():
                self._summaries[IMAGE + camera + suffix] = summary

    def abandon(self) -> None:
        """Release every encoder; the files are left unusable."""
        if self._open:
            self._open = False
            for pipe in self._orders.values():
                pipe.send(("abandon", None))
            for camera, pipe in self._orders.items():
                answer_of(camera, pipe)

    def _job(self, camera: str, commit: Commit, codec: VideoCodec) -> Job:
        name, where = IMAGE + camera, file_of(self._info.total_episodes, self._info.chunks_size)
        depth, lossless, meaning = "", "", DepthCodec()
        colour = str(commit.stage(self._info.video_path.format(video_key=name, **where)))
        if (feature := self._info.features.get(name + DEPTH_OF)) is not None:
            key, index = name + DEPTH_OF, self._info.total_episodes
            depth = str(commit.stage(self._info.video_path.format(video_key=key, **where)))
            lossless = str(commit.stage(DEPTH_PATH.format(video_key=key, episode_index=index)))
            meaning = DepthCodec.from_info(feature.info)
        return Job(fps=self._info.fps, codec=codec, colour=colour, depth=depth, lossless=lossless, meaning=meaning)


def answer_of(camera: str, pipe: Connection) -> dict[str, Any]:
    """What an encoder says to an order; raises DataError when it is dead or says nothing for long."""
    try:
        if not pipe.poll(ANSWER_S):
            raise DataError(f"the encoder of {camera} gave no answer within {ANSWER_S:.0f} s")
        return pipe.recv()
    except (EOFError, ConnectionResetError) as error:
        raise DataError(f"the encoder of {camera} died; start the recorder again") from error
