"""The expert of cart-pushing takes the bar, keeps the cart in its lane and stops it, by its hands' contact alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from wbvla.collect.expert import SLIPPED, ExpertConfig
from wbvla.collect.experts import CartPushingExpert
from wbvla.collect.experts.cart_pushing import PushConfig
from wbvla.collect.stage import Stage, StageConfig
from wbvla.core.records import Observation, Tick
from wbvla.sim.tasks.cart_pushing import CART, CartPushing
from wbvla.sim.tasks.task import hand_bodies

HANDS = {name for side in ("left", "right") for name in hand_bodies(side)}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage(StageConfig(task="cart-pushing"))
    yield stage
    stage.close()


class Watcher:
    """Calls something at every control tick."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def observe(self, tick: Tick) -> None:
        self._look()


def test_pushes_the_cart_along_its_lane_with_nothing_but_its_hands(stage: Stage) -> None:
    world, phases, touching = stage.world, [], set()
    ahead_n: list[float] = []
    bodies = [world.model.body(int(i)).name for i in world.model.geom_bodyid]

    def look() -> None:
        if stage.expert.phase not in phases:
            phases.append(stage.expert.phase)
        force = np.zeros(3)
        for index in range(world.data.ncon):
            contact = world.data.contact[index]
            names = [bodies[int(geom)] for geom in contact.geom]
            other = next((name for name in names if not name.startswith(CART)), "")
            if other in ("", "world") or not any(name.startswith(CART) for name in names):
                continue
            touching.add(other)
            wrench = np.zeros(6)
            mujoco.mj_contactForce(world.model, world.data, index, wrench)
            # MuJoCo: the force on the second body, in a frame whose first row is the normal.
            sign = 1.0 if names[1].startswith(CART) else -1.0
            force += sign * contact.frame.reshape(3, 3).T @ wrench[:3]
        if stage.expert.phase == "push":
            ahead_n.append(float(force @ world.data.body(CART).xmat.reshape(3, 3)[:, 0]))

    outcome = stage.run(4, [Watcher(look)])
    assert outcome.success, outcome
    assert outcome.instruction in CartPushing.train_instructions
    assert phases == ["walk", "ready", "reach", "close", "push", "halt"]
    times = [time_s for time_s in outcome.subgoals_s.values() if time_s is not None]
    assert len(times) == len(CartPushing.subgoals)
    assert times == sorted(times)
    assert touching <= HANDS
    ahead, left, turned = CartPushing.lane_pose(world)
    assert 3.0 <= ahead < 3.5
    assert abs(left) < 0.1
    assert abs(turned) < 0.1
    # The hands overcome the rolling resistance and give the cart its speed; nothing else does.
    model = world.model
    mass = float(model.body_subtreemass[model.body(CART).id])
    friction = model.dof_frictionloss[[int(model.joint(f"{CART}_front_left").dofadr[0])]][0]
    resistance = 4.0 * float(friction) / stage.task.config.cart.wheel_radius_m  # type: ignore[attr-defined]
    gained = mass * 0.3 / (0.02 * len(ahead_n))
    assert np.mean(ahead_n) == pytest.approx(resistance + gained, rel=0.35)
    assert not any(world.data.xfrc_applied.ravel())
    assert {int(kind) for kind in model.eq_type} == {int(mujoco.mjtEq.mjEQ_JOINT)}  # fingers of one gripper


@pytest.fixture
def short(stage: Stage) -> Iterator[CartPushing]:
    """The stage's task with a line that is near."""
    task = stage.task
    assert isinstance(task, CartPushing)
    whole = task.config
    task.config = replace(whole, distance_m=1.2)
    yield task
    task.config = whole


def test_steers_back_when_something_turns_the_cart(stage: Stage, short: CartPushing) -> None:
    world, body, turns = stage.world, stage.world.model.body(CART).id, []

    def look() -> None:
        ahead, _, turned = short.lane_pose(world)
        world.data.xfrc_applied[body, 5] = -15.0 if 0.3 < ahead < 0.5 else 0.0
        turns.append(turned)

    outcome = stage.run(6, [Watcher(look)])
    assert outcome.success, outcome
    assert min(turns) < -0.08
    assert turns[-1] > 0.5 * min(turns)


def test_takes_the_bar_again_when_the_hands_come_off(stage: Stage, short: CartPushing) -> None:
    expert = stage.expert
    assert isinstance(expert, CartPushingExpert)
    config = expert.config
    expert.config, expert.push_config = replace(config, perturbation=1.0), replace(PushConfig(), break_share=1.0)
    try:
        outcome = stage.run(8)
    finally:
        expert.config, expert.push_config = config, PushConfig()
    assert outcome.success, outcome
    assert outcome.attempts == 2
    assert expert.lapses == [SLIPPED]


def test_gives_up_a_cart_that_left_its_lane(stage: Stage) -> None:
    expert, world = stage.expert, stage.world
    stage.task.reset(world, 4)
    stage.body.reset()
    expert.reset()
    seen = Observation(sequence=0, state=stage.body.read(), images={}, instruction="")
    assert expert.act(seen) is not None
    xyz, yaw = expert.pose_of(CART)
    world.place(CART, xyz + 0.4 * np.array([-np.sin(yaw), np.cos(yaw), 0.0]), yaw)
    assert expert.act(seen) is None
    assert expert.lost
    assert expert.failure == SLIPPED


def test_perturbed_it_aims_aside_and_differs_from_unperturbed(stage: Stage) -> None:
    plain = CartPushingExpert(stage.world, stage.task, ExpertConfig(), 5)
    shaken = CartPushingExpert(stage.world, stage.task, ExpertConfig(perturbation=1.0), 5)
    stage.task.reset(stage.world, 5)
    for expert in (plain, shaken):
        expert.reset()
        next(expert._script)
    assert plain._wanted()[1] == pytest.approx(plain.pose_of("lane")[1], abs=1e-9)
    assert shaken._wanted()[1] != pytest.approx(plain._wanted()[1], abs=1e-3)
