"""Variation by seed: what a world looks like and how its floor grips, changed without compiling it again.

A task calls it as the last line of its `reset`, when everything is in its place:

    vary(world, self.config.variation, seed, objects=(BOX,), tables=(TABLE,))

Every field is set from the value it was compiled with (`World.nominal`) and from the seed alone: a seed inherits
nothing from an earlier one, and what is switched off is as it was built. Loose things are put where the task is not:
outside of `clear`, or of a margin around all that the task has built.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import quat_from_rpy, quat_multiply
from wbvla.sim.camera import UNSEEN
from wbvla.sim.furniture import BELOW, LOOSE, PIECE, SLACK_M, SMALL
from wbvla.sim.scene import World

Area = tuple[float, float, float, float]
"""a rectangle on the floor: low x, low y, high x, high y [m]"""
Rgb = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Looks:
    """A set of looks to draw from."""

    colours: tuple[Rgb, ...]
    """of objects (red, green, blue)"""
    wraps: tuple[str, ...]
    """materials of objects; empty = plain colour"""
    floors: Mapping[str, Rgb]
    """surfaces with their tint"""
    walls: tuple[str, ...]
    """surfaces"""


SPLITS = {
    "train": Looks(
        colours=(
            (0.72, 0.52, 0.32),
            (0.80, 0.22, 0.18),
            (0.16, 0.42, 0.74),
            (0.20, 0.58, 0.32),
            (0.90, 0.66, 0.16),
            (0.48, 0.28, 0.58),
        ),
        wraps=("", "wrap_cardboard", "wrap_cloth", "wrap_print"),
        floors={"planks": (0.78, 0.62, 0.45), "tiles": (0.74, 0.74, 0.72), "carpet": (0.56, 0.56, 0.57)},
        walls=("plaster", "stripes"),
    ),
    "test": Looks(
        colours=((0.93, 0.46, 0.10), (0.12, 0.60, 0.62), (0.88, 0.45, 0.60), (0.86, 0.86, 0.84), (0.26, 0.27, 0.30)),
        wraps=("wrap_checks", "wrap_stripes", "wrap_wood"),
        floors={"parquet": (0.70, 0.50, 0.34), "concrete": (0.62, 0.63, 0.64)},
        walls=("bricks", "panels"),
    ),
}
"""`train`: cardboard, red, blue, green, yellow, purple; `test`: orange, teal, pink, white, anthracite; no floor, wall,
wrap or colour is in both"""


@dataclass(frozen=True, kw_only=True)
class VariationConfig:
    """What differs from seed to seed, and by how much."""

    objects: bool = True
    """colour and texture of the task's objects"""
    light: bool = True
    """direction, strength and colour of the lamps"""
    surfaces: bool = True
    """floor and walls"""
    furniture: bool = True
    """which pieces stand along the walls, where and in which colour"""
    distractors: bool = True
    """loose things on the floor and on tables, seen and never met"""
    cameras: bool = True
    """mounting and field of view of the robot's cameras"""
    friction: bool = True
    """of floor and soles"""
    split: str = "train"
    """set of looks, one of `SPLITS`"""
    num_loose: int = 4
    """largest number of loose things on the floor [-]"""
    num_small: int = 2
    """largest number of small things on each table [-]"""
    margin_m: float = 0.9
    """loose things stay this far from all that the task has built, when it names no area to keep clear [m]"""
    camera_shift_m: float = 0.004
    """largest error of a camera's place along each axis [m]"""
    camera_tilt_rad: float = 0.015
    """largest error of a camera's direction about each axis [rad]"""
    camera_fovy_deg: float = 0.6
    """largest error of a camera's vertical angle of view [deg]"""
    friction_low: float = 0.65
    """smallest sliding friction of floor and soles; the controller was trained with 0.5 to 1.25 [-]"""
    friction_high: float = 1.0
    """largest [-]"""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ConfigError(f"unknown split of looks {self.split!r}; known: {', '.join(SPLITS)}")


