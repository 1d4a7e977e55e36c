"""Action-free egocentric video: people walking to things in furnished rooms, drawn, labelled and recorded.

Stands in for filming with a head camera: the head moves as a person's does, both arms are in view, no robot and no
action appears. True camera motion and hand poses go to `truth/`, where only evaluation reads them.
"""

import json
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wbvla.collect.ego.clips import ClipConfig, draw_clip
from wbvla.collect.ego.looks import palette
from wbvla.collect.ego.shoot import Reel, Shot, Studio, shots
from wbvla.collect.ego.walker import PRIMITIVES, TICK_S
from wbvla.collect.ego.words import GOALS, PROMPTS, SHARES
from wbvla.collect.frames import runs_of
from wbvla.core.contract import require_match
from wbvla.core.errors import ConfigError
from wbvla.core.run import plain
from wbvla.data.dataset_stats import write_stats
from wbvla.data.features import CONTRACT_SCHEMA, PRIMITIVE, STAMPS, Recording, recorded_features
from wbvla.data.format import CONTRACT
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetConfig, DatasetWriter

__all__ = [
    "GOALS",
    "PROMPTS",
    "SHARES",
    "EgoVideoConfig",
    "clip_config",
    "dataset_config",
    "draw_clip",
    "record_egovideo",
]
FREE_CHOICE = ("num_clips", "hours", "processes")
"""what may change from one call to the next"""
TRUTH = {
    "camera_twist": ["v_x_mps", "v_y_mps", "w_z_radps", "v_z_mps"],
    "frame": "heading of the camera; mean from each frame to the next",
    "camera_xyz_w": "place of the camera in the world [m]",
    "camera_rpy_w": "roll, pitch (down positive), yaw of the camera in the world [rad]",
    "wrists_h": "left, right: x y z [m] and palm wxyz, in the camera's axes (x ahead, y left, z up)",
    "wrists_w": "the same in the world",
    "touched": "whether a fingertip rests on the thing that was named at the end",
    "offset": "direction of the thing from the heading at the start, left positive [rad]",
    "is_goal": "whether the clip is a walk to a thing",
    "room": "number of the room, which is also that of its person",
}


@dataclass(frozen=True, kw_only=True)
class EgoVideoConfig:
    """What to record."""

    num_clips: int = 600
    """clips in the whole dataset"""
    hours: float = 0.0
    """record so much video instead of a number of clips; 0 = `num_clips` counts [h]"""
    seconds: float = 3.0
    """length of a clip of one primitive [s]"""
    goal_seconds: float = 9.0
    """longest clip of a walk to a goal; it ends with the touch [s]"""
    goal_share: float = 0.5
    """share of clips that are walks to a goal, with instructions that name it"""
    fps: int = 10
    """frames per second; divides 50 [Hz]"""
    width: int = 160
    """[px]"""
    height: int = 120
    """[px]"""
    clips_per_room: int = 10
    """consecutive clips in the same room, so that the last clips of a dataset are unseen rooms"""
    split: str = "train"
    """`train` or `test`: no room, person, colour, texture or phrasing is in both"""
    language: bool = True
    """keep phrasings and sub-tasks as LeRobot 0.6 reads them too; releases before 0.6 do not open such a dataset"""
    samples: int = 0
    """samples per pixel against jagged edges; 0 = one"""
    processes: int = 1
    """rooms drawn at the same time; the dataset does not depend on it"""
    seed: int = 0
    """of rooms, people and motion; clip i is the same whatever `num_clips` is"""

    def __post_init__(self) -> None:
        if self.fps < 1 or abs(round(1.0 / (TICK_S * self.fps)) * TICK_S * self.fps - 1.0) > 1e-9:
            raise ConfigError(f"egovideo fps must divide {round(1 / TICK_S)}, not {self.fps}")
        if min(self.num_clips, self.clips_per_room, self.processes) < 1 or self.seconds * self.fps < 2:
            raise ConfigError("egovideo needs at least one clip per room, one process and two frames per clip")
        if not 0.0 <= self.goal_share <= 1.0:
            raise ConfigError(f"goal_share is a share between 0 and 1, not {self.goal_share}")
        if self.hours < 0.0:
            raise ConfigError(f"hours of video cannot be {self.hours}")
        palette(self.split)

    @property
    def num_frames(self) -> int:
        """Frames wanted, where hours are; the last clip may go beyond."""
        return math.ceil(self.hours * 3600.0 * self.fps)


