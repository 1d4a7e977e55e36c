"""Every task builds and keeps its promises; box-lift starts where the robot sees the box, and only hands can win it."""

import mujoco
import numpy as np
import pytest

from wbvla.core.errors import UnknownName
from wbvla.robots.platforms import load_robot
from wbvla.sim.scene import World
from wbvla.sim.tasks import BoxLift, tasks
from wbvla.sim.tasks.box_lift import BOX, TABLE
from wbvla.sim.tasks.task import box_bottom_m, box_half, contacts_of, has_fallen


@pytest.fixture(scope="module")
def task() -> BoxLift:
    return BoxLift()


@pytest.fixture(scope="module")
def world(task: BoxLift) -> World:
    return task.build(load_robot("agibot_x2"))


@pytest.mark.parametrize("name", list(tasks))
def test_every_task_has_words_subgoals_and_a_start(name: str) -> None:
    task = tasks.build(name)
    assert task.name == name
    assert len(set(task.train_instructions)) >= 12
    assert len(set(task.test_instructions)) >= 4
    assert not set(task.train_instructions) & set(task.test_instructions)
    world = task.build(load_robot("agibot_x2"))
    assert tuple(task.progress(world)) == task.subgoals
    assert not any(task.progress(world).values())
    assert not task.success(world)


def test_unknown_task_is_answered_with_the_closest() -> None:
    with pytest.raises(UnknownName, match="box-lift"):
        tasks.build("box-lft")


def test_same_seed_same_start(task: BoxLift, world: World) -> None:
    def start(seed: int) -> np.ndarray:
        task.reset(world, seed)
        return np.concatenate([world.data.qpos, box_half(world, BOX), world.model.body(BOX).mass])

    first = start(7)
    other = start(8)
    assert np.array_equal(start(7), first)
    assert not np.allclose(other, first)


def test_starts_are_a_metre_away_with_the_whole_box_in_the_head_camera(task: BoxLift, world: World) -> None:
    for seed in range(60):
        task.reset(world, seed)
        away = world.root_pose()[0][:2] - world.body_pose(BOX)[0][:2]
        assert np.linalg.norm(away) >= 1.0 - 1e-9
        assert world.model.body(BOX).mass[0] >= 0.5
        assert box_in_view(world, "head").mean() > 0.95, seed


def box_in_view(world: World, camera: str) -> np.ndarray:
    """Which corners of the box fall into an image of 4:3."""
    pose, view = world.data.body(BOX), world.data.camera(camera)
    corners = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T * box_half(world, BOX)
    seen = (pose.xpos + corners @ pose.xmat.reshape(3, 3).T - view.xpos) @ view.xmat.reshape(3, 3)
    half = np.tan(np.deg2rad(world.model.camera(camera).fovy[0]) / 2)
    depth = -seen[:, 2]
    return (depth > 0) & (np.abs(seen[:, 1]) < half * depth) & (np.abs(seen[:, 0]) < half * 4 / 3 * depth)


def test_the_table_carries_the_weight_that_the_seed_gave(task: BoxLift, world: World) -> None:
    for seed in (1, 5):
        task.reset(world, seed)
        world.step(60)
        assert contacts_of(world, BOX) == {TABLE}
        force = 0.0
        for index in range(world.data.ncon):
            bodies = world.model.geom_bodyid[world.data.contact[index].geom]
            if world.model.body(BOX).id in bodies:
                wrench = np.zeros(6)
                mujoco.mj_contactForce(world.model, world.data, index, wrench)
                force += wrench[0]
        assert force == pytest.approx(9.81 * world.model.body(BOX).mass[0], rel=0.02)
        assert box_bottom_m(world, BOX) == pytest.approx(task.config.table_height_m, abs=2e-3)


def test_a_box_in_the_air_without_hands_is_no_success(task: BoxLift, world: World) -> None:
    task.reset(world, 3)
    xyz = world.body_pose(BOX)[0]
    world.place(BOX, xyz + np.array([0.0, 0.0, 0.3]))
    progress = task.progress(world)
    assert not progress["grasped"]
    assert not progress["lifted"]


def test_a_fallen_robot_is_noticed(task: BoxLift, world: World) -> None:
    task.reset(world, 3)
    assert not has_fallen(world)
    world.data.qpos[3:7] = [0.7071, 0.7071, 0.0, 0.0]
    mujoco.mj_forward(world.model, world.data)
    assert has_fallen(world)
