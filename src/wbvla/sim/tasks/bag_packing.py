"""Bag packing: take a paper bag from a table with both hands, side-step to a carton, squat and put the bag inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from wbvla.robots.description import RobotSpec
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, add_container, add_table, build_scene
from wbvla.sim.tasks.bag import add_bag, resize_bag
from wbvla.sim.tasks.start import Start, StartConfig, draw_in_split, place_robot
from wbvla.sim.tasks.task import MANIPULATION, Task, box_bottom_m, contacts_of, hand_bodies, has_fallen, tasks
from wbvla.sim.tasks.variation import VariationConfig, vary

BAG, TABLE, CARTON, STAND = "bag", "table", "carton", "stand"
CARDBOARD = (0.66, 0.50, 0.33)
TRAIN = (
    "put the bag into the carton",
    "pack the bag into the box on the stand",
    "take the paper bag from the table and put it in the carton",
    "pick up the bag with both hands and place it in the carton",
    "grab the bag, step sideways and put it into the carton",
    "lift the bag off the table and lower it into the carton",
    "place the shopping bag inside the carton beside the table",
    "move the bag from the table into the carton",
    "get the bag and pack it",
    "pack the paper bag",
    "carry the bag over to the carton, squat and put it in",
    "walk to the table, take the bag and pack it into the carton",
    "please put the paper bag into the cardboard box",
    "the bag goes into the carton",
)
TEST = (
    "could you pack that shopping bag for me",
    "load the carton with the bag from the table",
    "take hold of the bag, side-step and set it down in the cardboard box",
    "bring the paper bag across and squat to put it away in the carton",
    "I want the bag from the table to end up in the carton",
)
SEEN_HEIGHTS, UNSEEN_HEIGHTS = (0.60, 0.45, 0.50), (0.55, 0.40, 0.63)
"""tops of the table [m]: the paper's 60 and 45, 55 and 40 cm; its 25 and 20 cm are out of this robot's reach"""


@dataclass(frozen=True, kw_only=True)
class BagPackingConfig:
    """Geometry, start and goal; the reach and visibility map (docs/reach.md) says why."""

    start: StartConfig = field(default_factory=StartConfig)
    """where the robot starts before the bag"""
    table_heights_m: tuple[float, ...] = SEEN_HEIGHTS
    """tops of the table above the floor, one drawn by seed; `UNSEEN_HEIGHTS` are kept for evaluation"""
    table_size_m: tuple[float, float, float] = (0.45, 0.78, 0.025)
    """depth, width and thickness of its top; its legs stand outside of the robot's"""
    table_front_x_m: float = 1.0
    """front edge of table and stand in the world"""
    bag_half_low_m: tuple[float, float, float] = (0.075, 0.090, 0.110)
    """smallest half depth, width, height of the bag's filled body"""
    bag_half_high_m: tuple[float, float, float] = (0.095, 0.115, 0.130)
    """largest half depth, width, height"""
    bag_mass_kg: tuple[float, float] = (0.3, 1.0)
    """range of the bag's mass"""
    bag_inset_m: tuple[float, float] = (0.01, 0.03)
    """range of the gap between the bag and the table's front edge"""
    bag_lateral_m: float = 0.08
    """the bag stands up to this far left or right of the table's middle"""
    bag_yaw_rad: float = 0.12
    """the bag is turned by up to this"""
    stand_height_m: float = 0.37
    """top of the carton's low stand: the knees of a squatting robot pass under it"""
    carton_half_m: tuple[float, float, float] = (0.19, 0.24, 0.08)
    """outer half depth, width, height of the carton"""
    carton_mass_kg: float = 1.2
    """an empty one of strong cardboard"""
    stand_width_m: float = 0.62
    """wider than the carton, so that its legs stand outside of the robot's"""
    carton_aside_m: tuple[float, float] = (0.74, 0.86)
    """range of the distance between the middles of table and carton"""
    squat_m: float = 0.55
    """a pelvis lower than this at the carton has squatted"""
    reach_m: float = 0.55
    """pelvis nearer to the bag, or later to the carton, than this counts as having walked there"""
    lift_m: float = 0.05
    """the bag's lowest corner must rise by this"""
    rest_s: float = 0.5
    """the bag must lie still and untouched for this long"""
    still_mps: float = 0.05
    """slower than this is still"""
    variation: VariationConfig = field(default_factory=VariationConfig)
    """looks and friction by seed"""


