"""Furniture of the rooms that people walk through: each piece is drawn, covers floor, and offers places and things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from wbvla.collect.ego.draft import BOX, CYLINDER, ELLIPSOID, PLANE, Draft, Spot

STEEL, DARK, WHITE = (0.62, 0.64, 0.66), (0.10, 0.10, 0.11), (0.93, 0.93, 0.91)
Build = Callable[[Draft, Spot, float], None]


def _legs(draft: Draft, spot: Spot, reach: tuple[float, float, float, float], height: float, colour: object) -> None:
    """Four legs under the corners x0, x1, y0, y1."""
    x0, x1, y0, y1 = reach
    for x in (x0, x1):
        for y in (y0, y1):
            draft.solid(spot, BOX, (0.02, 0.02, height / 2), (x, y, height / 2), np.array(colour))


def table(draft: Draft, spot: Spot, width: float) -> None:
    """A table at a wall, often with a bowl or a vase, and a chair beside it where there is room."""
    rng, wood = draft.rng, draft.wood()
    height, depth = rng.uniform(0.70, 0.78), rng.uniform(0.5, 0.65)
    draft.solid(spot, BOX, (depth / 2, width / 2, 0.018), (depth / 2 + 0.03, 0, height - 0.018), wood, "wood")
    _legs(draft, spot, (0.07, depth, 0.05 - width / 2, width / 2 - 0.05), height - 0.036, wood)
    if rng.random() < 0.5:
        draft.solid(spot, CYLINDER, (0.05, 0.09), (0.16, -0.36 * width, height + 0.09), draft.cloth())
    draft.block(spot, "table", (0.0, -width / 2), (depth + 0.03, width / 2))
    draft.carry(spot, "table", depth + 0.03, width, height)


def desk(draft: Draft, spot: Spot, width: float) -> None:
    """A desk with a monitor and a keyboard."""
    wood, height, depth = draft.wood(), 0.73, 0.62
    draft.solid(spot, BOX, (depth / 2, width / 2, 0.015), (depth / 2, 0, height - 0.015), wood, "wood")
    for y in (0.03 - width / 2, width / 2 - 0.03):
        draft.solid(spot, BOX, (depth / 2 - 0.03, 0.02, height / 2 - 0.02), (depth / 2, y, height / 2 - 0.02), wood)
    y = draft.rng.uniform(-0.2, 0.2) * width
    draft.solid(spot, BOX, (0.07, 0.11, 0.006), (0.2, y, height + 0.006), DARK)
    draft.solid(spot, BOX, (0.012, 0.02, 0.08), (0.17, y, height + 0.08), DARK)
    draft.solid(spot, BOX, (0.012, 0.27, 0.165), (0.19, y, height + 0.27), DARK)
    draft.solid(spot, BOX, (0.004, 0.255, 0.15), (0.2, y, height + 0.27), (0.3, 0.5, 0.7), "screen")
    draft.solid(spot, BOX, (0.06, 0.2, 0.008), (0.45, y, height + 0.008), (0.25, 0.25, 0.27))
    draft.block(spot, "desk", (0.0, -width / 2), (depth, width / 2))
    draft.carry(Spot(spot.at((0.0, (0.36 if y < 0 else -0.36) * width, 0.0)), spot.yaw), "desk", depth, 0.0, height)


def cabinet(draft: Draft, spot: Spot, width: float) -> None:
    """A sideboard with two doors."""
    rng, wood = draft.rng, draft.wood()
    height, depth = rng.uniform(0.75, 0.95), rng.uniform(0.38, 0.48)
    draft.solid(spot, BOX, (depth / 2, width / 2, height / 2 - 0.03), (depth / 2, 0, height / 2 + 0.03), wood, "wood")
    draft.solid(spot, BOX, (depth / 2 - 0.03, width / 2 - 0.02, 0.03), (depth / 2, 0, 0.03), DARK)
    for y in (-width / 4, width / 4):
        front = (0.008, width / 4 - 0.012, height / 2 - 0.07)
        draft.solid(spot, BOX, front, (depth, y, height / 2 + 0.03), np.array(wood) * 1.12, "wood")
        draft.solid(spot, BOX, (0.012, 0.008, 0.06), (depth + 0.01, y * 0.2, height * 0.6), DARK)
    draft.block(spot, "cabinet", (0.0, -width / 2), (depth, width / 2))
    draft.carry(spot, "cabinet", depth, width, height)


def bookcase(draft: Draft, spot: Spot, width: float) -> None:
    """An open bookcase with rows of books."""
    height, depth, wood = draft.rng.uniform(1.5, 2.0), 0.3, draft.wood()
    for y in (-width / 2, width / 2):
        draft.solid(spot, BOX, (depth / 2, 0.015, height / 2), (depth / 2, y, height / 2), wood)
    draft.solid(spot, BOX, (0.008, width / 2, height / 2), (0.01, 0, height / 2), np.array(wood) * 0.75)
    for level in np.linspace(0.06, height - 0.013, 5):
        draft.solid(spot, BOX, (depth / 2, width / 2, 0.012), (depth / 2, 0, level), wood)
        half = draft.rng.uniform(0.4, 0.92) * (width / 2 - 0.03)
        y = draft.rng.uniform(-1, 1) * (width / 2 - 0.03 - half)
        if level < height - 0.2:
            draft.solid(spot, BOX, (0.1, half, 0.13), (0.13, y, level + 0.142), (0.95, 0.95, 0.95), "books")
    draft.block(spot, "bookcase", (0.0, -width / 2), (depth, width / 2))


def wardrobe(draft: Draft, spot: Spot, width: float) -> None:
    """A tall wardrobe with two doors."""
    height, depth, wood = draft.rng.uniform(1.85, 2.1), 0.58, draft.wood()
    draft.solid(spot, BOX, (depth / 2, width / 2, height / 2), (depth / 2, 0, height / 2), wood, "wood")
    for y in (-width / 4, width / 4):
        front = (0.008, width / 4 - 0.01, height / 2 - 0.05)
        draft.solid(spot, BOX, front, (depth, y, height / 2), np.array(wood) * 1.1, "wood")
        draft.solid(spot, CYLINDER, (0.008, 0.12), (depth + 0.03, y * 0.15, 1.05), STEEL)
    draft.block(spot, "wardrobe", (0.0, -width / 2), (depth, width / 2))


def sofa(draft: Draft, spot: Spot, width: float) -> None:
    """A two-seater with cushions."""
    cloth = np.array(draft.cloth())
    draft.solid(spot, BOX, (0.4, width / 2, 0.15), (0.42, 0, 0.17), cloth * 0.9, "cloth")
    for y in (-width / 4, width / 4):
        draft.solid(spot, BOX, (0.36, width / 4 - 0.01, 0.07), (0.46, y, 0.39), cloth, "cloth")
    draft.solid(spot, BOX, (0.12, width / 2, 0.22), (0.14, 0, 0.58), cloth * 0.92, "cloth")
    draft.solid(
        spot, BOX, (0.06, 0.18, 0.17), (0.32, draft.rng.uniform(-0.3, 0.3) * width, 0.6), draft.cloth(), "cloth"
    )
    own = draft.block(spot, "sofa", (0.0, -width / 2 - 0.08), (0.84, width / 2 + 0.08))
    for y in (-width / 2, width / 2):
        draft.solid(spot, BOX, (0.4, 0.08, 0.3), (0.42, y, 0.3), cloth * 0.85, "cloth")
    draft.offer(spot, "sofa", (0.42, width / 2, 0.3), (0.4, 0.08, 0.3), own)


def bed(draft: Draft, spot: Spot, width: float) -> None:
    """A bed along the wall, with a blanket and a pillow."""
    wood, cloth, head = draft.wood(), draft.cloth(), 1.0 if draft.rng.random() < 0.5 else -1.0
    draft.solid(spot, BOX, (0.46, width / 2, 0.13), (0.47, 0, 0.17), wood, "wood")
    draft.solid(spot, BOX, (0.46, 0.02, 0.42), (0.47, head * width / 2, 0.42), wood, "wood")
    draft.solid(spot, BOX, (0.2, 0.28, 0.06), (0.47, head * (width / 2 - 0.32), 0.53), WHITE, "cloth")
    draft.solid(spot, BOX, (0.44, width / 2 - 0.02, 0.09), (0.47, 0, 0.39), WHITE)
    own = draft.block(spot, "bed", (0.0, -width / 2), (0.95, width / 2))
    size = (0.47, 0.3 * width, 0.1)
    draft.solid(spot, BOX, size, (0.475, -head * 0.18 * width, 0.40), cloth, "cloth")
    draft.offer(spot, "bed", (0.475, -head * 0.18 * width, 0.40), size, own)


def counter(draft: Draft, spot: Spot, width: float) -> None:
    """A kitchen counter with a sink, a tap and a hob, and cupboards above it."""
    front, top, depth, height = draft.paint(), draft.wood(), 0.6, 0.9
    draft.solid(spot, BOX, (depth / 2 - 0.02, width / 2, 0.4), (depth / 2 - 0.02, 0, 0.46), np.array(front) * 0.8)
    draft.solid(spot, BOX, (depth / 2, width / 2, 0.02), (depth / 2, 0, height - 0.02), top, "wood")
    number = max(2, round(width / 0.5))
    for i in range(number):
        y = (i + 0.5) * width / number - width / 2
        draft.solid(spot, BOX, (0.01, width / number / 2 - 0.01, 0.36), (depth - 0.035, y, 0.48), front)
        draft.solid(spot, BOX, (0.012, 0.08, 0.008), (depth - 0.02, y, 0.78), STEEL)
    sink, hob = (-0.27 * width, 0.27 * width) if draft.rng.random() < 0.5 else (0.27 * width, -0.27 * width)
    draft.solid(spot, BOX, (0.17, 0.2, 0.002), (0.3, sink, height + 0.001), (0.5, 0.52, 0.54))
    draft.solid(spot, BOX, (0.14, 0.17, 0.002), (0.3, sink, height + 0.002), (0.28, 0.29, 0.3))
    draft.solid(spot, CYLINDER, (0.012, 0.12), (0.09, sink, height + 0.12), STEEL)
    draft.solid(spot, BOX, (0.08, 0.01, 0.01), (0.16, sink, height + 0.24), STEEL)
    draft.solid(spot, BOX, (0.22, 0.25, 0.003), (0.3, hob, height + 0.002), DARK)
    for x, y in ((0.2, -0.11), (0.2, 0.11), (0.41, -0.11), (0.41, 0.11)):
        draft.solid(spot, CYLINDER, (0.075, 0.002), (x, hob + y, height + 0.005), (0.3, 0.3, 0.32))
    draft.solid(spot, BOX, (0.17, width / 2, 0.32), (0.17, 0, 1.78), front)
    for y in np.linspace(-width / 2, width / 2, number + 1)[1:-1]:
        draft.solid(spot, BOX, (0.002, 0.004, 0.31), (0.341, y, 1.78), np.array(front) * 0.5)
    draft.block(spot, "kitchen counter", (0.0, -width / 2), (depth, width / 2))
    draft.carry(spot, "kitchen counter", depth, 0.2 * width, height)


def fridge(draft: Draft, spot: Spot, width: float) -> None:
    """A fridge with a freezer."""
    colour, height = (WHITE, STEEL)[int(draft.rng.integers(2))], draft.rng.uniform(1.6, 1.85)
    draft.solid(spot, BOX, (0.3, width / 2, height / 2), (0.3, 0, height / 2), np.array(colour) * 0.92)
    for low, high in ((0.05, 0.62), (0.64, height - 0.01)):
        draft.solid(spot, BOX, (0.02, width / 2 - 0.01, (high - low) / 2), (0.61, 0, (high + low) / 2), colour)
        draft.solid(spot, BOX, (0.012, 0.01, 0.12), (0.64, width / 2 - 0.07, high - 0.2), (0.3, 0.3, 0.32))
    own = draft.block(spot, "fridge", (0.0, -width / 2), (0.63, width / 2))
    draft.offer(spot, "fridge", (0.64, width / 2 - 0.07, high - 0.2), (0.012, 0.01, 0.12), own)


def plant(draft: Draft, spot: Spot, width: float) -> None:
    """A green plant in a pot."""
    rng, pot = draft.rng, (0.72, 0.42, 0.28) if draft.rng.random() < 0.6 else (0.85, 0.84, 0.82)
    draft.solid(spot, CYLINDER, (0.14, 0.15), (0.27, 0, 0.15), pot)
    draft.solid(spot, CYLINDER, (0.12, 0.003), (0.27, 0, 0.302), (0.16, 0.11, 0.08))
    draft.solid(spot, CYLINDER, (0.016, 0.2), (0.27, 0, 0.5), (0.36, 0.26, 0.18))
    for _ in range(4):
        offset = rng.uniform((-0.1, -0.12, 0.55), (0.08, 0.12, 1.1)) + np.array([0.27, 0.0, 0.0])
        draft.solid(spot, ELLIPSOID, rng.uniform(0.09, 0.18, 3), offset, (0.13, rng.uniform(0.3, 0.46), 0.15))
    own = draft.block(spot, "plant", (0.1, -0.18), (0.44, 0.18))
    size, at = (0.15, 0.16, 0.17), (0.31, 0.0, rng.uniform(0.75, 0.95))
    draft.solid(spot, ELLIPSOID, size, at, (0.15, rng.uniform(0.34, 0.48), 0.17))
    draft.offer(spot, "plant", at, size, own)


def lamp(draft: Draft, spot: Spot, width: float) -> None:
    """A floor lamp."""
    draft.solid(spot, CYLINDER, (0.15, 0.012), (0.25, 0, 0.012), DARK)
    draft.solid(spot, CYLINDER, (0.18, 0.13), (0.25, 0, 1.5), (1.0, 0.95, 0.82), "lamp")
    own = draft.block(spot, "lamp", (0.1, -0.15), (0.4, 0.15))
    draft.solid(spot, CYLINDER, (0.014, 0.68), (0.25, 0, 0.7), STEEL)
    draft.offer(spot, "lamp", (0.25, 0.0, 0.7), (0.01, 0.01, 0.5), own)


def chair(draft: Draft, spot: Spot, width: float) -> None:
    """A chair with its back to the spot's origin."""
    wood, seat = draft.wood(), 0.45
    draft.solid(spot, BOX, (0.21, 0.21, 0.018), (0.3, 0, seat), draft.cloth(), "cloth")
    _legs(draft, spot, (0.12, 0.48, -0.18, 0.18), seat - 0.02, wood)
    for y in (-0.18, 0.18):
        draft.solid(spot, BOX, (0.015, 0.018, 0.22), (0.1, y, seat + 0.2), wood)
    own = draft.block(spot, "chair", (0.08, -0.21), (0.51, 0.21))
    draft.solid(spot, BOX, (0.014, 0.2, 0.09), (0.1, 0, seat + 0.36), wood, "wood")
    draft.offer(spot, "chair", (0.1, 0.0, seat + 0.36), (0.014, 0.2, 0.09), own)