PLAIN = VariationConfig(
    objects=False, light=False, surfaces=False, furniture=False, distractors=False, cameras=False, friction=False
)
"""nothing differs but what the task itself draws"""


def vary(
    world: World,
    config: VariationConfig,
    seed: int,
    objects: Sequence[str] = (),
    tables: Sequence[str] = (),
    clear: Area | None = None,
) -> None:
    """Give the world the looks of a seed: the same seed, the same world to the bit.

    `objects`: bodies that get the seed's colour and texture; `tables`: bodies of `add_table` that may carry small
    things away from the objects; `clear`: where nothing loose may stand, such as the way of a cart.
    """
    for number, (aspect, wanted) in enumerate(_switches(config).items()):
        rng = np.random.default_rng((seed, 3, number)) if wanted else None
        if aspect == "objects":
            for name in objects:
                _dress(world, name, SPLITS[config.split], rng)
        elif aspect == "distractors":
            _scatter(world, config, rng, clear)
            _lay(world, config, rng, tables)
        else:
            SETTERS[aspect](world, config, rng)
    mujoco.mj_forward(world.model, world.data)


def _switches(config: VariationConfig) -> Mapping[str, bool]:
    """Each has its own stream of numbers: switching one off leaves the others as they are."""
    return {
        "objects": config.objects,
        "light": config.light,
        "surfaces": config.surfaces,
        "furniture": config.furniture,
        "distractors": config.distractors,
        "cameras": config.cameras,
        "friction": config.friction,
    }


def _geoms_of(world: World, body: str) -> Iterable[int]:
    """All geometries of a body and of what hangs on it."""
    top = world.model.body(body).id
    ids = [top]
    for child in range(top + 1, world.model.nbody):
        if int(world.model.body_parentid[child]) in ids:
            ids.append(child)
    return np.flatnonzero(np.isin(world.model.geom_bodyid, ids)).tolist()


def _dress(world: World, name: str, looks: Looks, rng: np.random.Generator | None) -> None:
    """One colour for what can be touched, dark parts darker; a lighter one for decoration."""
    model, nominal = world.model, world.nominal
    geoms = list(_geoms_of(world, name))
    model.geom_rgba[geoms], model.geom_matid[geoms] = nominal["geom_rgba"][geoms], nominal["geom_matid"][geoms]
    if rng is None:
        return
    colour = np.array(looks.colours[int(rng.integers(len(looks.colours)))])
    colour = np.clip(colour * rng.uniform(0.88, 1.1) + rng.uniform(-0.04, 0.04, 3), 0.03, 0.97)
    wrap = looks.wraps[int(rng.integers(len(looks.wraps)))]
    material = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_MATERIAL, wrap) if wrap else -1
    solid = [g for g in geoms if model.geom_contype[g] or model.geom_conaffinity[g]]
    bright = nominal["geom_rgba"][solid, :3].mean(axis=1)
    for geom, share in zip(solid, bright / max(float(bright.max(initial=0.0)), 1e-6)):
        model.geom_rgba[geom, :3] = colour * share
        if share > 0.6:
            model.geom_matid[geom] = material
    model.geom_rgba[[g for g in geoms if g not in solid], :3] = 0.45 * colour + 0.5


def _light(world: World, config: VariationConfig, rng: np.random.Generator | None) -> None:
    """Lamps from elsewhere, stronger or weaker, warmer or colder."""
    model, nominal = world.model, world.nominal
    model.light_dir[:], model.light_diffuse[:] = nominal["light_dir"], nominal["light_diffuse"]
    head = model.vis.headlight
    head.ambient[:], head.diffuse[:] = nominal["head_ambient"], nominal["head_diffuse"]
    if rng is None:
        return
    warm = rng.uniform(-1.0, 1.0)
    tint = np.array([1.0 + 0.07 * warm, 1.0, 1.0 - 0.12 * warm])
    for lamp in range(model.nlight):
        turn, lean = rng.uniform(-np.pi, np.pi), rng.uniform(0.25, 0.75)
        direction = np.array([lean * np.cos(turn), lean * np.sin(turn), -1.0])
        model.light_dir[lamp] = direction / np.linalg.norm(direction)
        model.light_diffuse[lamp] *= rng.uniform(0.7, 1.25) * tint
    head.ambient[:] *= rng.uniform(0.78, 1.12) * tint
    head.diffuse[:] *= rng.uniform(0.7, 1.2)