class BagPacking(Task):
    """Packed when the bag's middle lies inside the carton's walls, at rest, no hand at it and the robot upright."""

    name = "bag-packing"
    family = MANIPULATION
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("reached", "grasped", "lifted", "at_carton", "squatted", "placed", "released")
    time_limit_s = 60.0

    def __init__(self, config: BagPackingConfig | None = None) -> None:
        self.config = config or BagPackingConfig()
        self._rest_m = 0.0
        self._resting_since_s: float | None = None

    def build(self, spec: RobotSpec) -> World:
        """A room with a table, the bag on it, and a carton on a low stand beside it, in the start of seed 0."""
        config = self.config
        scene = build_scene(spec, MjcfOptions(), RoomConfig())
        x = config.table_front_x_m + config.table_size_m[0] / 2.0
        top = max(*config.table_heights_m, config.stand_height_m)
        add_table(scene, TABLE, (x, 0.0, top), config.table_size_m, (0.62, 0.47, 0.32))
        half = np.array(config.carton_half_m)
        size = (2 * half[0] + 0.02, config.stand_width_m, 0.02)
        add_table(scene, STAND, (x, -1.0, config.stand_height_m), size, (0.80, 0.80, 0.78))
        add_container(scene, CARTON, half, CARDBOARD, config.carton_mass_kg)
        add_bag(scene, BAG, np.array(config.bag_half_high_m), config.bag_mass_kg[1])
        world = World(spec, scene)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Bag, height of the table, side and place of the carton, then the robot and the looks, all from the seed."""
        rng = np.random.default_rng((seed, 5))
        self._furnish(world, rng)
        draw_in_split(world, self.config.start, rng, lambda start: self._place(world, start), BAG)
        self._vary(world, seed)

    def reset_at(self, world: World, seed: int, start: Start) -> None:
        """The world of a seed with a start of one's own, in view or not."""
        rng = np.random.default_rng((seed, 5))
        self._furnish(world, rng)
        self._place(world, start)
        self._vary(world, seed)

    def _furnish(self, world: World, rng: np.random.Generator) -> None:
        """What does not move: sizes, colours, table and stand; and where bag and carton will stand."""
        config = self.config
        half = rng.uniform(config.bag_half_low_m, config.bag_half_high_m)
        resize_bag(world, BAG, half, float(rng.uniform(*config.bag_mass_kg)))
        height = float(rng.choice(np.array(config.table_heights_m)))
        yaw, lateral = rng.uniform(-1, 1, 2) * (config.bag_yaw_rad, config.bag_lateral_m)
        footprint = abs(np.cos(yaw)) * half[0] + abs(np.sin(yaw)) * half[1]
        x = config.table_front_x_m + footprint + float(rng.uniform(*config.bag_inset_m))
        self._bag = (np.array([x, lateral, height + half[2]]), float(yaw))
        side = 1.0 if rng.integers(2) else -1.0
        depth, _, tall = config.carton_half_m
        centre = config.table_front_x_m + depth + 0.01
        carton = np.array([centre, side * float(rng.uniform(*config.carton_aside_m)), config.stand_height_m + tall])
        self._carton = carton
        world.model.body(TABLE).pos[2] = height
        world.model.body(STAND).pos[:2] = carton[:2]
        self._rest_m = height

    def _place(self, world: World, start: Start) -> None:
        xyz, yaw = self._bag
        place_robot(world, xyz[:2], yaw, start)
        world.place(CARTON, self._carton, 0.0)
        world.place(BAG, xyz, yaw)
        self._resting_since_s = None

    def _vary(self, world: World, seed: int) -> None:
        vary(world, self.config.variation, seed, objects=(BAG,), tables=(TABLE,))

    def progress(self, world: World) -> Mapping[str, bool]:
        """Sub-goals of this instant; `released`: inside, still, no hand at it and the robot upright for a while."""
        config = self.config
        touching, root = contacts_of(world, BAG), world.root_pose()[0]
        left, right = (touching & set(hand_bodies(side)) for side in ("left", "right"))
        upright = not has_fallen(world)
        bag, carton = world.body_pose(BAG)[0], world.body_pose(CARTON)[0]
        grasped = bool(left) and bool(right)
        lifted = grasped and TABLE not in touching and box_bottom_m(world, BAG) - self._rest_m >= config.lift_m
        there = upright and bool(np.linalg.norm(root[:2] - carton[:2]) < config.reach_m)
        placed = inside_carton(world) and CARTON in touching
        at_carton = there and (grasped or placed)
        rests = placed and upright and not left and not right and self._is_still(world)
        if not rests:
            self._resting_since_s = None
        elif self._resting_since_s is None:
            self._resting_since_s = world.time_s
        released = self._resting_since_s is not None and world.time_s - self._resting_since_s >= config.rest_s - 1e-9
        return {
            "reached": upright and bool(np.linalg.norm(root[:2] - bag[:2]) < config.reach_m),
            "grasped": grasped,
            "lifted": lifted,
            "at_carton": at_carton,
            "squatted": at_carton and bool(root[2] < config.squat_m),
            "placed": placed,
            "released": released,
        }

    def success(self, world: World) -> bool:
        """The bag lies packed, let go of."""
        return self.progress(world)["released"]

    def _is_still(self, world: World) -> bool:
        speed = world.data.qvel[world.model.joint(BAG).dofadr[0] :][:3]
        return bool(np.linalg.norm(speed) < self.config.still_mps)


def carton_half(world: World) -> Float[np.ndarray, "3"]:
    """Outer half sizes of the carton [m]."""
    model, body = world.model, world.model.body(CARTON)
    plates = slice(int(body.geomadr[0]), int(body.geomadr[0] + body.geomnum[0]))
    return (np.abs(model.geom_pos[plates]) + model.geom_size[plates]).max(axis=0)


def inside_carton(world: World) -> bool:
    """Whether the middle of the bag's filled body is inside the walls of an upright carton, below their rim."""
    pose = world.data.body(CARTON)
    rotation = pose.xmat.reshape(3, 3)
    local = rotation.T @ (world.body_pose(BAG)[0] - pose.xpos)
    return bool((np.abs(local) < carton_half(world)).all() and rotation[2, 2] > 0.9)


@tasks.register("bag-packing")
def bag_packing() -> Task:
    """Bag packing with its default geometry."""
    return BagPacking()