def bin_(draft: Draft, spot: Spot, width: float) -> None:
    """A waste bin."""
    colour = draft.cloth()
    draft.solid(spot, CYLINDER, (0.11, 0.005), (0.22, 0, 0.321), DARK)
    own = draft.block(spot, "bin", (0.1, -0.12), (0.34, 0.12))
    draft.solid(spot, CYLINDER, (0.13, 0.16), (0.22, 0, 0.16), colour)
    draft.offer(spot, "bin", (0.22, 0.0, 0.16), (0.08, 0.08, 0.16), own)


# On the wall, where what stands below is low enough.


def window(draft: Draft, spot: Spot, width: float) -> None:
    """A window with a cross, a sill and curtains; outside are hills."""
    draft.solid(spot, PLANE, (0.55, width / 2, 0.1), (0.012, 0, 1.55), (0.99, 0.99, 0.99), "outside")
    for y, half in ((-width / 2, 0.03), (0.0, 0.016), (width / 2, 0.03)):
        draft.solid(spot, BOX, (0.022, half, 0.58), (0.01, y, 1.55), WHITE)
    for z in (0.98, 2.12):
        draft.solid(spot, BOX, (0.03, width / 2 + 0.03, 0.026), (0.01, 0, z), WHITE)
    if draft.rng.random() < 0.75:
        cloth, low = draft.cloth(), 0.05 if draft.rng.random() < 0.4 else 0.9
        for y in (-width / 2 - 0.12, width / 2 + 0.12):
            draft.solid(spot, BOX, (0.025, 0.14, (2.2 - low) / 2), (0.045, y, (2.2 + low) / 2), cloth, "stripes")
        draft.solid(spot, BOX, (0.012, width / 2 + 0.3, 0.012), (0.06, 0, 2.22), DARK)


