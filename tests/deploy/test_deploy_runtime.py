"""The loop in lock-step: rates, joining of chunk, LMO and held joints, ladder, trips, stops."""

import numpy as np
import pytest

from wbvla.core.errors import ConfigError, ContractMismatch, SafetyTrip
from wbvla.deploy.runtime import LocalSource, RobotLoop
from wbvla.deploy.safety import SafetyConfig, SafetyLayer


class Watcher:
    def __init__(self):
        self.ticks = []

    def observe(self, tick):
        self.ticks.append(tick)


@pytest.fixture
def parts(body, spec, lmo, policy):
    safety, watcher = SafetyLayer(spec), Watcher()
    source = LocalSource(policy)
    return body, lmo, safety, watcher, source


def loop_of(parts, spec):
    body, lmo, safety, watcher, source = parts
    return RobotLoop(body, spec, lmo, source, safety, [watcher])


def test_two_rates_and_every_joint_is_told(parts, spec, policy):
    body, lmo, safety, watcher, _ = parts
    report = loop_of(parts, spec).run(100, instruction="go")
    assert (report.ticks, report.observations, report.chunks, report.reason) == (100, 20, 20, "ticks")
    assert report.summary()["loop_hz"] == pytest.approx(50.0)
    assert [o.sequence for o in policy.seen] == list(range(20))
    assert policy.seen[0].instruction == "go"
    assert len(body.written) == 100
    assert len(watcher.ticks) == 100
    assert all(c.flags == (1, 0, 0) for c in lmo.commands)
    assert body.written[-1].q.shape == (31,)
    assert not safety.counts


def test_latency_neither_skips_the_first_chunk_nor_moves_before_it(parts, spec, policy):
    _body, lmo, _, watcher, _ = parts
    late = (*parts[:4], LocalSource(policy, latency_ticks=7))
    report = loop_of(late, spec).run(60)
    flags = [c.flags for c in lmo.commands]
    assert flags[:7] == [(0, 0, 0)] * 7
    assert set(flags[7:]) == {(1, 0, 0)}
    assert report.counts == {"waiting": 7}
    assert watcher.ticks[20].chunk_age_s == pytest.approx(0.2)


def test_silent_source_ends_in_neutral_stand_and_the_loop_goes_on(parts, spec, policy):
    _body, lmo, _safety, _, source = parts
    offer = source.offer
    source.offer = lambda o: offer(o) if o.sequence < 3 else None
    report = loop_of(parts, spec).run(200)
    flags = [c.flags for c in lmo.commands]
    # last chunk: observation 2 at tick 10, ten steps of five ticks
    assert set(flags[:60]) == {(1, 0, 0)}
    assert set(flags[60:]) == {(0, 0, 0)}
    assert lmo.commands[-1].height_m == pytest.approx(0.62)
    assert report.ticks == 200
    assert report.trip == ""
    assert report.counts["age_warning"] == 19
    assert report.counts["hold_stand"] == 140


def test_frozen_camera_is_not_shown_and_the_robot_stands(parts, spec, body, lmo, policy):
    images = body.images
    frozen = images()
    body.images = lambda: images() if body.time_s < 1.0 else {**images(), "head": frozen["head"]}
    report = loop_of(parts, spec).run(200)
    assert len(policy.seen) == 10
    assert report.counts["camera_stale"] == 30
    assert {c.flags for c in lmo.commands[100:]} == {(0, 0, 0)}


