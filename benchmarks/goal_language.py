"""Whether the goals of egocentric video must be looked for in the picture: words alone do not predict the motion.

    python benchmarks/goal_language.py [--clips 2500] [--quick]

Walks to things as in `wbvla record egovideo`, drawn small. From one frame and the instruction, small networks predict
what the camera truly does in the next 0.6 s: turn left, turn right, go ahead, or none of them. `text` sees a bag of the
instruction's words, `image` the picture, `text_image` both: the words look for their thing in a feature map (soft
attention over places), and what is there and where decides. Those that see learn from mirrored pictures too, with words
and sides mirrored; `text` learns from the words as they were said, so that a side they gave away would show. Per seed
(of the networks) another fifth of the rooms, with their people, is kept for testing; `majority` always says the most
frequent motion of the training clips. Intervals are 95 %, by bootstrap over whole test clips of all seeds. `text_gain`
and `text_image_gain` are differences to `majority`, on the same clips. `starts`: the same over first frames only, where
left and right are balanced by construction; there `text_first` and `majority_first` learnt from first frames alone.
The long form writes docs/results/goal_language.json. Last line: one JSON object.
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich.progress import track
from torch import Tensor, nn

from wbvla.collect.ego.clips import ClipConfig, draw_clip
from wbvla.collect.ego.room import EgoRoom, RoomPlan
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.data.phrases import mirror_words
from wbvla.sim.camera import RenderConfig

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "goal_language.json"
WIDTH, HEIGHT, FPS, GAP = 64, 48, 10, 6
TURN_RADPS, WALK_MPS, FOLDS = 0.25, 0.15, 5
CLASSES = ("left", "right", "ahead", "stop")
MODELS = ("text", "image", "text_image")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Predict motion from words, from the picture, from both."""

    clips: int = 2500
    """walks to things, ten in a room"""
    every: int = 4
    """frames from one that is used to the next"""
    seeds: int = 3
    """of networks, each with another fifth of the rooms for testing"""
    epochs: int = 12
    """over the training frames"""
    data_seed: int = 0
    """of rooms, people, motion and words"""
    quick: bool = False
    """40 clips, one seed; nothing is written"""


@dataclass(frozen=True)
class Frames:
    """Frames of all clips."""

    images: Tensor
    """uint8, frame x 3 x height x width"""
    words: Tensor
    """frame x word of the vocabulary, 0 or 1"""
    mirrored: Tensor
    """the same of the words with left and right exchanged"""
    labels: Tensor
    clip: np.ndarray
    room: np.ndarray
    is_start: np.ndarray


def motion_class(twist: np.ndarray) -> int:
    """Of the camera's mean twist: turning, else walking, else neither."""
    v_x, _, w_z, _ = twist.mean(axis=0)
    if abs(w_z) > TURN_RADPS:
        return 0 if w_z > 0 else 1
    return 2 if v_x > WALK_MPS else 3


