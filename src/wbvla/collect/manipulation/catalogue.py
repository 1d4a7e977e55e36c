"""What the tables of manipulation video hold: colours, surfaces and objects, apart for training and for testing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from wbvla.core.errors import ConfigError
from wbvla.sim.scene import RoomConfig
from wbvla.sim.workbench import BenchLook, Colour, Part, Thing

JITTER = 0.04
"""a drawn colour is at most this far from the named one in each channel; any two names are further apart than two"""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Everything one split draws from; no entry is in both splits."""

    colours: Mapping[str, Colour]
    """of things, containers and mats"""
    tables: tuple[str, ...]
    """surfaces of `sim/texture.py`"""
    table_colours: tuple[Colour, ...]
    floors: tuple[str, ...]
    walls: tuple[str, ...]
    wraps: tuple[str, ...]
    """surfaces on large boxes"""
    things: tuple[str, ...]
    """taken by one hand"""
    bars: tuple[str, ...]
    """long enough for two hands"""
    boxes: tuple[str, ...]
    """lifted by both hands"""
    slabs: tuple[str, ...]
    """pushed by both hands"""
    wipers: tuple[str, ...]
    containers: Mapping[str, tuple[float, float, float]]
    """noun -> outer half sizes [m]"""


TRAIN = Catalogue(
    colours={
        "red": (0.80, 0.12, 0.10),
        "green": (0.13, 0.58, 0.20),
        "blue": (0.12, 0.28, 0.78),
        "yellow": (0.92, 0.80, 0.14),
        "orange": (0.93, 0.46, 0.08),
        "purple": (0.48, 0.18, 0.62),
    },
    tables=("wood", "planks", "cloth"),
    table_colours=((0.72, 0.56, 0.40), (0.46, 0.32, 0.22), (0.86, 0.82, 0.74), (0.58, 0.60, 0.62), (0.34, 0.40, 0.44)),
    floors=("planks", "tiles", "carpet"),
    walls=("plaster", "stripes"),
    wraps=("cardboard", "print"),
    things=("block", "can", "packet"),
    bars=("bar", "hammer"),
    boxes=("box", "parcel"),
    slabs=("crate",),
    wipers=("sponge",),
    containers={"tray": (0.085, 0.10, 0.014), "basket": (0.075, 0.09, 0.032)},
)
TEST = Catalogue(
    colours={
        "pink": (0.94, 0.52, 0.68),
        "turquoise": (0.15, 0.70, 0.70),
        "brown": (0.40, 0.25, 0.12),
        "lime": (0.62, 0.86, 0.16),
    },
    tables=("checks", "parquet", "concrete"),
    table_colours=((0.62, 0.46, 0.34), (0.75, 0.76, 0.72), (0.44, 0.36, 0.36), (0.50, 0.54, 0.46)),
    floors=("parquet", "concrete"),
    walls=("bricks", "panels"),
    wraps=("checks",),
    things=("brick", "jar"),
    bars=("dumbbell",),
    boxes=("case",),
    slabs=("book",),
    wipers=("rag",),
    containers={"dish": (0.08, 0.08, 0.020), "bin": (0.07, 0.10, 0.036)},
)
SPLITS = {"train": TRAIN, "test": TEST}


def catalogue(split: str) -> Catalogue:
    """The catalogue of `train` or `test`; raises ConfigError otherwise."""
    if split not in SPLITS:
        raise ConfigError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    return SPLITS[split]


# Things, each drawn in size.

Rng = np.random.Generator


def block(rng: Rng) -> Thing:
    """A cube."""
    h = float(rng.uniform(0.020, 0.027))
    return Thing(kind="block", parts=(Part(kind="box", size=(h, h, h)),), half=(h, h, h), mass=0.08, square=True)


def can(rng: Rng) -> Thing:
    """A standing cylinder with bright lids."""
    r, h = float(rng.uniform(0.024, 0.031)), float(rng.uniform(0.035, 0.048))
    lids = tuple(
        Part(kind="cylinder", size=(r * 0.92, 0.002), xyz=(0.0, 0.0, z), shade=1.7, meets=False) for z in (h, -h)
    )
    parts = (Part(kind="cylinder", size=(r, h)), *lids)
    return Thing(kind="can", parts=parts, half=(r, r, h), mass=0.12, square=True)


def packet(rng: Rng) -> Thing:
    """A small printed packet on its edge."""
    x, y, z = (float(v) for v in rng.uniform((0.014, 0.026, 0.026), (0.020, 0.036, 0.036)))
    return Thing(kind="packet", parts=(Part(kind="box", size=(x, y, z)),), half=(x, y, z), mass=0.07, wrap="print")


