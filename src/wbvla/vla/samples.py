"""Frames of datasets as training batches: windows of actions, codes with gaps, cameras that may be absent."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from wbvla.core.errors import ConfigError, DataError
from wbvla.core.run import plain
from wbvla.data.augment import AugmentConfig, Draws, augment, draw
from wbvla.data.features import ACTION, IMAGE, STATE
from wbvla.data.mirror import WindowMirror, flip
from wbvla.data.phrases import load_phrases, mirror_words
from wbvla.data.reader import Dataset
from wbvla.data.sources import identity_of
from wbvla.data.split import split_episodes
from wbvla.robots.mirror import swap_sides
from wbvla.robots.platforms import load_robot
from wbvla.vla.inputs import Inputs
from wbvla.vla.model import StreamConfig, VlaConfig

LATENT = "latent."
NO_CODE = -1
"""stands for `no label` wherever a code could be"""


class Samples:
    """The frames of some episodes of one dataset, ready to be batched.

    With `in_memory` all pictures are decoded once and kept at the model's size; else each batch decodes its own.
    """

    def __init__(
        self, dataset: Dataset, episodes: Sequence[int], inputs: Inputs, model: VlaConfig, in_memory: bool = True
    ) -> None:
        if not episodes:
            raise DataError(f"{dataset.root}: no episode is left to use; record more, or hold out fewer")
        self.dataset, self.inputs = dataset, inputs
        self.streams, self.steps = model.streams, model.action.steps
        lengths = [dataset.episodes[e].length for e in episodes]
        ends = np.cumsum(lengths)
        self.last = np.repeat(ends - 1, lengths)
        self.size = int(ends[-1])
        self.episode = np.repeat(np.asarray(episodes), lengths)
        self.frame = np.arange(self.size) - np.repeat(ends - lengths, lengths)
        self.side = (inputs.config.image_size, inputs.config.image_size)
        self.cameras = [c for c in inputs.config.cameras if IMAGE + c in dataset.cameras]
        self.memory = {c: dataset.load_video(IMAGE + c, self.side, episodes) for c in self.cameras if in_memory}
        self.words = self._column("task_index", episodes)
        names = dataset.features
        self.state = self._column(STATE, episodes) if STATE in names else None
        self.actions = self._column(ACTION, episodes) if ACTION in names else None
        self.codes = {s.name: self._codes(s, episodes) for s in self.streams if LATENT + s.name in names}

    def __len__(self) -> int:
        """Frames."""
        return self.size

    def _column(self, name: str, episodes: Sequence[int]) -> np.ndarray:
        return np.concatenate([self.dataset.columns(e, [name])[name] for e in episodes])

    def _codes(self, stream: StreamConfig, episodes: Sequence[int]) -> Int[np.ndarray, "frame token"]:
        codes = self._column(LATENT + stream.name, episodes).astype(np.int64).reshape(self.size, -1)
        noted = self.dataset.labels.get(LATENT + stream.name, {}).get("num_codes", stream.num_codes)
        if codes.shape[1] != stream.num_tokens or noted != stream.num_codes or codes.max() >= stream.num_codes:
            raise DataError(
                f"{self.dataset.root}: {LATENT}{stream.name} has {codes.shape[1]} tokens of {noted} codes, largest "
                f"{codes.max()}; the model expects {stream.num_tokens} tokens of {stream.num_codes} codes"
            )
        return codes

    @cached_property
    def mirror(self) -> WindowMirror:
        """The mirror image of this dataset; raises ConfigError where cameras or channels have none."""
        names, cameras = self.dataset.features, self.inputs.config.cameras
        alone = [c for c in cameras if swap_sides(c) not in cameras]
        if alone:
            raise ConfigError(f"camera {alone[0]!r} has no partner to swap with in {list(cameras)}; set mirror to 0")
        moves = STATE in names or ACTION in names
        return WindowMirror(names, load_robot(self.dataset.robot) if moves else None)

    def batch(
        self, frames: Int[np.ndarray, " sample"], mirrored: Bool[np.ndarray, " sample"] | None = None
    ) -> dict[str, np.ndarray]:
        """Inputs and targets of these frames as numpy arrays, all keys always there; see `as_tensors`.

        Samples that are `mirrored` have pictures, cameras, state and actions left-right exchanged, and no codes.
        """
        config, turned = self.inputs.config, np.zeros(len(frames), bool) if mirrored is None else mirrored
        size = (len(frames), len(config.cameras), config.image_size, config.image_size, 3)
        images, present = np.zeros(size, np.uint8), np.zeros(size[:2], bool)
        for i, camera in enumerate(config.cameras):
            if camera in self.cameras:
                images[:, i], present[:, i] = self.pictures(camera, frames), True
        state = np.zeros((len(frames), len(config.state.offset)), np.float32)
        if self.state is not None:
            state = self.inputs.state(self._reflected(STATE, self.state[frames], turned))
        if turned.any():
            partner = [config.cameras.index(swap_sides(c)) for c in config.cameras]
            images[turned], present[turned] = flip(images[turned][:, partner]), present[turned][:, partner]
        result = {"images": images, "present": present, "state": state, **self._targets(frames, turned)}
        for stream in self.streams:
            codes = np.full((len(frames), stream.num_tokens), NO_CODE, np.int64)
            if stream.name in self.codes:
                codes[~turned] = self.codes[stream.name][frames[~turned]]
            result[LATENT + stream.name] = codes
        return result

    def _reflected(
        self, name: str, rows: Float[np.ndarray, " sample *more"], turned: Bool[np.ndarray, " sample"]
    ) -> Float[np.ndarray, " sample *more"]:
        """Rows of a column, those of mirrored samples as the mirror shows them."""
        if turned.any():
            rows = rows.copy()
            rows[turned] = self.mirror.columns[name](rows[turned])
        return rows

    def pictures(self, camera: str, frames: Int[np.ndarray, " sample"]) -> UInt8[np.ndarray, "sample size size 3"]:
        """One camera at these frames."""
        if camera in self.memory:
            return self.memory[camera][frames]
        where = zip(self.episode[frames].tolist(), self.frame[frames].tolist())
        return np.concatenate([self.dataset.frames(IMAGE + camera, e, [f], self.side) for e, f in where])

    def instructions(self, frames: Int[np.ndarray, " sample"]) -> list[str]:
        """The words that hold at these frames."""
        return [self.dataset.tasks[int(i)] for i in self.words[frames]]

    def _targets(
        self, frames: Int[np.ndarray, " sample"], turned: Bool[np.ndarray, " sample"]
    ) -> dict[str, np.ndarray]:
        """The next `steps` rows of `action` from each frame on; `valid` ends with the episode."""
        arms = len(self.inputs.config.arms.offset)
        future = frames[:, None] + np.arange(self.steps)
        valid = future <= self.last[frames][:, None]
        if self.actions is None:
            rows = np.zeros((*future.shape, arms + 6), np.float32)
            valid = np.zeros_like(valid)
        else:
            rows = self.actions[np.minimum(future, self.last[frames][:, None])].astype(np.float32)
            rows = self._reflected(ACTION, rows, turned)
        return {
            "valid": valid,
            "arms": self.inputs.config.arms.apply(rows[..., :arms]),
            "grippers": rows[..., arms : arms + 2],
            "flags": np.rint(rows[..., arms + 2 : arms + 5]).astype(np.int64) + 1,
            "height_m": rows[..., -1],
        }


class Batches:
    """A `train.loop.Source` over several datasets: each batch is a pure function of its step, augmentation included."""

    def __init__(
        self,
        parts: Sequence[Samples],
        weights: Sequence[float],
        batch_size: int,
        augment: AugmentConfig,
        seed: int = 0,
    ) -> None:
        """`seed` is the run's; draws that hold for a whole episode follow from it."""
        if len(parts) != len(weights) or min(weights) <= 0:
            raise DataError(f"{len(parts)} datasets need as many positive weights, not {list(weights)}")
        self.parts, self.batch_size, self.augment, self.seed = parts, batch_size, augment, seed
        self.shares = np.asarray(weights, np.float64) / np.sum(weights)
        self.moved = [augment.moves(c) for c in parts[0].inputs.config.cameras]
        if augment.mirror > 0:
            _ = [part.mirror for part in parts]  # refuses now what could not be mirrored later

    def batch(self, step: int, rng: np.random.Generator) -> dict[str, Tensor]:
        """`batch_size` frames, datasets drawn by weight, frames evenly; `step` enters through `rng`'s seed."""
        counts = rng.multinomial(self.batch_size, self.shares)
        rows, words = [], []
        for number, (part, count) in enumerate(zip(self.parts, counts)):
            if count:
                frames = rng.integers(len(part), size=count)
                row, said = self._changed(part, frames, draw(self.augment, self._keys(number, frames, rng)))
                rows.append(row)
                words += said
        joined = {k: np.concatenate([r[k] for r in rows]) for k in rows[0]}
        if len(self.parts) > 1:  # a micro-batch is a slice: without this it would be of one dataset
            mixed = rng.permutation(self.batch_size)
            joined, words = {k: v[mixed] for k, v in joined.items()}, [words[i] for i in mixed]
        drop = rng.random(joined["present"].shape) < self.augment.camera_dropout
        drop[:, 0] = False
        joined["present"] &= ~drop
        return as_tensors(joined, words, self.parts[0].inputs)

    def _keys(
        self, number: int, frames: Int[np.ndarray, " sample"], rng: np.random.Generator
    ) -> Int[np.ndarray, "sample key"]:
        """What the draw of each sample follows from: this batch and row, or dataset and episode."""
        if self.augment.per == "window":
            return np.stack([np.full(len(frames), rng.integers(2**62)), np.arange(len(frames))], axis=1)
        episodes = self.parts[number].episode[frames]
        return np.stack([np.full(len(frames), v) for v in (self.seed, number)] + [episodes], axis=1)

    def _changed(
        self, part: Samples, frames: Int[np.ndarray, " sample"], draws: Draws
    ) -> tuple[dict[str, np.ndarray], list[str]]:
        """The samples and their words, each changed by its draw."""
        rows, words = part.batch(frames, draws.mirrored), part.instructions(frames)
        rows["images"] = augment(rows["images"][:, None], draws, self.moved)[:, 0]
        book = load_phrases("train")
        for i, text in enumerate(words):
            said = book.paraphrase(text, draws.words[i].tolist()) if draws.paraphrased[i] else text
            words[i] = mirror_words(said) if draws.mirrored[i] else said
        return rows, words