def door(draft: Draft, spot: Spot, width: float) -> None:
    """A closed door in its frame."""
    colour = np.array(draft.paint())
    draft.solid(spot, BOX, (0.02, width / 2 + 0.06, 1.04), (0.0, 0, 1.04), WHITE)
    draft.solid(spot, BOX, (0.012, width / 2, 1.0), (0.02, 0, 1.0), colour, "wood")
    for z, half in ((0.5, 0.34), (1.45, 0.38)):
        draft.solid(spot, BOX, (0.008, width / 2 - 0.13, half), (0.03, 0, z), colour * 0.9)
    draft.solid(spot, BOX, (0.02, 0.05, 0.01), (0.055, width / 2 - 0.1, 1.02), (0.75, 0.7, 0.5))
    draft.offer(spot, "door", (0.055, width / 2 - 0.1, 1.02), (0.02, 0.05, 0.01))


def picture(draft: Draft, spot: Spot, width: float) -> None:
    """A framed picture: a landscape, or a print."""
    draft.solid(spot, BOX, (0.012, 0.3, 0.24), (0.012, 0, 1.6), draft.wood())
    draft.solid(spot, BOX, (0.008, 0.275, 0.215), (0.02, 0, 1.6), WHITE)
    if draft.rng.random() < 0.5:
        draft.solid(spot, PLANE, (0.17, 0.22, 0.1), (0.03, 0, 1.6), (0.9, 0.86, 0.8), "outside")
    else:
        draft.solid(spot, BOX, (0.002, 0.22, 0.17), (0.029, 0, 1.6), draft.cloth(), "print")