def _surfaces(world: World, config: VariationConfig, rng: np.random.Generator | None) -> None:
    """Another floor and other walls, tinted."""
    model, nominal, looks = world.model, world.nominal, SPLITS[config.split]
    shown = [model.geom(name).id for name in ("floor", "wall_0", "wall_1", "wall_2", "wall_3")]
    model.geom_matid[shown], model.mat_rgba[:] = nominal["geom_matid"][shown], nominal["mat_rgba"]
    if rng is None or mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_MATERIAL, "floor_planks") < 0:
        return
    floor = sorted(looks.floors)[int(rng.integers(len(looks.floors)))]
    wall = looks.walls[int(rng.integers(len(looks.walls)))]
    tints = (np.array(looks.floors[floor]), np.array([0.95, 0.96, 0.94]))
    for name, tint, geoms in ((f"floor_{floor}", tints[0], shown[:1]), (f"wall_{wall}", tints[1], shown[1:])):
        material = model.material(name).id
        shade = tint * rng.uniform(0.8, 1.15) * (1.0 + rng.uniform(-0.07, 0.07, 3))
        model.mat_rgba[material, :3] = np.clip(shade / 0.85, 0.05, 1.15)
        model.geom_matid[geoms] = material


def _furniture(world: World, config: VariationConfig, rng: np.random.Generator | None) -> None:
    """Pieces along the walls are shifted, tinted or absent."""
    model, nominal = world.model, world.nominal
    for geoms in _pieces(world).values():
        for field in ("geom_pos", "geom_rgba", "geom_group"):
            getattr(model, field)[geoms] = nominal[field][geoms]
        if rng is None:
            continue
        shift, tint, shown = rng.uniform(-SLACK_M, SLACK_M), rng.uniform(0.8, 1.12, 3), rng.random() > 0.2
        model.geom_pos[geoms, 1] += shift
        model.geom_rgba[geoms, :3] = np.clip(model.geom_rgba[geoms, :3] * tint, 0.0, 1.0)
        if not shown:
            model.geom_group[geoms] = UNSEEN


def _pieces(world: World) -> Mapping[str, list[int]]:
    """Geometries of each piece of furniture that stands along a wall."""
    model, pieces = world.model, {}
    for geom in np.flatnonzero(model.geom_bodyid > 0):
        name = model.geom(geom).name
        if name.startswith(PIECE) and model.body(model.geom_bodyid[geom]).name.startswith("wall_"):
            pieces.setdefault(name.rpartition(".")[0], []).append(int(geom))
    return pieces


def _cameras(world: World, config: VariationConfig, rng: np.random.Generator | None) -> None:
    """Cameras are mounted and ground a little differently on each robot."""
    model, nominal = world.model, world.nominal
    for camera in (c for c in world.spec.cameras if c.role != "view"):
        index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, camera.name)
        if index < 0:
            continue
        for field in ("cam_pos", "cam_quat", "cam_fovy"):
            getattr(model, field)[index] = nominal[field][index]
        if rng is not None:
            model.cam_pos[index] += rng.uniform(-1, 1, 3) * config.camera_shift_m
            tilt = quat_from_rpy(rng.uniform(-1, 1, 3) * config.camera_tilt_rad)
            model.cam_quat[index] = quat_multiply(nominal["cam_quat"][index], tilt)
            model.cam_fovy[index] += rng.uniform(-1, 1) * config.camera_fovy_deg


