"""The cart rolls as a cart does, the task starts where its split says, and only hands pushing along the lane win it."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from wbvla.collect.ik import ArmIk, HandPose
from wbvla.core.errors import ConfigError
from wbvla.core.rotation import quat_from_rpy, yaw_of
from wbvla.robots.platforms import load_robot
from wbvla.sim.cart import WHEELS, bar_of, bar_pose, cart_speed, load_cart
from wbvla.sim.scene import World
from wbvla.sim.tasks import CartPushing
from wbvla.sim.tasks.cart_pushing import CART, LANE, CartPushingConfig
from wbvla.sim.tasks.start import SEARCH, SEEN_SHARE, VIEW, Start, StartConfig, seen_share
from wbvla.sim.tasks.task import contacts_of, hand_bodies
from wbvla.sim.tasks.variation import PLAIN

GRAVITY = 9.81
FAR = (-3.5, 2.5)
"""where the robot is out of the cart's way"""


@pytest.fixture(scope="module")
def task() -> CartPushing:
    return CartPushing()


@pytest.fixture(scope="module")
def world(task: CartPushing) -> World:
    return task.build(load_robot("agibot_x2"))


def settled(task: CartPushing, world: World, mass_kg: float = 50.0, rolling: float = 0.015) -> World:
    """The cart alone in the middle of the room, its swivels straight."""
    load_cart(world, CART, task.config.cart, mass_kg, rolling)
    world.reset(FAR)
    world.place(CART, (0.0, 0.0, 0.0))
    world.step(40)
    return world


def pushed(world: World, force: np.ndarray, point: np.ndarray, steps: int) -> None:
    """A force in the cart's frame at a point of it, for some steps [N, m]."""
    body = world.model.body(CART).id
    for _ in range(steps):
        rotation = world.data.body(CART).xmat.reshape(3, 3)
        arm = rotation @ point + world.data.body(CART).xpos - world.data.xipos[body]
        world.data.xfrc_applied[body] = np.concatenate([rotation @ force, np.cross(arm, rotation @ force)])
        world.step()
    world.data.xfrc_applied[body] = 0.0


@pytest.mark.parametrize(("mass_kg", "rolling"), [(50.0, 0.015), (60.0, 0.01)])
def test_a_rolling_cart_is_slowed_by_its_rolling_resistance_alone(
    task: CartPushing, world: World, mass_kg: float, rolling: float
) -> None:
    settled(task, world, mass_kg, rolling)
    radius = task.config.cart.wheel_radius_m
    world.data.qvel[int(world.model.joint(CART).dofadr[0])] = 0.5
    for wheel in WHEELS:
        world.data.qvel[int(world.model.joint(f"{CART}_{wheel}").dofadr[0])] = 0.5 / radius
    world.step(20)
    before = cart_speed(world, CART)[0]
    world.step(100)
    slowed = (before - cart_speed(world, CART)[0]) / 0.5
    assert slowed == pytest.approx(rolling * GRAVITY, rel=0.05)
    turning = world.data.qvel[int(world.model.joint(f"{CART}_front_left").dofadr[0])]
    assert turning * radius == pytest.approx(cart_speed(world, CART)[0], rel=0.02)


def test_it_stands_until_pushed_harder_than_it_resists_and_never_slides_on_its_fixed_wheels(
    task: CartPushing, world: World
) -> None:
    resistance, bar = 50.0 * GRAVITY * 0.015, np.array([task.config.cart.bar_x_m, 0.0, 0.64])
    moved = []
    for share in (0.8, 2.0):
        settled(task, world)
        start = world.body_pose(CART)[0]
        pushed(world, np.array([share * resistance, 0.0, 0.0]), bar, 200)
        moved.append(float(world.body_pose(CART)[0][0] - start[0]))
    assert moved[0] < 0.003
    # from rest x = F t^2 / 2 m with what is left of the force
    assert moved[1] == pytest.approx(0.5 * resistance / 50.0, rel=0.1)
    settled(task, world)
    axle = np.array([task.config.cart.wheel_at_m[0], 0.0, 0.0])
    pushed(world, np.array([0.0, 15.0, 0.0]), bar, 200)
    xyz, quat = world.body_pose(CART)
    turn = float(yaw_of(quat))
    end = xyz + np.array([np.cos(turn), np.sin(turn), 0.0]) * axle[0]
    assert turn < -0.1  # the bar was pushed to the left
    assert abs(end[1]) < 0.03