def draw_frames(options: Options) -> Frames:
    """Render frames of the clips and note what the camera does next."""
    config = ClipConfig(seconds=3.0, goal_seconds=9.0, goal_share=1.0, fps=FPS, seed=options.data_seed)
    render = RenderConfig(width=WIDTH, height=HEIGHT)
    images, said, rows = [], [], []
    for number in track(range(-(-options.clips // 10)), "rooms drawn", disable=not sys.stderr.isatty()):
        room = EgoRoom(RoomPlan("train", options.data_seed, number), render)
        for index in range(10 * number, min(10 * number + 10, options.clips)):
            clip = draw_clip(room.plan, config, index)
            for frame in range(0, len(clip.walk) - GAP, options.every):
                images.append(room.see(clip.walk, frame).transpose(2, 0, 1))
                said.append(clip.phrasings[0].lower().split())
                rows.append((motion_class(clip.walk.twist[frame : frame + GAP]), index, number, frame == 0))
        room.close()
    other = [mirror_words(" ".join(words)).split() for words in said]
    vocabulary = {word: i for i, word in enumerate(sorted({w for words in (*said, *other) for w in words}))}
    labels, clip_of, room_of, is_start = (np.array(column) for column in zip(*rows))
    pictures = torch.from_numpy(np.stack(images))
    bags = bags_of_words(said, vocabulary), bags_of_words(other, vocabulary)
    return Frames(pictures, *bags, torch.from_numpy(labels), clip_of, room_of, is_start.astype(bool))


def bags_of_words(said: list[list[str]], vocabulary: dict[str, int]) -> Tensor:
    """Sentence x word, 1 where it occurs."""
    words = torch.zeros(len(said), len(vocabulary))
    for row, sentence in enumerate(said):
        words[row, [vocabulary[w] for w in sentence]] = 1.0
    return words


class Predictor(nn.Module):
    """Words, picture, or both -> motion."""

    def __init__(self, name: str, num_words: int) -> None:
        super().__init__()
        self.sees, self.reads = "image" in name, "text" in name
        self.text = nn.Sequential(nn.Linear(num_words, 64), nn.GELU(), nn.Linear(64, 64))
        layers: list[nn.Module] = []
        for a, b, stride in ((5, 16, 2), (16, 32, 2), (32, 64, 1)):
            layers += [nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(4, b), nn.GELU()]
        self.cnn = nn.Sequential(*layers, nn.Conv2d(64, 64, 1))
        self.query = nn.Linear(64, 4 * 64)
        self.free = nn.Parameter(0.1 * torch.randn(1, 4 * 64))
        size = (64 if self.reads else 0) + (4 * 66 if self.sees else 0)
        self.head = nn.Sequential(nn.Dropout(0.1), nn.Linear(size, 64), nn.GELU(), nn.Linear(64, len(CLASSES)))
        y, x = torch.meshgrid(torch.linspace(-1, 1, HEIGHT), torch.linspace(-1, 1, WIDTH), indexing="ij")
        self.register_buffer("places", torch.stack([x, y]))

    def forward(self, images: Tensor, words: Tensor) -> Tensor:
        """Scores of each motion."""
        parts, text = [], self.text(words)
        if self.reads:
            parts.append(text)
        if self.sees:
            places = self.get_buffer("places")
            pictures = images.float() / 127.5 - 1.0
            features = self.cnn(torch.cat([pictures, places.expand(len(images), -1, -1, -1)], dim=1))
            flat = features.flatten(2)
            asked = self.free + (self.query(text) if self.reads else 0.0)
            queries = asked.expand(len(images), -1).view(len(images), 4, 64)
            attention = torch.softmax(queries @ flat / 4.0, dim=-1)
            where = nn.functional.adaptive_avg_pool2d(places, features.shape[-2:]).flatten(1)
            parts += [(attention @ flat.transpose(1, 2)).flatten(1), (attention @ where.T).flatten(1)]
        return self.head(torch.cat(parts, dim=1))


def fit(name: str, frames: Frames, train: np.ndarray, seed: int, epochs: int) -> Predictor:
    """Train one network; for one that sees, a mirrored picture is its own sample, left and right exchanged in all."""
    torch.manual_seed(seed)
    net, order = Predictor(name, frames.words.shape[1]), torch.from_numpy(np.flatnonzero(train))
    steps = epochs * (len(order) // 64 + 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1)
    swap = torch.tensor([1, 0, 2, 3])
    for _ in range(epochs):
        for rows in order[torch.randperm(len(order))].split(64):
            images, words, labels = frames.images[rows], frames.words[rows], frames.labels[rows]
            flip = (torch.rand(len(rows)) < 0.5) & net.sees
            images = torch.where(flip[:, None, None, None], images.flip(-1), images)
            words = torch.where(flip[:, None], frames.mirrored[rows], words)
            labels = torch.where(flip, swap[labels], labels)
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images, words), labels).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def right(net: Predictor, frames: Frames, test: np.ndarray) -> np.ndarray:
    """Per test frame whether the network is right."""
    found = []
    with torch.no_grad():
        for rows in torch.from_numpy(np.flatnonzero(test)).split(256):
            found.append(net(frames.images[rows], frames.words[rows]).argmax(dim=1) == frames.labels[rows])
    return torch.cat(found).numpy()


def interval(values: np.ndarray, clip: np.ndarray) -> dict[str, float]:
    """Mean over frames with a 95 % interval, whole clips drawn anew 2000 times."""
    _, rows = np.unique(clip, return_inverse=True)
    sums, counts = np.bincount(rows, weights=values), np.bincount(rows)
    drawn = np.random.default_rng(0).integers(len(sums), size=(2000, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {"value": round(float(values.mean()), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def summary(hits: dict[str, np.ndarray], clip: np.ndarray) -> dict[str, Any]:
    """Accuracies, and differences to the majority on the same frames."""
    found: dict[str, Any] = {name: interval(values, clip) for name, values in hits.items()}
    for name in MODELS:
        found[f"{name}_gain"] = interval(hits[name] - hits["majority"], clip)
    return found


def at_starts(frames: Frames, test: np.ndarray, seed: int, epochs: int) -> dict[str, np.ndarray]:
    """What learns from first frames alone, on the first frames of the test clips."""
    train, asked = ~test & frames.is_start, test & frames.is_start
    usual = int(np.bincount(frames.labels[train].numpy()).argmax())
    net = fit("text", frames, train, seed, epochs)
    same = (frames.labels[asked] == usual).numpy()
    return {"majority_first": same.astype(float), "text_first": right(net, frames, asked).astype(float)}


def measure(options: Options) -> dict[str, Any]:
    """All networks, all seeds."""
    frames = draw_frames(options)
    hits: dict[str, list[np.ndarray]] = {name: [] for name in ("majority", *MODELS)}
    first: dict[str, list[np.ndarray]] = {"majority_first": [], "text_first": []}
    clips, starts = [], []
    for seed in range(options.seeds):
        test = frames.room % FOLDS == seed % FOLDS
        usual = int(np.bincount(frames.labels[~test].numpy()).argmax())
        hits["majority"].append((frames.labels[test].numpy() == usual).astype(float))
        for name in MODELS:
            net = fit(name, frames, ~test, seed, options.epochs)
            hits[name].append(right(net, frames, test).astype(float))
            print(f"seed {seed}: {name} is right in {hits[name][-1].mean():.3f} of the frames", flush=True)
        for name, found in at_starts(frames, test, seed, options.epochs).items():
            first[name].append(found)
        clips.append(frames.clip[test] + seed * 10_000_000)
        starts.append(frames.is_start[test])
    every, clip, start = {n: np.concatenate(h) for n, h in hits.items()}, np.concatenate(clips), np.concatenate(starts)
    at_first = {name: values[start] for name, values in every.items()}
    at_first |= {name: np.concatenate(values) for name, values in first.items()}
    shares = np.bincount(frames.labels.numpy(), minlength=len(CLASSES)) / len(frames.labels)
    return {
        **summary(every, clip),
        "starts": summary(at_first, clip[start]),
        "shares": dict(zip(CLASSES, np.round(shares, 3).tolist())),
        "clips": len(set(frames.clip.tolist())),
        "frames": len(frames.labels),
        "test_clips": len(set(clip.tolist())),
        "test_frames": len(clip),
        "seeds": list(range(options.seeds)),
        "seconds_ahead": GAP / FPS,
        "epochs": options.epochs,
    }


def main() -> None:
    """Measure, print, and write the long form."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    if options.quick:
        options = replace(options, clips=40, seeds=1, epochs=2)
    figures = measure(options)
    if not options.quick:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            RESULT,
            {**figures, "command": " ".join(["python", "benchmarks/goal_language.py", *sys.argv[1:]]), **provenance()},
        )
        print(f"written to docs/results/{RESULT.name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
