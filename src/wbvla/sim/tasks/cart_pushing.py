"""Cart pushing: walk to a 50 kg cart, take its bar with both hands, push it 3 m straight ahead and stop it there."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.robots.description import RobotSpec
from wbvla.sim.cart import CartConfig, add_cart, bar_ends, cart_speed, load_cart, on_bar, paint_cart, turn_swivels
from wbvla.sim.contact import NOTHING
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, build_scene
from wbvla.sim.tasks.task import Task, hand_bodies, has_fallen, tasks

CART, LANE = "cart", "lane"
SEEN, SEARCH = "seen", "search"
COLOURS = (
    ((0.20, 0.34, 0.62), (0.72, 0.52, 0.32)),
    ((0.70, 0.20, 0.16), (0.55, 0.58, 0.60)),
    ((0.18, 0.48, 0.34), (0.78, 0.62, 0.36)),
    ((0.85, 0.60, 0.12), (0.30, 0.42, 0.60)),
    ((0.40, 0.42, 0.45), (0.62, 0.30, 0.24)),
    ((0.42, 0.28, 0.54), (0.66, 0.64, 0.50)),
)
"""of deck and load"""
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
    split: str = SEEN
    """`seen`: the robot's head camera sees both places to grasp from the start; `search`: it does not"""
    difficulty: float = 1.0
    """0 = straight behind a cart of the default mass, 1 = the whole ranges below [-]"""
    start_distance_m: tuple[float, float] = (1.0, 1.5)
    """range of the robot's start behind the bar, pelvis to bar"""
    start_lateral_m: float = 0.75
    """at difficulty 1 the robot starts up to this far beside the cart's axis"""
    start_heading_rad: float = float(np.deg2rad(60.0))
    """at difficulty 1 the robot starts turned by up to this from the cart's axis"""
    mass_spread: float = 0.3
    """at difficulty 1 the mass lies within this share of the default"""
    rolling_spread: float = 0.6
    """the same for the rolling resistance"""
    swivel_rad: float = 0.8
    """at difficulty 1 the swivel wheels start turned by up to this, so that the cart pulls aside at first"""
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

    def __post_init__(self) -> None:
        if self.split not in (SEEN, SEARCH) or not 0.0 <= self.difficulty <= 1.0:
            raise ConfigError(
                f"split is {SEEN!r} or {SEARCH!r} and difficulty in 0..1, not {self.split!r} and {self.difficulty}"
            )


class CartPushing(Task):
    """The lane begins under the cart and points where it points; a cart that has left it once has failed."""

    name = "cart-pushing"
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("reached", "grasped", "moving", "one_metre", "two_metres", "arrived", "done")
    time_limit_s = 60.0

    def __init__(self, config: CartPushingConfig | None = None) -> None:
        self.config = config or CartPushingConfig()
        self._strayed = False
        self._stopped_since_s: float | None = None

    def build(self, spec: RobotSpec) -> World:
        """A long room with a cart and its lane, in the start of seed 0."""
        config = self.config
        scene = build_scene(spec, MjcfOptions(), RoomConfig(half_x=5.0, floor="tiles", floor_colour=(0.70, 0.70, 0.67)))
        add_cart(scene, CART, config.cart, COLOURS[0])
        _add_lane(scene, config)
        world = World(spec, scene)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Mass, rolling, colours and place of the cart, then the robot behind it, all drawn from the seed."""
        config, rng = self.config, np.random.default_rng((seed, 1))
        size = config.difficulty
        mass, rolling = 1.0 + size * rng.uniform(-1, 1, 2) * (config.mass_spread, config.rolling_spread)
        load_cart(world, CART, config.cart, config.cart.mass_kg * float(mass), config.cart.rolling * float(rolling))
        paint_cart(world, CART, *COLOURS[int(rng.integers(len(COLOURS)))])
        place = np.array([-1.0, 0.0]) + rng.uniform(-1, 1, 2) * config.place_m
        yaw = float(rng.uniform(-1, 1)) * config.turned_rad
        swivels = size * config.swivel_rad * rng.uniform(-1, 1, 2)
        for _ in range(1000):
            start = _start(config, rng)
            world.reset(*_robot_place(config, place, yaw, start))
            world.place(LANE, (*place, 0.0), yaw)
            world.place(CART, (*place, 0.0), yaw)
            if bool(grips_in_view(world, config.grip_m).all()) == (config.split == SEEN):
                break
        else:
            raise ConfigError(f"no start of split {config.split!r} at difficulty {size}; a larger one has some")
        turn_swivels(world, CART, swivels)
        self._strayed, self._stopped_since_s = False, None

    def progress(self, world: World) -> Mapping[str, bool]:
        """`reached`: stands at the bar; `grasped`: both hands touch it; `moving`, `one_metre`, `two_metres`,
        `arrived`: pushed so far by both hands, never out of the lane; `done`: and stopped there for a while."""
        config = self.config
        upright = not has_fallen(world)
        away = world.root_pose()[0][:2] - bar_ends(world, CART).mean(axis=0)[:2]
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
    touching = on_bar(world, CART)
    return all(touching & set(hand_bodies(side)) for side in ("left", "right"))


def grips_in_view(world: World, grip_m: float) -> Float[np.ndarray, "2"]:
    """Whether the left and the right place to grasp fall into the head camera's picture (1 or 0)."""
    ends = bar_ends(world, CART)
    middle, along = ends.mean(axis=0), ends[0] - ends[1]
    along = grip_m * along / np.linalg.norm(along)
    view, camera = world.data.camera("head"), world.model.camera("head")
    seen = (np.stack([middle + along, middle - along]) - view.xpos) @ view.xmat.reshape(3, 3)
    half = np.tan(np.deg2rad(float(camera.fovy[0])) / 2.0)
    width, height = world.model.cam_resolution[camera.id]
    depth = -seen[:, 2]
    inside = (depth > 0) & (np.abs(seen[:, 1]) < half * depth)
    return (inside & (np.abs(seen[:, 0]) < half * width / height * depth)).astype(float)


def _start(config: CartPushingConfig, rng: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Distance behind the bar, lateral offset [m] and heading [rad] of the robot."""
    lateral, heading = config.difficulty * rng.uniform(-1, 1, 2) * (config.start_lateral_m, config.start_heading_rad)
    return np.array([rng.uniform(*config.start_distance_m), lateral, heading])


def _robot_place(
    config: CartPushingConfig, place: Float[np.ndarray, "2"], yaw: float, start: Float[np.ndarray, "3"]
) -> tuple[tuple[float, float], float]:
    """Where the robot starts, and its heading."""
    behind = config.cart.bar_x_m - start[0]
    x = place[0] + np.cos(yaw) * behind - np.sin(yaw) * start[1]
    y = place[1] + np.sin(yaw) * behind + np.cos(yaw) * start[1]
    return (float(x), float(y)), yaw + float(start[2])


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
