"""The safety layer on its own: refusals, limits of motion, ease-in, position error, damped sit."""

import numpy as np
import pytest
from deploy_fakes import IdealBody, chunk
from hypothesis import given, settings
from hypothesis import strategies as st

from wbvla.core.command import Command
from wbvla.core.errors import SafetyTrip
from wbvla.core.records import JointTarget
from wbvla.deploy.chunk import Setpoint
from wbvla.deploy.safety import REJECTIONS, SafetyConfig, SafetyLayer


@pytest.fixture
def safety(spec, body):
    layer = SafetyLayer(spec)
    layer.begin(body.read())
    return layer


def setpoint(arm, **changes):
    fields = {"gripper": np.ones(2), "command": Command(s_x=1, height_m=0.6), "started": True, "ended": False}
    return Setpoint(arm=arm, **{**fields, **changes})


def held(spec, q=None):
    q = spec.column("default") if q is None else q
    return JointTarget(q=q, kp=spec.column("kp"), kd=spec.column("kd"), gripper=np.ones(2))


def test_whole_chunk_is_refused_by_name_and_counted(safety, spec, arm_rest):
    broken = chunk(arm_rest)
    broken.arm_targets[3, 2] = np.nan  # a record is checked when it is made; memory may still go bad
    faults = {
        "chunk_nan": broken,
        "chunk_shape": chunk(np.zeros(13)),
        "chunk_joint_limit": chunk(arm_rest + np.r_[np.zeros(13), 9.0]),
        "chunk_height": chunk(arm_rest, height_m=np.full(10, 0.2)),
    }
    assert safety.admit(chunk(arm_rest))
    for rule, action in faults.items():
        assert not safety.admit(action), rule
    assert safety.counts == dict.fromkeys(faults, 1)
    assert set(faults) <= set(REJECTIONS)
    assert safety.interventions == 4


def test_target_slightly_past_a_limit_is_clipped(safety, spec, arm_rest):
    upper = spec.column("upper")[spec.indices(spec.arm_joints)]
    past = np.where(np.arange(14) == 4, upper + 0.05, arm_rest)
    assert safety.admit(chunk(past))
    for _ in range(400):
        arm, _ = safety.guard(setpoint(past), 0.0)
    assert arm[4] == pytest.approx(upper[4])
    assert safety.counts["arm_clipped"] == 1


@settings(max_examples=12)
@given(seed=st.integers(0, 2**16), held_ticks=st.integers(1, 30))
def test_arm_targets_obey_speed_acceleration_and_limits_whatever_is_asked(spec, seed, held_ticks):
    rng = np.random.default_rng(seed)
    layer, body, index = SafetyLayer(spec), IdealBody(spec), spec.indices(spec.arm_joints)
    layer.begin(body.read())
    low, high = spec.column("lower")[index], spec.column("upper")[index]
    arms = [body.q[index]]
    for tick in range(80):
        if tick % held_ticks == 0:
            wanted = rng.uniform(low - 0.1, high + 0.1)
        layer.begin_tick(body.read(), 0.0)
        arms.append(layer.guard(setpoint(wanted, ended=tick > 60), 0.0)[0])
    speed = np.diff(arms, axis=0) / 0.02
    assert (np.abs(speed) <= layer.config.arm_speed_radps + 1e-9).all()
    inside = (np.array(arms)[2:] > low + 1e-9) & (np.array(arms)[2:] < high - 1e-9)
    assert (np.abs(np.diff(speed, axis=0) / 0.02)[inside] <= layer.config.arm_accel_radps2 * (1 + 1e-9)).all()
    assert (np.array(arms) >= low - 1e-12).all()
    assert (np.array(arms) <= high + 1e-12).all()
    np.testing.assert_allclose(arms[-1], arms[-5], atol=1e-12)


def test_limited_arm_arrives_without_overshoot(safety, spec, arm_rest, body):
    goal, arms = arm_rest + np.r_[0.8, np.zeros(13)], []
    for _ in range(60):
        safety.begin_tick(body.read(), 0.0)
        arms.append(safety.guard(setpoint(goal), 0.0)[0][0])
    assert arms[-1] == pytest.approx(goal[0], abs=1e-6)
    assert max(arms) <= goal[0] + 1e-6
    assert arms[5] - arm_rest[0] < 0.15, "ease-in: the first tenth of a second is slow"


def test_ladder(safety, arm_rest):
    limit = safety.config.age_limit_s
    cases = [
        (setpoint(arm_rest), 0.1, (1, 0, 0), ()),
        (setpoint(arm_rest), 0.7, (1, 0, 0), ("age_warning",)),
        (setpoint(arm_rest), limit + 0.05, (0, 0, 0), ("hold_stand",)),
        (setpoint(arm_rest, ended=True), 0.1, (0, 0, 0), ("hold_stand",)),
        (setpoint(arm_rest, started=False), np.inf, (0, 0, 0), ("waiting",)),
    ]
    for point, age, flags, events in cases:
        _, command = safety.guard(point, age)
        assert (command.flags, command.height_m, safety.take_events()) == (flags, 0.6, events)


def test_height_is_kept_inside_the_robots_range(safety, spec, arm_rest):
    low, high = spec.height_range_m
    for asked, got in ((high + 0.03, high), (low - 0.03, low)):
        _, command = safety.guard(setpoint(arm_rest, command=Command(height_m=asked)), 0.0)
        assert command.height_m == got


def test_held_joints_ease_from_where_they_are(spec, body):
    head = spec.indices(spec.head_joints)
    body.q[head] += 0.4
    layer = SafetyLayer(spec, SafetyConfig(ease_in_s=1.0))
    layer.begin(body.read())
    path = []
    for _ in range(60):
        layer.begin_tick(body.read(), 0.0)
        path.append(layer.finish(held(spec)).q[head[0]])
    assert np.abs(np.diff(path)).max() < 0.4 / 50 + 1e-9
    assert path[-1] == pytest.approx(spec.column("default")[head[0]])


def test_blocked_arm_trips_after_its_time_and_legs_do_not(spec, body):
    legs, arms = spec.indices(spec.lmo_joints), spec.indices(spec.arm_joints)
    for index, trip in ((legs[:1], ""), (arms[:1], "position_error")):
        layer = SafetyLayer(spec)
        layer.begin(body.read())
        target = held(spec)
        far = target.q.copy()
        inwards = np.sign(spec.column("upper") + spec.column("lower") - 2 * far)[index]
        far[index] += 1.1 * np.where(inwards == 0, 1.0, inwards)
        for tick in range(60):
            layer.begin_tick(body.read(), 0.0)
            layer.finish(held(spec, far))
            assert not layer.trip or tick >= 50
        assert layer.trip == trip


def test_trip_is_latched_damped_and_needs_a_new_start(safety, spec, body):
    safety.begin_tick(body.read(), 0.0)
    before = safety.finish(held(spec))
    safety.stop("watchdog")
    safety.stop("tilt")
    assert safety.trip == "watchdog"
    sat = [safety.finish(held(spec, np.zeros(31))) for _ in range(120)]
    assert safety.settled
    assert all((t.kd == before.kd).all() and (t.q == before.q).all() for t in sat)
    shares = np.array([t.kp[0] / before.kp[0] for t in sat])
    assert (np.diff(shares) <= 1e-12).all()
    assert shares[-1] == pytest.approx(safety.config.sit_stiffness)
    with pytest.raises(SafetyTrip, match="watchdog"):
        safety.begin(body.read())
