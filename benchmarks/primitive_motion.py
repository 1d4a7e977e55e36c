"""Whether the primitives of egocentric video are distinct: they are told apart by true camera motion alone.

    python benchmarks/primitive_motion.py [--clips 1500] [--quick]

Clips of one primitive each, drawn as for `wbvla record egovideo`; nothing is rendered. A network with one hidden layer
sees what the camera truly did and nothing else: the means of v_x, v_y, w_z, v_z, and of the pitch since the start, in
ten windows of equal time. Per seed (of rooms, people and network) the last fifth of the rooms, with their people, is
kept for testing. `accuracy` is over the test clips of all seeds, `ci_low` and `ci_high` its exact interval (Clopper and
Pearson). `unseen_split` is of clips of the split `test`, whose statures and gaits training cannot have. `confused`: the
most frequent mistakes. The long form writes docs/results/primitive_motion.json. Last line: one JSON object.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import nn

from wbvla.collect.ego.body import Walk
from wbvla.collect.ego.clips import ClipConfig, draw_clip
from wbvla.collect.ego.room import RoomPlan
from wbvla.collect.ego.walker import PRIMITIVES
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.evaluate.statistics import exact_rate

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "primitive_motion.json"
WINDOWS, HELD_OUT, TARGET = 10, 0.2, 0.95


@dataclass(frozen=True, kw_only=True)
class Options:
    """Classify primitives from camera motion."""

    clips: int = 1500
    """clips per seed, test clips included"""
    clips_per_room: int = 10
    """as `wbvla record egovideo` has them"""
    seeds: int = 3
    """of rooms, people, motion and network"""
    epochs: int = 200
    """over the training clips"""
    quick: bool = False
    """240 clips of one seed; nothing is written"""


def motion_of(walk: Walk) -> np.ndarray:
    """What a clip's camera did: windows x (v_x, v_y, w_z, v_z, pitch since the start)."""
    rows = np.concatenate([walk.twist, (walk.head_rpy[:, 1] - walk.head_rpy[0, 1])[:, None]], axis=1)
    return np.stack([part.mean(axis=0) for part in np.array_split(rows, WINDOWS)]).reshape(-1)


def clips_of(split: str, seed: int, count: int, per_room: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion, primitive (the one that was asked for, which a clip ends with) and room of clips."""
    config = ClipConfig(seconds=3.0, goal_seconds=9.0, goal_share=0.0, fps=10, seed=seed)
    rows: list[tuple[np.ndarray, int, int]] = []
    for room in range(-(-count // per_room)):
        plan = RoomPlan(split, seed, room)
        for index in range(room * per_room, min((room + 1) * per_room, count)):
            walk = draw_clip(plan, config, index).walk
            if len(walk) >= WINDOWS:
                rows.append((motion_of(walk), int(walk.primitive[-1]), room))
    return np.stack([r[0] for r in rows]), np.array([r[1] for r in rows]), np.array([r[2] for r in rows])


def train(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> nn.Module:
    """A classifier of standardised motion."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.BatchNorm1d(x.shape[1]), nn.Linear(x.shape[1], 64), nn.GELU(), nn.Dropout(0.1))
    net.append(nn.Linear(64, len(PRIMITIVES)))
    inputs, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(inputs)).split(64):
            if len(part) > 1:
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(inputs[part]), labels[part]).backward()
                optimizer.step()
    return net.eval()


def guess(net: nn.Module, x: np.ndarray) -> np.ndarray:
    """The likeliest primitive of each clip."""
    with torch.no_grad():
        return net(torch.tensor(x, dtype=torch.float32)).argmax(dim=1).numpy()


def measure(options: Options) -> dict[str, Any]:
    """Train and test for every seed."""
    truth, said, unseen, rooms = [], [], [], 0
    for seed in range(options.seeds):
        x, y, room = clips_of("train", seed, options.clips, options.clips_per_room)
        test = room >= round((1.0 - HELD_OUT) * (room.max() + 1))
        net = train(x[~test], y[~test], seed, options.epochs)
        truth.append(y[test])
        said.append(guess(net, x[test]))
        rooms += len(set(room[test]))
        x, y, _ = clips_of("test", seed, round(HELD_OUT * options.clips), options.clips_per_room)
        unseen.append(guess(net, x) == y)
    y, given, others = np.concatenate(truth), np.concatenate(said), np.concatenate(unseen)
    rate, other = exact_rate(int((y == given).sum()), len(y)), exact_rate(int(others.sum()), len(others))
    wrong = Counter(f"{PRIMITIVES[a]} -> {PRIMITIVES[b]}" for a, b in zip(y, given) if a != b)
    recall = {name: round(float((given[y == i] == i).mean()), 3) for i, name in enumerate(PRIMITIVES) if (y == i).any()}
    return {
        "accuracy": round(float((y == given).mean()), 4),
        "ci_low": round(rate.low, 4),
        "ci_high": round(rate.high, 4),
        "clips": len(y),
        "rooms": rooms,
        "seeds": list(range(options.seeds)),
        "unseen_split": {
            "accuracy": round(float(others.mean()), 4),
            "ci_low": round(other.low, 4),
            "ci_high": round(other.high, 4),
            "clips": len(others),
        },
        "chance": round(float(np.bincount(y).max() / len(y)), 3),
        "recall": recall,
        "confused": dict(wrong.most_common(6)),
        "target": TARGET,
        "reached": rate.value is not None and rate.value >= TARGET,
        "clips_per_seed": options.clips,
    }


def main() -> None:
    """Measure, print, and write the long form."""
    options = tyro.cli(Options)
    torch.set_num_threads(1)
    if options.quick:
        options = replace(options, clips=240, seeds=1, epochs=100)
    figures = measure(options)
    if not options.quick:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            RESULT,
            {
                **figures,
                "command": " ".join(["python", "benchmarks/primitive_motion.py", *sys.argv[1:]]),
                **provenance(),
            },
        )
        print(f"written to docs/results/{RESULT.name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
