"""Box-loading starts as its split says, and only a box put on the bed by hands and let go of wins it."""

import mujoco
import numpy as np
import pytest

from wbvla.collect.ik import ArmIk, HandPose
from wbvla.collect.squeeze import SqueezeConfig
from wbvla.core.rotation import quat_from_rpy, wrap_angle, yaw_of
from wbvla.robots.platforms import load_robot
from wbvla.sim.scene import World
from wbvla.sim.tasks import BoxLoading
from wbvla.sim.tasks.box_loading import (
    BOX,
    SEEN_HEIGHTS,
    TABLE,
    TROLLEY,
    UNSEEN_HEIGHTS,
    BoxLoadingConfig,
    on_bed,
)
from wbvla.sim.tasks.start import SEARCH, SEEN_SHARE, VIEW, Start, StartConfig, seen_share
from wbvla.sim.tasks.task import box_bottom_m, box_half, contacts_of, hand_bodies
from wbvla.sim.tasks.variation import PLAIN
from wbvla.sim.trolley import bed_half

X2 = load_robot("agibot_x2")


@pytest.fixture(scope="module")
def task() -> BoxLoading:
    return BoxLoading()


@pytest.fixture(scope="module")
def world(task: BoxLoading) -> World:
    return task.build(X2)


def load(world: World, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
    """Put the box on the bed by hand, or so far from there."""
    centre, quat = world.body_pose(TROLLEY)
    height = float(box_half(world, BOX)[2]) + 0.001
    world.place(BOX, centre + np.array([0.0, 0.0, height]) + shift, float(yaw_of(quat)))


def watch(task: BoxLoading, world: World, seconds: float) -> dict[str, bool]:
    """Sub-goals after this long, asked ten times per second; the robot is kept where it stands."""
    root = world.data.qpos[:7].copy()
    for _ in range(round(seconds * 10)):
        task.progress(world)
        world.step(20)
        world.data.qpos[:7], world.data.qvel[:6] = root, 0.0
    mujoco.mj_forward(world.model, world.data)
    return dict(task.progress(world))


def put_in_hands(task: BoxLoading, world: World, height_m: float, turn: float) -> None:
    """The robot at this stance height, turned so far from the trolley, the box between its hands."""
    yaw = float(yaw_of(world.body_pose(TROLLEY)[1])) + turn
    world.data.qpos[2] = height_m
    world.data.qpos[3:7] = quat_from_rpy(np.array([0.0, 0.0, yaw]))
    mujoco.mj_forward(world.model, world.data)
    half = box_half(world, BOX)
    palms = half[1] + SqueezeConfig().palm_half_m - 0.005
    poses = {
        side: HandPose(xyz=np.array([0.28, sign * palms, -0.05]), pitch_down=0.4)
        for side, sign in (("left", 1.0), ("right", -1.0))
    }
    ik, data = ArmIk(world.spec), world.data
    data.qpos[world.qpos[world.spec.indices(world.spec.arm_joints)]] = ik.solve(poses, ik.rest, ik.rest).q
    mujoco.mj_forward(world.model, data)
    torso = data.body(world.spec.torso_link)
    middle = torso.xpos + torso.xmat.reshape(3, 3) @ np.array([0.28 + 0.02, 0.0, -0.05])
    world.place(BOX, middle, yaw)
    world.data.time += 0.1
    touching = contacts_of(world, BOX)
    assert all(touching & set(hand_bodies(side)) for side in ("left", "right")), touching


def test_same_seed_same_start_whatever_came_before(task: BoxLoading, world: World) -> None:
    def start(seed: int) -> np.ndarray:
        task.reset(world, seed)
        fields = [world.model.body(TABLE).pos, world.model.body(BOX).mass, box_half(world, BOX)]
        return np.concatenate([world.data.qpos, world.data.mocap_pos.ravel(), *fields])

    first, other = start(7), start(8)
    assert np.array_equal(start(7), first)
    assert not np.allclose(other, first)


def test_the_box_stands_on_its_table_and_robot_and_trolley_touch_nothing_of_it(task: BoxLoading, world: World) -> None:
    for seed in (1, 4, 9):
        task.reset(world, seed)
        box = world.body_pose(BOX)[0]
        assert contacts_of(world, TROLLEY) <= {"world"}
        world.step(150)
        assert contacts_of(world, BOX) == {TABLE}
        np.testing.assert_allclose(world.body_pose(BOX)[0], box, atol=4e-3)
        assert box_bottom_m(world, BOX) == pytest.approx(float(world.model.body(TABLE).pos[2]), abs=3e-3)
        low, high = task.config.box_mass_kg
        assert low <= float(world.model.body(BOX).mass[0]) <= high


@pytest.mark.parametrize(("split", "heights"), [(VIEW, SEEN_HEIGHTS), (SEARCH, UNSEEN_HEIGHTS)])
def test_the_split_says_whether_the_head_sees_the_box(world: World, split: str, heights: tuple[float, ...]) -> None:
    start = StartConfig(split=split, difficulty=1.0)
    task = BoxLoading(BoxLoadingConfig(start=start, table_heights_m=heights, variation=PLAIN))
    seen = set()
    for seed in range(25):
        task.reset(world, seed)
        seen.add(round(float(world.model.body(TABLE).pos[2]), 3))
        assert (seen_share(world, BOX) >= SEEN_SHARE) == (split == VIEW), seed
        assert not any(task.progress(world).values())
    assert seen == set(heights)
    assert not set(SEEN_HEIGHTS) & set(UNSEEN_HEIGHTS)


@pytest.mark.parametrize("aside", [-0.5, 0.5])
def test_a_robot_that_comes_from_one_side_finds_the_trolley_on_the_other(
    task: BoxLoading, world: World, aside: float
) -> None:
    for seed in range(6):
        task.reset_at(world, seed, Start(distance_m=1.25, lateral_m=aside, heading_rad=0.2))
        box, quat = world.body_pose(BOX)
        yaw = float(yaw_of(quat))
        left = np.array([-np.sin(yaw), np.cos(yaw)])
        away = world.root_pose()[0][:2] - box[:2]
        assert away @ left == pytest.approx(aside, abs=1e-6)
        assert -away @ np.array([np.cos(yaw), np.sin(yaw)]) == pytest.approx(1.25, abs=1e-6)
        beside = float((world.body_pose(TROLLEY)[0][:2] - box[:2]) @ left)
        assert np.sign(beside) == -np.sign(aside)
        facing = float(wrap_angle(float(yaw_of(world.body_pose(TROLLEY)[1])) - yaw))
        assert abs(abs(facing) - np.pi / 2.0) < 0.3


def test_loaded_is_on_the_bed_at_rest_and_let_go(task: BoxLoading, world: World) -> None:
    task.reset(world, 3)
    load(world)
    assert on_bed(world)
    progress = watch(task, world, 0.3)
    assert progress["placed"]
    assert not progress["released"]
    progress = watch(task, world, 0.8)
    assert task.success(world)
    assert contacts_of(world, BOX) == {TROLLEY}
    assert not progress["grasped"]
    assert not progress["lifted"]


def test_above_beside_or_on_its_side_is_not_loaded(task: BoxLoading, world: World) -> None:
    task.reset(world, 3)
    depth = float(bed_half(world, TROLLEY)[0])
    for shift in ((0.0, 0.0, 0.2), (0.0, depth + 0.6, 0.0), (0.6, depth + 0.6, 0.0)):
        load(world, shift)
        assert not task.progress(world)["placed"], shift
    load(world)
    start = int(world.model.joint(BOX).qposadr[0])
    world.data.qpos[start + 3 : start + 7] = (0.7071, 0.7071, 0.0, 0.0)
    mujoco.mj_forward(world.model, world.data)
    assert not on_bed(world)


def test_a_box_that_moves_or_a_robot_that_fell_has_loaded_nothing(task: BoxLoading, world: World) -> None:
    task.reset(world, 3)
    load(world)
    assert watch(task, world, 1.0)["released"]
    speed = int(world.model.joint(BOX).dofadr[0])
    world.data.qvel[speed] = 0.2
    assert not task.progress(world)["released"]
    world.data.qvel[speed] = 0.0
    assert not task.success(world), "the clock starts again"
    world.data.qpos[3:7] = (0.7071, 0.7071, 0.0, 0.0)
    mujoco.mj_forward(world.model, world.data)
    assert watch(task, world, 1.0)["placed"]
    assert not task.success(world)


def test_grasped_is_low_and_turned_is_towards_the_trolley(task: BoxLoading, world: World) -> None:
    task.reset(world, 3)
    put_in_hands(task, world, 0.63, turn=1.2)
    high = task.progress(world)
    assert not high["grasped"], "the robot stands upright"
    assert high["lifted"]
    assert not high["turned"]
    put_in_hands(task, world, task.config.squat_m - 0.03, turn=0.3)
    low = task.progress(world)
    assert low["grasped"]
    assert low["turned"]
    task.reset(world, 3)
