"""What goes wrong beside a standing robot: whatever fails, it is held or sat down, damped, and somebody is told."""

import numpy as np
import pytest
from deploy_fakes import chunk

from wbvla.core.errors import ConfigError, RenderError, RobotError
from wbvla.core.records import Action
from wbvla.deploy.runtime import LocalSource, RobotLoop
from wbvla.deploy.safety import SafetyLayer


class At:
    """An observer that does something at one tick."""

    def __init__(self, index, act):
        self._index, self._act = index, act

    def observe(self, tick):
        if tick.index == self._index:
            self._act()


def broken(*_):
    raise RuntimeError("broken")


@pytest.fixture
def joined(spec, body, lmo, policy):
    """Makes a loop with an observer; the safety layer is there to be looked at."""
    safety = SafetyLayer(spec)

    def make(*observers):
        return RobotLoop(body, spec, lmo, LocalSource(policy), safety, observers)

    return make, safety


@pytest.mark.parametrize("what", ["observer", "policy", "read", "images", "tick", "balancer"])
def test_whatever_fails_in_a_tick_the_robot_is_sat_down_and_the_error_told(joined, body, lmo, policy, what):
    make, safety = joined
    owner = {"policy": (policy, "act"), "balancer": (lmo, "step")}.get(what, (body, what))
    act = broken if what == "observer" else lambda: setattr(*owner, broken)
    with pytest.raises(RuntimeError, match="broken"):
        make(At(20, act)).run(1000)
    assert safety.trip == "loop_fault"
    stiffness = np.array([target.kp[0] for target in body.written]) / body.written[0].kp[0]
    assert (np.diff(stiffness) <= 1e-12).all()
    assert stiffness[-1] == pytest.approx(safety.config.sit_stiffness)
    assert (stiffness < 1.0).sum() == 100
    assert all((target.kd == body.written[0].kd).all() for target in body.written)


def test_a_body_that_cannot_be_written_to_is_asked_again_until_it_should_sit(joined, body):
    make, safety = joined
    asked = []

    def refuse(target):
        asked.append(target)
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        make(At(20, lambda: setattr(body, "write", refuse))).run(1000)
    assert safety.trip == "loop_fault"
    assert len(asked) >= 100


@pytest.mark.parametrize(("bad_ticks", "trip"), [(2, ""), (1000, "state_stale")])
def test_nan_of_the_body_is_an_old_state_until_it_is_too_old(joined, body, bad_ticks, trip):
    """Records refuse NaN as they are made: the robot goes on for as long as an old state may be."""
    make, safety = joined
    start, read = body.time_s + 0.4, body.read

    def sometimes():
        if start <= body.time_s + 1e-9 < start + bad_ticks / body.control_hz:
            raise ConfigError("BodyState.dq holds NaN or infinity")
        return read()

    body.read = sometimes
    report = make().run(200)
    assert report.trip == trip
    assert safety.counts["state_refused"] >= min(bad_ticks, 4)
    assert np.isfinite([target.q for target in body.written]).all()


def test_a_camera_that_dies_makes_the_robot_stand(joined, body, lmo):
    make, safety = joined

    def dead():
        raise RenderError("the camera process died")

    report = make(At(50, lambda: setattr(body, "images", dead))).run(200)
    assert report.trip == ""
    assert safety.counts["camera_stale"] >= 25
    assert {c.flags for c in lmo.commands[120:]} == {(0, 0, 0)}


def test_a_camera_that_never_worked_is_an_error(joined, body):
    make, _ = joined

    def dead():
        raise RenderError("no camera")

    body.images = dead
    with pytest.raises(RenderError, match="no camera"):
        make().run(200)


def test_flags_that_overflow_are_refused(spec, arm_rest):
    least = np.iinfo(np.int32).min
    with pytest.raises(ConfigError, match="-1, 0 or 1"):
        chunk(arm_rest, flags=np.full((10, 3), least, dtype=np.int32))
    spoilt = chunk(arm_rest)
    spoilt.flags[4, 1] = -7
    layer = SafetyLayer(spec)
    assert not layer.admit(spoilt)
    assert layer.counts["chunk_flags"] == 1


