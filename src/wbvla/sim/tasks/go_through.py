"""Go through: a wall parts the room; find its doorway, walk through without touching it, and stop on the mat behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.robots.description import RobotSpec
from wbvla.sim.contact import FIXED, NOTHING
from wbvla.sim.interior import Touches, add_overview
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, build_scene
from wbvla.sim.tasks.navigation import SEES, Stay, touches_of
from wbvla.sim.tasks.start import DRAWS, SEARCH, VIEW, in_picture
from wbvla.sim.tasks.task import NAVIGATION, Task, has_fallen, tasks
from wbvla.sim.tasks.variation import VariationConfig, vary

PANELS, LINTEL, MAT = ("panel_left", "panel_right"), "lintel", "mat"
WALL_RGB, MAT_RGB, EDGE_RGB = (0.83, 0.81, 0.76), (0.70, 0.26, 0.22), (0.36, 0.14, 0.12)
TRAIN = (
    "go through the doorway to the mat",
    "walk through the door and stop on the mat",
    "pass through the opening and stand on the mat",
    "go into the other room and step onto the mat",
    "find the doorway, walk through it and wait on the mat",
    "walk to the mat on the other side of the wall",
    "please go through the door and stand on the red mat",
    "go to the mat behind the wall",
    "leave this room by the doorway and stop on the mat",
    "cross into the next room and go to the mat",
    "use the doorway to get to the mat",
    "step through the opening in the wall and halt on the mat",
)
TEST = (
    "could you come through to the mat in the next room",
    "the mat is in the other room, go and stand on it",
    "walk out of this room and onto the mat beyond the doorway",
    "head through the gap in the wall and stop at the mat",
)


@dataclass(frozen=True, kw_only=True)
class ThroughConfig:
    """The wall, the start and what counts as being there."""

    room: RoomConfig = field(default_factory=lambda: RoomConfig(half_x=4.4))
    """its size"""
    variation: VariationConfig = field(default_factory=VariationConfig)
    """looks and grip by seed"""
    wall_x_m: tuple[float, float] = (-0.4, 0.2)
    """range of the wall's middle"""
    wall_half_m: float = 0.06
    """half of its thickness"""
    door_aside_m: float = 1.3
    """at full difficulty the doorway lies up to this beside the room's middle"""
    door_m: tuple[float, float] = (0.90, 1.10)
    """range of its width; a robot with hanging arms is 0.87 m wide, with its hands before the belly 0.61 m"""
    door_height_m: float = 2.05
    """of the opening"""
    before_m: tuple[float, float] = (1.2, 2.6)
    """start before the wall: nearest, and farthest at full difficulty"""
    start_aside_m: float = 1.3
    """and up to this beside the doorway at full difficulty"""
    heading_rad: float = float(np.pi)
    """a start looks up to this away from the doorway at full difficulty"""
    difficulty: float = 1.0
    """0 = straight before the doorway, near; 1 = all of the ranges [-]"""
    split: str = VIEW
    """`view`: the opening is in the forward camera's picture at the start; `search`: it is not"""
    behind_m: tuple[float, float] = (1.2, 2.2)
    """range of the mat behind the wall"""
    mat_aside_m: float = 1.0
    """the mat lies up to this beside the doorway at full difficulty"""
    mat_half_m: float = 0.35
    """half side of the mat"""
    reach_m: float = 0.3
    """root nearer to the mat's middle than this is there"""
    facing_rad: float = float(np.pi / 2)
    """a robot that looks less than this away from the wall's far side has its back to the wall"""
    still_mps: float = 0.08
    """a root slower than this stands"""
    hold_s: float = 1.0
    """time for which it stands there"""

    def __post_init__(self) -> None:
        if self.split not in (VIEW, SEARCH) or not 0.0 <= self.difficulty <= 1.0:
            raise ConfigError(f"starts need a split in ({VIEW}, {SEARCH}) and a difficulty in 0..1, not {self}")


