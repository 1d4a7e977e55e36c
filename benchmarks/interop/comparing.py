"""What LeRobot gave for a dataset, set against what our reader gives: every key, task, frame and window."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.data.depth import DepthCodec, DepthReader
from wbvla.data.reader import Dataset

OFFSETS = (-2, 0, 1, 3)
"""frames around each chosen one that make a window"""
MAX_LEVELS = 16
"""decoders may turn the same YUV into RGB with other roundings and chroma filters; beyond it is a difference"""
MAX_DEPTH_MM = 1.0
"""LeRobot takes exp in torch, its writer and we in numpy: float32 that falls on either side of half a millimetre"""


@dataclass(kw_only=True)
class Verdict:
    """One dataset compared."""

    kind: str
    frames: int = 0
    windows: int = 0
    tasks: int = 0
    keys: list[str] = field(default_factory=list)
    max_levels: int = 0
    """largest difference of a pixel"""
    mean_levels: float = 0.0
    """largest mean difference of a frame"""
    depth_mm: float = 0.0
    """largest difference of a depth map from the same 12-bit video"""
    differences: list[str] = field(default_factory=list)

    def require(self, good: bool, what: str) -> None:
        """Note a difference."""
        if not good:
            self.differences.append(f"{self.kind}: {what}")

    def summary(self) -> dict[str, Any]:
        """Counts and bounds, for the result."""
        return {
            "frames": self.frames,
            "windows": self.windows,
            "tasks": self.tasks,
            "keys": len(self.keys),
            "max_levels": self.max_levels,
            "mean_levels": round(self.mean_levels, 3),
            "depth_mm": round(self.depth_mm, 3),
            "differences": len(self.differences),
        }


def wanted_windows(data: Dataset) -> list[int]:
    """The first, middle and last frame of every episode: windows that are padded on both sides and on none."""
    spots = [s + f for s, e in zip(data.starts, data.episodes) for f in (0, e.length // 2, e.length - 1)]
    return sorted({int(i) for i in spots})


def compare(kind: str, root: Path, dump: Path) -> tuple[Verdict, dict[str, Any]]:
    """Our reader on `root` against LeRobot's dump of the same folder, or of an export with fewer features."""
    facts = json.loads(Path(f"{dump}.json").read_text())
    verdict = Verdict(kind=kind)
    if "error" in facts:
        verdict.require(False, f"LeRobot does not open it: {facts['error']}")
        return verdict, {}
    data = Dataset(root)
    with np.load(f"{dump}.npz", allow_pickle=False) as arrays:
        _facts(verdict, data, facts)
        for key in data.features:
            if key in facts["texts"]:
                _texts(verdict, data, key, facts["texts"][key])
            elif f"item/{key}" in arrays:
                _items(verdict, data, key, arrays[f"item/{key}"])
        windows = {k: arrays[k] for k in arrays.files if k.startswith(("window/", "pad/"))}
        for at, index in enumerate(wanted_windows(data)):
            _window(verdict, data, index, {k: v[at] for k, v in windows.items()})
            verdict.windows += 1
    data.close()
    return verdict, facts


def _facts(verdict: Verdict, data: Dataset, facts: dict[str, Any]) -> None:
    verdict.keys, verdict.tasks = facts["keys"], len(facts["tasks"])
    ours = {*data.features, "task"}
    verdict.require(ours == set(facts["keys"]), f"keys differ: {sorted(ours ^ set(facts['keys']))}")
    verdict.require(data.tasks == facts["tasks"], f"tasks {data.tasks} against {facts['tasks']}")
    counts = (data.num_episodes, len(data), data.fps)
    theirs = (facts["episodes"], facts["frames"], facts["fps"])
    verdict.require(counts == theirs, f"episodes, frames, fps {counts} against {theirs}")
    words = [data.instruction(e.index, f) for e in data.episodes for f in range(e.length)]
    verdict.require(words == facts["texts"]["task"], "the task of a frame differs")


def _texts(verdict: Verdict, data: Dataset, key: str, theirs: list[Any]) -> None:
    ours = data.column(key).tolist()
    verdict.require(json.loads(json.dumps(ours)) == theirs, f"{key} differs in its words")


def _items(verdict: Verdict, data: Dataset, key: str, theirs: np.ndarray) -> None:
    if not data.features[key].is_picture:
        ours = data.column(key)
        same = ours.shape == theirs.shape and np.array_equal(ours.astype(theirs.dtype), theirs)
        verdict.require(same, f"{key} {ours.shape} differs from {theirs.shape}")
        return
    at = 0
    for record in data.episodes:
        ours = _pictures(data, key, record.index, range(record.length))
        _pixels(verdict, data, key, ours, theirs[at : at + record.length], f"episode {record.index}")
        at += record.length
        verdict.frames += record.length