def test_operators_stop_holds_arms_grippers_and_height(joined, spec, body, lmo, policy, arm_rest):
    """A long chunk that moves everything is on its way when the operator stops: nothing of it is executed any more."""
    make, safety = joined
    ramp = np.linspace(0.0, 1.0, 20)
    index = spec.indices(spec.arm_joints)[0]
    lower = spec.column("lower")[index]

    def moving(observation) -> Action:
        far = np.tile(arm_rest, (20, 1))
        far[:, 0] += 0.8 * (lower - arm_rest[0]) * ramp
        height = 0.62 - 0.1 * ramp
        return chunk(arm_rest, 20, arm_targets=far, height_m=height, grippers=np.tile(1 - 0.8 * ramp[:, None], (1, 2)))

    policy.act = moving
    loop = make()
    offer = loop._source.offer
    loop._source.offer = lambda observation: offer(observation) if observation.sequence < 1 else None
    loop._observers = (At(10, loop.stop),)
    loop.run(1000)
    arm = np.array([target.q[index] for target in body.written])
    grip = np.array([target.gripper for target in body.written])
    after = slice(11, None)
    assert np.ptp(arm[after]) < 0.05, "it brakes"
    assert np.ptp(grip[after]) == 0.0
    assert len({c.height_m for c in lmo.commands[11:]}) == 1
    assert arm[9] < arm[0] - 0.001, "it was moving"
    assert grip[9, 0] < 0.97
    assert "hold_stand" not in safety.counts


def test_a_stop_before_the_run_is_no_start(joined, lmo, body):
    make, _ = joined
    loop = make()
    loop.stop()
    report = loop.run(1000)
    assert (report.reason, report.trip) == ("stopped", "operator_stop")
    assert {c.flags for c in lmo.commands} == {(0, 0, 0)}


def test_a_robot_that_does_not_stand_as_the_controller_begins_is_not_started(joined, spec, body):
    make, _ = joined
    knee = spec.indices(spec.lmo_joints)[3]
    body.q[knee] += 0.6
    with pytest.raises(RobotError, match=rf"{spec.joint_names[knee]} is 0\.60 rad"):
        make().run(10)
    body.q[knee] -= 0.6
    body.gravity = np.array([0.9, 0.0, -0.4])
    with pytest.raises(RobotError, match="tilted"):
        make().run(10)
    assert body.written == []


def test_a_trip_at_the_first_tick_holds_the_pose_the_robot_is_in(joined, spec, body, lmo):
    make, safety = joined
    body.q[:3] += 0.2
    first = body.q.copy()
    steps, calls = lmo.step, []

    def fail_later(state, command):
        calls.append(1)
        return steps(state, command) * (np.nan if len(calls) > 3 else 1.0)

    lmo.step = fail_later
    assert make().run(1000).trip == "lmo_fault"
    assert np.abs(body.written[0].q - first).max() < 1e-12
    assert body.written[0].kp[0] < safety.config.sit_stiffness + lmo.kp[0]


def test_an_arm_beyond_its_limit_comes_back_at_the_speed_of_arms(spec, body, arm_rest):
    """It used to be thrown to the limit in one tick, and further by what looked like its speed."""
    index = spec.indices(spec.arm_joints)
    upper = spec.column("upper")[index]
    body.q[index[0]] = upper[0] + 0.2
    safety = SafetyLayer(spec)
    loop = RobotLoop(body, spec, _still(spec), LocalSource(_Reach(chunk(arm_rest))), safety)
    loop.run(150)
    path = np.array([target.q[index[0]] for target in body.written])
    speed = np.abs(np.diff(np.r_[upper[0] + 0.2, path])) * 50
    assert speed.max() <= safety.config.arm_speed_radps + 1e-9
    assert path[0] > upper[0] + 0.1
    assert path[-1] == pytest.approx(arm_rest[0])


class _Reach:
    """Asks for one chunk again and again."""

    instruction = "reach"

    def __init__(self, action):
        self._action = action

    def reset(self):
        return None

    def act(self, observation):
        return self._action


def _still(spec):
    from deploy_fakes import StandingBalancer

    return StandingBalancer(spec)


@pytest.mark.parametrize("stamp", [1.7e9, float("nan"), -1e3])
def test_stamps_of_another_clock_are_stale(joined, spec, body, stamp):
    make, safety = joined
    read = body.read

    def other():
        state = read()
        object.__setattr__(state, "time_s", stamp)
        return state

    make(At(10, lambda: setattr(body, "read", other))).run(400)
    assert safety.trip == "state_stale"


def test_grippers_stay_as_they_are_until_a_chunk_comes(joined, body, policy):
    make, _ = joined
    read = body.read

    def closed():
        state = read()
        object.__setattr__(state, "gripper", np.array([0.1, 0.2]))
        return state

    body.read = closed
    policy.act = lambda observation: None
    make().run(1)
    assert body.written[0].gripper.tolist() == [0.1, 0.2]


def test_rates_that_differ_are_refused(spec, body, lmo, policy):
    with pytest.raises(ConfigError, match=r"control_hz=body\.control_hz"):
        RobotLoop(body, spec, lmo, LocalSource(policy), SafetyLayer(spec, control_hz=100.0))