class GoThrough(Task):
    """Done when the robot stands on the mat, looking away from the wall, and has touched nothing on its way."""

    name = "go-through"
    family = NAVIGATION
    cameras = (SEES,)
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("at_door", "through", "on_mat", "arrived")
    time_limit_s = 60.0

    def __init__(self, config: ThroughConfig | None = None) -> None:
        self.config = config or ThroughConfig()
        self.door, self.mat = np.zeros(2), np.zeros(2)
        self._stay = Stay(self.config.still_mps)

    def build(self, spec: RobotSpec) -> World:
        """Two rooms with a doorway between, in the start of seed 0."""
        config = self.config
        scene = build_scene(spec, MjcfOptions(), config.room)
        for name in (*PANELS, LINTEL):
            body = scene.worldbody.add_body(name=name, mocap=True)
            size = (config.wall_half_m, config.room.half_y, config.room.height / 2.0)
            _box(body, f"{name}.met", size, (0.0, 0.0, size[2]), WALL_RGB, met=True)
            _box(body, f"{name}.foot", (size[0] + 0.008, size[1], 0.05), (0.0, 0.0, 0.05), (0.93, 0.93, 0.91))
        mat = scene.worldbody.add_body(name=MAT, mocap=True)
        half = config.mat_half_m
        _box(mat, "mat.edge", (half, half, 0.002), (0.0, 0.0, 0.002), EDGE_RGB)
        _box(mat, "mat.middle", (half - 0.05, half - 0.05, 0.003), (0.0, 0.0, 0.003), MAT_RGB)
        add_overview(scene, self.config.room, 0.0)
        world = World(spec, scene)
        Touches(world)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Doorway, mat and robot, all drawn from the seed."""
        config, rng = self.config, np.random.default_rng((seed, 31))
        self._draw(rng)
        near, far = config.before_m
        for _ in range(DRAWS):
            before = float(rng.uniform(near, near + (far - near) * config.difficulty))
            aside, off = rng.uniform(-1, 1, 2) * (config.start_aside_m, config.heading_rad) * config.difficulty
            y = float(np.clip(self.door[1] + aside, -config.room.half_y + 0.6, config.room.half_y - 0.6))
            xy = np.array([self.door[0] - before, y])
            way = self.door - xy
            self._place(world, xy, float(wrap_angle(float(np.arctan2(way[1], way[0])) + float(off))))
            if self.sees(world) == (config.split == VIEW):
                self._begin(world, seed)
                return
        raise ConfigError(f"none of {DRAWS} starts of {config} is in the split {config.split!r}: change the difficulty")

    def reset_at(self, world: World, seed: int, xy: tuple[float, float], yaw: float) -> None:
        """The rooms of a seed with the robot at a place of one's own, in view or not."""
        self._draw(np.random.default_rng((seed, 31)))
        self._place(world, np.array(xy), yaw)
        self._begin(world, seed)

    def _draw(self, rng: np.random.Generator) -> None:
        config, size = self.config, self.config.difficulty
        self.door = np.array(
            [float(rng.uniform(*config.wall_x_m)), float(rng.uniform(-1, 1)) * config.door_aside_m * size]
        )
        self.door_m = float(rng.uniform(*config.door_m))
        aside = float(rng.uniform(-1, 1)) * config.mat_aside_m * size
        limit = config.room.half_y - 1.3  # off the furniture that only the eye meets
        self.mat = self.door + np.array([float(rng.uniform(*config.behind_m)), aside])
        self.mat[1] = float(np.clip(self.mat[1], -limit, limit))

    def _place(self, world: World, xy: Float[np.ndarray, "2"], yaw: float) -> None:
        """Robot, wall with its doorway, mat."""
        config, (x, y), half = self.config, self.door, self.door_m / 2.0
        world.reset((float(xy[0]), float(xy[1])), yaw)
        high, wide = config.room.height, config.room.half_y
        for name, low, top in ((PANELS[0], y + half, wide), (PANELS[1], -wide, y - half)):
            _resize(world, name, (config.wall_half_m, (top - low) / 2.0, high / 2.0))
            world.place(name, (float(x), float(low + top) / 2.0, 0.0))
        _resize(world, LINTEL, (config.wall_half_m, half, (high - config.door_height_m) / 2.0))
        world.place(LINTEL, (float(x), float(y), config.door_height_m))
        world.place(MAT, (float(self.mat[0]), float(self.mat[1]), 0.0))

    def _begin(self, world: World, seed: int) -> None:
        vary(world, replace(self.config.variation, distractors=False), seed)
        touches_of(world).reset()
        self._stay.reset()

    def sees(self, world: World) -> bool:
        """Whether both edges of the opening are in the forward camera's picture, a metre above the floor."""
        x, y = self.door
        edges = np.array([[x, y + side * self.door_m / 2.0, 1.0] for side in (1.0, -1.0)])
        return bool(in_picture(world, edges, SEES).all())

    def touched(self, world: World) -> bool:
        """Whether the robot has met anything but the floor since the reset."""
        return bool(touches_of(world).met)

    def progress(self, world: World) -> Mapping[str, bool]:
        """`at_door`: within a metre of the doorway; `through`: behind the wall; `on_mat`: on the mat; `arrived`: and
        has stood there for a second, its back to the wall, nothing touched."""
        config, (xyz, quat) = self.config, world.root_pose()
        good = not has_fallen(world) and not self.touched(world)
        through = good and bool(xyz[0] > self.door[0] + 0.3)
        on_mat = through and float(np.linalg.norm(xyz[:2] - self.mat)) < config.reach_m
        looks = abs(float(yaw_of(quat))) < config.facing_rad
        stood_s = self._stay.see(world, on_mat and looks)
        return {
            "at_door": good and float(np.linalg.norm(xyz[:2] - self.door)) < 1.0,
            "through": through,
            "on_mat": on_mat,
            "arrived": stood_s >= config.hold_s - 1e-9,
        }

    def success(self, world: World) -> bool:
        """The robot stands on the mat."""
        return self.progress(world)["arrived"]


def _box(
    body: mujoco.MjsBody,
    name: str,
    half: tuple[float, float, float],
    xyz: tuple[float, float, float],
    colour: tuple[float, float, float],
    met: bool = False,
) -> None:
    kind = FIXED if met else NOTHING
    geom = body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=half, pos=xyz, mass=0.0)
    geom.contype, geom.conaffinity, geom.friction, geom.condim = (
        kind.contype,
        kind.conaffinity,
        kind.friction,
        kind.condim,
    )
    geom.rgba = (*colour, 1.0)


def _resize(world: World, name: str, half: tuple[float, float, float]) -> None:
    """Another size for a panel, which stands on its body's origin [m]."""
    model = world.model
    for part, size in ((f"{name}.met", np.array(half)), (f"{name}.foot", np.array([half[0] + 0.008, half[1], 0.05]))):
        geom = model.geom(part).id
        model.geom_size[geom], model.geom_pos[geom, 2] = size, size[2]
        model.geom_rbound[geom] = float(np.linalg.norm(size))
        model.geom_aabb[geom, 3:] = size


@tasks.register("go-through")
def go_through() -> Task:
    """Go through with its default rooms, the doorway in view at the start."""
    return GoThrough()