def _pictures(data: Dataset, key: str, episode: int, numbers: Any) -> np.ndarray:
    """Colour as our reader gives it; of depth the same 12-bit video that LeRobot reads, not the lossless file."""
    feature, record = data.features[key], data.episodes[episode]
    if not feature.is_depth:
        return data.frames(key, episode, list(numbers))
    if key not in record.videos:
        return data.depth(key, episode, list(numbers))
    name, first = record.videos[key]
    reader = DepthReader(data.root / name, data.fps)
    codes = reader.read([first + i for i in numbers])
    reader.close()
    codec = DepthCodec.from_info(dict(feature.info))
    # LeRobot shows code 0, which is also "nothing came back", as the nearest depth
    return np.maximum(codec.dequantize(codes), round(1000 * codec.min_m))


def _pixels(verdict: Verdict, data: Dataset, key: str, ours: np.ndarray, theirs: np.ndarray, where: str) -> None:
    if ours.shape != theirs.shape:
        verdict.require(False, f"{key} {where}: {ours.shape} against {theirs.shape}")
        return
    off = np.abs(ours.astype(np.float64) - theirs)
    if data.features[key].is_depth:
        verdict.depth_mm = max(verdict.depth_mm, float(off.max()))
        verdict.require(float(off.max()) <= MAX_DEPTH_MM, f"{key} {where}: depth differs by {off.max():.2f} mm")
        return
    means = off.mean(axis=(1, 2, 3))
    verdict.max_levels = max(verdict.max_levels, int(off.max()))
    verdict.mean_levels = max(verdict.mean_levels, float(means.max()))
    verdict.require(off.max() <= MAX_LEVELS, f"{key} {where}: a pixel differs by {off.max():.0f} levels")
    for i, mean in enumerate(means):  # no other frame of ours is nearer to theirs
        others = np.abs(ours.astype(np.float64) - theirs[i]).mean(axis=(1, 2, 3))
        verdict.require(int(others.argmin()) == i or others.min() == mean, f"{key} {where}: frame {i} is another one")


def _window(verdict: Verdict, data: Dataset, index: int, theirs: dict[str, np.ndarray]) -> None:
    episode, frame = data.locate(index)
    names = [k.partition("/")[2] for k in theirs if k.startswith("window/")]
    plain = [n for n in names if not data.features[n].is_depth]
    ours = data.window(episode, frame, dict.fromkeys(plain, OFFSETS))
    for name in plain:
        pads = np.array_equal(ours[f"{name}_is_pad"], theirs[f"pad/{name}"])
        verdict.require(pads, f"{name}: padding of window {index} differs")
        value, other = ours[name], theirs[f"window/{name}"]
        if data.features[name].is_picture:
            near = value.shape == other.shape and np.abs(value.astype(int) - other).max() <= MAX_LEVELS
            verdict.require(bool(near), f"{name}: frames of window {index} differ")
        else:
            same = value.shape == other.shape and np.array_equal(value.astype(other.dtype), other)
            verdict.require(same, f"{name}: window {index} differs")


def control(root: Path, dump: Path) -> list[str]:
    """Whether the comparison can fail: kinds of planted errors that it did not notice; empty when it saw them all."""
    facts = json.loads(Path(f"{dump}.json").read_text())
    with np.load(f"{dump}.npz", allow_pickle=False) as loaded:
        arrays = dict(loaded)
    camera = next(k for k, v in arrays.items() if k.startswith("item/") and v.dtype == np.uint8 and v.ndim == 4)
    number = next(k for k, v in arrays.items() if k.startswith("item/") and v.dtype == np.float32 and v.ndim == 2)
    shifted, changed = np.roll(arrays[camera], 1, axis=0), arrays[number].copy()
    changed[-1, -1] = np.nextafter(changed[-1, -1], np.float32(np.inf))
    pads = next(k for k in arrays if k.startswith("pad/"))
    planted = {
        "frames late by one": ({camera: shifted}, {}),
        "a number off by one unit in the last place": ({number: changed}, {}),
        "padding inverted": ({pads: ~arrays[pads]}, {}),
        "another task": ({}, {"texts": {**facts["texts"], "task": ["?", *facts["texts"]["task"][1:]]}}),
        "a key missing": ({}, {"keys": facts["keys"][1:]}),
    }
    missed: list[str] = []
    spoiled = dump.with_name("control")
    for what, (wrong, said) in planted.items():
        np.savez(f"{spoiled}.npz", **{**arrays, **wrong})
        Path(f"{spoiled}.json").write_text(json.dumps({**facts, **said}))
        if not compare("control", root, spoiled)[0].differences:
            missed.append(what)
    return missed
