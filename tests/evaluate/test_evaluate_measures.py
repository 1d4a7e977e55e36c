"""Safety and efficiency are counted from ticks that are known."""

import numpy as np
import pytest

from wbvla.core.command import Command
from wbvla.core.records import BodyState, JointTarget, Tick
from wbvla.evaluate.efficiency import held_rates, measure_efficiency, mechanical_energy, summarise_efficiency
from wbvla.evaluate.page import touching
from wbvla.evaluate.safety import measure_safety, summarise_safety
from wbvla.evaluate.ticks import TickLog
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot
from wbvla.sim.person_contact import PersonContact

HZ = 50.0


@pytest.fixture(scope="module")
def spec() -> RobotSpec:
    return load_robot("agibot_x2")


def run_log(spec: RobotSpec, ticks: int, **changed: dict[int, np.ndarray]) -> TickLog:
    """Ticks of a robot that stands still, with some fields changed at some ticks."""
    joints, log = len(spec.joint_names), TickLog(HZ)
    target = JointTarget(q=spec.column("default"), kp=spec.column("kp"), kd=spec.column("kd"), gripper=np.ones(2))
    for i in range(ticks):
        values = {
            "q": spec.column("default"), "dq": np.zeros(joints), "torque": np.zeros(joints),
            "gravity_b": np.array([0.0, 0.0, -1.0]),
        }  # fmt: skip
        values.update({name: at[i] for name, at in changed.items() if i in at})
        state = BodyState(time_s=i / HZ, gripper=np.ones(2), gyro_b=np.zeros(3), **values)
        log.observe(
            Tick(
                index=i,
                state=state,
                command=Command(height_m=0.6),
                target=target,
                arm_target=np.zeros(14),
                chunk_age_s=0.1,
                period_s=1 / HZ,
                events=("arm_limited",) if i % 2 else (),
            )
        )
    return log


def test_standing_still_is_safe(spec: RobotSpec) -> None:
    found = measure_safety(run_log(spec, 50), spec, trip="")
    assert not found.fell
    assert (found.position.joint_ticks, found.velocity.joint_ticks, found.torque.joint_ticks) == (0, 0, 0)
    assert found.events == {"arm_limited": 25}
    assert found.duration_s == 1.0


def test_excess_names_the_joint_the_amount_and_the_time(spec: RobotSpec) -> None:
    knee = spec.joint_names.index("left_knee_joint")
    beyond = spec.column("default")
    beyond[knee] = spec.column("upper")[knee] + 0.06
    fast = np.zeros(len(spec.joint_names))
    fast[knee] = -2.0 * spec.column("velocity")[knee]
    log = run_log(spec, 50, q={3: beyond, 4: beyond}, dq={7: fast})
    found = measure_safety(log, spec, trip="")
    assert found.position.worst_joint == "left_knee_joint"
    assert found.position.worst == pytest.approx(0.05)
    assert found.position.exposure_s == pytest.approx(0.04)
    assert found.velocity.joint_ticks == 1
    assert found.torque.joint_ticks == 0


def test_fall_is_seen_and_its_rate_bounded(spec: RobotSpec) -> None:
    lying = np.array([-1.0, 0.0, 0.0])
    fallen = measure_safety(run_log(spec, 20, gravity_b={19: lying}), spec, trip="tilt")
    upright = measure_safety(run_log(spec, 20), spec, trip="")
    assert fallen.fell
    assert fallen.max_tilt_rad == pytest.approx(np.pi / 2)
    summary = summarise_safety([fallen, upright, upright])
    assert summary is not None
    assert (summary["falls"], summary["trips"]) == (1, {"tilt": 1})
    assert summary["fall_rate_upper_95"] == pytest.approx(0.8646, abs=1e-3)
    assert summary["self_collision"] is None
    assert summary["person"] is None, "there was nobody"
    assert summarise_safety([]) is None


def test_force_on_a_person_is_reported_beside_its_limit(spec: RobotSpec) -> None:
    felt = PersonContact(max_n=30.0, filtered_n=21.0, region="hand", share_of_limit=0.15, duration_s=1.5)
    none = PersonContact(max_n=0.0, filtered_n=0.0, region="", share_of_limit=0.0, duration_s=0.0)
    trials = [measure_safety(run_log(spec, 5), spec, trip="", person=person) for person in (felt, none)]
    summary = summarise_safety(trials)
    assert summary is not None
    assert summary["person"]["touched"] == 1
    assert summary["person"]["filtered_n"] == 21.0
    page = touching([{"name": "expert", "safety": summary}, {"name": "nobody", "safety": None}])
    assert "21.0 N" in page
    assert "15 % (hand)" in page
    assert "15066" in page
    assert touching([{"name": "nobody", "safety": None}]) == ""


def test_energy_counts_work_done_not_work_won_back() -> None:
    torque, speed = np.array([[10.0], [10.0]]), np.array([[2.0], [-2.0]])
    assert mechanical_energy(torque, speed, HZ) == pytest.approx(10.0 * 2.0 / HZ)


def test_time_to_goal_is_over_successes_only(spec: RobotSpec) -> None:
    log = run_log(spec, 10)
    trials = [measure_efficiency(log, t) for t in (4.0, None, 6.0)]
    summary = summarise_efficiency(trials)
    assert summary is not None
    assert summary["time_to_goal_s"]["value"] == 5.0
    assert summary["reached"] == 2
    missed = summarise_efficiency([measure_efficiency(log, None)])
    assert missed is not None
    assert missed["time_to_goal_s"] is None


def test_held_rates_count_real_periods() -> None:
    steady = held_rates([0.02] * 305, [0.05] * 60)
    assert steady is not None
    assert steady.loop_hz == pytest.approx(50.0)
    assert steady.worst_second_hz == 50.0
    assert steady.policy_hz == pytest.approx(10.0)
    stalled = held_rates([0.02] * 150 + [0.5] + [0.02] * 150)
    assert stalled is not None
    assert stalled.worst_second_hz == pytest.approx(26.0, abs=1.0)
    assert stalled.period_ms["max"] == pytest.approx(500.0)
    assert stalled.round_trip_ms is None
    assert held_rates([0.02] * 3) is None