def _friction(world: World, config: VariationConfig, rng: np.random.Generator | None) -> None:
    """Floor and soles: the soles' value decides between them, the floor's is felt by wheels and objects."""
    model, field = world.model, world.nominal["geom_friction"]
    grip = None if rng is None else rng.uniform(config.friction_low, config.friction_high)
    for geom in range(model.ngeom):
        name = model.geom(geom).name
        if name == "floor" or "_sole_" in name:
            model.geom_friction[geom, 0] = field[geom, 0] if grip is None else grip


SETTERS = {
    "light": _light,
    "surfaces": _surfaces,
    "furniture": _furniture,
    "cameras": _cameras,
    "friction": _friction,
}


def _put(world: World, name: str, xyz: Sequence[float] | Float[np.ndarray, "3"], yaw: float = 0.0) -> None:
    body = world.model.body(f"{PIECE}{name}").id
    world.model.body_pos[body] = xyz
    world.model.body_quat[body] = quat_from_rpy(np.array([0.0, 0.0, yaw]))


def _has(world: World, name: str) -> bool:
    return mujoco.mj_name2id(world.model, mujoco.mjtObj.mjOBJ_BODY, f"{PIECE}{name}") >= 0


def _task_area(world: World, margin_m: float) -> Area:
    """The rectangle around the robot and all that is no room, grown by a margin."""
    model, data = world.model, world.data
    names = [model.body(int(b)).name for b in model.geom_bodyid]
    mine = [bool(n) and n != "world" and not n.startswith(("wall_", PIECE)) for n in names]
    reach = model.geom_rbound[mine, None] + margin_m
    centres = data.geom_xpos[mine, :2]
    low, high = (centres - reach).min(axis=0), (centres + reach).max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _scatter(world: World, config: VariationConfig, rng: np.random.Generator | None, clear: Area | None) -> None:
    """Loose things on the floor, off the walls' furniture and off the task."""
    names = [name for name in LOOSE if _has(world, name)]
    for name in names:
        _put(world, name, BELOW)
    if rng is None or not names:
        return
    mujoco.mj_kinematics(world.model, world.data)
    low_x, low_y, high_x, high_y = clear or _task_area(world, config.margin_m)
    half = world.model.geom("floor").size[:2] - 1.0
    taken: list[np.ndarray] = []
    for name in rng.permutation(names)[: rng.integers(1, config.num_loose + 1)]:
        for _ in range(30):
            xy = rng.uniform(-half, half)
            inside = low_x < xy[0] < high_x and low_y < xy[1] < high_y
            if not inside and all(np.linalg.norm(xy - other) > 0.6 for other in taken):
                taken.append(xy)
                _put(world, str(name), (*xy, 0.0), rng.uniform(-np.pi, np.pi))
                break


def _lay(world: World, config: VariationConfig, rng: np.random.Generator | None, tables: Sequence[str]) -> None:
    """Small things on tables, a hand's width and more from everything that can be moved."""
    names = [name for name in SMALL if _has(world, name)]
    for name in names:
        _put(world, name, BELOW)
    if rng is None or not names:
        return
    model, data = world.model, world.data
    loose = model.body_dofnum[model.body_rootid[model.geom_bodyid]] > 0
    taken, near = data.geom_xpos[loose], model.geom_rbound[loose] + 0.2
    things = list(rng.permutation(names))
    for table in tables:
        top = int(model.body(table).geomadr[0])
        half, centre, turn = model.geom_size[top], data.geom_xpos[top], data.geom_xmat[top].reshape(3, 3)
        lacking = int(rng.integers(0, config.num_small + 1))
        for _ in range(24):
            spot = centre + turn @ np.array([*(rng.uniform(-1, 1, 2) * (half[:2] - 0.09)), half[2]])
            yaw = rng.uniform(-np.pi, np.pi)
            if lacking and things and bool((np.linalg.norm(taken - spot, axis=1) > near).all()):
                _put(world, str(things.pop()), spot, yaw)
                taken, near, lacking = np.vstack([taken, spot]), np.append(near, 0.17), lacking - 1
