"""A furnished room with things to go to, and what a person in it sees, as a MuJoCo model for drawing."""

from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float, UInt8

from wbvla.collect.ego.body import Walk
from wbvla.collect.ego.draft import BOX, Draft, Spot
from wbvla.collect.ego.furniture import ABOVE, PIECES, ROOMS, Piece
from wbvla.collect.ego.goals import Footprint, Goal, Landmark, Target, goals_of
from wbvla.collect.ego.looks import draw, key, palette, shade
from wbvla.collect.ego.person import PARTS, SIDES, Person, add_person
from wbvla.data.features import pinhole
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.scene import RoomConfig, add_room
from wbvla.sim.texture import add_surface, surface

HALF_X, HALF_Y, HEIGHT = (2.6, 3.6), (2.2, 3.0), (2.4, 2.9)
"""half sizes of rooms along x and y, and their height [m]"""
NUM_COLOURS, NUM_BOXES = 3, 6
"""boxes of a room are of so few colours that some are alike, and told apart by where they are"""
APART_M = 1.5
"""boxes of one colour stand at least so far apart [m]"""


class RoomPlan:
    """Furnishes a room piece by piece and draws the person who lives in it: a function of split, seed and number."""

    def __init__(self, split: str, seed: int, number: int) -> None:
        rng = np.random.default_rng(key(seed, split, 1, number))
        self.split, self.number, self.rng = split, number, rng
        self.half = np.array([draw(rng, *HALF_X, split), draw(rng, *HALF_Y, split)])
        self.height = draw(rng, *HEIGHT, split)
        self.kind = str(rng.choice(list(ROOMS)))
        self.person = Person.draw(rng, split)
        self._draft = Draft(rng, split)
        self.room = self._shell()
        self._rug()
        self._walls: list[list[tuple[float, float, float]]] = [[], [], [], []]
        self._ways: list[Footprint] = []
        self._furnish()
        self._hang()
        self._boxes()
        self.goals: list[Goal] = goals_of(self._draft.targets, self._draft.landmarks)
        self._places = self._draft.footprints
        add_person(self.model, self.person)

    @property
    def model(self) -> mujoco.MjSpec:
        """What is drawn."""
        return self._draft.model

    @property
    def landmarks(self) -> list[Landmark]:
        """What stands in the room and hangs on its walls, by kind."""
        return self._draft.landmarks

    @property
    def targets(self) -> list[Target]:
        """Everything that can be touched, named or not."""
        return self._draft.targets

    def is_free(self, xy: Float[np.ndarray, "*b 2"], margin: float) -> Bool[np.ndarray, "*b"]:
        """Per point: inside the room and off every footprint by a margin [m]."""
        free = self.is_inside(xy, margin)
        for place in self._places:
            inside = (xy > np.array(place.low) - margin) & (xy < np.array(place.high) + margin)
            free = free & ~inside.all(axis=-1)
        return free

    def is_inside(self, xy: Float[np.ndarray, "*b 2"], margin: float) -> Bool[np.ndarray, "*b"]:
        """Per point: off the walls by a margin [m]."""
        return np.asarray((np.abs(xy) < self.half - margin).all(axis=-1))

    def _shell(self) -> RoomConfig:
        rng, looks = self.rng, palette(self.split)
        floor = str(rng.choice(list(looks.floors)))
        room = RoomConfig(
            half_x=float(self.half[0]),
            half_y=float(self.half[1]),
            height=self.height,
            floor=floor,
            floor_colour=shade(rng, looks.floors[floor]),
            wall=str(rng.choice(looks.walls)),
            wall_colour=shade(rng, looks.paints[int(rng.integers(len(looks.paints)))]),
            light=rng.uniform(0.8, 1.15),
            seed=int(rng.integers(1 << 31)),
            furnished=False,
        )
        add_room(self.model, room)
        paper = surface(room.wall, room.wall_colour, rng).transpose(1, 0, 2)  # a wall's texture lies on its side
        name = add_surface(self.model, "paper", np.ascontiguousarray(paper), 1.2)
        for wall in range(4):
            self.model.geom(f"wall_{wall}").material = name
        self.model.visual.map.znear = 0.02
        return room

    def _rug(self) -> None:
        rng, draft = self.rng, self._draft
        half, yaw = rng.uniform((0.7, 0.5), (1.2, 0.9)), (0.0, np.pi / 2)[int(rng.integers(2))]
        rug = draft.solid(Spot(rng.uniform(-0.6, 0.6, 2), yaw), BOX, (*half, 0.004), (0, 0, 0.004), (1.0, 1.0, 1.0))
        rug.material = add_surface(self.model, "rug", surface("cloth", draft.cloth(), rng), 0.35)

    # Furniture: first what the kind of room needs, then what fits.

    def _furnish(self) -> None:
        needed, other = ROOMS[self.kind]
        for kind in (*needed, "door"):
            self._stand(kind, 60)
        for kind in self.rng.permutation(other):
            self._stand(str(kind), 25)
        free = Spot(self.rng.uniform(-self.half + 0.9, self.half - 0.9), np.pi / 2 * float(self.rng.integers(4)))
        place = free.rectangle((0.0, -0.3), (0.6, 0.3))
        if not any(place.meets(other, 0.6) for other in self._draft.footprints):
            PIECES["chair"].build(self._draft, free, 0.5)

    def _stand(self, kind: str, tries: int) -> None:
        """Put a piece somewhere along a wall, off the others and their fronts."""
        piece, rng = PIECES[kind], self.rng
        for _ in range(tries):
            wall, width = int(rng.integers(4)), float(rng.uniform(*piece.width))
            length = float(self.half[1 - wall // 2]) - 0.12 - width / 2
            along = float(rng.uniform(-length, length))
            spot = Spot.at_wall(self.half, wall, along)
            if self._fits(piece, spot, width, (wall, along)):
                piece.build(self._draft, spot, width)
                self._walls[wall].append((along - width / 2, along + width / 2, piece.height))
                if kind == "door":
                    place = spot.rectangle((0.0, -width / 2), (0.3, width / 2))
                    self._draft.landmarks.append(Landmark(kind="door", place=place))
                    self._ways.append(spot.rectangle((0.0, -width / 2), (0.7, width / 2)))
                return

    def _fits(self, piece: Piece, spot: Spot, width: float, where: tuple[int, float]) -> bool:
        wall, along = where
        if any(a < along + width / 2 + 0.12 and along - width / 2 - 0.12 < b for a, b, _ in self._walls[wall]):
            return False
        place = spot.rectangle((0.0, -width / 2), (piece.depth, width / 2))
        return not any(place.meets(other, 0.15) for other in (*self._draft.footprints, *self._ways))

    def _hang(self) -> None:
        """Windows, pictures and a clock, above what is low enough."""
        rng = self.rng
        for kind in ("window", "window", "picture", "window", "picture", "clock"):
            build, width, lowest = ABOVE[kind]
            for _ in range(12):
                wall = int(rng.integers(4))
                length = float(self.half[1 - wall // 2]) - 0.5 - width / 2
                along = float(rng.uniform(-length, length))
                low, high = along - width / 2 - 0.25, along + width / 2 + 0.25
                if all(b < low or a > high or tall < lowest for a, b, tall in self._walls[wall]):
                    spot = Spot.at_wall(self.half, wall, along)
                    build(self._draft, spot, width)
                    self._walls[wall].append((low, high, 3.0))
                    if kind == "window":
                        place = spot.rectangle((0.0, -width / 2), (0.3, width / 2))
                        self._draft.landmarks.append(Landmark(kind="window", place=place))
                    break

    # Boxes.

    def _boxes(self) -> None:
        """Boxes of few colours on furniture and on the floor, those of one colour well apart."""
        rng, draft = self.rng, self._draft
        colours = [str(c) for c in rng.permutation(list(draft.looks.boxes))[:NUM_COLOURS]]
        taken: list[tuple[str, np.ndarray]] = []
        shelves = [draft.shelves[i] for i in rng.permutation(len(draft.shelves))]
        for i in range(NUM_BOXES):
            colour = colours[i % NUM_COLOURS]
            if i % 2 == 0 and shelves:
                shelf = shelves.pop()
                half = rng.uniform((0.07, 0.08, 0.06), (0.10, 0.13, 0.12))
                at = (shelf.front - half[0] - 0.03, rng.uniform(-0.25, 0.25) * shelf.width, shelf.height)
                self._place(taken, colour, half, (shelf.spot, at, shelf.support))
                continue
            for _ in range(20):
                half = rng.uniform((0.13, 0.15, 0.11), (0.2, 0.22, 0.17))
                if self._place(taken, colour, half, (self._floor_spot(), (0.0, 0.0, 0.0), "")):
                    break
        if not taken:
            draft.put_box(Spot((0.0, 0.0), 0.0), colours[0], (0.15, 0.15, 0.15), (0.0, 0.0, 0.0), "")

    def _floor_spot(self) -> Spot:
        """Somewhere on the floor, mostly near a wall, where windows, plants and lamps are."""
        rng = self.rng
        if rng.random() < 0.25:
            return Spot(rng.uniform(-self.half + 0.6, self.half - 0.6), rng.uniform(-0.4, 0.4))
        wall = int(rng.integers(4))
        length = float(self.half[1 - wall // 2]) - 0.4
        spot = Spot.at_wall(self.half, wall, float(rng.uniform(-length, length)))
        return spot.turned(float(rng.uniform(0.3, 0.6)), 0.0, float(rng.uniform(-0.3, 0.3)))

    def _place(
        self,
        taken: list[tuple[str, np.ndarray]],
        colour: str,
        half: Float[np.ndarray, "3"],
        where: tuple[Spot, tuple[float, float, float], str],
    ) -> bool:
        """Put a box there unless one of its colour is near, or the floor is covered."""
        spot, at, support = where
        xy = spot.at(at)[:2]
        near = any(c == colour and np.linalg.norm(xy - other) < APART_M for c, other in taken)
        around = spot.rectangle((-half[0] - 0.08, -half[1] - 0.08), (half[0] + 0.08, half[1] + 0.08))
        covered = not support and any(around.meets(f, 0.0) for f in (*self._draft.footprints, *self._ways))
        if near or covered:
            return False
        self._draft.put_box(spot, colour, half, at, support)
        taken.append((colour, xy))
        return True


class EgoRoom:
    """A compiled room that draws what a person sees."""

    def __init__(self, plan: RoomPlan, config: RenderConfig) -> None:
        self.plan = plan
        self.model = plan.model.compile()
        self.data = mujoco.MjData(self.model)
        parts = (f"{side}_{part}" for side in SIDES for part in PARTS)
        self._slots = [int(self.model.body(name).mocapid[0]) for name in ("person", *parts)]
        self._posed: tuple[Walk, np.ndarray, np.ndarray] | None = None
        self._renderer = Renderer(self.model, ("head",), config)

    @property
    def intrinsics(self) -> dict[str, Any]:
        """Pinhole of the head camera, whose field of view differs from person to person."""
        return pinhole(self.plan.person.fovy, self._renderer.config.height, self._renderer.config.width)

    def see(self, walk: Walk, row: int) -> UInt8[np.ndarray, "height width 3"]:
        """The image of one frame of a walk."""
        self.pose(walk, row)
        return self._renderer.render(self.data)["head"]

    def pose(self, walk: Walk, row: int) -> None:
        """Put camera, arms and hands where a walk has them."""
        if self._posed is None or self._posed[0] is not walk:  # all frames at once, which is much faster
            self._posed = (walk, *walk.drawn(self.plan.person))
        _, places, quats = self._posed
        self.data.mocap_pos[self._slots], self.data.mocap_quat[self._slots] = places[row], quats[row]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def close(self) -> None:
        """Free OpenGL."""
        self._renderer.close()
