"""The low-level controller on the robot side: loads what fits, shapes commands, refuses what does not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wbvla.core.command import Command
from wbvla.core.contract import SUMS
from wbvla.core.errors import ArtefactError, ContractMismatch
from wbvla.core.files import sha256_of
from wbvla.core.records import BodyState
from wbvla.deploy.lmo import LmoBatch, LmoController, LmoSettings, interpolate_rows, load_lmo
from wbvla.deploy.runtime import Balancer
from wbvla.robots.platforms import load_robot, shipped_lmo

SPEC = load_robot("agibot_x2")
SHIPPED = shipped_lmo("agibot_x2")


def standing() -> BodyState:
    num = len(SPEC.joint_names)
    return BodyState(
        time_s=0.0,
        q=SPEC.column("default"),
        dq=np.zeros(num),
        torque=np.zeros(num),
        gripper=np.ones(2),
        gyro_b=np.zeros(3),
        gravity_b=np.array([0.0, 0.0, -1.0]),
    )


def edited(folder: Path, **details: object) -> Path:
    """A copy of the shipped artefact with another contract, hashes put right."""
    shutil.copytree(SHIPPED, folder)
    contract = json.loads((folder / "contract.json").read_text())
    contract["details"] |= {k: v for k, v in details.items() if v is not None}
    for key in [k for k, v in details.items() if v is None]:
        del contract["details"][key]
    (folder / "contract.json").write_text(json.dumps(contract))
    names = sorted(p.name for p in folder.iterdir() if p.name != SUMS)
    (folder / SUMS).write_text("".join(f"{sha256_of(folder / n)}  {n}\n" for n in names))
    return folder


def test_it_is_what_the_loop_asks_for() -> None:
    controller = LmoController.load(SHIPPED, SPEC)
    assert isinstance(controller, Balancer)
    index = SPEC.indices(SPEC.lmo_joints)
    assert controller.kp.tolist() == SPEC.column("kp")[index].tolist()
    targets = controller.step(standing(), Command(height_m=SPEC.nominal_height_m))
    assert targets.shape == (13,)
    assert np.abs(targets - SPEC.column("default")[index]).max() < 1.0


def test_a_controller_of_ones_own_is_loaded_as_itself() -> None:
    """What a subclass does to the command is not lost on the way."""

    class Standing(LmoController):
        def step(self, state: BodyState, command: Command) -> np.ndarray:
            return super().step(state, replace(command, s_x=0))

    own, plain, other = (kind.load(SHIPPED, SPEC) for kind in (Standing, LmoController, LmoController))
    walk, stand = Command(s_x=1, height_m=0.63), Command(height_m=0.63)
    mine = [own.step(standing(), walk) for _ in range(5)]
    np.testing.assert_array_equal(mine, [plain.step(standing(), stand) for _ in range(5)])
    assert np.abs(mine[-1] - [other.step(standing(), walk) for _ in range(5)][-1]).max() > 1e-3


def test_height_is_slewed_and_kept_in_range() -> None:
    controller = LmoController.load(SHIPPED, SPEC)
    controller.reset(0.63)
    controller.step(standing(), Command(height_m=0.5))
    assert controller.height_m == pytest.approx(0.63 - controller.settings.shaping.height_slew_mps / 50.0)
    for _ in range(100):
        controller.step(standing(), Command(height_m=0.1))
    assert controller.height_m == pytest.approx(SPEC.height_range_m[0])


def test_same_state_same_answer_after_reset() -> None:
    controller = LmoController.load(SHIPPED, SPEC)
    walk = Command(s_x=1, height_m=0.63)
    first = [controller.step(standing(), walk) for _ in range(20)]
    controller.reset(SPEC.nominal_height_m)
    second = [controller.step(standing(), walk) for _ in range(20)]
    assert np.array_equal(first, second)
    assert not np.allclose(first[5], first[19])


def test_nan_in_gives_nan_out_for_the_safety_layer() -> None:
    controller = LmoController.load(SHIPPED, SPEC)
    state = standing()
    object.__setattr__(state, "gyro_b", np.full(3, np.nan))
    assert np.isnan(controller.step(state, Command(height_m=0.6))).any()


def test_another_robot_is_refused_by_name() -> None:
    with pytest.raises(ContractMismatch, match="agibot_x2"):
        LmoController.load(SHIPPED, load_robot("unitree_g1"))
    joint = replace(SPEC.joints[0], upper=9.0)
    with pytest.raises(ContractMismatch, match="upper"):
        LmoController.load(SHIPPED, replace(SPEC, joints=(joint, *SPEC.joints[1:])))
    stiff = tuple(replace(joint, kp=2 * joint.kp) for joint in SPEC.joints)
    with pytest.raises(ContractMismatch, match="kp"):
        LmoController.load(SHIPPED, replace(SPEC, joints=stiff))


def test_damaged_and_incomplete_artefacts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="height_reference"):
        LmoController.load(edited(tmp_path / "incomplete", height_reference=None), SPEC)
    with pytest.raises(ArtefactError, match="needs 49 inputs"):
        LmoController.load(edited(tmp_path / "preset", preset="paper"), SPEC)
    broken = edited(tmp_path / "broken")
    (broken / "policy.onnx").write_bytes(b"not a network")
    with pytest.raises(ArtefactError, match=r"policy\.onnx"):
        LmoController.load(broken, SPEC)


def test_height_rows_are_linear_and_held_at_the_ends() -> None:
    rows = np.array([[0.0], [1.0], [3.0]])
    heights = np.array([0.0, 0.5, 0.55, 0.6, 0.7, 9.0])
    got = interpolate_rows(rows, 0.5, 0.1, heights)[:, 0]
    assert got == pytest.approx([0.0, 0.0, 0.5, 1.0, 3.0, 3.0], abs=1e-3)


def test_the_form_of_the_shaping_is_the_contracts_and_older_contracts_mean_the_held_one(tmp_path: Path) -> None:
    """After 1 s of a held flag the held form is near the goal speed, the printed one (arXiv 2512.11047) near 0."""
    shaping = {"goal_speed": [0.3, 0.3, 0.3], "alpha": 2.0, "smoothing": 0.05, "height_slew_mps": 0.25}
    speeds = {}
    for form in ("held", "printed"):
        more = {} if form == "held" else {"form": form}
        session, settings = load_lmo(edited(tmp_path / form, shaping={**shaping, **more}), SPEC)
        assert settings.shaping.form == form
        batch, flags = LmoBatch(session, settings, SPEC, 1), np.array([[1.0, 0.0, 0.0]])
        batch.reset(np.array([SPEC.nominal_height_m]))
        zero = np.zeros((1, 3))
        for tick in range(51):
            q = settings.default_q[None]
            seen = batch.observe(flags, zero, np.array([[0.0, 0.0, -1.0]]), q, np.zeros_like(q))
            batch.step(flags, np.array([SPEC.nominal_height_m]), seen)
            if tick == 0:
                speeds[form, "onset"] = batch.reference(flags)[0, 0]
        speeds[form, "1 s"] = batch.reference(flags)[0, 0]
    assert speeds["printed", "onset"] == pytest.approx(0.287, abs=5e-4)
    assert speeds["printed", "1 s"] == pytest.approx(0.044, abs=5e-4)
    assert speeds["held", "onset"] == pytest.approx(0.030, abs=5e-4)
    assert speeds["held", "1 s"] == pytest.approx(0.286, abs=1e-3)


def drifts_off(step_rad: float) -> LmoBatch:
    """Told to stand; both hips roll by `step_rad` per tick over planted soles until it steps."""
    session, settings = load_lmo(SHIPPED, SPEC)
    batch, height = LmoBatch(session, settings, SPEC, 1), np.array([SPEC.nominal_height_m])
    batch.reset(height)
    rolls = [i for i, name in enumerate(SPEC.lmo_joints) if "hip_roll" in name]
    q, zero = settings.default_q[None].copy(), np.zeros((1, 3))
    for _ in range(50):
        seen = batch.observe(zero, zero, np.array([[0.0, 0.0, -1.0]]), q, np.zeros_like(q))
        if batch.moving[0]:
            return batch
        batch.step(zero, height, seen)
        q[0, rolls] += step_rad
    raise AssertionError("it never stepped")


def test_a_recovery_begins_with_the_foot_that_the_robot_drifts_away_from() -> None:
    """Left foot: the clock starts at 0.5, where that foot is about to swing (`lmo/gait.py`)."""
    one, other = drifts_off(0.01), drifts_off(-0.01)
    assert {np.sign(one.odometry.course[0, 1]), np.sign(other.odometry.course[0, 1])} == {-1.0, 1.0}
    for batch in (one, other):
        assert batch.phase[0] == (0.0 if batch.odometry.course[0, 1] > 0 else 0.5)


def test_contract_settings_name_what_is_missing() -> None:
    with pytest.raises(ArtefactError, match="shaping"):
        LmoSettings.from_contract({"preset": "clock"}, 50.0)