def brick(rng: Rng) -> Thing:
    """A toy brick with two studs."""
    x, y, z = (float(v) for v in rng.uniform((0.016, 0.032, 0.016), (0.021, 0.04, 0.021)))
    studs = tuple(
        Part(kind="cylinder", size=(0.008, 0.004), xyz=(0.0, side * y / 2, z + 0.004), meets=False) for side in (1, -1)
    )
    return Thing(kind="brick", parts=(Part(kind="box", size=(x, y, z)), *studs), half=(x, y, z), mass=0.07)


def jar(rng: Rng) -> Thing:
    """A glass with a wider lid."""
    r, h = float(rng.uniform(0.025, 0.029)), float(rng.uniform(0.032, 0.042))
    lid = Part(kind="cylinder", size=(r + 0.002, 0.009), xyz=(0.0, 0.0, h - 0.009), shade=0.45)
    glass = Part(kind="cylinder", size=(r, h), shade=1.25)
    return Thing(kind="jar", parts=(glass, lid), half=(r, r, h), mass=0.13, square=True)


def bar(rng: Rng) -> Thing:
    """A long bar with darker ends."""
    y = float(rng.uniform(0.095, 0.115))
    ends = tuple(
        Part(kind="box", size=(0.0145, 0.012, 0.0145), xyz=(0.0, s * (y - 0.012), 0.0), shade=0.6, meets=False)
        for s in (1, -1)
    )
    parts = (Part(kind="box", size=(0.014, y, 0.014)), *ends)
    return Thing(kind="bar", parts=parts, half=(0.014, y, 0.014), mass=0.12)


def hammer(rng: Rng) -> Thing:
    """A toy hammer that lies on its side."""
    y = float(rng.uniform(0.095, 0.11))
    head = Part(kind="box", size=(0.034, 0.016, 0.015), xyz=(0.0, y - 0.016, 0.0), shade=0.5)
    parts = (Part(kind="box", size=(0.012, y, 0.015)), head)
    return Thing(kind="hammer", parts=parts, half=(0.034, y, 0.015), mass=0.13)


def dumbbell(rng: Rng) -> Thing:
    """A bar between two square weights."""
    y = float(rng.uniform(0.105, 0.12))
    weights = tuple(
        Part(kind="box", size=(0.024, 0.012, 0.017), xyz=(0.0, s * (y - 0.012), 0.0), shade=0.6) for s in (1, -1)
    )
    parts = (Part(kind="box", size=(0.012, y, 0.012)), *weights)
    return Thing(kind="dumbbell", parts=parts, half=(0.024, y, 0.017), mass=0.14)


def box(rng: Rng) -> Thing:
    """A box with a strip of tape."""
    x, y, z = (float(v) for v in rng.uniform((0.07, 0.08, 0.055), (0.10, 0.12, 0.08)))
    tape = Part(kind="box", size=(x + 0.0008, y * 0.16, z + 0.0008), shade=1.5, meets=False)
    return Thing(
        kind="box", parts=(Part(kind="box", size=(x, y, z)), tape), half=(x, y, z), mass=float(rng.uniform(0.4, 0.8))
    )


def parcel(rng: Rng) -> Thing:
    """A box of cardboard or with a label."""
    x, y, z = (float(v) for v in rng.uniform((0.07, 0.08, 0.055), (0.10, 0.12, 0.08)))
    parts = (Part(kind="box", size=(x, y, z)),)
    wrap = str(rng.choice(TRAIN.wraps))
    return Thing(kind="parcel", parts=parts, half=(x, y, z), mass=float(rng.uniform(0.4, 0.8)), wrap=wrap)


def case(rng: Rng) -> Thing:
    """A checked case with corners."""
    x, y, z = (float(v) for v in rng.uniform((0.07, 0.085, 0.055), (0.095, 0.12, 0.075)))
    corners = tuple(
        Part(
            kind="box",
            size=(0.012, y + 0.001, 0.012),
            xyz=(i * (x - 0.011), 0.0, k * (z - 0.011)),
            meets=False,
            shade=0.4,
        )
        for i in (1, -1)
        for k in (1, -1)
    )
    parts = (Part(kind="box", size=(x, y, z)), *corners)
    return Thing(kind="case", parts=parts, half=(x, y, z), mass=float(rng.uniform(0.4, 0.8)), wrap=TEST.wraps[0])