def clock(draft: Draft, spot: Spot, width: float) -> None:
    """A square clock at five past ten."""
    draft.solid(spot, BOX, (0.012, 0.15, 0.15), (0.012, 0, 1.85), DARK)
    draft.solid(spot, BOX, (0.012, 0.13, 0.13), (0.016, 0, 1.85), WHITE)
    draft.solid(spot, BOX, (0.012, 0.006, 0.05), (0.02, 0, 1.89), DARK)
    draft.solid(spot, BOX, (0.012, 0.045, 0.006), (0.02, 0.03, 1.86), DARK)


@dataclass(frozen=True)
class Piece:
    """A kind of furniture."""

    build: Build
    width: tuple[float, float]
    """along the wall [m]"""
    height: float
    """what hangs above it must begin higher [m]"""
    depth: float
    """out of the wall, its own free space for chairs not included [m]"""


PIECES: Mapping[str, Piece] = {
    "table": Piece(table, (0.9, 1.4), 0.8, 0.68),
    "desk": Piece(desk, (1.1, 1.4), 1.3, 0.62),
    "cabinet": Piece(cabinet, (0.8, 1.2), 0.95, 0.5),
    "bookcase": Piece(bookcase, (0.7, 1.1), 2.0, 0.3),
    "wardrobe": Piece(wardrobe, (0.9, 1.2), 2.1, 0.62),
    "sofa": Piece(sofa, (1.2, 1.6), 0.85, 0.85),
    "bed": Piece(bed, (1.85, 2.0), 0.85, 0.95),
    "kitchen counter": Piece(counter, (1.5, 2.1), 2.1, 0.62),
    "fridge": Piece(fridge, (0.58, 0.66), 1.9, 0.66),
    "plant": Piece(plant, (0.5, 0.5), 1.3, 0.45),
    "lamp": Piece(lamp, (0.45, 0.5), 1.65, 0.42),
    "chair": Piece(chair, (0.5, 0.55), 0.95, 0.52),
    "bin": Piece(bin_, (0.4, 0.42), 0.35, 0.36),
    "door": Piece(door, (0.8, 0.92), 2.1, 0.1),
}
ABOVE: Mapping[str, tuple[Build, float, float]] = {
    "window": (window, 1.3, 0.97),
    "picture": (picture, 0.66, 1.3),
    "clock": (clock, 0.36, 1.65),
}
"""what hangs on a wall: how wide it is, and how high what stands below may be [m]"""
ROOMS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "kitchen": (("kitchen counter", "fridge", "table"), ("chair", "chair", "plant", "bin", "cabinet", "table")),
    "bedroom": (("bed", "wardrobe"), ("lamp", "chair", "chair", "plant", "cabinet", "desk", "table")),
    "study": (("desk", "bookcase"), ("chair", "chair", "bookcase", "plant", "cabinet", "lamp", "bin", "table")),
    "living room": (("sofa", "cabinet"), ("plant", "lamp", "bookcase", "chair", "chair", "table", "cabinet", "sofa")),
}
"""pieces that a kind of room always has, and pieces it may have"""
