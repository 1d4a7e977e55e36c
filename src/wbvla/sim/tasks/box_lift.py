"""Box lift: walk to a box on a table, take it between both hands, lift it 10 cm and hold it for 2 s."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wbvla.robots.description import RobotSpec
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, add_box, add_table, build_scene
from wbvla.sim.tasks.start import Start, place_robot
from wbvla.sim.tasks.task import (
    MANIPULATION,
    Task,
    box_bottom_m,
    contacts_of,
    hand_bodies,
    has_fallen,
    resize_box,
    tasks,
)
from wbvla.sim.tasks.variation import VariationConfig, vary

BOX, TABLE = "box", "table"
TRAIN = (
    "pick up the box from the table",
    "lift the box off the table",
    "walk to the table and lift the box",
    "go to the box and pick it up",
    "take the box with both hands and lift it",
    "grab the box and hold it up",
    "raise the box from the table with both hands",
    "walk over and pick up the box",
    "please lift the box from the table",
    "approach the table, grasp the box and raise it",
    "get the box off the table",
    "step up to the table and take the box",
    "hold the box up with both hands",
    "pick the box up",
)
TEST = (
    "could you go over and lift that box",
    "move to the table, then pick the box up with two hands",
    "bring the box up off the tabletop",
    "walk forward and raise the box",
    "the box on the table needs to be lifted",
)


@dataclass(frozen=True, kw_only=True)
class BoxLiftConfig:
    """Geometry, start and goal; the reach and visibility map (docs/reach.md) says why."""

    table_height_m: float = 0.52
    """top of the table above the floor: the head camera sees a box on it from 1 m and more, a squat reaches it"""
    table_size_m: tuple[float, float, float] = (0.55, 1.2, 0.03)
    """depth, width and thickness of the top"""
    table_front_x_m: float = 1.0
    """front edge of the table in the world"""
    box_half_low_m: tuple[float, float, float] = (0.08, 0.095, 0.065)
    """smallest half depth, width, height"""
    box_half_high_m: tuple[float, float, float] = (0.105, 0.125, 0.08)
    """largest half depth, width, height"""
    box_mass_kg: tuple[float, float] = (0.5, 0.8)
    """range of the box's mass"""
    box_inset_m: tuple[float, float] = (0.01, 0.03)
    """range of the gap between the box and the table's front edge"""
    box_lateral_m: float = 0.25
    """the box stands up to this far left or right of the table's middle"""
    box_yaw_rad: float = 0.12
    """the box is turned by up to this"""
    start_distance_m: tuple[float, float] = (1.0, 1.25)
    """range of the robot's start in front of the box, pelvis to box centre"""
    start_lateral_m: float = 0.2
    """the robot starts up to this far beside the box's axis"""
    start_heading_rad: float = 0.2
    """the robot starts turned by up to this from the box's axis"""
    lift_m: float = 0.10
    """the box's lowest corner must rise by this"""
    hold_s: float = 2.0
    """and stay there for this long"""
    reach_m: float = 0.5
    """pelvis nearer to the box than this counts as having walked there"""
    variation: VariationConfig = field(default_factory=VariationConfig)
    """looks and friction by seed"""


class BoxLift(Task):
    """The box must be carried by both hands alone: any other contact of the box stops the clock."""

    name = "box-lift"
    family = MANIPULATION
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("reached", "grasped", "lifted", "held")
    time_limit_s = 40.0

    def __init__(self, config: BoxLiftConfig | None = None) -> None:
        self.config = config or BoxLiftConfig()
        self._rest_m = 0.0
        self._lifted_since_s: float | None = None

    def build(self, spec: RobotSpec) -> World:
        """A room with a table and the box, in the start of seed 0."""
        config = self.config
        scene = build_scene(spec, MjcfOptions(), RoomConfig())
        depth = config.table_size_m[0]
        add_table(
            scene,
            TABLE,
            (config.table_front_x_m + depth / 2.0, 0.0, config.table_height_m),
            config.table_size_m,
            (0.62, 0.47, 0.32),
        )
        add_box(scene, BOX, config.box_half_high_m, config.box_mass_kg[1], (0.72, 0.52, 0.32))
        world = World(spec, scene)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Size, mass and place of the box, the robot in front of it, and the looks, all drawn from the seed."""
        self._place(world, seed, None)

    def reset_at(self, world: World, seed: int, start: Start) -> None:
        """The world of a seed with a start of one's own."""
        self._place(world, seed, start)

    def _place(self, world: World, seed: int, start: Start | None) -> None:
        config, rng = self.config, np.random.default_rng((seed, 1))
        half = rng.uniform(config.box_half_low_m, config.box_half_high_m)
        resize_box(world, BOX, half, float(rng.uniform(*config.box_mass_kg)))
        rng.integers(6)  # was the colour; places and masses of the seeds stay what they were
        yaw = float(rng.uniform(-1, 1)) * config.box_yaw_rad
        footprint = abs(np.cos(yaw)) * half[0] + abs(np.sin(yaw)) * half[1]
        x = config.table_front_x_m + footprint + float(rng.uniform(*config.box_inset_m))
        y = float(rng.uniform(-1, 1)) * config.box_lateral_m
        distance = float(rng.uniform(*config.start_distance_m))
        lateral, turn = rng.uniform(-1, 1, 2) * (config.start_lateral_m, config.start_heading_rad)
        drawn = Start(distance_m=distance, lateral_m=float(lateral), heading_rad=float(turn))
        place_robot(world, np.array([x, y]), yaw, start or drawn)
        world.place(BOX, (x, y, config.table_height_m + half[2]), yaw)
        vary(world, config.variation, seed, objects=(BOX,), tables=(TABLE,))
        self._rest_m, self._lifted_since_s = config.table_height_m, None

    def progress(self, world: World) -> Mapping[str, bool]:
        """`reached`: stands at the box; `grasped`: both hands touch it; `lifted`: up, hands alone; `held`: for 2 s."""
        touching = contacts_of(world, BOX)
        left, right = (touching & set(hand_bodies(side)) for side in ("left", "right"))
        grasped = bool(left) and bool(right)
        high = box_bottom_m(world, BOX) - self._rest_m >= self.config.lift_m
        lifted = grasped and high and touching == left | right and not has_fallen(world)
        if not lifted:
            self._lifted_since_s = None
        elif self._lifted_since_s is None:
            self._lifted_since_s = world.time_s
        held = self._lifted_since_s is not None and world.time_s - self._lifted_since_s >= self.config.hold_s - 1e-9
        away = world.root_pose()[0][:2] - world.body_pose(BOX)[0][:2]
        reached = bool(np.linalg.norm(away) < self.config.reach_m) and not has_fallen(world)
        return {"reached": reached, "grasped": grasped, "lifted": lifted, "held": held}

    def success(self, world: World) -> bool:
        """The box has been held up by both hands for 2 s and still is."""
        return self.progress(world)["held"]


@tasks.register("box-lift")
def box_lift() -> Task:
    """Box lift with its default geometry."""
    return BoxLift()