def as_tensors(rows: dict[str, np.ndarray], instructions: Sequence[str], inputs: Inputs) -> dict[str, Tensor]:
    """A batch of `Samples` as the model's tensors, with `text` and `text_mask` added."""
    text, mask = inputs.text(instructions)
    return {**{k: torch.from_numpy(v) for k, v in rows.items()}, "text": text, "text_mask": mask}


def spread(samples: Samples, count: int) -> Int[np.ndarray, " sample"]:
    """At most `count` frames, evenly over all."""
    return np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(np.int64))


def open_datasets(roots: Sequence[Path]) -> list[Dataset]:
    """Open all; raises DataError when none is given."""
    if not roots:
        raise DataError("no dataset was given; name at least one folder")
    return [Dataset(Path(r)) for r in roots]


def label_digests(sets: Sequence[Dataset], streams: Sequence[StreamConfig]) -> dict[str, str]:
    """Which LAM labelled each stream; raises DataError when two datasets were labelled by different ones."""
    result: dict[str, str] = {}
    for dataset in sets:
        for stream in streams:
            digest = dataset.labels.get(LATENT + stream.name, {}).get("digest")
            if digest is not None and result.setdefault(stream.name, digest) != digest:
                raise DataError(
                    f"{dataset.root}: {LATENT}{stream.name} was written by LAM {digest[:12]}, another dataset's by "
                    f"{result[stream.name][:12]}; label all datasets with the same LAM"
                )
    return result


