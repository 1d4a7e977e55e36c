"""A small recording that holds everything a page or a viewer shows: two cameras, depth, words, signals, outcomes."""

from pathlib import Path

import numpy as np

from wbvla.data.depth import depth_map
from wbvla.data.features import ACTION, PRIMITIVE, STAMPS, STATE, SUCCESS
from wbvla.data.format import scalar, vector, video
from wbvla.data.reader import Dataset
from wbvla.data.words import LANGUAGE, SKILL, SUBTASK
from wbvla.data.writer import DatasetConfig, DatasetWriter

HEAD, HAND, DEPTH = "observation.images.head", "observation.images.left_hand", "observation.images.head_depth"
FPS, LENGTHS = 10, (12, 7, 20)
TASK, SECOND = "lift the <b>box</b> & hold it", "step back"
FEATURES = {
    HEAD: video(32, 48),
    HAND: video(32, 48),
    DEPTH: depth_map(32, 48),
    STATE: vector(["left_knee_joint.q_rad", "right_knee_joint.q_rad", "gravity_x", "gravity_y", "gravity_z"]),
    ACTION: vector(["s_x", "s_y", "s_psi", "height_m"]),
    STAMPS: vector(["body.time_s", "head.time_s"], "float64"),
    PRIMITIVE: scalar("int64"),
    SUCCESS: scalar("int64"),
    SUBTASK: scalar("string"),
    SKILL: scalar("string"),
    LANGUAGE: scalar("language"),
}


def row(episode: int, frame: int) -> dict[str, object]:
    """One frame: pictures whose level says which it is, depth that grows to the right, signals that are known."""
    ramp = np.broadcast_to(np.arange(48, dtype=np.uint16) * 50 + 400, (32, 48)).copy()
    ramp[:4] = 0
    at = frame / FPS
    return {
        HEAD: np.full((32, 48, 3), 40 + 8 * frame, np.uint8),
        HAND: np.full((32, 48, 3), 200 - 8 * frame, np.uint8),
        DEPTH: ramp + np.uint16(10 * frame) * (ramp > 0).astype(np.uint16),
        STATE: np.array([np.sin(at), -np.sin(at), 0.0, 0.01 * frame, -1.0], np.float32),
        ACTION: np.array([1, -1, 0, 0.6], np.float32),
        STAMPS: np.array([at, at + 0.004]),
        PRIMITIVE: frame // 5,
    }


def write_recording(root: Path) -> Dataset:
    """Three episodes: reached, missed, unknown; the first has sub-tasks and other words."""
    config = DatasetConfig(
        fps=FPS, robot="agibot_x2", features=FEATURES, contract={"primitives": ["go", "turn", "stop"]}
    )
    with DatasetWriter.create(root, config) as writer:
        for number, length in enumerate(LENGTHS):
            with writer.episode(task=TASK if number != 1 else SECOND) as episode:
                for frame in range(length):
                    episode.add(row(number, frame))
                if number == 0:
                    episode.segment(0, 5, "reach <it>", "reach")
                    episode.segment(5, 12, "lift", "lift")
                    episode.add_phrasings(["raise the box"])
                    episode.note(instructed_by="<operator>")
                episode.mark((True, False, None)[number])
                episode.commit()
    return Dataset(root)