def test_the_floor_carries_the_mass_that_the_seed_gave(task: CartPushing, world: World) -> None:
    masses = []
    for seed in (1, 5):
        task.reset(world, seed)
        masses.append(float(world.model.body_subtreemass[world.model.body(CART).id]))
        world.step(100)
        force = 0.0
        for index in range(world.data.ncon):
            names = [world.model.body(int(world.model.geom_bodyid[g])).name for g in world.data.contact[index].geom]
            if "world" in names and any(name.startswith(CART) for name in names):
                wrench = np.zeros(6)
                mujoco.mj_contactForce(world.model, world.data, index, wrench)
                force += wrench[0]
        assert force == pytest.approx(GRAVITY * masses[-1], rel=0.02)
    assert masses[0] != masses[1]
    spread = task.config.start.difficulty * task.config.mass_spread
    assert all(abs(mass / task.config.cart.mass_kg - 1.0) <= spread for mass in masses)
    with pytest.raises(ConfigError, match="wheels"):
        load_cart(world, CART, task.config.cart, 1.0, 0.01)


def test_same_seed_same_start(task: CartPushing, world: World) -> None:
    def start(seed: int) -> np.ndarray:
        task.reset(world, seed)
        model = world.model
        return np.concatenate([world.data.qpos, model.body_mass, model.dof_frictionloss, model.geom_rgba.ravel()])

    first, other = start(7), start(8)
    assert np.array_equal(start(7), first)
    assert not np.allclose(other, first)


def behind(world: World) -> tuple[float, float, float]:
    """The robot's distance behind the bar, to the left of its axis [m] and heading from it [rad]."""
    (bar, yaw), (root, quat) = bar_pose(world, CART), world.root_pose()
    x, y = root[:2] - bar[:2]
    distance = -np.cos(yaw) * x - np.sin(yaw) * y
    return float(distance), float(np.cos(yaw) * y - np.sin(yaw) * x), float(yaw_of(quat)) - yaw


@pytest.mark.parametrize("split", [VIEW, SEARCH])
def test_the_split_says_whether_the_head_sees_the_bar(world: World, split: str) -> None:
    task = CartPushing(CartPushingConfig(start=StartConfig(split=split, difficulty=1.0), variation=PLAIN))
    starts = []
    for seed in range(40):
        task.reset(world, seed)
        assert (seen_share(world, bar_of(CART)) >= SEEN_SHARE) == (split == VIEW), seed
        assert not any(task.progress(world).values())
        starts.append(behind(world))
    distance, aside, turn = np.abs(starts).T
    assert 1.0 - 1e-6 <= distance.min() < 1.1
    assert 1.4 < distance.max() <= 1.5 + 1e-6
    assert 0.5 < aside.max() <= 0.75 + 1e-6
    assert 0.7 < turn.max() <= np.pi / 3 + 1e-6


def test_a_start_of_ones_own(task: CartPushing, world: World) -> None:
    task.reset(world, 3)
    mass = world.model.body_subtreemass[world.model.body(CART).id]
    task.reset_at(world, 3, Start(distance_m=1.25, lateral_m=-0.5, heading_rad=0.4))
    assert behind(world) == pytest.approx((1.25, -0.5, 0.4), abs=1e-6)
    assert world.model.body_subtreemass[world.model.body(CART).id] == mass
    assert not any(task.progress(world).values())