def test_age_limit_cuts_a_chunk_that_is_too_long(parts, spec, policy):
    _, lmo, _safety, _, source = parts
    policy.steps, offer = 40, source.offer
    source.offer = lambda o: offer(o) if o.sequence < 1 else None
    loop_of(parts, spec).run(150)
    walking = [c.flags == (1, 0, 0) for c in lmo.commands]
    assert sum(walking) == 101
    assert all(walking[:101])


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        ("tilt", lambda b: setattr(b, "gravity", np.array([0.9, 0.0, -0.43589]))),
        ("state_stale", lambda b: setattr(b, "lag_s", 0.08)),
        ("flail", lambda b: b.dq.__setitem__(slice(0, 4), 9.0)),
    ],
)
def test_trip_is_latched_and_sits_down_damped(parts, spec, rule, break_it):
    body, _lmo, _safety, watcher, _source = parts
    loop = loop_of(parts, spec)
    watcher.observe = lambda t: break_it(body) if t.index == 20 else None
    report = loop.run(1000)
    assert (report.reason, report.trip) == ("tripped", rule)
    assert report.ticks <= 20 + 12 + 1 + 100 + 1
    stiffness = np.array([t.kp.sum() for t in body.written[-100:]])
    assert (np.diff(stiffness) <= 0).all()
    assert stiffness[-1] > 0
    assert (body.written[-1].kd == body.written[0].kd).all()
    with pytest.raises(SafetyTrip, match=rule):
        loop.run(10)


def test_lmo_fault_trips_and_never_reaches_the_body(parts, spec, lmo):
    lmo.fail_after = 30
    assert loop_of(parts, spec).run(400).trip == "lmo_fault"


def test_fast_walk_and_single_fast_joint_do_not_trip(parts, spec, body):
    watcher = parts[3]

    def swing(tick):
        phase = 2 * np.pi * 1.5 * tick.state.time_s
        body.dq[:] = 0
        pitch = spec.indices([n for n in spec.leg_joints if "pitch" in n or "knee" in n])
        body.dq[pitch] = 6.5 * np.sin(phase) * np.array([1, 1, 1, -1, -1, -1])
        body.dq[20] = 9.0

    watcher.observe = swing
    report = loop_of(parts, spec).run(300)
    assert report.trip == ""


def test_operator_stop_stands_then_sits(parts, spec, body, lmo):
    loop = loop_of(parts, spec)
    parts[3].observe = lambda t: loop.stop() if t.index == 10 else None
    report = loop.run(10_000)
    assert (report.reason, report.trip) == ("stopped", "operator_stop")
    assert {c.flags for c in lmo.commands[11:]} == {(0, 0, 0)}
    assert report.ticks == pytest.approx(11 + 100 + 100, abs=3)


def test_run_that_ends_of_itself_sits_down_before_the_body_is_let_go(parts, spec, body, lmo):
    report = loop_of(parts, spec).run(50, sit=True)
    assert (report.reason, report.trip) == ("ticks", "")
    assert report.ticks == pytest.approx(50 + 100 + 100, abs=3)
    assert {c.flags for c in lmo.commands[53:]} == {(0, 0, 0)}
    legs = spec.indices(spec.lmo_joints)
    stiffness = np.array([target.kp[legs] / lmo.kp for target in body.written])
    assert (stiffness[:150] == 1.0).all()
    assert (np.diff(stiffness[150:], axis=0) <= 0).all()
    assert stiffness[-1] == pytest.approx(np.full(len(legs), SafetyConfig().sit_stiffness)), "never without stiffness"


def test_trip_while_sitting_down_at_the_end_is_told(parts, spec, body):
    def tilt(tick):
        if tick.index > 60:
            body.gravity = np.array([0.9, 0.0, -0.4])

    parts[3].observe = tilt
    report = loop_of(parts, spec).run(50, sit=True)
    assert (report.reason, report.trip) == ("tripped", "tilt")


def test_end_of_demonstration_and_finish_end_the_run(parts, spec, policy):
    act, loop = policy.act, loop_of(parts, spec)
    policy.act = lambda o: act(o) if o.sequence < 4 else None
    report = loop.run(1000)
    assert (report.reason, report.ticks) == ("finished", 21)
    policy.act = act
    parts[3].observe = lambda t: loop.finish() if t.index == 7 else None
    assert loop.run(1000).ticks == 8
    assert policy.resets == 2


def test_wrong_body_and_odd_rate_are_refused_by_name(parts, spec, body, policy):
    with pytest.raises(ConfigError, match="do not divide"):
        RobotLoop(body, spec, parts[1], LocalSource(policy, rate_hz=15.0), parts[2])
    body.joint_names = body.joint_names[::-1]
    with pytest.raises(ContractMismatch, match="joint_names"):
        loop_of(parts, spec)