def data_identity(
    sets: Sequence[Dataset],
    held_out: float,
    streams: Sequence[StreamConfig],
    changes: AugmentConfig,
    mixture: Sequence[float],
) -> dict[str, Any]:
    """What a run that goes on must share with the one that began: recordings, split, labels, how batches are made."""
    seen = [identity_of(dataset, split_episodes(dataset, held_out)[1]) for dataset in sets]
    made = {"augment": plain(changes), "mixture": list(mixture)}
    return {"sets": seen, "labels": label_digests(sets, streams), **made}


def flag_weights(samples: Sequence[Samples], arms: int, most: float = 10.0) -> Float[Tensor, "3 3"]:
    """Class weights of the flags: inverse frequency, at most `most` times the rarest allowed, mean 1 over samples."""
    rows = np.concatenate([s.actions for s in samples if s.actions is not None])
    flags = np.rint(rows[:, arms + 2 : arms + 5]).astype(np.int64) + 1
    weights = np.zeros((3, 3))
    for i in range(3):
        counts = np.bincount(flags[:, i], minlength=3)
        raw = np.where(counts > 0, len(flags) / np.maximum(counts, 1), 0.0)
        raw = np.minimum(raw, most * raw[raw > 0].min())
        weights[i] = raw * len(flags) / max(float((raw * counts).sum()), 1e-9)
    return torch.tensor(weights, dtype=torch.float32)
