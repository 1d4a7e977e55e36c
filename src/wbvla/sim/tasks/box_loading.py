"""Box loading: squat and grasp a box on a low table, rise, turn to a trolley at the side, put the box on its bed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.robots.description import RobotSpec
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, add_box, add_table, build_scene
from wbvla.sim.tasks.start import Start, StartConfig, draw_in_split, place_robot
from wbvla.sim.tasks.task import (
    MANIPULATION,
    Task,
    box_bottom_m,
    box_half,
    contacts_of,
    hand_bodies,
    has_fallen,
    resize_box,
    tasks,
)
from wbvla.sim.tasks.variation import VariationConfig, vary
from wbvla.sim.trolley import TrolleyConfig, add_trolley, bed_half

BOX, TABLE, TROLLEY = "box", "table", "trolley"
SEEN_HEIGHTS, UNSEEN_HEIGHTS = (0.50, 0.45, 0.42), (0.475, 0.40)
"""tops of the table [m]; docs/reach.md says which of the paper's heights are replaced"""
TRAIN = (
    "put the box on the cart",
    "load the box onto the cart",
    "pick up the box and place it on the cart",
    "squat, grasp the box and put it on the cart",
    "take the box from the low table and load it onto the cart",
    "lift the box, turn and set it down on the cart",
    "grab the box with both hands and put it on the trolley",
    "move the box from the table to the cart",
    "squat down and get the box, then place it on the cart beside you",
    "please load the box on the trolley",
    "walk to the box, lift it and put it on the cart",
    "raise the box, turn to the cart and place it there",
    "the box goes onto the cart",
    "carry the box over to the cart",
)
TEST = (
    "could you load that box onto the trolley",
    "bend down for the box and set it on the cart",
    "bring the low box up, swing round and leave it on the cart",
    "I want the box to end up on the cart",
    "transfer the carton to the trolley at the side",
)


@dataclass(frozen=True, kw_only=True)
class BoxLoadingConfig:
    """Geometry, start and goal; the reach and visibility map (docs/reach.md) says why."""

    start: StartConfig = field(default_factory=StartConfig)
    """where the robot starts before the box"""
    table_heights_m: tuple[float, ...] = SEEN_HEIGHTS
    """tops of the table above the floor, one drawn by seed; `UNSEEN_HEIGHTS` are kept for evaluation"""
    table_size_m: tuple[float, float, float] = (0.42, 0.80, 0.025)
    """depth, width and thickness of its top; thin, so that the knees of a squatting robot pass under it"""
    table_front_x_m: float = 1.0
    """front edge of the table in the world"""
    box_half_low_m: tuple[float, float, float] = (0.080, 0.095, 0.085)
    """smallest half depth, width, height"""
    box_half_high_m: tuple[float, float, float] = (0.100, 0.120, 0.115)
    """largest half depth, width, height"""
    box_mass_kg: tuple[float, float] = (0.5, 1.0)
    """range of the box's mass"""
    box_inset_m: tuple[float, float] = (0.005, 0.02)
    """range of the gap between the box and the table's front edge"""
    box_lateral_m: float = 0.10
    """the box stands up to this far left or right of the table's middle"""
    box_yaw_rad: float = 0.12
    """the box is turned by up to this"""
    trolley: TrolleyConfig = field(default_factory=TrolleyConfig)
    """what the box is put on"""
    trolley_aside_m: tuple[float, float] = (0.65, 0.90)
    """range of the distance from the box's axis to the bed's near edge"""
    trolley_back_m: tuple[float, float] = (0.50, 0.65)
    """range of the distance from the box back to the bed's middle"""
    trolley_yaw_rad: float = 0.12
    """the trolley's near edge is parallel to the box's axis but for this"""
    crowded_m: float = 0.2
    """a robot that starts further aside than this finds the trolley on the other side"""
    reach_m: float = 0.5
    """pelvis nearer to the box than this counts as having walked there"""
    squat_m: float = 0.58
    """a pelvis lower than this while both hands hold the box has squatted for it"""
    lift_m: float = 0.05
    """the box's lowest corner must rise by this"""
    turned_rad: float = 0.5
    """a robot that holds the box and looks at the trolley within this has turned"""
    rest_s: float = 0.5
    """the box must lie still and untouched for this long"""
    still_mps: float = 0.05
    """slower than this is still"""
    variation: VariationConfig = field(default_factory=VariationConfig)
    """looks and friction by seed"""


