"""Action-free egocentric video: people walking to things in furnished rooms, drawn, labelled and recorded.

Stands in for filming with a head camera: the head moves as a person's does, the two forearms are in view, no robot
and no action appears. True camera motion goes to `truth/`, where only evaluation reads it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wbvla.collect.ego_room import EgoRoom, RoomPlan, Target
from wbvla.collect.frames import runs_of
from wbvla.collect.walker import (
    NEAR_M,
    PRIMITIVES,
    TICK_S,
    Person,
    Start,
    Walk,
    Walker,
    walk_primitive,
    walk_to_goal,
)
from wbvla.core.contract import require_match
from wbvla.core.errors import ConfigError
from wbvla.core.run import plain
from wbvla.data.features import CONTRACT_SCHEMA, IMAGE, PRIMITIVE, STAMPS, Recording, recorded_features
from wbvla.data.format import CONTRACT
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.sim.camera import RenderConfig

SHARES = {
    "advance": 500,
    "turn_left": 400,
    "turn_right": 400,
    "sidestep_left": 300,
    "sidestep_right": 300,
    "squat_down": 300,
    "stand_up": 300,
    "approach_near": 400,
    "back_away": 200,
    "stop_ready": 300,
}
"""how often each primitive is prompted; left and right are prompted apart, each as often as the others"""
PROMPTS = {
    "advance": ("walk forward", "go straight ahead", "advance"),
    "turn_left": ("turn left", "turn to the left", "rotate left"),
    "turn_right": ("turn right", "turn to the right", "rotate right"),
    "sidestep_left": ("step to the left", "sidestep left", "move left"),
    "sidestep_right": ("step to the right", "sidestep right", "move right"),
    "squat_down": ("squat down", "crouch down", "lower yourself"),
    "stand_up": ("stand up", "get up", "rise"),
    "approach_near": ("approach the {colour} box", "come near the {colour} box", "walk up to the {colour} box"),
    "back_away": ("back away", "step back", "walk backwards"),
    "stop_ready": ("stop and get ready", "stop here, hands ready", "halt and be ready"),
}
GOALS = (
    "go to the {colour} box",
    "go to the {colour} box on the {place}",
    "walk over to the {colour} box",
    "find the {colour} box and get ready to take it",
)
"""instructions whose right motion depends on the picture"""
CLEARANCE_M = 0.12
"""how near the head passes by furniture: one leans over a table to reach what stands on it [m]"""


@dataclass(frozen=True, kw_only=True)
class EgoVideoConfig:
    """What to record."""

    num_clips: int = 600
    """clips in the whole dataset"""
    seconds: float = 3.0
    """length of a clip of one primitive [s]"""
    goal_seconds: float = 9.0
    """longest clip of a walk to a goal; it ends on arrival [s]"""
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
    language: bool = True
    """keep phrasings and sub-tasks as LeRobot 0.6 reads them too; releases before 0.6 do not open such a dataset"""
    samples: int = 0
    """samples per pixel against jagged edges; 0 = one"""
    seed: int = 0
    """of rooms, people and motion; clip i is the same whatever `num_clips` is"""

    def __post_init__(self) -> None:
        if self.fps < 1 or abs(round(1.0 / (TICK_S * self.fps)) * TICK_S * self.fps - 1.0) > 1e-9:
            raise ConfigError(f"egovideo fps must divide {round(1 / TICK_S)}, not {self.fps}")
        if min(self.num_clips, self.clips_per_room) < 1 or self.seconds * self.fps < 2:
            raise ConfigError("egovideo needs at least one clip per room and two frames per clip")
        if not 0.0 <= self.goal_share <= 1.0:
            raise ConfigError(f"goal_share is a share between 0 and 1, not {self.goal_share}")


def dataset_config(config: EgoVideoConfig) -> DatasetConfig:
    """Columns and promises of the recording."""
    contract = {
        "source": "rendered people in rendered rooms",
        "primitives": list(PRIMITIVES),
        "truth": {
            "camera_twist": ["v_x_mps", "v_y_mps", "w_z_radps", "v_z_mps"],
            "frame": "heading of the camera; mean from each frame to the next",
        },
        "recording": {key: value for key, value in plain(config).items() if key != "num_clips"},
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
    cameras = {"cameras": {"head": "intrinsics differ from room to room: in the notes of each clip"}}
    features = recorded_features(recording)
    return DatasetConfig(fps=config.fps, robot="human", features=features, contract={**facts, **cameras, **contract})


def record_egovideo(
    config: EgoVideoConfig, folder: Path, on_clip: Callable[[int, int], None] = lambda done, frames: None
) -> int:
    """Record clips into a dataset until it holds `config.num_clips`; returns its number of frames.

    Called again after a kill it goes on behind the last whole clip and ends with the same dataset. Raises
    ContractMismatch when the folder holds a dataset of another config (`num_clips` may grow).

    Args:
        on_clip: told the number of clips done and of frames recorded, after each clip.
    """
    wanted = dataset_config(config)
    if (folder / CONTRACT).is_file():
        there = json.loads((folder / CONTRACT).read_text())
        require_match(f"dataset {folder}", wanted.contract["recording"], there.get("recording", {}))
    with DatasetWriter.resume(folder, wanted) as writer:
        room, number = None, -1
        for index in range(writer.num_episodes, config.num_clips):
            if room is None or index // config.clips_per_room != number:
                if room is not None:
                    room.close()
                number = index // config.clips_per_room
                render = RenderConfig(width=config.width, height=config.height, samples=config.samples)
                room = EgoRoom(np.random.default_rng((config.seed, 1, number)), render)
            _record_clip(writer, room, config, index)
            on_clip(index + 1, writer.num_frames)
        if room is not None:
            room.close()
        return writer.num_frames


def _record_clip(writer: DatasetWriter, room: EgoRoom, config: EgoVideoConfig, index: int) -> None:
    phrasings, walk = draw_clip(room.plan, config, index)
    with writer.episode(task=phrasings[0]) as episode:
        for row in range(len(walk)):
            picture = room.see(walk.head_xyz[row], walk.head_rpy[row], walk.hands_b[row])
            stamps = np.array([row / config.fps])
            episode.add({IMAGE + "head": picture, PRIMITIVE: int(walk.primitive[row]), STAMPS: stamps})
        for start, end, name in runs_of([PRIMITIVES[i] for i in walk.primitive]):
            episode.segment(start, end, name.replace("_", " "), skill=name)
        if config.language:
            episode.add_phrasings(phrasings)
        episode.note(
            cameras={"head": room.intrinsics},
            instructed_by="drawn from the prompts of this recording by seed",
            consent="none needed: nobody is filmed",
        )
        episode.add_truth(
            camera_twist=walk.twist,
            camera_xyz_w=walk.head_xyz,
            camera_rpy_w=walk.head_rpy,
            room=np.array(index // config.clips_per_room),
        )
        episode.commit()


def draw_clip(plan: RoomPlan, config: EgoVideoConfig, index: int) -> tuple[tuple[str, ...], Walk]:
    """Phrasings, the instruction first, and motion of one clip: a pure function of room, seed and number."""
    rng = np.random.default_rng((config.seed, 2, index))
    goal = rng.random() < config.goal_share
    names, shares = list(SHARES), np.array(list(SHARES.values()), dtype=np.float64)
    primitive = str(rng.choice(names, p=shares / shares.sum()))
    least = round(config.seconds * config.fps)
    best, phrasings = None, ("",)
    for _ in range(60):
        target = plan.targets[int(rng.integers(len(plan.targets)))]
        person = Person.draw(rng)
        if goal:
            walker = Walker(person, _goal_start(plan, target, rng), np.array(target.xyz))
            walk = walk_to_goal(walker, round(config.goal_seconds * config.fps), config.fps)
            words, ways = str(rng.choice(GOALS)), GOALS
        else:
            walker = Walker(person, _start(plan, primitive, target, rng), np.array(target.xyz))
            walk = walk_primitive(walker, primitive, least, config.fps)
            words, ways = str(rng.choice(PROMPTS[primitive])), PROMPTS[primitive]
        clear = walk.cut(_clear_length(plan, walk))
        if best is None or len(clear) > len(best):
            said = [way.format(colour=target.colour, place=target.place) for way in (words, *ways)]
            best, phrasings = clear, tuple(dict.fromkeys(said))
        if len(clear) == len(walk) and (not goal or walker.has_arrived):
            break
    assert best is not None
    return phrasings, best


def _clear_length(plan: RoomPlan, walk: Walk) -> int:
    """Frames until the head would pass through a wall or furniture."""
    free = plan.is_free(walk.head_xyz[:, :2], CLEARANCE_M)
    return len(walk) if free.all() else max(int(np.argmin(free)), 2)


def _free_place(plan: RoomPlan, rng: np.random.Generator) -> np.ndarray:
    """Somewhere to stand."""
    places = rng.uniform(-plan.half, plan.half, (64, 2))
    return places[int(np.argmax(plan.is_free(places, 0.35)))]


def _goal_start(plan: RoomPlan, target: Target, rng: np.random.Generator) -> Start:
    """Somewhere 1 to 3 m from the target, looking up to 70 degrees past it."""
    goal = np.array(target.xyz[:2])
    place = _free_place(plan, rng)
    for _ in range(10):
        if 1.1 < np.linalg.norm(goal - place) < 3.2:
            break
        place = _free_place(plan, rng)
    bearing = np.arctan2(*(goal - place)[::-1])
    return Start(xy=(float(place[0]), float(place[1])), yaw=float(bearing + rng.uniform(-1.2, 1.2)))


def _start(plan: RoomPlan, primitive: str, target: Target, rng: np.random.Generator) -> Start:
    """A beginning from which a primitive makes sense: near the target to leave it, before it to come near it."""
    if primitive not in ("approach_near", "back_away"):
        place = _free_place(plan, rng)
        yaw = rng.uniform(-np.pi, np.pi)
        return Start(xy=(float(place[0]), float(place[1])), yaw=float(yaw), squatting=primitive == "stand_up")
    goal, low, high = np.array(target.xyz[:2]), NEAR_M, NEAR_M + 0.3
    if primitive == "approach_near":
        low, high = 1.0, 2.0
    angle = rng.uniform(-np.pi, np.pi)
    place = goal + rng.uniform(low, high) * np.array([np.cos(angle), np.sin(angle)])
    return Start(xy=(float(place[0]), float(place[1])), yaw=float(angle + np.pi + rng.uniform(-0.2, 0.2)))