def clip_config(config: EgoVideoConfig) -> ClipConfig:
    """What its clips are drawn from."""
    return ClipConfig(
        seconds=config.seconds,
        goal_seconds=config.goal_seconds,
        goal_share=config.goal_share,
        fps=config.fps,
        seed=config.seed,
    )


def dataset_config(config: EgoVideoConfig) -> DatasetConfig:
    """Columns and promises of the recording."""
    contract = {
        "source": "rendered people in rendered rooms",
        "primitives": list(PRIMITIVES),
        "truth": TRUTH,
        "recording": {key: value for key, value in plain(config).items() if key not in FREE_CHOICE},
    }
    recording = Recording(
        cameras=("head",),
        height=config.height,
        width=config.width,
        robot=False,
        success=False,
        primitive=True,
        language=config.language,
    )
    facts = {"schema": CONTRACT_SCHEMA, "clock": "simulated time", "rates_hz": {"head": float(config.fps)}}
    cameras = {"cameras": {"head": "intrinsics differ from person to person: in the notes of each clip"}}
    features = recorded_features(recording)
    return DatasetConfig(fps=config.fps, robot="human", features=features, contract={**facts, **cameras, **contract})


def record_egovideo(
    config: EgoVideoConfig, folder: Path, on_clip: Callable[[int, int], None] = lambda done, frames: None
) -> int:
    """Record clips into a dataset until it holds what the config asks for; returns its number of frames.

    Called again after a kill it goes on behind the last whole clip and ends with the same dataset, whatever the number
    of processes. Raises ContractMismatch when the folder holds a dataset of another config (its size may grow).

    Args:
        on_clip: told the number of clips done and of frames recorded, after each clip.
    """
    wanted = dataset_config(config)
    if (folder / CONTRACT).is_file():
        there = json.loads((folder / CONTRACT).read_text())
        require_match(f"dataset {folder}", wanted.contract["recording"], there.get("recording", {}))
    with DatasetWriter.resume(folder, wanted) as writer:
        reel = Reel(
            clip=clip_config(config),
            split=config.split,
            clips_per_room=config.clips_per_room,
            render=Studio.render(config.width, config.height, config.samples),
            info=wanted.info(),
            folder=folder,
        )
        last = 0 if config.hours else config.num_clips

        def lacking() -> bool:
            return writer.num_frames < config.num_frames if config.hours else writer.num_episodes < last

        if lacking():
            with closing(shots(reel, writer.num_episodes, last, config.processes)) as made:
                for shot in made:
                    _commit(writer, config, shot)
                    on_clip(writer.num_episodes, writer.num_frames)
                    if not lacking():
                        break
        frames = writer.num_frames
    if Dataset(folder).stats.get("index", {}).get("count", [0])[0] != frames:
        write_stats(folder)  # a kill came between the last clip and the statistics
    return frames


def _commit(writer: DatasetWriter, config: EgoVideoConfig, shot: Shot) -> None:
    """One drawn clip as one episode."""
    with writer.episode(shot.phrasings[0], shot.ready) as episode:
        length = len(shot.primitive)
        episode.fill(PRIMITIVE, shot.primitive)
        episode.fill(STAMPS, np.arange(length) / config.fps)
        for start, end, name in runs_of([PRIMITIVES[i] for i in shot.primitive]):
            episode.segment(start, end, name.replace("_", " "), skill=name)
        if config.language:
            episode.add_phrasings(shot.phrasings)
        episode.note(
            cameras={"head": shot.intrinsics},
            instructed_by="drawn from the prompts of this recording by seed",
            consent="none needed: nobody is filmed",
        )
        episode.add_truth(**shot.truth)
        episode.commit()