class BoxLoading(Task):
    """Loaded when the box lies upright on the bed, at rest, touched by nothing else, and the robot stands."""

    name = "box-loading"
    family = MANIPULATION
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("reached", "grasped", "lifted", "turned", "placed", "released")
    time_limit_s = 60.0

    def __init__(self, config: BoxLoadingConfig | None = None) -> None:
        self.config = config or BoxLoadingConfig()
        self._rest_m = 0.0
        self._resting_since_s: float | None = None

    def build(self, spec: RobotSpec) -> World:
        """A room with a low table, the box on it, and a trolley at its side, in the start of seed 0."""
        config = self.config
        scene = build_scene(spec, MjcfOptions(), RoomConfig())
        x = config.table_front_x_m + config.table_size_m[0] / 2.0
        add_table(scene, TABLE, (x, 0.0, max(config.table_heights_m)), config.table_size_m, (0.62, 0.47, 0.32))
        add_trolley(scene, TROLLEY, config.trolley, (0.20, 0.36, 0.58))
        add_box(scene, BOX, config.box_half_high_m, config.box_mass_kg[1], (0.72, 0.52, 0.32))
        world = World(spec, scene)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Size, mass, colour and place of the box, height of the table, place of the trolley, then the robot."""
        rng = np.random.default_rng((seed, 4))
        self._furnish(world, rng)
        draw_in_split(world, self.config.start, rng, lambda start: self._place(world, start), BOX)
        vary(world, self.config.variation, seed, objects=(BOX,))

    def reset_at(self, world: World, seed: int, start: Start) -> None:
        """The world of a seed with a start of one's own, in view or not."""
        self._furnish(world, np.random.default_rng((seed, 4)))
        self._place(world, start)
        vary(world, self.config.variation, seed, objects=(BOX,))

    def _furnish(self, world: World, rng: np.random.Generator) -> None:
        config = self.config
        half = rng.uniform(config.box_half_low_m, config.box_half_high_m)
        resize_box(world, BOX, half, float(rng.uniform(*config.box_mass_kg)))
        rng.integers(7)  # was the colour; the seeds stay what they were
        height = float(rng.choice(np.array(config.table_heights_m)))
        yaw, lateral = rng.uniform(-1, 1, 2) * (config.box_yaw_rad, config.box_lateral_m)
        footprint = abs(np.cos(yaw)) * half[0] + abs(np.sin(yaw)) * half[1]
        x = config.table_front_x_m + footprint + float(rng.uniform(*config.box_inset_m))
        self._box = (np.array([x, lateral, height + half[2]]), float(yaw))
        self._side = 1.0 if rng.integers(2) else -1.0
        aside = float(rng.uniform(*config.trolley_aside_m)) + config.trolley.depth_m / 2.0
        self._away = np.array([-float(rng.uniform(*config.trolley_back_m)), aside])
        self._trolley_yaw = float(rng.uniform(-1, 1)) * config.trolley_yaw_rad
        world.model.body(TABLE).pos[2] = height
        self._rest_m = height

    def _place(self, world: World, start: Start) -> None:
        """Robot, trolley and box; the trolley not in the way of a robot that comes from one side."""
        (xyz, yaw), config = self._box, self.config
        crowded = abs(start.lateral_m) > config.crowded_m
        side = -np.sign(start.lateral_m) if crowded else self._side
        place_robot(world, xyz[:2], yaw, start)
        centre = (*(xyz[:2] + self._away * (1.0, side)), config.trolley.height_m)
        world.place(TROLLEY, centre, side * np.pi / 2.0 + self._trolley_yaw)
        world.place(BOX, xyz, yaw)
        self._resting_since_s = None

    def progress(self, world: World) -> Mapping[str, bool]:
        """`grasped`: both hands, low; `lifted`, `turned`: hands alone; `placed`: on the bed; `released`: let go of."""
        config, touching = self.config, contacts_of(world, BOX)
        root, quat = world.root_pose()
        left, right = (touching & set(hand_bodies(side)) for side in ("left", "right"))
        upright, grasped = not has_fallen(world), bool(left) and bool(right)
        carried = grasped and upright and touching == left | right
        lifted = carried and box_bottom_m(world, BOX) - self._rest_m >= config.lift_m
        facing = float(wrap_angle(float(yaw_of(world.body_pose(TROLLEY)[1])) - float(yaw_of(quat))))
        placed = on_bed(world) and TROLLEY in touching and TABLE not in touching
        rests = placed and upright and touching == {TROLLEY} and self._is_still(world)
        if not rests:
            self._resting_since_s = None
        elif self._resting_since_s is None:
            self._resting_since_s = world.time_s
        released = self._resting_since_s is not None and world.time_s - self._resting_since_s >= config.rest_s - 1e-9
        away = np.linalg.norm(root[:2] - world.body_pose(BOX)[0][:2])
        return {
            "reached": upright and bool(away < config.reach_m),
            "grasped": grasped and upright and bool(root[2] < config.squat_m),
            "lifted": lifted,
            "turned": carried and abs(facing) < config.turned_rad,
            "placed": placed,
            "released": released,
        }

    def success(self, world: World) -> bool:
        """The box lies on the trolley, let go of."""
        return self.progress(world)["released"]

    def _is_still(self, world: World) -> bool:
        speed = world.data.qvel[world.model.joint(BOX).dofadr[0] :][:3]
        return bool(np.linalg.norm(speed) < self.config.still_mps)


def on_trolley(world: World, xyz: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """A point of the world in the trolley's frame: ahead from the bed's middle, left of it, above its top [m]."""
    pose = world.data.body(TROLLEY)
    return pose.xmat.reshape(3, 3).T @ (xyz - pose.xpos)


def on_bed(world: World) -> bool:
    """Whether the box stands upright with its middle over the bed, no lower than its top."""
    place = on_trolley(world, world.body_pose(BOX)[0])
    upright = float(world.data.body(BOX).xmat[8]) > 0.95
    inside = bool((np.abs(place[:2]) < bed_half(world, TROLLEY)[:2]).all())
    return inside and upright and float(place[2]) > 0.8 * float(box_half(world, BOX)[2])


@tasks.register("box-loading")
def box_loading() -> Task:
    """Box loading with its default geometry."""
    return BoxLoading()
