"""Navigation is won by standing before the right piece, or behind the wall, with nothing touched on the way."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from wbvla.core.rotation import quat_from_rpy, wrap_angle, yaw_of
from wbvla.robots.platforms import load_robot
from wbvla.sim.furniture import PIECE
from wbvla.sim.interior import PIECES, STANDING, corners, from_front_m, front
from wbvla.sim.scene import World
from wbvla.sim.tasks import FAMILIES, GoThrough, GoToFurniture, tasks, tasks_of
from wbvla.sim.tasks.go_to_furniture import GOALS, NAMES, OBSTACLE, OTHERS, TEST, TRAIN
from wbvla.sim.tasks.navigation import SEES, touches_of
from wbvla.sim.tasks.start import SEARCH, SEEN_SHARE, seen_share
from wbvla.sim.tasks.variation import VariationConfig

TEST_SEED = 1_000_000
"""where the seeds of evaluation begin (`evaluate.trials`)"""


@pytest.fixture(scope="module")
def go() -> tuple[GoToFurniture, World]:
    task = GoToFurniture()
    return task, task.build(load_robot("agibot_x2"))


@pytest.fixture(scope="module")
def through() -> tuple[GoThrough, World]:
    task = GoThrough()
    return task, task.build(load_robot("agibot_x2"))


def put(world: World, xy: np.ndarray, yaw: float) -> None:
    world.data.qpos[:2], world.data.qpos[3:7] = xy, quat_from_rpy(np.array([0.0, 0.0, yaw]))
    world.data.qvel[:] = 0.0
    mujoco.mj_forward(world.model, world.data)


def stand(task: GoToFurniture | GoThrough, world: World, seconds: float) -> bool:
    """Time goes by and nothing moves; whether the task is done then."""
    for _ in range(round(seconds * 10)):
        world.data.time += 0.1
        task.progress(world)
    return task.success(world)


def test_every_task_has_a_family_and_every_family_tasks() -> None:
    assert {name for family in FAMILIES for name in tasks_of(family)} == set(tasks)
    assert set(tasks_of("manipulation")) >= {"bag-packing", "box-loading", "cart-pushing", "box-lift"}
    assert set(tasks_of("navigation")) >= {"go-to-furniture", "go-through"}
    assert set(tasks_of("social_interaction")) >= {"wave", "greet", "handshake", "stop-when-told"}


def test_words_name_the_goal_of_the_seed_in_training_and_in_evaluation(go: tuple[GoToFurniture, World]) -> None:
    task, world = go
    assert not set(TRAIN) & set(TEST)
    assert TEST_SEED % len(GOALS) == 0
    for i in range(2 * len(TRAIN)):
        task.reset(world, TEST_SEED + i) if i < 6 else None
        goal = GOALS[i % len(GOALS)]
        assert task.goal == goal or i >= 6
        for said in (task.instruction(i), TEST[i % len(TEST)], TRAIN[i % len(TRAIN)], *task.phrasings(i)):
            assert any(name in said for name in NAMES[goal])
            assert not any(name in said for other in GOALS if other != goal for name in NAMES[other])


def test_pieces_stand_apart_inside_the_room_where_the_seed_puts_them(go: tuple[GoToFurniture, World]) -> None:
    task, world = go
    half = np.array([task.config.room.half_x, task.config.room.half_y])
    places = []
    for seed in range(15):
        task.reset(world, seed)
        for name in (*GOALS, *OTHERS):
            assert (np.abs(corners(world, name)) < half).all(), (seed, name)
            others = [o for o in (*GOALS, *OTHERS) if o != name]
            assert min(from_front_m(world, o, point) for o in others for point in corners(world, name)) > 0.0
            assert from_front_m(world, name, world.root_pose()[0][:2]) > 0.5
        places.append(world.body_pose(GOALS[0])[0])
    assert len({tuple(place.round(3)) for place in places}) == len(places)
    walls = [world.model.body(f"wall_{i}").id for i in range(4)]
    names = [world.model.geom(int(g)).name for g in np.flatnonzero(np.isin(world.model.geom_bodyid, walls))]
    on_walls = [name for name in names if name.startswith(tuple(PIECE + kind for kind in STANDING))]
    assert not on_walls, "the room's own furniture would be another sofa"


def test_same_seed_same_room_and_start(go: tuple[GoToFurniture, World]) -> None:
    task, world = go

    def start(seed: int) -> np.ndarray:
        task.reset(world, seed)
        return np.concatenate([world.data.qpos, world.data.mocap_pos.ravel(), world.model.geom_rgba.ravel()])

    first = start(7)
    assert not np.array_equal(start(8), first)
    assert np.array_equal(start(7), first)


def test_the_split_says_whether_the_goal_is_in_view(go: tuple[GoToFurniture, World]) -> None:
    task, world = go
    whole = task.config
    try:
        for split, seen in ((whole.split, True), (SEARCH, False)):
            task.config = replace(whole, split=split)
            for seed in range(8):
                task.reset(world, seed)
                assert task.sees(world) == seen
                assert seen or seen_share(world, task.goal, SEES) < SEEN_SHARE
    finally:
        task.config = whole


def test_difficulty_zero_is_near_straight_ahead_and_free() -> None:
    task = GoToFurniture()
    task.config = replace(task.config, difficulty=0.0)
    world = task.build(load_robot("agibot_x2"))
    for seed in range(6):
        task.reset(world, seed)
        (root, quat), (goal, _) = world.root_pose(), front(world, task.goal, task.config.stop_m)
        way = goal - root[:2]
        assert np.linalg.norm(way) < 1.55
        assert abs(wrap_angle(float(np.arctan2(way[1], way[0])) - float(yaw_of(quat)))) < 1e-6
        assert world.body_pose(OBSTACLE)[0][2] < -1.0


def test_standing_before_the_named_piece_is_arriving_and_before_another_is_not(go: tuple[GoToFurniture, World]) -> None:
    task, world = go
    for seed in range(len(GOALS)):
        task.reset(world, seed)
        place, yaw = front(world, task.goal, task.config.stop_m)
        put(world, place, yaw)
        assert not stand(task, world, 0.5), "not yet for a second"
        assert stand(task, world, 1.2)
        task.reset(world, seed)
        other = next(name for name in OTHERS if name != task.goal)
        put(world, *front(world, other, task.config.stop_m))
        assert not stand(task, world, 3.0)


def test_looking_away_too_far_off_or_walking_on_is_not_arriving(go: tuple[GoToFurniture, World]) -> None:
    task, world = go
    task.reset(world, 2)
    place, yaw = front(world, task.goal, task.config.stop_m)
    put(world, place, yaw + 1.2)
    assert not stand(task, world, 3.0)
    put(world, front(world, task.goal, 1.0)[0], yaw)
    assert not stand(task, world, 3.0)
    for tick in range(20):
        put(world, place + np.array([0.012, -0.012]) * (tick - 10), yaw)
        world.data.time += 0.1
        assert not task.success(world)


def test_touching_furniture_on_the_way_costs_the_task(go: tuple[GoToFurniture, World]) -> None:
    task, world = go
    task.reset(world, 1)
    other = OTHERS[0]
    put(world, front(world, other, 0.0)[0], front(world, other, 0.0)[1])
    world.step(2)
    assert other in touches_of(world).met
    place, yaw = front(world, task.goal, task.config.stop_m)
    put(world, place, yaw)
    assert not stand(task, world, 3.0)
    assert task.touched(world)
    task.reset(world, 1)
    assert not task.touched(world), "a new trial has touched nothing"


def test_a_hidden_box_fits_what_is_seen(go: tuple[GoToFurniture, World]) -> None:
    _, world = go
    for name, piece in PIECES.items():
        body = world.model.body(name)
        geoms = range(int(body.geomadr[0]) + 1, int(body.geomadr[0] + body.geomnum[0]))
        tops = [world.model.geom_pos[g][2] for g in geoms]
        assert max(tops) < piece.height_m + 0.65
        for g in geoms:
            x, y = world.model.geom_pos[g][:2]
            assert piece.low[0] - 0.02 <= x <= piece.high[0] + 0.02
            assert piece.low[1] - 0.02 <= y <= piece.high[1] + 0.02


# Through a doorway.


def test_the_doorway_is_as_wide_as_the_seed_says_and_stops_what_walks_beside_it(
    through: tuple[GoThrough, World],
) -> None:
    task, world = through
    for seed in range(8):
        task.reset(world, seed)
        edges = []
        for name, side in (("panel_left", -1.0), ("panel_right", 1.0)):
            geom = world.model.geom(f"{name}.met").id
            edges.append(world.data.geom_xpos[geom][1] + side * world.model.geom_size[geom][1])
        assert edges[0] - edges[1] == pytest.approx(task.door_m)
        assert 0.9 <= task.door_m <= 1.1
        assert sum(edges) / 2.0 == pytest.approx(task.door[1])
        assert world.root_pose()[0][0] < task.door[0] - 1.0
        put(world, task.door, 0.0)
        world.data.qpos[world.qpos[world.spec.indices(world.spec.arm_joints)]] = 0.0
        world.step(1)
        assert not task.touched(world), "there is room in the middle"
        put(world, task.door + np.array([0.0, task.door_m / 2.0]), 0.0)
        world.step(1)
        assert task.touched(world)


def test_the_mat_behind_the_wall_is_the_goal_and_only_by_standing_on_it(through: tuple[GoThrough, World]) -> None:
    task, world = through
    task.reset(world, 3)
    put(world, task.mat, 0.3)
    assert stand(task, world, 1.5)
    for xy, yaw in ((task.mat, np.pi), (task.mat + np.array([0.0, 0.5]), 0.0), (task.door - np.array([0.8, 0.0]), 0.0)):
        task.reset(world, 3)
        put(world, np.asarray(xy), yaw)
        assert not stand(task, world, 3.0)


def test_starts_in_view_see_both_edges_of_the_doorway_and_searches_do_not(through: tuple[GoThrough, World]) -> None:
    task, world = through
    whole = task.config
    try:
        for split, seen in ((whole.split, True), (SEARCH, False)):
            task.config = replace(whole, split=split)
            for seed in range(8):
                task.reset(world, seed)
                assert task.sees(world) == seen
    finally:
        task.config = whole


def test_a_start_of_one_s_own(go: tuple[GoToFurniture, World], through: tuple[GoThrough, World]) -> None:
    for task, world in (go, through):
        task.reset_at(world, 4, (-1.5, 0.4), 0.7)
        (xyz, quat) = world.root_pose()
        assert xyz[:2] == pytest.approx([-1.5, 0.4])
        assert float(yaw_of(quat)) == pytest.approx(0.7)
        assert isinstance(task.config.variation, VariationConfig)
