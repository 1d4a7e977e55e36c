"""Finds a way around what stands in a room: A* on a grid of clearances, pulled straight where nothing is near."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from wbvla.core.errors import ConfigError

CELL_M = 0.05
CLEARANCES_M = (0.45, 0.40, 0.35)
"""of the robot's middle from everything; the next smaller is tried when there is no way [m]"""
COMFORT_M, DISLIKE = 0.75, 6.0
"""a metre of way costs more by so much for each metre that it lies nearer to things than this"""
STEPS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Something to walk around: a rectangle on the floor."""

    middle: Float[np.ndarray, "2"]
    """[m]"""
    half: Float[np.ndarray, "2"]
    """along its own axes [m]"""
    yaw: float = 0.0
    """[rad]"""

    def distance_m(self, xy: Float[np.ndarray, "*point 2"]) -> Float[np.ndarray, "*point"]:
        """Of points from the rectangle; 0 inside [m]."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        local = (xy - self.middle) @ np.array([[cos, -sin], [sin, cos]])
        return np.asarray(np.linalg.norm(np.maximum(np.abs(local) - self.half, 0.0), axis=-1))


class Floor:
    """A rectangular room around the origin with blocks on its floor."""

    def __init__(self, half: tuple[float, float], blocks: Sequence[Block]) -> None:
        self._half, self._blocks = np.array(half), tuple(blocks)
        self._shape = tuple(int(2 * side / CELL_M) + 1 for side in half)
        axes = [np.arange(count) * CELL_M - side for count, side in zip(self._shape, half)]
        cells = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        self._clear_m = self.clearance_m(cells)

    def clearance_m(self, xy: Float[np.ndarray, "*point 2"]) -> Float[np.ndarray, "*point"]:
        """Distance of points from walls and blocks; 0 inside [m]."""
        nearest = np.maximum((self._half - np.abs(xy)).min(axis=-1), 0.0)
        for block in self._blocks:
            nearest = np.minimum(nearest, block.distance_m(xy))
        return np.asarray(nearest)

    def way(self, start: Float[np.ndarray, "2"], goal: Float[np.ndarray, "2"]) -> list[Float[np.ndarray, "2"]]:
        """Corners of a way to the goal, the goal last; raises ConfigError when the two are parted."""
        for clearance in CLEARANCES_M:
            free = self._clear_m >= clearance
            for end in (start, goal):  # whoever stands nearer to things than that may still leave, or come
                i, j = self._cell(end)
                reach = int(np.ceil(clearance / CELL_M)) + 1
                near = (slice(max(0, i - reach), i + reach + 1), slice(max(0, j - reach), j + reach + 1))
                free[near] |= self._clear_m[near] >= min(clearance, float(self.clearance_m(end)) - CELL_M)
            cells = self._search(free, self._cell(start), self._cell(goal))
            if cells:
                points = [np.array(cell) * CELL_M - self._half for cell in cells]
                return self._straight([start, *points[1:-1], goal], clearance)[1:]
        raise ConfigError(f"no way from {start.round(2)} to {goal.round(2)} with {CLEARANCES_M[-1]} m on either side")

    def _cell(self, xy: Float[np.ndarray, "2"]) -> tuple[int, int]:
        i, j = np.clip(np.rint((xy + self._half) / CELL_M), 0, np.array(self._shape) - 1)
        return int(i), int(j)

    def _search(
        self, free: Bool[np.ndarray, "x y"], start: tuple[int, int], goal: tuple[int, int]
    ) -> list[tuple[int, int]]:
        """A* (Hart, Nilsson and Raphael 1968) over eight neighbours; empty when there is no way."""
        cost, before = {start: 0.0}, {start: start}
        queue = [(0.0, start)]
        price = 1.0 + DISLIKE * np.maximum(0.0, COMFORT_M - self._clear_m)
        while queue:
            _, cell = heapq.heappop(queue)
            if cell == goal:
                cells = [cell]
                while cells[-1] != start:
                    cells.append(before[cells[-1]])
                return cells[::-1]
            for i, j in STEPS:
                other = (cell[0] + i, cell[1] + j)
                inside = 0 <= other[0] < self._shape[0] and 0 <= other[1] < self._shape[1]
                if not inside or not (free[other] or other == goal):
                    continue
                there = cost[cell] + float(np.hypot(i, j)) * float(price[other])
                if there < cost.get(other, np.inf):
                    cost[other], before[other] = there, cell
                    heapq.heappush(queue, (there + float(np.hypot(goal[0] - other[0], goal[1] - other[1])), other))
        return []

    def _straight(self, points: list[np.ndarray], clearance: float) -> list[np.ndarray]:
        """Leave out corners that can be cut without coming nearer to things than the way itself does."""
        kept, here = [points[0]], 0
        while here < len(points) - 1:
            there = len(points) - 1
            while there > here + 1 and not self._open(points[here : there + 1], clearance):
                there -= max(1, (there - here) // 8)
            kept.append(points[there])
            here = there
        return kept

    def _open(self, points: list[np.ndarray], clearance: float) -> bool:
        """Whether the straight way between the ends keeps its distance as well as the way that it replaces."""
        first, last = points[0], points[-1]
        shares = np.linspace(0.0, 1.0, 2 + int(np.linalg.norm(last - first) / CELL_M))[:, None]
        along = self.clearance_m(first + shares * (last - first))
        kept = min(float(self.clearance_m(np.array(points)).min()), COMFORT_M)
        return float(along.min()) >= max(min(clearance, kept), kept - 0.05)
