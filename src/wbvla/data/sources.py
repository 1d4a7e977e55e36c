"""Footage without actions, read where it lies: a dataset, a folder of videos, of pictures, or tar archives of videos.

    source = open_source(Path("Egocentric-10K"))
    pair = source.frames("", clip, [t, t + round(0.6 * source.fps)], size=(224, 224))

A `Dataset` is a source as it is. All others are `Footage`: clips of any rate, shown at one rate in whole frames.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.format import INFO
from wbvla.data.layout import read_json
from wbvla.data.listing import Clip, Listing, find_pictures, list_clips, read_picture
from wbvla.data.reader import Dataset
from wbvla.data.transforms import resize
from wbvla.data.video import VideoCache

SETTINGS = "source.json"
"""optional file beside the clips: {"fps": rate to show them at, and that of pictures [Hz]}"""


@runtime_checkable
class Length(Protocol):
    """What every episode or clip of a source tells."""

    @property
    def length(self) -> int:
        """Frames at the source's rate."""
        ...


@runtime_checkable
class Source(Protocol):
    """Clips by number, frames by integer number at one rate."""

    root: Path

    @property
    def fps(self) -> int:
        """Frames per second of every clip as `frames` shows it [Hz]."""
        ...

    @property
    def episodes(self) -> Sequence[Length]: ...

    @property
    def num_episodes(self) -> int: ...

    @property
    def num_frames(self) -> int:
        """Frames of all clips at the source's rate."""
        ...

    @property
    def contract(self) -> dict[str, Any]:
        """What a recording promises; empty for footage."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 that changes when the footage does."""
        ...

    def frames(
        self, camera: str, episode: int, indices: Sequence[int], size: tuple[int, int] | None = None
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """Frames by number, resized to (height, width) [px] when `size` is given."""
        ...

    def truth(self, episode: int) -> dict[str, np.ndarray]:
        """Privileged arrays beside a clip; empty where there are none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A clip as a source shows it."""

    clip: Clip
    length: int
    """frames at the source's rate"""
    step: float
    """frames of the clip per frame of the source"""


class Footage:
    """Clips in files, listed once (see `listing`); safe to pass to worker processes: each opens its own files."""

    def __init__(
        self, root: Path, fps: int = 0, cache: Path | None = None, max_open: int = 16, max_bytes: int = 256 << 20
    ) -> None:
        """`fps` 0: the rate of source.json, else the median of the clips' rates, rounded. A clip of another rate is
        shown by its nearest frames in time. Raises DataError where there is nothing to read, ConfigError where
        pictures come without a rate.
        """
        self.root = Path(root)
        base = self.root.parent if self.root.is_file() else self.root
        self._base = base
        self.listing: Listing = _only(list_clips(base, cache), self.root, base)
        told = read_json(base / SETTINGS) if (base / SETTINGS).is_file() else {}
        rates = [c.fps for c in self.listing.clips if c.fps]
        wanted = fps or (told.get("fps", 0) if isinstance(told, dict) else 0) or round(float(np.median(rates or [0])))
        if not isinstance(wanted, int) or not 0 < wanted < 10_000:
            raise ConfigError(f'{base} holds pictures without a rate; write {{"fps": 30}} to {base / SETTINGS}')
        self._fps = wanted
        self.episodes: Sequence[Shown] = [self._shown(clip) for clip in self.listing.clips]
        self._videos = VideoCache(None, max_open, max_bytes)

    @property
    def fps(self) -> int:
        return self._fps

    @property
    def num_episodes(self) -> int:
        return len(self.listing.clips)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Footage has one nameless camera."""
        return ()

    @property
    def num_frames(self) -> int:
        return sum(e.length for e in self.episodes)

    @property
    def contract(self) -> dict[str, Any]:
        return {}

    @property
    def broken(self) -> Mapping[str, str]:
        """What is left out, by name, with the reason."""
        return self.listing.broken

    @property
    def digest(self) -> str:
        return self.listing.digest

    def frames(
        self, camera: str, episode: int, indices: Sequence[int], size: tuple[int, int] | None = None
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """Frames of a clip; `camera` is not looked at. Raises DataError on a number outside the clip."""
        if not 0 <= episode < self.num_episodes:
            raise DataError(f"clip {episode} asked, {self.root} has {self.num_episodes}")
        shown = self.episodes[episode]
        for i in indices:
            if not 0 <= i < shown.length:
                raise DataError(f"frame {i} asked, {shown.clip.name} in {self.root} has {shown.length}")
        own = [min(round(i * shown.step), shown.clip.length - 1) for i in indices]
        clip, path = shown.clip, self._base / shown.clip.path
        if not path.is_dir():
            rgb = self._videos.read(path, own, clip.start, clip.size)
            return rgb if size is None else resize(rgb, size)
        files = self._pictures(episode, path)
        found = {i: read_picture(files[i]) for i in sorted(set(own))}
        if size is not None:
            found = {i: resize(rgb, size) for i, rgb in found.items()}
        if len({rgb.shape for rgb in found.values()}) > 1:
            raise DataError(f"the pictures of {clip.name} in {self.root} differ in size; ask for one size")
        return np.stack([found[i] for i in own])

    def instruction(self, episode: int, frame: int = 0) -> str:
        """The words of a clip; empty when it has none."""
        return self.episodes[episode].clip.text

    def truth(self, episode: int) -> dict[str, np.ndarray]:
        """Nothing: footage keeps no truth."""
        return {}

    def close(self) -> None:
        """Close the open videos."""
        self._videos.close()

    def _shown(self, clip: Clip) -> Shown:
        step = clip.fps / self.fps if clip.fps else 1.0
        if abs(step - 1.0) * clip.length < 0.5:
            return Shown(clip=clip, length=clip.length, step=1.0)
        return Shown(clip=clip, length=int((clip.length - 1) / step + 1e-6) + 1, step=step)

    def _pictures(self, episode: int, folder: Path) -> list[Path]:
        if getattr(self, "_folder", None) != episode:
            self._folder, self._files = episode, find_pictures(folder)
        clip = self.episodes[episode].clip
        if len(self._files) < clip.length:
            raise DataError(f"{clip.name} in {self.root} lost pictures since it was listed")
        return self._files

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_folder", "_files")}


class Chosen:
    """Some clips of a source, as a source: its numbers count through the chosen ones."""

    def __init__(self, source: Source, numbers: Sequence[int]) -> None:
        self.root, self._source, self._numbers = source.root, source, list(numbers)

    @property
    def fps(self) -> int:
        return self._source.fps

    @property
    def episodes(self) -> Sequence[Length]:
        return [self._source.episodes[n] for n in self._numbers]

    @property
    def num_episodes(self) -> int:
        return len(self._numbers)

    @property
    def num_frames(self) -> int:
        return sum(e.length for e in self.episodes)

    @property
    def contract(self) -> dict[str, Any]:
        return self._source.contract

    @property
    def digest(self) -> str:
        return self._source.digest

    def frames(
        self, camera: str, episode: int, indices: Sequence[int], size: tuple[int, int] | None = None
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """Frames of a chosen clip; see `Source.frames`."""
        return self._source.frames(camera, self._numbers[episode], indices, size)

    def truth(self, episode: int) -> dict[str, np.ndarray]:
        """Privileged arrays beside a chosen clip."""
        return self._source.truth(self._numbers[episode])


def open_source(path: Path, cache: Path | None = None) -> "Dataset | Footage":
    """A dataset, or footage, by what lies at `path`; raises DataError when there is nothing, or both."""
    path = Path(path)
    if (path / INFO).is_file():
        return Dataset(path)
    if not path.exists():
        raise DataError(f"{path} does not exist; name a dataset, a tar, or a folder of videos, pictures or tars")
    return Footage(path, cache=cache)


def _only(listing: Listing, root: Path, base: Path) -> Listing:
    """The clips of one file when the source is a file."""
    if root == base:
        return listing
    clips = tuple(c for c in listing.clips if c.path == root.name)
    if not clips:
        reasons = {n: r for n, r in listing.broken.items() if n.startswith(root.name)}
        raise DataError(f"{root} holds no readable clip ({json.dumps(reasons)[:400]})")
    broken = {n: r for n, r in listing.broken.items() if n.startswith(root.name)}
    return Listing(clips=clips, broken=broken, digest=listing.digest)


def identity_of(source: Source, held_out: Sequence[int]) -> dict[str, Any]:
    """By how much and by which split a source is known again, wherever it lies and however it is labelled."""
    lengths = [episode.length for episode in source.episodes]
    split = hashlib.sha256(json.dumps([lengths, [int(e) for e in held_out]]).encode()).hexdigest()
    return {"episodes": source.num_episodes, "frames": source.num_frames, "split": split[:16]}
