"""Video of bimanual work at a table by real contact physics, in AgiBot World's layout: recorded by several processes.

Clip i is a function of seed, split and i alone: its attempts are simulated until one succeeds, then that one is drawn.
Clips are committed in order, so that the recording does not depend on processes or on how often it was killed.
"""

import functools
import itertools
import math
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from wbvla.collect.manipulation.catalogue import catalogue
from wbvla.collect.manipulation.clip import ClipConfig, act, draw
from wbvla.collect.manipulation.hands import TICK_S
from wbvla.collect.manipulation.layout import SOURCE, ClipWriter, Layout
from wbvla.collect.manipulation.works import WORKS
from wbvla.core.contract import require_match
from wbvla.core.errors import ConfigError, DataError
from wbvla.core.files import write_json
from wbvla.core.run import plain
from wbvla.core.workers import in_order
from wbvla.data.journal import lock
from wbvla.data.layout import read_json
from wbvla.sim.bench_robot import ARM_JOINTS, ROBOT

MAKING = ".making"
"""clips that are not whole yet"""
FIRST_EPISODE = 700_000
"""number of clip 0; AgiBot World's own are below [-]"""
LICENCE = "Apache-2.0, as wbvla: made by simulation, no recording of AgiBot World is in it"


@dataclass(frozen=True, kw_only=True)
class ManipulationVideoConfig:
    """What to record."""

    hours: float = 1.0
    """length of all clips together; the last one that is begun is finished [h]"""
    clips: int = 0
    """clips instead of hours; 0 = as many as `hours` needs"""
    fps: int = 10
    """frames per second; divides 50 [Hz]"""
    size: int = 224
    """edge of the head camera's pictures [px]"""
    wrist_size: int = 128
    """edge of both wrist cameras' pictures; 0 = without them [px]"""
    samples: int = 4
    """samples per pixel against jagged edges; 0 = one"""
    split: str = "train"
    """`train` or `test`: no colour, surface or object is in both"""
    seed: int = 0
    """of tables, things and motions"""
    processes: int = 1
    """clips simulated and drawn at the same time; the recording does not depend on it"""

    def __post_init__(self) -> None:
        if self.fps < 1 or abs(round(1.0 / (TICK_S * self.fps)) * TICK_S * self.fps - 1.0) > 1e-9:
            raise ConfigError(f"manipulation video's fps must divide {round(1 / TICK_S)}, not {self.fps}")
        if min(self.size, self.processes) < 1 or min(self.wrist_size, self.clips) < 0 or self.hours <= 0:
            raise ConfigError("manipulation video needs positive sizes, hours and processes")
        if self.size % 2 or self.wrist_size % 2:
            raise ConfigError(f"sizes must be even, not {self.size} and {self.wrist_size}")
        catalogue(self.split)

    @property
    def num_frames(self) -> int:
        """Head images that `hours` asks for."""
        return math.ceil(self.hours * 3600.0 * self.fps)

    def is_reached(self, clips: int, frames: int) -> bool:
        """Whether so many clips and frames are enough."""
        return clips >= self.clips if self.clips else frames >= self.num_frames

    def of_clip(self) -> ClipConfig:
        """What every clip is made with."""
        same = {name: getattr(self, name) for name in ("fps", "size", "wrist_size", "samples", "split", "seed")}
        return ClipConfig(**same)


def record_manipulation(
    config: ManipulationVideoConfig, folder: Path, on_clip: Callable[[int, int], None] = lambda done, frames: None
) -> Layout:
    """Record clips until the folder holds enough; returns what it holds, with the failed attempts by reason.

    Called again after a kill it goes on behind the last whole clip and ends with the same bytes. Raises
    ContractMismatch when the folder holds a recording of another config (`hours`, `clips`, `processes` may differ).

    Args:
        on_clip: told the number of clips and of head images there are, after each clip and once at the start.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    making = folder / MAKING
    with lock(folder):
        _introduce(config, folder)
        shutil.rmtree(making, ignore_errors=True)
        layout = Layout(folder, [(work.task, FIRST_EPISODE) for work in WORKS])
        on_clip(layout.num_clips, layout.num_frames)
        if not config.is_reached(layout.num_clips, layout.num_frames):
            made = _clips(config, making, layout.num_clips)
            try:
                for path in made:
                    layout.commit(path)
                    on_clip(layout.num_clips, layout.num_frames)
                    if config.is_reached(layout.num_clips, layout.num_frames):
                        break
            finally:
                made.close()
                shutil.rmtree(making, ignore_errors=True)
    return layout


def _introduce(config: ManipulationVideoConfig, folder: Path) -> None:
    """Write down who records and how, or compare with what is there."""
    source = {
        "robot": ROBOT,
        "licence": LICENCE,
        "clock": "simulated time",
        "arm_joint_names": list(ARM_JOINTS),
        "frames": {"end": "world, floor at z = 0; quaternion x y z w", "hand": "x along the fingers, z as they close"},
        "units": {"state gripper": "mm between the fingers", "action gripper": "0 open .. 1 closed"},
        "recording": plain(config.of_clip()),
    }
    path = folder / SOURCE
    if path.is_file():
        require_match(f"recording {folder}", source, read_json(path))
    elif any((folder / name).exists() for name in ("task_info", "observations")):
        raise DataError(f"{folder} holds no recording of ours; choose another folder")
    else:
        write_json(path, source)


def _clips(config: ManipulationVideoConfig, making: Path, first: int) -> Generator[Path, None, None]:
    """Folders of finished clips in order, from one on; without end where hours are asked for."""
    clip = config.of_clip()
    numbers = iter(range(first, config.clips)) if config.clips else itertools.count(first)
    if config.processes <= 1:
        for number in numbers:
            yield make_clip(clip, making, number)
        return
    work = functools.partial(make_clip, clip, making)
    yield from in_order(work, numbers, config.processes)


def make_clip(config: ClipConfig, making: Path, number: int) -> Path:
    """Act out, draw and write one clip; returns the folder it lies in."""
    place = (WORKS[number % len(WORKS)].task, FIRST_EPISODE + number)
    folder, performance = making / f"clip_{number}", act(config, number, place)
    writer = ClipWriter(folder, performance.clip, config.fps, config.sizes)
    closed = False
    try:
        for images in draw(performance, config):
            writer.add(images)
        writer.close()
        closed = True
    finally:
        if not closed:
            writer.abandon()
    return folder
