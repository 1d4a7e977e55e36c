"""Go to furniture: the words name a piece; find it among others in a furnished room, walk up to it, look at it, stand.

Which piece a seed asks for is `GOALS[seed % len(GOALS)]`, and phrasing i of either list names goal i of the same count:
`instruction(seed)` and the trials of `evaluate.trials`, whose seeds begin at a multiple of it, say what the world
wants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import wrap_angle, yaw_of
from wbvla.robots.description import RobotSpec
from wbvla.sim.camera import UNSEEN
from wbvla.sim.furniture import BELOW, PIECE
from wbvla.sim.interior import PIECES, Touches, add_overview, add_pieces, corners, from_front_m, front
from wbvla.sim.mjcf import MjcfOptions
from wbvla.sim.scene import RoomConfig, World, build_scene
from wbvla.sim.tasks.navigation import SEES, Stay, touches_of
from wbvla.sim.tasks.start import DRAWS, SEARCH, SEEN_SHARE, VIEW, seen_share
from wbvla.sim.tasks.task import NAVIGATION, Task, has_fallen, tasks
from wbvla.sim.tasks.variation import VariationConfig, vary

GOALS = ("kitchen_table", "sofa", "shelf_with_plant", "fridge", "cabinet")
OTHERS = ("shelf",)
"""pieces that are there to be told from a goal"""
OBSTACLE = "low_table"
NAMES: Mapping[str, tuple[str, ...]] = {
    "kitchen_table": ("the kitchen table", "the table with the bowl of fruit"),
    "sofa": ("the sofa", "the couch"),
    "shelf_with_plant": ("the shelf by the plant", "the bookcase next to the plant"),
    "fridge": ("the fridge", "the white refrigerator"),
    "cabinet": ("the sideboard with the lamp", "the low cabinet with the lamp on it"),
}
WAYS = (("go to {}", 0), ("walk to {}", 1), ("please walk over to {} and stop there", 0), ("go and stand at {}", 1))
TRAIN = tuple(way.format(NAMES[goal][which]) for way, which in WAYS for goal in GOALS)
KEPT = (("could you make your way to {}", 1), ("find {} and wait in front of it", 0))
TEST = tuple(way.format(NAMES[goal][which]) for way, which in KEPT for goal in GOALS)
SLOTS: tuple[tuple[int, float], ...] = (
    *((0, y) for y in (-1.35, 1.35)),
    *((1, y) for y in (-1.35, 1.35)),
    *((2, x) for x in (-2.1, 0.0, 2.1)),
    *((3, x) for x in (-2.1, 0.0, 2.1)),
)
"""wall and place along it [m]: where pieces may stand"""
WALLS = ((1.0, 0.0, np.pi), (-1.0, 0.0, 0.0), (0.0, 1.0, -np.pi / 2), (0.0, -1.0, np.pi / 2))
"""direction of each wall from the room's middle, and the way it looks [rad]"""
HIDDEN_M = 0.05
"""what hangs on a wall nearer to a tall piece than this is behind it [m]"""
Layout = Mapping[str, tuple[np.ndarray, float]]
"""piece -> its place [m] and heading [rad]"""
Obstacle = tuple[float, float, float] | None


@dataclass(frozen=True, kw_only=True)
class GoConfig:
    """The room, the start and what counts as being there."""

    room: RoomConfig = field(default_factory=RoomConfig)
    """its size"""
    variation: VariationConfig = field(default_factory=VariationConfig)
    """looks and grip by seed"""
    distance_m: tuple[float, float] = (1.2, 4.0)
    """range of the way from the start to the goal at full difficulty; at 0 all starts are at the nearest"""
    heading_rad: float = float(np.pi)
    """a start looks up to this away from its goal at full difficulty"""
    difficulty: float = 1.0
    """0 = near and looking at the goal, nothing in the way; 1 = all of the ranges [-]"""
    split: str = VIEW
    """`view`: at least half of the goal is in the forward or the head camera's picture at the start; `search`: less"""
    jitter_m: float = 0.12
    """pieces stand up to this far beside their slots"""
    gap_m: float = 0.008
    """and so far from the wall"""
    clear_m: float = 0.55
    """a start is this far from all furniture, the obstacle too"""
    blocked: float = 0.6
    """share of the starts at full difficulty with a low table in the way, where there is room for one [-]"""
    around_m: float = 0.85
    """room on every side of it"""
    stop_m: float = 0.55
    """where to stand before a piece's front"""
    reach_m: float = 0.75
    """a root nearer to the goal's footprint than this is there"""
    facing_rad: float = float(np.deg2rad(35.0))
    """a robot that looks at the goal's middle within this, or as its front does, faces it"""
    still_mps: float = 0.08
    """a root slower than this stands"""
    hold_s: float = 1.0
    """time for which it stands there"""

    def __post_init__(self) -> None:
        if self.split not in (VIEW, SEARCH) or not 0.0 <= self.difficulty <= 1.0:
            raise ConfigError(f"starts need a split in ({VIEW}, {SEARCH}) and a difficulty in 0..1, not {self}")


