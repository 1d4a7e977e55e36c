"""Cart pushing: walk to a 50 kg cart, take its bar with both hands, push it 3 m straight ahead and stop it there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import mujoco
import numpy as np

from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.robots.description import RobotSpec
from wbvla.sim.cart import (
    CartConfig,
    add_cart,
    bar_of,
    bar_pose,
    cart_speed,
    load_cart,
    load_of,
    paint_deck,
    turn_swivels,
)
from wbvla.sim.contact import NOTHING
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, build_scene
from wbvla.sim.tasks.start import Start, StartConfig, draw_in_split, place_robot
from wbvla.sim.tasks.task import MANIPULATION, Task, contacts_of, hand_bodies, has_fallen, tasks
from wbvla.sim.tasks.variation import Area, VariationConfig, vary

CART, LANE = "cart", "lane"
COLOURS = ((0.20, 0.34, 0.62), (0.70, 0.20, 0.16), (0.18, 0.48, 0.34), (0.85, 0.60, 0.12), (0.40, 0.42, 0.45))
"""of the deck: blue, red, green, yellow, grey"""
CLEAR_M = 0.9
"""no loose things nearer than this to the way of cart and robot [m]"""
TAPE = (0.93, 0.80, 0.20, 1.0)
TRAIN = (
    "push the cart forward",
    "walk to the cart and push it",
    "go to the cart, grab the handle and push it ahead",
    "take the cart by its handle and push it straight ahead",
    "grab the handle of the cart with both hands and push",
    "push the cart across the line",
    "please push the trolley to the line",
    "walk up to the trolley and push it forward",
    "get behind the cart and push it to the other side",
    "move the cart forward along the lane",
    "push the heavy cart straight ahead",
    "roll the cart past the yellow line",
    "hold the bar with both hands and push the cart",
    "approach the cart, grasp its bar and push",
)
TEST = (
    "could you push that cart over the line",
    "bring the trolley to the far end of the lane",
    "walk over, get hold of the handle and roll the cart forward",
    "the loaded cart has to go three metres ahead",
    "shove the cart straight on until it is past the mark",
)


@dataclass(frozen=True, kw_only=True)
class CartPushingConfig:
    """The cart, the start and the goal; docs/reach.md says why."""

    cart: CartConfig = field(default_factory=CartConfig)
    """sizes"""
    start: StartConfig = field(default_factory=lambda: StartConfig(difficulty=1.0))
    """where the robot starts behind the bar; its difficulty scales the spreads below too"""
    variation: VariationConfig = field(default_factory=VariationConfig)
    """looks and grip by seed"""
    mass_spread: float = 0.3
    """at full difficulty the mass lies within this share of the default"""
    rolling_spread: float = 0.6
    """the same for the rolling resistance"""
    swivel_rad: float = 0.8
    """at full difficulty the swivel wheels start turned by up to this, so that the cart pulls aside at first"""
    place_m: tuple[float, float] = (0.4, 0.8)
    """the cart stands up to this before and beside its place in the room"""
    turned_rad: float = 0.12
    """and its lane is turned by up to this from the room's long side"""
    grip_m: float = 0.17
    """the places to grasp are this far left and right of the bar's middle"""
    distance_m: float = 3.0
    """the cart must travel this far along its lane"""
    lane_m: float = 0.3
    """and never be farther beside it than this"""
    heading_rad: float = float(np.deg2rad(15.0))
    """nor turned from it by more than this"""
    still_mps: float = 0.05
    """slower than this the cart has stopped"""
    hold_s: float = 1.0
    """time for which it stands at the end, hands on the bar"""
    reach_m: float = 0.45
    """pelvis nearer to the bar than this counts as having walked there"""