def stand(task: CartPushing, world: World, ahead: float, left: float = 0.0, turn: float = 0.0) -> None:
    """The robot behind a cart somewhere on its lane, both hands closed around the bar."""
    ik, cart = ArmIk(world.spec), task.config.cart
    origin, quat = world.body_pose(LANE)
    yaw = float(yaw_of(quat))
    xy = origin[:2] + np.array([np.cos(yaw) * ahead - np.sin(yaw) * left, np.sin(yaw) * ahead + np.cos(yaw) * left])
    world.place(CART, (*xy, 0.0), yaw + turn)
    bar = bar_pose(world, CART)[0]
    facing = np.array([np.cos(yaw + turn), np.sin(yaw + turn)])
    data, time_s = world.data, world.time_s
    data.qpos[:2] = bar[:2] - 0.28 * facing
    data.qpos[3:7] = quat_from_rpy(np.array([0.0, 0.0, yaw + turn]))
    mujoco.mj_forward(world.model, data)
    torso = data.body(world.spec.torso_link).xpos
    poses = {
        side: HandPose(xyz=np.array([0.30, sign * 0.17, bar[2] - torso[2]]), pitch_down=0.3)
        for side, sign in (("left", 1.0), ("right", -1.0))
    }
    data.qpos[world.qpos[world.spec.indices(world.spec.arm_joints)]] = ik.solve(poses, ik.rest, ik.rest).q
    for name in (f"{side}_gripper{end}" for side in ("left", "right") for end in ("", "_follow")):
        data.qpos[int(world.model.joint(name).qposadr[0])] = cart.bar_radius_m - 0.004
    mujoco.mj_forward(world.model, data)
    assert all(contacts_of(world, bar_of(CART)) & set(hand_bodies(side)) for side in ("left", "right"))
    data.time = time_s + 0.1


def test_sub_goals_come_one_after_the_other_as_the_cart_goes_along_its_lane(task: CartPushing, world: World) -> None:
    task.reset(world, 3)
    marks = {0.0: 2, 0.5: 3, 1.5: 4, 2.5: 5, 3.05: 6}
    for ahead, count in marks.items():
        stand(task, world, ahead, left=0.1, turn=0.1)
        progress = task.progress(world)
        assert list(progress) == list(task.subgoals)
        assert [name for name, reached in progress.items() if reached] == list(task.subgoals[:count])
    world.data.time += 1.01
    assert task.success(world)


def test_it_is_not_done_while_the_cart_rolls_or_a_hand_is_off(task: CartPushing, world: World) -> None:
    task.reset(world, 3)
    stand(task, world, 3.1)
    task.progress(world)
    forward = world.data.body(CART).xmat.reshape(3, 3)[:, 0]
    start = int(world.model.joint(CART).dofadr[0])
    world.data.qvel[start : start + 3] = 0.2 * forward
    world.data.time += 1.1
    assert task.progress(world)["arrived"]
    assert not task.success(world)
    world.data.qvel[:] = 0.0
    task.progress(world)
    world.data.time += 0.9
    assert not task.success(world)
    world.data.qpos[int(world.model.joint("left_gripper").qposadr[0])] = 0.045
    world.data.qpos[int(world.model.joint("left_gripper_follow").qposadr[0])] = 0.045
    mujoco.mj_forward(world.model, world.data)
    world.data.time += 1.1
    assert not task.progress(world)["grasped"]
    assert not task.success(world)


@pytest.mark.parametrize(("left", "turn"), [(0.35, 0.0), (-0.35, 0.0), (0.0, 0.3)])
def test_a_cart_that_left_its_lane_once_has_failed_until_the_next_start(
    task: CartPushing, world: World, left: float, turn: float
) -> None:
    task.reset(world, 3)
    stand(task, world, 1.5, left, turn)
    assert not task.progress(world)["one_metre"]
    assert task.strayed()
    stand(task, world, 3.1)
    assert task.progress(world)["grasped"]
    world.data.time += 1.1
    assert not task.success(world)
    task.reset(world, 3)
    assert not task.strayed()


def test_a_cart_alone_beyond_the_line_is_no_success(task: CartPushing, world: World) -> None:
    task.reset(world, 3)
    origin, quat = world.body_pose(LANE)
    yaw = float(yaw_of(quat))
    world.place(CART, origin + 3.2 * np.array([np.cos(yaw), np.sin(yaw), 0.0]), yaw)
    assert task.lane_pose(world)[0] == pytest.approx(3.2, abs=1e-6)
    task.progress(world)
    world.data.time += 2.0
    assert not any(task.progress(world).values())


def test_another_distance_is_another_goal(world: World) -> None:
    task = CartPushing(replace(CartPushingConfig(), distance_m=1.2))
    task.reset(world, 3)
    stand(task, world, 1.3)
    assert task.progress(world)["arrived"]
