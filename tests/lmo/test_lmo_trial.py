"""The test bench: pushes and delays are what the config says, other bodies and grounds are the ones that are walked."""

from dataclasses import replace

import numpy as np
import pytest

from wbvla.lmo.conditions import plain
from wbvla.lmo.plant import FULL, PhysicsConfig
from wbvla.lmo.trial import Trial, TrialConfig
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.robots.variants import scaled_masses, x2_v1_3_0
from wbvla.sim.ground import Ground, GroundConfig

SPEC, POLICY = load_robot("agibot_x2"), shipped_lmo("agibot_x2")
STILL = TrialConfig(num_robots=4, num_threads=1, arm_amplitude=0.0)


def stand(trial: Trial, ticks: int) -> None:
    for _ in range(ticks):
        trial.step(np.zeros((trial.config.num_robots, 3)), np.full(trial.config.num_robots, SPEC.nominal_height_m))


def test_exact_pushes_have_their_size_and_their_rhythm() -> None:
    trial = Trial(POLICY, SPEC, replace(STILL, push=0.5, push_exact=True, push_every_s=0.4))
    jumps = np.array([trial._jumps() for _ in range(200)])
    size = np.linalg.norm(jumps, axis=2)
    np.testing.assert_allclose(size[size > 0], 0.5)
    for robot in range(4):
        assert (np.diff(np.flatnonzero(size[:, robot])) == 20).all()
        assert (size[:, robot] > 0).sum() == 10


def test_more_delay_lets_targets_through_later() -> None:
    """The drives follow what the controller asked for at most four ticks ago."""
    trial = Trial(POLICY, SPEC, replace(STILL, more_delay=8, max_delay=0))
    stand(trial, 1)
    first = trial.engine.state("ctrl").numpy()[:, trial.layout.ctrl.numpy()].copy()
    asked = []
    for _ in range(6):
        stand(trial, 1)
        asked.append(trial._targets[:, 0].copy())
    now = trial.engine.state("ctrl").numpy()[:, trial.layout.ctrl.numpy()]
    assert not np.allclose(now, asked[-1])
    np.testing.assert_allclose(now, asked[-5])
    assert not np.allclose(now, first)


def test_a_robot_whose_physics_diverges_has_fallen() -> None:
    """The engine puts it back to a pose in which it stands: that is no survivor."""
    trial = Trial(POLICY, SPEC, STILL)
    stand(trial, 3)
    trial.engine.state("qvel")[1, 0] = 1e12
    stand(trial, 1)
    assert trial.position[1, 2] > 0.5, "it stands again"
    assert trial.fallen.tolist() == [False, True, False, False]
    stand(trial, 3)
    assert trial.fallen.tolist() == [False, True, False, False]


def test_arms_of_the_plain_protocol_rest() -> None:
    config = plain(3)
    trial = Trial(POLICY, SPEC, replace(config, num_robots=24, num_threads=1))
    stand(trial, 60)
    rest = np.broadcast_to(trial.arms.default.numpy(), (24, len(trial.arms.default)))
    np.testing.assert_allclose(trial._targets[:, 0, trial.layout.arm.numpy()], rest, atol=1e-6)


def test_height_is_over_the_ground_under_the_feet() -> None:
    ground = GroundConfig(unevenness_m=0.02, half_size_m=6.0, seed=1)
    physics = PhysicsConfig(ground=ground, options=replace(FULL, soles="pads"))
    trial = Trial(POLICY, SPEC, replace(STILL, physics=physics, scatter_m=3.0, num_robots=8))
    assert np.ptp(trial.position[:, 0]) > 1.0
    stand(trial, 50)
    assert not trial.fallen.any()
    feet = trial.layout.feet(trial.engine.output("sensordata")).position_w.numpy()
    under = Ground(ground).height(feet[:, :, :2]).mean(axis=1)
    np.testing.assert_allclose(trial.height, trial.position[:, 2] - under)
    assert under.max() > 0.005
    assert np.abs(trial.height - SPEC.nominal_height_m).mean() < 0.03


@pytest.mark.parametrize("body", [x2_v1_3_0(SPEC), scaled_masses(SPEC, 1.2)], ids=["v1.3.0", "heavy"])
def test_another_body_under_the_same_controller(body) -> None:
    trial = Trial(POLICY, SPEC, replace(STILL, physics=PhysicsConfig(body=body)))
    mass = trial.engine.parameter("body_mass").numpy()[0].sum()
    bare = Trial(POLICY, SPEC, STILL).engine.parameter("body_mass").numpy()[0].sum()
    expected = sum(link.mass for link in body.links) / sum(link.mass for link in SPEC.links)
    assert mass / bare == pytest.approx(expected, abs=0.02)
    stand(trial, 50)
    assert not trial.fallen.any()


def test_forces_are_held_on_the_named_bodies_alone() -> None:
    trial = Trial(POLICY, SPEC, STILL)
    bodies = np.array(trial.layout.link_bodies[:4])
    trial.hold_force(bodies, np.full((4, 3), 20.0))
    wrench = trial.engine.state("xfrc_applied").numpy()
    assert wrench.sum() == pytest.approx(4 * 60.0)
    assert (wrench[np.arange(4), bodies, :3] == 20.0).all()