class CartPushing(Task):
    """The lane begins under the cart and points where it points; a cart that has left it once has failed."""

    name = "cart-pushing"
    family = MANIPULATION
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("reached", "grasped", "moving", "one_metre", "two_metres", "arrived", "done")
    time_limit_s = 60.0

    def __init__(self, config: CartPushingConfig | None = None) -> None:
        self.config = config or CartPushingConfig()
        self._deck, self._at, self._yaw, self._swivels = COLOURS[0], np.zeros(2), 0.0, np.zeros(2)
        self._strayed = False
        self._stopped_since_s: float | None = None

    def build(self, spec: RobotSpec) -> World:
        """A long room with a cart and its lane, in the start of seed 0."""
        config = self.config
        scene = build_scene(spec, MjcfOptions(), RoomConfig(half_x=5.0, floor="tiles", floor_colour=(0.70, 0.70, 0.67)))
        add_cart(scene, CART, config.cart, (COLOURS[0], (0.72, 0.52, 0.32)))
        _add_lane(scene, config)
        world = World(spec, scene)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Mass, rolling, place and looks of the cart, then the robot behind it, all drawn from the seed."""
        rng = np.random.default_rng((seed, 6))
        self._furnish(world, rng)
        draw_in_split(world, self.config.start, rng, lambda start: self._place(world, start), bar_of(CART))
        self._vary(world, seed)

    def reset_at(self, world: World, seed: int, start: Start) -> None:
        """The world of a seed with a start of one's own, in view or not."""
        self._furnish(world, np.random.default_rng((seed, 6)))
        self._place(world, start)
        self._vary(world, seed)

    def _furnish(self, world: World, rng: np.random.Generator) -> None:
        config, size = self.config, self.config.start.difficulty
        mass, rolling = 1.0 + size * rng.uniform(-1, 1, 2) * (config.mass_spread, config.rolling_spread)
        load_cart(world, CART, config.cart, config.cart.mass_kg * float(mass), config.cart.rolling * float(rolling))
        self._deck = COLOURS[int(rng.integers(len(COLOURS)))]
        self._at = np.array([-1.0, 0.0]) + rng.uniform(-1, 1, 2) * config.place_m
        self._yaw = float(rng.uniform(-1, 1)) * config.turned_rad
        self._swivels = size * config.swivel_rad * rng.uniform(-1, 1, 2)

    def _place(self, world: World, start: Start) -> None:
        """The robot behind the bar, the cart on its lane."""
        ahead = np.array([np.cos(self._yaw), np.sin(self._yaw)])
        place_robot(world, self._at + self.config.cart.bar_x_m * ahead, self._yaw, start)
        for name in (LANE, CART):
            world.place(name, (*self._at, 0.0), self._yaw)
        turn_swivels(world, CART, self._swivels)
        self._strayed, self._stopped_since_s = False, None

    def _vary(self, world: World, seed: int) -> None:
        """Looks; nothing loose stands where the cart or the robot will be."""
        robot, ahead = world.root_pose()[0][:2], np.array([np.cos(self._yaw), np.sin(self._yaw)])
        points = np.stack([robot, self._at, self._at + (self.config.distance_m + 1.0) * ahead])
        (low_x, low_y), (high_x, high_y) = points.min(axis=0) - CLEAR_M, points.max(axis=0) + CLEAR_M
        clear: Area = (float(low_x), float(low_y), float(high_x), float(high_y))
        vary(world, self.config.variation, seed, objects=(load_of(CART),), clear=clear)
        paint_deck(world, CART, self._deck)

    def progress(self, world: World) -> Mapping[str, bool]:
        """`reached`: stands at the bar; `grasped`: both hands touch it; `moving`, `one_metre`, `two_metres`,
        `arrived`: pushed so far by both hands, never out of the lane; `done`: and stopped there for a while."""
        config = self.config
        upright = not has_fallen(world)
        away = world.root_pose()[0][:2] - bar_pose(world, CART)[0][:2]
        reached = upright and bool(np.linalg.norm(away) < config.reach_m)
        grasped = hands_on(world)
        ahead, left, turned = self.lane_pose(world)
        self._strayed |= abs(left) > config.lane_m or abs(turned) > config.heading_rad
        pushed = ahead if upright and grasped and not self._strayed else 0.0
        if pushed < config.distance_m or abs(cart_speed(world, CART)[0]) > config.still_mps:
            self._stopped_since_s = None
        elif self._stopped_since_s is None:
            self._stopped_since_s = world.time_s
        stopped = self._stopped_since_s
        marks = {"moving": 0.2, "one_metre": 1.0, "two_metres": 2.0, "arrived": config.distance_m}
        return {
            "reached": reached,
            "grasped": grasped,
            **{name: pushed >= mark for name, mark in marks.items()},
            "done": stopped is not None and world.time_s - stopped >= config.hold_s - 1e-9,
        }

    def success(self, world: World) -> bool:
        """The cart stands 3 m ahead, never left its lane, and both hands are on the bar."""
        return self.progress(world)["done"]

    def strayed(self) -> bool:
        """Whether the cart has left its lane since the reset, as seen by `progress`."""
        return self._strayed

    @staticmethod
    def lane_pose(world: World) -> tuple[float, float, float]:
        """The cart in its lane: ahead, left [m], turned [rad]."""
        (xyz, quat), (origin, lane) = world.body_pose(CART), world.body_pose(LANE)
        yaw = float(yaw_of(lane))
        x, y = xyz[:2] - origin[:2]
        turned = float(wrap_angle(float(yaw_of(quat)) - yaw))
        return float(np.cos(yaw) * x + np.sin(yaw) * y), float(np.cos(yaw) * y - np.sin(yaw) * x), turned


def hands_on(world: World) -> bool:
    """Whether both hands touch the cart's bar now."""
    touching = contacts_of(world, bar_of(CART))
    return all(touching & set(hand_bodies(side)) for side in ("left", "right"))


def _add_lane(scene: mujoco.MjSpec, config: CartPushingConfig) -> None:
    """Tape on the floor: two edges and the line that the cart's front must pass; seen, never felt."""
    lane = scene.worldbody.add_body(name=LANE, mocap=True)
    front = config.cart.deck_half_m[0]
    aside, end = config.lane_m + config.cart.deck_half_m[1], config.distance_m + front
    middle, half = (end - front) / 2.0, (end + front) / 2.0
    strips = [((middle, side * aside), (half, 0.02)) for side in (1.0, -1.0)]
    for (x, y), (length, width) in [*strips, ((end, 0.0), (0.03, aside + 0.02))]:
        lane.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=(length, width, 0.0005),
            pos=(x, y, 0.0006),
            rgba=TAPE,
            contype=NOTHING.contype,
            conaffinity=NOTHING.conaffinity,
        )


@tasks.register("cart-pushing")
def cart_pushing() -> Task:
    """Cart pushing with its default geometry, the full ranges, the bar in view at the start."""
    return CartPushing()