class GoToFurniture(Task):
    """Done when the robot stands before the named piece, faces it, and has touched nothing on its way."""

    name = "go-to-furniture"
    family = NAVIGATION
    cameras = (SEES,)
    train_instructions, test_instructions = TRAIN, TEST
    subgoals = ("half_way", "near", "facing", "arrived")
    time_limit_s = 60.0

    def __init__(self, config: GoConfig | None = None) -> None:
        self.config = config or GoConfig()
        self.goal = GOALS[0]
        self._away_m = 0.0
        self._stay = Stay(self.config.still_mps)

    def phrasings(self, seed: int) -> tuple[str, ...]:
        """The train phrasings that name the seed's goal."""
        return TRAIN[seed % len(GOALS) :: len(GOALS)]

    def build(self, spec: RobotSpec) -> World:
        """A room with furniture that can be met, in the start of seed 0."""
        scene = build_scene(spec, MjcfOptions(), self.config.room)
        add_pieces(scene, (*GOALS, *OTHERS, OBSTACLE))
        add_overview(scene, self.config.room)
        world = World(spec, scene)
        Touches(world)
        self.reset(world, 0)
        return world

    def reset(self, world: World, seed: int) -> None:
        """Which piece is meant, where all of them stand, and the robot among them: drawn from the seed."""
        rng = np.random.default_rng((seed, 30))
        self.goal = GOALS[seed % len(GOALS)]
        layout = self._layout(rng)
        xy, yaw = self._draw_start(world, rng, layout)
        self._place(world, layout, xy, yaw, self._obstacle(world, rng, layout, xy))
        self._begin(world, seed)

    def reset_at(self, world: World, seed: int, xy: tuple[float, float], yaw: float) -> None:
        """The room of a seed with the robot at a place of one's own, in view or not."""
        rng = np.random.default_rng((seed, 30))
        self.goal = GOALS[seed % len(GOALS)]
        self._place(world, self._layout(rng), np.array(xy), yaw)
        self._begin(world, seed)

    def _layout(self, rng: np.random.Generator) -> Layout:
        """Place and heading of each piece along the walls."""
        config, half = self.config, (self.config.room.half_x, self.config.room.half_y)
        slots = rng.permutation(len(SLOTS))
        layout: dict[str, tuple[np.ndarray, float]] = {}
        for name, slot in zip((*GOALS, *OTHERS), slots):
            wall, along = SLOTS[int(slot)]
            x, y, yaw = WALLS[wall]
            along += float(rng.uniform(-1, 1)) * config.jitter_m
            out = np.array([x * (half[0] - config.gap_m), y * (half[1] - config.gap_m)])
            layout[name] = (out + along * np.array([abs(y), abs(x)]), yaw)
        return layout

    def _place(
        self, world: World, layout: Layout, xy: Float[np.ndarray, "2"], yaw: float, obstacle: Obstacle = None
    ) -> None:
        world.reset((float(xy[0]), float(xy[1])), yaw)
        for name, (at, turned) in layout.items():
            world.place(name, (float(at[0]), float(at[1]), 0.0), turned)
        x, y, turned = obstacle or (0.0, 0.0, 0.0)
        world.place(OBSTACLE, (x, y, 0.0 if obstacle else BELOW[2]), turned)

    def _draw_start(
        self, world: World, rng: np.random.Generator, layout: Layout
    ) -> tuple[Float[np.ndarray, "2"], float]:
        """The first free place of the split, with the way to the goal and its heading in their ranges."""
        config = self.config
        near, far = config.distance_m
        half = np.array([config.room.half_x, config.room.half_y])
        self._place(world, layout, np.zeros(2), 0.0)
        goal, _ = front(world, self.goal, config.stop_m)
        for _ in range(DRAWS):
            xy = rng.uniform(-half, half)
            way, off = goal - xy, float(rng.uniform(-1, 1)) * config.heading_rad * config.difficulty
            away = float(np.linalg.norm(way))
            crowded = min(from_front_m(world, name, xy) for name in layout) < config.clear_m
            if crowded or (half - np.abs(xy) < config.clear_m).any():
                continue
            if not near <= away <= near + 0.3 + (far - near - 0.3) * config.difficulty:
                continue
            yaw = float(wrap_angle(float(np.arctan2(way[1], way[0])) + off))
            self._place(world, layout, xy, yaw)
            if self.sees(world) == (config.split == VIEW):
                return xy, yaw
        raise ConfigError(f"none of {DRAWS} starts of {config} is in the split {config.split!r}: change the difficulty")

    def _obstacle(self, world: World, rng: np.random.Generator, layout: Layout, xy: Float[np.ndarray, "2"]) -> Obstacle:
        """A low table in the way, when the seed wants one and there is room to pass on both sides."""
        config, wanted = self.config, rng.random() < self.config.blocked * self.config.difficulty
        share, aside, turned = float(rng.uniform(0.4, 0.6)), float(rng.uniform(-0.25, 0.25)), float(rng.uniform(-1, 1))
        goal, _ = front(world, self.goal, config.stop_m)
        way = goal - xy
        left = np.array([-way[1], way[0]]) / max(1e-6, float(np.linalg.norm(way)))
        at = xy + share * way + aside * left
        half_m = float(np.hypot(*PIECES[OBSTACLE].high))
        rooms = [*(from_front_m(world, name, at) for name in layout), float(np.linalg.norm(at - xy))]
        rooms += [float(np.linalg.norm(at - goal)), config.room.half_x - abs(at[0]), config.room.half_y - abs(at[1])]
        return (float(at[0]), float(at[1]), turned) if wanted and min(rooms) > half_m + config.around_m else None

    def _begin(self, world: World, seed: int) -> None:
        """Looks, without loose things, which are never met; no window behind a tall piece; clocks at zero."""
        vary(world, replace(self.config.variation, distractors=False), seed)
        self._bare(world)
        touches_of(world).reset()
        self._stay.reset()
        self._away_m = self.away_m(world)

    @staticmethod
    def _bare(world: World) -> None:
        """Hide what hangs on a wall behind a piece that covers it."""
        model = world.model
        tall = [name for name in (*GOALS, *OTHERS) if PIECES[name].height_m > 1.0]
        walls = [model.body(f"wall_{index}").id for index in range(len(WALLS))]
        hung: dict[str, list[int]] = {}
        for geom in np.flatnonzero(np.isin(model.geom_bodyid, walls)):
            if model.geom(int(geom)).name.startswith(PIECE):
                hung.setdefault(model.geom(int(geom)).name.rpartition(".")[0], []).append(int(geom))
        for geoms in hung.values():
            spots = [world.data.geom_xpos[geom][:2] for geom in geoms]
            if any(from_front_m(world, name, at) < HIDDEN_M for name in tall for at in spots):
                model.geom_group[geoms] = UNSEEN

    # Where the robot is.

    def away_m(self, world: World) -> float:
        """Root to the nearest point of the goal's footprint [m]."""
        return from_front_m(world, self.goal, world.root_pose()[0][:2])

    def sees(self, world: World) -> bool:
        """Whether at least half of the goal is in one picture: of the forward camera, or of the head's when near."""
        return max(seen_share(world, self.goal, camera) for camera in (SEES, "head")) >= SEEN_SHARE

    def faces(self, world: World) -> bool:
        """Whether the robot looks at the goal: at its middle, or straight at its front."""
        root, quat = world.root_pose()
        middle, straight = corners(world, self.goal).mean(axis=0) - root[:2], front(world, self.goal, 0.0)[1]
        yaw = float(yaw_of(quat))
        off = (float(wrap_angle(heading - yaw)) for heading in (float(np.arctan2(middle[1], middle[0])), straight))
        return min(abs(one) for one in off) < self.config.facing_rad

    def touched(self, world: World) -> bool:
        """Whether the robot has met anything but the floor since the reset."""
        return bool(touches_of(world).met)

    def progress(self, world: World) -> Mapping[str, bool]:
        """`half_way`: half of the way is behind the robot; `near`: it is at the goal; `facing`: and looks at it;
        `arrived`: and has stood there for a second, nothing touched."""
        config, away = self.config, self.away_m(world)
        good = not has_fallen(world) and not self.touched(world)
        near = good and away < config.reach_m
        facing = near and self.faces(world)
        stood_s = self._stay.see(world, facing)
        return {
            "half_way": good and away < max(0.5 * self._away_m, config.reach_m),
            "near": near,
            "facing": facing,
            "arrived": stood_s >= config.hold_s - 1e-9,
        }

    def success(self, world: World) -> bool:
        """The robot stands before the goal."""
        return self.progress(world)["arrived"]


@tasks.register("go-to-furniture")
def go_to_furniture() -> Task:
    """Go to furniture with its default room, the goal in view at the start."""
    return GoToFurniture()