def crate(rng: Rng) -> Thing:
    """A low crate with slats."""
    x, y, z = (float(v) for v in rng.uniform((0.06, 0.10, 0.028), (0.085, 0.14, 0.038)))
    slats = tuple(
        Part(kind="box", size=(x + 0.001, 0.012, z + 0.001), xyz=(0.0, s * y * 0.5, 0.0), shade=0.7, meets=False)
        for s in (-1, 0, 1)
    )
    return Thing(
        kind="crate",
        parts=(Part(kind="box", size=(x, y, z)), *slats),
        half=(x, y, z),
        mass=float(rng.uniform(0.6, 1.2)),
    )


def book(rng: Rng) -> Thing:
    """A large book with light pages."""
    x, y, z = (float(v) for v in rng.uniform((0.07, 0.10, 0.020), (0.09, 0.13, 0.028)))
    pages = Part(kind="box", size=(x + 0.0008, y - 0.006, z - 0.005), shade=1.9, meets=False)
    return Thing(
        kind="book", parts=(Part(kind="box", size=(x, y, z)), pages), half=(x, y, z), mass=float(rng.uniform(0.6, 1.1))
    )


def sponge(rng: Rng) -> Thing:
    """A sponge with a rough side."""
    parts = (
        Part(kind="box", size=(0.022, 0.038, 0.018)),
        Part(kind="box", size=(0.0222, 0.0382, 0.004), xyz=(0.0, 0.0, -0.014), shade=0.5, meets=False),
    )
    return Thing(kind="sponge", parts=parts, half=(0.022, 0.038, 0.018), mass=0.04)


def rag(rng: Rng) -> Thing:
    """A folded rag."""
    parts = (
        Part(kind="box", size=(0.024, 0.036, 0.014)),
        Part(kind="box", size=(0.0245, 0.0365, 0.001), xyz=(0.0, 0.0, 0.004), shade=0.6, meets=False),
        Part(kind="box", size=(0.0245, 0.0365, 0.001), xyz=(0.0, 0.0, -0.005), shade=0.6, meets=False),
    )
    return Thing(kind="rag", parts=parts, half=(0.024, 0.036, 0.014), mass=0.04)


MAKERS: Mapping[str, Callable[[Rng], Thing]] = {
    maker.__name__: maker
    for maker in (block, can, packet, brick, jar, bar, hammer, dumbbell, box, parcel, case, crate, book, sponge, rag)
}
"""noun -> how one is drawn"""


def tinted(colour: Colour, rng: Rng) -> Colour:
    """A colour near a named one."""
    r, g, b = np.clip(np.array(colour) + rng.uniform(-JITTER, JITTER, 3), 0.0, 1.0)
    return float(r), float(g), float(b)


def draw_look(store: Catalogue, rng: Rng) -> BenchLook:
    """A room, a table, a light and a slightly moved camera."""
    grey = rng.uniform(0.55, 0.95) + rng.uniform(-0.08, 0.08, 3)
    ground = rng.uniform(0.35, 0.75) + rng.uniform(-0.10, 0.10, 3)
    room = RoomConfig(
        half_x=float(rng.uniform(1.5, 2.1)),
        half_y=float(rng.uniform(1.5, 2.2)),
        floor=str(rng.choice(store.floors)),
        floor_colour=_triple(ground),
        wall=str(rng.choice(store.walls)),
        wall_colour=_triple(grey),
        light=float(rng.uniform(0.8, 1.15)),
        seed=int(rng.integers(1 << 31)),
        furnished=False,
    )
    return BenchLook(
        room=room,
        table_z=float(rng.uniform(0.72, 0.78)),
        table_width=float(rng.uniform(1.15, 1.6)),
        table=str(rng.choice(store.tables)),
        table_colour=tinted(store.table_colours[int(rng.integers(len(store.table_colours)))], rng),
        grain_m=float(rng.uniform(0.25, 0.6)),
        sun=(float(rng.uniform(-0.7, 0.7)), float(rng.uniform(-0.5, 0.5))),
        head_xyz=_triple(rng.normal(0.0, 0.012, 3), -1.0),
        head_rpy=_triple(rng.normal(0.0, 0.02, 3), -1.0),
        fovy_deg=float(rng.uniform(57.0, 64.0)),
        backdrop=tuple(_cupboard(room, rng) for _ in range(int(rng.integers(0, 3)))),
    )


def _cupboard(room: RoomConfig, rng: Rng) -> tuple[float, float, float, float, Colour]:
    colour = _triple(rng.uniform(0.3, 0.8) + rng.uniform(-0.1, 0.1, 3))
    y = float(rng.uniform(-1.0, 1.0) * (room.half_y - 0.4))
    return room.half_x - 0.2, y, float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.5, 1.1)), colour


def _triple(values: np.ndarray, low: float = 0.03) -> Colour:
    r, g, b = np.clip(values, low, 0.98)
    return float(r), float(g), float(b)
