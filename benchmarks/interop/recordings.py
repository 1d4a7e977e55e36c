"""A small dataset of each kind, written by our own writer: what LeRobot must be able to open."""

import shutil
from pathlib import Path

import numpy as np

from wbvla.data.features import LANGUAGE, STAMPS, SUCCESS, Recording, contract_for, recorded_features
from wbvla.data.format import Feature, vector
from wbvla.data.labels import write_labels
from wbvla.data.rearrange import compact
from wbvla.data.sharing import Layout
from wbvla.data.words import SKILL, SUBTASK
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.platforms import load_robot

FPS, HEIGHT, WIDTH = 10, 96, 128
WORDS = ("lift the box", "step back", "squat down")
KINDS = {
    "egocentric": Recording(
        cameras=("head",), robot=False, success=False, primitive=True, subtasks=False, language=False
    ),
    "manipulation": Recording(cameras=("head", "left_hand"), stamps=False),
    "teleoperation": Recording(
        cameras=("head", "left_hand", "right_hand"), depths=("head",), acceleration=True, primitive=True
    ),
    "rollouts": Recording(cameras=("head", "left_hand"), depths=("left_hand",)),
}
TACTILE = Feature(dtype="float32", shape=(2, 3, 4))
ROLLING = Layout(kind="rolling", data_bytes=120_000, video_bytes=60_000)
"""so small that a few episodes fill several files"""


def make_all(folder: Path, num_episodes: int) -> dict[str, Path]:
    """Folder of each kind: recorded, labelled, and compacted into rolling files."""
    made = {kind: record(folder / kind, kind, num_episodes) for kind in KINDS}
    made["labelled"] = Path(shutil.copytree(made["manipulation"], folder / "labelled"))
    label(made["labelled"], num_episodes)
    made["compacted"] = Path(shutil.copytree(made["teleoperation"], folder / "compacted"))
    compact(made["compacted"], ROLLING)
    return made


def record(root: Path, kind: str, num_episodes: int) -> Path:
    """Episodes of unequal length, several instructions, sub-tasks, phrasings, success yes, no and unknown."""
    recording, spec = sized(KINDS[kind]), load_robot("agibot_x2")
    features = recorded_features(recording, spec if recording.robot else None)
    if kind == "manipulation":
        features["observation.tactile"] = TACTILE
    contract = contract_for(spec) if recording.robot else {}
    config = DatasetConfig(
        fps=FPS, robot=spec.name if recording.robot else "human", features=features, contract=contract
    )
    rng = np.random.default_rng(3)
    with DatasetWriter.create(root, config) as writer:
        for number in range(num_episodes):
            length = lengths(num_episodes)[number]
            with writer.episode(task=WORDS[number % len(WORDS)]) as episode:
                for frame in range(length):
                    episode.add(row(rng, features, frame), task=WORDS[2] if frame > 10 else "")
                if SUCCESS in features:
                    episode.mark((True, False, None)[number % 3])
                if SUBTASK in features:
                    episode.segment(0, 4, "reach for the box", "reach")
                    episode.segment(5, length, "grasp it", "grasp")
                if LANGUAGE in features:
                    episode.add_phrasings([f"please {WORDS[number % len(WORDS)]}", "take the crate"])
                episode.commit()
    return root


def sized(recording: Recording) -> Recording:
    """The recording at the size used here."""
    return Recording(**{**vars(recording), "height": HEIGHT, "width": WIDTH})


def lengths(num_episodes: int) -> list[int]:
    """Frames of each episode."""
    return [9 + 4 * (i % 3) for i in range(num_episodes)]


def row(rng: np.random.Generator, features: dict[str, Feature], frame: int) -> dict[str, object]:
    """One frame of every feature that is recorded frame by frame."""
    result: dict[str, object] = {}
    for name, feature in features.items():
        if name in (SUCCESS, SUBTASK, SKILL, LANGUAGE):
            continue
        if feature.is_depth:
            result[name] = depth(frame)
        elif feature.is_picture:
            result[name] = picture(rng, frame)
        elif name == STAMPS:
            result[name] = 100.0 + frame / FPS + 0.001 * np.arange(feature.shape[0])
        elif feature.dtype == "int64":
            result[name] = np.int64(frame // 3)
        else:
            result[name] = rng.standard_normal(feature.shape).astype(feature.dtype)
    return result


def picture(rng: np.random.Generator, frame: int) -> np.ndarray:
    """A bright block that moves on a soft ground: neighbours differ plainly, and the codec keeps it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([y * 255 // HEIGHT, x * 255 // WIDTH, (x + y + 9 * frame) % 256], -1).astype(np.uint8)
    left = (7 * frame) % (WIDTH - 24)
    rgb[20:52, left : left + 24] = rng.integers(180, 255, 3)
    return rgb


def depth(frame: int) -> np.ndarray:
    """Millimetres, with a hole where nothing came back."""
    mm = 400 + 30 * np.arange(WIDTH)[None, :] + 5 * np.arange(HEIGHT)[:, None] + 40 * frame
    mm[10:20, 10:20] = 0
    return mm.astype(np.uint16)


def label(root: Path, num_episodes: int) -> None:
    """Latent codes as a model would write them."""
    rng = np.random.default_rng(5)
    features = {"latent.manipulation": vector([f"code_{i}" for i in range(4)], "int64")}
    codes = ({"latent.manipulation": rng.integers(0, 16, (n, 4))} for n in lengths(num_episodes))
    write_labels(root, features, codes, {"digest": "0" * 64})
