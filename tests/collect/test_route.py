"""A way leads around blocks with room on both sides, straight where nothing is near, and says when there is none."""

from itertools import pairwise

import numpy as np
import pytest

from wbvla.collect.route import CLEARANCES_M, Block, Floor
from wbvla.core.errors import ConfigError

HALF = (4.0, 3.0)
START, GOAL = np.array([-2.5, 0.0]), np.array([2.5, 0.2])


def along(start: np.ndarray, corners: list[np.ndarray]) -> np.ndarray:
    """Points all along a way."""
    points = [start, *corners]
    shares = np.linspace(0.0, 1.0, 50)[:, None]
    return np.concatenate([a + shares * (b - a) for a, b in pairwise(points)])


def test_an_empty_floor_is_crossed_straight() -> None:
    way = Floor(HALF, []).way(START, GOAL)
    assert len(way) == 1
    assert way[0] == pytest.approx(GOAL)


@pytest.mark.parametrize("yaw", [0.0, 0.5, 1.2])
def test_a_block_in_the_way_is_passed_with_clearance(yaw: float) -> None:
    floor = Floor(HALF, [Block(middle=np.zeros(2), half=np.array([0.3, 0.6]), yaw=yaw)])
    way = floor.way(START, GOAL)
    assert len(way) >= 2
    points = along(START, way)
    assert floor.clearance_m(points).min() >= CLEARANCES_M[0] - 0.06
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    assert length < 1.4 * np.linalg.norm(GOAL - START)


def test_a_doorway_is_passed_through_its_middle() -> None:
    panels = [
        Block(middle=np.array([0.0, y]), half=np.array([0.06, half])) for y, half in ((2.225, 0.775), (-1.275, 1.725))
    ]  # the doorway is 1.0 m wide, about y = 0.95
    points = along(START, Floor(HALF, panels).way(START, GOAL))
    crossing = points[np.argmin(np.abs(points[:, 0]))]
    assert crossing[1] == pytest.approx(0.95, abs=0.1)


def test_a_wall_without_a_doorway_parts_the_room() -> None:
    wall = Block(middle=np.zeros(2), half=np.array([0.06, 3.0]))
    with pytest.raises(ConfigError, match="no way"):
        Floor(HALF, [wall]).way(START, GOAL)


def test_a_goal_close_to_a_block_is_still_reached() -> None:
    block = Block(middle=np.array([3.0, 0.0]), half=np.array([0.3, 0.5]))
    goal = np.array([2.4, 0.0])
    way = Floor(HALF, [block]).way(START, goal)
    assert way[-1] == pytest.approx(goal)


def test_distance_from_a_turned_block() -> None:
    block = Block(middle=np.array([1.0, 1.0]), half=np.array([1.0, 0.5]), yaw=np.pi / 2)
    points = np.array([[1.0, 1.0], [1.0, 2.5], [2.5, 1.0]])
    assert block.distance_m(points) == pytest.approx([0.0, 0.5, 1.0])
