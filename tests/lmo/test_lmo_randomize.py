"""What differs between worlds: each range, lag, error and disturbance acts on physics or senses, and can be off."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wbvla.core.errors import ConfigError
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.observation import NoiseConfig
from wbvla.lmo.randomize import FIELDS, PAPER, RandomizeConfig
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")
NUM = 8
QUIET_PLANT = RandomizeConfig(
    friction=(0.8, 0.8), gain=(1.0, 1.0), link_mass=(1.0, 1.0), torso_mass=(1.0, 1.0), torso_payload_kg=(0.0, 0.0),
    hand_payload_kg=(0.0, 0.0), waist_gain=(1.0, 1.0), waist_effort=(1.0, 1.0),
)  # fmt: skip
QUIET = Stage(start_iteration=0, push=0.0, max_delay=0, arm_amplitude=0.0, plant=QUIET_PLANT)
QUIET_CONFIG = EnvironmentConfig(
    num_worlds=NUM, num_threads=1, encoder_bias_rad=0.0, gyro_bias_radps=0.0, odometry_noise_m=0.0,
    noise=NoiseConfig(omega=0.0, gravity=0.0, q=0.0, dq=0.0), push_every_s=0.1,
)  # fmt: skip

# range of the plant -> (values, parameters that it changes, what a factor on them may be)
OPENED: dict[str, tuple[tuple[float, float], set[str], tuple[float, float]]] = {
    "friction": ((0.1, 0.3), {"geom_friction"}, (0.1 / 0.8, 0.3 / 0.8)),
    "gain": ((0.9, 1.1), {"actuator_gainprm", "actuator_biasprm"}, (0.9, 1.1)),
    "link_mass": ((0.8, 1.2), {"body_mass", "body_inertia"}, (0.8, 1.2)),
    "torso_mass": ((0.85, 1.25), {"body_mass", "body_inertia"}, (0.85, 1.25)),
    "torso_payload_kg": ((-1.0, 3.0), {"body_mass", "body_inertia"}, (0.5, 2.0)),
    "hand_payload_kg": ((0.0, 0.6), {"body_mass", "body_inertia"}, (1.0, 3.0)),
    "waist_gain": ((0.8, 1.3), {"actuator_gainprm", "actuator_biasprm"}, (0.8, 1.3)),
    "waist_effort": ((1.0, 1.5), {"actuator_forcerange"}, (1.0, 1.5)),
}


def environment(stage: Stage = QUIET, **changes: Any) -> LmoEnvironment:
    """Without help, and with nothing that differs between worlds unless asked for."""
    env = LmoEnvironment(SPEC, replace(QUIET_CONFIG, **changes), stage)
    env.progress.assist = env.progress.feed_forward = 0.0
    return env


def plant(**ranges: tuple[float, float]) -> Stage:
    return replace(QUIET, plant=replace(QUIET_PLANT, **ranges))


def parameters(env: LmoEnvironment) -> dict[str, Tensor]:
    return {name: env.engine.parameter(name).clone() for name in FIELDS}


def alike(env: LmoEnvironment) -> None:
    """Make all worlds the same but for their plants: standing tall, sliding and swaying, gravity on the way."""
    env.reset(torch.arange(NUM))
    w = env.worlds
    w.height[:] = w.height_goal[:] = SPEC.nominal_height_m
    w.flags.zero_()
    q = env.layout.default.repeat(NUM, 1)
    env.place(torch.arange(NUM), q, torch.zeros(NUM))
    env.engine.state("qvel")[:, 0] = 1.0
    for name in SPEC.waist_joints:
        env.engine.state("qvel")[:, env.layout.qvel[env.layout.joint_names.index(name)]] = 8.0


@pytest.fixture(scope="module")
def nominal() -> dict[str, Tensor]:
    return parameters(environment())


def test_every_range_of_a_plant_is_tried_here() -> None:
    ranges = {f.name for f in fields(RandomizeConfig)} - {"empty_hands_share"}
    assert set(OPENED) == ranges


def test_with_all_ranges_closed_every_world_is_the_robot_of_the_description(nominal: dict[str, Tensor]) -> None:
    env = environment()
    assert nominal["geom_friction"][..., 0].unique().tolist() == [0.8]
    for name in set(FIELDS) - {"geom_friction"}:
        model = torch.from_numpy(np.array(getattr(env.engine.model, name)))
        assert torch.allclose(nominal[name], model.to(nominal[name]).expand_as(nominal[name])), name
    alike(env)
    env.engine.step(40)
    state = env.engine.state("qpos")
    assert torch.equal(state, state[:1].expand_as(state))


@pytest.mark.parametrize("name", OPENED)
def test_a_range_changes_its_parameters_within_bounds_and_the_motion(name: str, nominal: dict[str, Tensor]) -> None:
    """0.2 s after a common start that slides and twists the waist, every world is somewhere else."""
    values, changed, (low, high) = OPENED[name]
    env = environment(plant(**{name: values}))
    for parameter, now in parameters(env).items():
        before = nominal[parameter]
        assert torch.equal(now, before) == (parameter not in changed), parameter
        if parameter in changed:
            factor = (now / before)[now != before]
            assert low - 1e-6 <= factor.min()
            assert factor.max() <= high + 1e-6
            assert len(now.abs().reshape(NUM, -1).sum(1).unique()) == NUM, "each world its own"
    alike(env)
    env.engine.step(40)
    state = env.engine.state("qpos")
    apart = torch.pdist(state)
    assert apart.min() > 1e-6, f"{name} does not reach the physics"


def test_torso_and_hands_are_where_loads_go() -> None:
    """2 kg on the torso and .5 kg in each hand weigh 3 kg on the floor: the parts that are named, and nothing else."""
    env, bare = environment(plant(torso_payload_kg=(2.0, 2.0), hand_payload_kg=(0.5, 0.5))), environment()
    more = env.engine.parameter("body_mass") - bare.engine.parameter("body_mass")
    model = env.engine.model
    wanted = {SPEC.torso_link: 2.0, **{hand.link: 0.5 for hand in SPEC.hands}}
    for i in range(model.nbody):
        expected = wanted.get(model.body(i).name, 0.0)
        assert more[:, i].tolist() == pytest.approx([expected] * NUM, abs=1e-5), model.body(i).name
    empty = environment(replace(QUIET, plant=replace(QUIET_PLANT, hand_payload_kg=(0.5, 0.5), empty_hands_share=1.0)))
    assert torch.allclose(empty.engine.parameter("body_mass"), bare.engine.parameter("body_mass"))


def test_only_the_held_waist_joints_get_the_wide_ranges(nominal: dict[str, Tensor]) -> None:
    env = environment(plant(waist_gain=(1.2, 1.2), waist_effort=(1.5, 1.5)))
    held = {n for n in SPEC.waist_joints if n not in SPEC.lmo_joints}
    gain = env.engine.parameter("actuator_gainprm")[0, :, 0] / nominal["actuator_gainprm"][0, :, 0]
    limit = env.engine.parameter("actuator_forcerange")[0, :, 1] / nominal["actuator_forcerange"][0, :, 1]
    for i in range(env.engine.model.nu):
        is_held = env.engine.model.actuator(i).name in held
        assert gain[i].item() == pytest.approx(1.2 if is_held else 1.0)
        assert limit[i].item() == pytest.approx(1.5 if is_held else 1.0)


def test_the_papers_plants_stay_physical() -> None:
    """Its payload of -5 kg and hands of -.1 kg leave no mass or inertia at or below 0, and the robot can be stepped."""
    env = environment(replace(QUIET, plant=PAPER))
    bodies = slice(1, None)
    assert (env.engine.parameter("body_mass")[:, bodies] > 0).all()
    assert (env.engine.parameter("body_inertia")[:, bodies] > 0).all()
    env.step(torch.zeros(NUM, 13))
    assert torch.isfinite(env.engine.state("qpos")).all()


def test_plants_follow_from_the_seed_and_randomize_switches_them_off(nominal: dict[str, Tensor]) -> None:
    wild = plant(**{name: values for name, (values, _, _) in OPENED.items()})
    one, same, other = (parameters(environment(wild, seed=seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in FIELDS)
    assert not any(torch.equal(one[name], other[name]) for name in FIELDS)
    off = parameters(environment(wild, randomize=False))
    assert all(torch.equal(off[name], nominal[name]) for name in set(FIELDS) - {"geom_friction"})


# numbers of the observation: command 4, angular velocity 3, gravity 3, q 13, dq 13, action 13
PLACES = {"omega": slice(4, 7), "gravity": slice(7, 10), "q": slice(10, 23), "dq": slice(23, 36)}


@pytest.mark.parametrize("name", PLACES)
def test_noise_is_on_its_own_numbers_and_as_wide_as_it_says(name: str) -> None:
    env = environment(noise=replace(QUIET_CONFIG.noise, **{name: 0.2}))
    clean = environment().observations()["policy"]
    seen = torch.stack([env.observations()["policy"] for _ in range(20)])
    off = (seen - clean).abs()
    assert off[..., PLACES[name]].max() <= 0.2 + 1e-5
    assert off[..., PLACES[name]].max() > 0.15
    off[..., PLACES[name]] = 0.0
    assert off.max() < 1e-6


def told(env: LmoEnvironment) -> Tensor:
    return env.observations()["policy"][:, 4:36]


@pytest.mark.parametrize(("sense", "own"), [("imu", slice(0, 6)), ("joint", slice(6, 32))])
def test_a_late_sense_tells_what_was_true_then_and_the_other_what_is_true_now(sense: str, own: slice) -> None:
    """Four half ticks are two ticks: each reading is compared with the truth of two ticks before, and of now."""
    env = environment(replace(QUIET, **{f"{sense}_lag": 5}))
    lag = getattr(env.worlds, f"{sense}_lag")
    assert lag.min() >= 0
    assert lag.max() <= 5
    assert len(lag.unique()) > 1, "worlds differ"
    lag[:] = 4
    env.worlds.age[:] = 1
    truth = []
    for tick in range(8):
        env.step(0.5 * torch.sin(torch.tensor(tick * 1.0)) * torch.ones(NUM, 13))
        truth.append(env._reading().clone())
    seen = told(env)
    assert torch.allclose(seen[:, own], truth[-3][:, own], atol=1e-5)
    assert not torch.allclose(seen[:, own], truth[-1][:, own], atol=1e-3)
    rest = torch.ones(32, dtype=torch.bool)
    rest[own] = False
    assert torch.allclose(seen[:, rest], truth[-1][:, rest], atol=1e-6)


def test_senses_without_lag_and_errors_tell_the_truth() -> None:
    env = environment()
    for tick in range(3):
        env.step(torch.full((NUM, 13), 0.3 * tick))
        assert torch.equal(told(env), env._reading())


def test_lags_beyond_what_is_remembered_are_refused() -> None:
    for name in ("imu_lag", "joint_lag", "max_delay"):
        beyond: dict[str, Any] = {name: 50}
        with pytest.raises(ConfigError, match=name):
            Stage(start_iteration=0, **beyond)


def test_encoders_that_are_off_mislead_the_controller_and_its_drives() -> None:
    """The controller sees q + bias; the drive holds target - bias, so that it too believes the encoder."""
    env, true = environment(encoder_bias_rad=0.02), environment()
    bias = env.worlds.encoder_bias
    assert 0.01 < bias.abs().max() <= 0.02
    assert len(bias[:, 0].unique()) == NUM
    assert torch.allclose(told(env)[:, 6:19] - env._reading()[:, 6:19], bias, atol=1e-6)
    env.worlds.height[:] = true.worlds.height[:] = 0.6
    zero = torch.zeros(NUM, 13)
    env.worlds.action[:] = true.worlds.action[:] = zero
    lmo = env.layout.lmo
    assert torch.allclose(env._targets()[:, lmo] + bias, true._targets()[:, lmo], atol=1e-6)
    assert (true.worlds.encoder_bias == 0).all()
    assert (environment(encoder_bias_rad=0.02, randomize=False).worlds.encoder_bias == 0).all()


def test_a_biased_gyro_makes_the_known_heading_drift_off_the_true_one() -> None:
    env, true = environment(preset="heading", gyro_bias_radps=0.05), environment(preset="heading")
    assert 0.01 < env.worlds.gyro_bias.abs().max() <= 0.05
    assert (true.worlds.gyro_bias == 0).all()
    for one in (env, true):
        one.worlds.flags[:] = torch.tensor([1.0, 0.0, 0.0])
        one.worlds.command_left_s[:] = 9.0
        one.step(torch.zeros(NUM, 13))
        start = one.worlds.course[:, 2] - one.worlds.true_course[:, 2]
        for _ in range(5):
            one.step(torch.zeros(NUM, 13))
        gone = one.worlds.course[:, 2] - one.worlds.true_course[:, 2] - start
        assert torch.allclose(gone, 5 * 0.02 * one.worlds.gyro_bias, atol=1e-5)


def test_noisy_odometry_tells_another_place_than_a_perfect_one() -> None:
    places = []
    for noise in (0.0, 0.004):
        env = environment(preset="course", odometry_noise_m=noise)
        env.worlds.flags[:] = torch.tensor([1.0, 0.0, 0.0])
        env.worlds.command_left_s[:] = 9.0
        for _ in range(6):
            env.step(torch.zeros(NUM, 13))
        places.append((env.worlds.course[:, :2] - env.worlds.true_course[:, :2]).norm(dim=1))
    assert places[1].mean() > places[0].mean() + 1e-4


def test_pushes_jump_the_velocity_and_grant_leave_to_step() -> None:
    jumps = {}
    for size in (0.0, 0.5):
        env = environment(replace(QUIET, push=size, stand_push=size))
        before = env.engine.state("qvel").clone()
        env.worlds.recover_s.zero_()
        for _ in range(5):
            env.drive.disturb(env.worlds, env.stage, env.config, env.dt_s, env.rng)
        jumps[size] = (env.engine.state("qvel") - before)[:, :6], env.worlds.recover_s.clone()
    assert jumps[0.0][0].abs().max() == 0
    assert jumps[0.0][1].max() == 0
    kick, leave = jumps[0.5]
    assert 0.1 < kick.abs().max() <= 5 * 0.5
    assert (kick[:, 2:5] == 0).all(), "neither up nor over"
    assert ((leave > 0) == (kick.abs().sum(1) > 0)).all()


def test_torque_noise_is_a_share_of_each_joints_limit_new_every_tick() -> None:
    env = environment(replace(QUIET, torque_noise=0.05))
    effort = torch.tensor(SPEC.column("effort")[SPEC.indices(env.layout.joint_names)])
    seen = []
    for _ in range(10):
        env.step(torch.zeros(NUM, 13))
        seen.append(env.engine.state("qfrc_applied")[:, env.layout.qvel] / effort)
    shares = torch.stack(seen)
    assert shares.abs().max() <= 0.05 + 1e-6
    assert (shares.abs().amax((0, 1)) > 0.03).all(), "every joint"
    assert not torch.equal(seen[0], seen[1])
    assert (env.engine.state("qfrc_applied")[:, :6] == 0).all(), "the root has no motor"


def test_forces_pull_at_the_hands_and_end() -> None:
    env = environment(replace(QUIET, pull=(30.0, 20.0)), pull_s=(0.04, 0.08))
    hands = [env.engine.model.body(hand.link).id for hand in SPEC.hands]
    largest, both, own, ended = torch.zeros(3), 0, 0, 0
    for _ in range(40):
        env.drive.disturb(env.worlds, env.stage, env.config, env.dt_s, env.rng)
        force = env.engine.state("xfrc_applied")[:, hands, :3].float()
        assert torch.allclose(force, env.worlds.pull)
        largest = torch.maximum(largest, force.abs().amax((0, 1)))
        on = force.abs().sum((1, 2)) > 0
        both += int((on & (force[:, 0] == force[:, 1]).all(1)).sum())
        own += int((on & (force[:, 0] != force[:, 1]).any(1)).sum())
        ended += int((~on).sum())
    assert (largest > torch.tensor([20.0, 20.0, 12.0])).all()
    assert (largest <= torch.tensor([30.0, 30.0, 20.0])).all()
    assert min(both, own, ended) > 0


@pytest.mark.parametrize(
    "on", [{"torque_noise": 0.1}, {"pull": (40.0, 40.0)}, {"blow": (150.0, 30.0)}, {"push": 0.5, "stand_push": 0.5}]
)
def test_a_disturbance_moves_the_robots_apart(on: dict[str, Any]) -> None:
    """From the same state every world goes the same way; with the disturbance each its own."""
    apart = []
    for stage in (QUIET, replace(QUIET, **on)):
        env = environment(stage)
        alike(env)
        for _ in range(15):
            env.drive.disturb(env.worlds, stage, env.config, env.dt_s, env.rng)
            env.engine.step(env.substeps)
        apart.append(float(torch.pdist(env.engine.state("qpos")).max()))
    assert apart[0] == 0.0
    assert apart[1] > 1e-3


def test_what_a_stage_switches_off_stops_at_once() -> None:
    """Also when help comes back because falls got frequent: the last blow, pull and torque must not stay on."""
    loud = replace(QUIET, blow=(100.0, 10.0), pull=(20.0, 20.0), torque_noise=0.05)
    env = environment(loud)
    for _ in range(5):
        env.step(torch.zeros(NUM, 13))
    hands = [env.engine.model.body(hand.link).id for hand in SPEC.hands]
    pressed = [env.engine.state("xfrc_applied")[:, [env.layout.root_body, *hands]], env.engine.state("qfrc_applied")]
    assert all(force.abs().max() > 1 for force in pressed)
    env.enter(QUIET)
    env.step(torch.zeros(NUM, 13))
    assert (env.engine.state("xfrc_applied") == 0).all()
    assert (env.engine.state("qfrc_applied") == 0).all()
    assert (env.worlds.blow == 0).all()
    assert (env.worlds.pull == 0).all()
