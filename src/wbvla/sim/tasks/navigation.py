"""What navigation tasks share: the camera that sees the way, what was touched on it, and standing where it ends."""

from collections import deque

import numpy as np
from jaxtyping import Float

from wbvla.sim.interior import Touches
from wbvla.sim.scene import World

SEES = "head_forward"
"""the camera that sees across a room: the policy's head camera looks 40 degrees down"""
WINDOW_S = 0.5
"""speeds are taken over this [s]"""


class Stay:
    """For how long the robot has stood where it is to stand."""

    def __init__(self, still_mps: float) -> None:
        """`still_mps`: a root slower than this stands."""
        self._still_mps = still_mps
        self.reset()

    def reset(self) -> None:
        """It has not stood there yet."""
        self._since_s: float | None = None
        self._poses: deque[tuple[float, Float[np.ndarray, 2]]] = deque()

    def see(self, world: World, is_there: bool) -> float:
        """One more look; returns for how long it has stood there without a break [s]."""
        if not (is_there and self._stands(world)):
            self._since_s = None
        elif self._since_s is None:
            self._since_s = world.time_s
        return 0.0 if self._since_s is None else world.time_s - self._since_s

    def _stands(self, world: World) -> bool:
        """Whether the root is slow over the last half second."""
        now, xy = world.time_s, world.root_pose()[0][:2]
        self._poses.append((now, xy))
        while now - self._poses[0][0] > WINDOW_S:
            self._poses.popleft()
        then, before = self._poses[0]
        return float(np.linalg.norm(xy - before)) <= self._still_mps * max(now - then, 0.1)


def touches_of(world: World) -> Touches:
    """What the robot of a navigation world has met."""
    return next(actor for actor in world.actors if isinstance(actor, Touches))
