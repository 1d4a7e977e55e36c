"""Published sets of rewards, and what their terms look at: knees, forces under the feet, steps and walks that end."""

from dataclasses import asdict, replace

import mujoco
import numpy as np
import pytest
import torch

from wbvla.core.errors import ConfigError
from wbvla.lmo.environment import LmoEnvironment
from wbvla.lmo.plant import Layout, build_model, training_options
from wbvla.lmo.reward_frame import LegChain
from wbvla.lmo.reward_sets import HOMIE, PAPER_STAGE_1, PAPER_STAGE_2
from wbvla.lmo.rewards import TERMS, RewardWeights
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.train import LmoConfig
from wbvla.lmo.walks import end_walks, touch_down
from wbvla.lmo.worlds import Worlds, new_worlds
from wbvla.robots.platforms import load_robot

SPEC = load_robot("agibot_x2")


def differing(one: RewardWeights, other: RewardWeights) -> dict[str, tuple[float, float]]:
    a, b = asdict(one), asdict(other)
    return {name: (a[name], b[name]) for name in a if a[name] != b[name]}


def test_stage_two_differs_from_stage_one_as_the_papers_table_says() -> None:
    assert differing(PAPER_STAGE_1, PAPER_STAGE_2) == {
        "forward": (1.5, 1.8),
        "lateral": (1.0, 1.2),
        "vertical_speed": (-0.5, -0.75),
        "roll_action": (-0.05, -0.1),
        "stand_action": (-0.05, -0.1),
    }


def test_the_papers_stage_one_is_homies_set_but_for_four_rows() -> None:
    assert differing(HOMIE, PAPER_STAGE_1) == {
        "height_absolute": (2.0, 0.0),
        "height_squared": (0.0, 2.0),
        "vertical_speed_tall": (-0.5, 0.0),
        "vertical_speed": (0.0, -0.5),
        "roll_action": (0.0, -0.05),
        "stand_contact": (-0.15, 0.0),
        "stand_action": (0.0, -0.05),
    }


def test_published_sets_use_every_published_term_and_none_of_our_own() -> None:
    used = {name for s in (HOMIE, PAPER_STAGE_1, PAPER_STAGE_2) for name, weight in asdict(s).items() if weight != 0}
    published = {name for name, term in TERMS.items() if term.__module__.endswith("published_terms")}
    assert published - used == {"direction_end"}, "neither source gives the weight of J_dir"
    own = {"track_x", "track_y", "track_yaw", "raw_linear", "raw_yaw", "height", "gait", "swing", "alive", "pose",
           "foot_distance", "still", "drift", "direction", "place"}  # fmt: skip
    assert not used & own


@pytest.mark.parametrize("name", ["paper-1", "paper-2", "homie"])
def test_a_stage_pays_by_its_set_and_by_nothing_else(name: str) -> None:
    env = LmoEnvironment(
        SPEC, EnvironmentConfig(num_worlds=4, num_threads=1), Stage(start_iteration=0, reward_set=name)
    )
    for _ in range(5):
        _, reward, _, _ = env.step(0.2 * torch.ones(4, 13))
        assert torch.isfinite(reward).all()
    weights = {"paper-1": PAPER_STAGE_1, "paper-2": PAPER_STAGE_2, "homie": HOMIE}[name]
    paid = {key.removeprefix("reward/") for key in env.tally.drain() if key.startswith("reward/")}
    assert paid == {term for term, weight in asdict(weights).items() if weight != 0}
    assert {"stumble", "knees_lateral", "joint_acceleration"} <= paid


def test_unknown_sets_and_forces_that_come_too_late_are_refused() -> None:
    with pytest.raises(ConfigError, match="homie"):
        Stage(start_iteration=0, reward_set="paper-3")
    with pytest.raises(ConfigError, match="stumbling"):
        LmoConfig(
            robot=SPEC.name,
            iterations=2,
            stages=(Stage(start_iteration=0), Stage(start_iteration=1, reward_set="homie")),
        )
    env = LmoEnvironment(SPEC, EnvironmentConfig(num_worlds=2, num_threads=1), Stage(start_iteration=0))
    env.enter(Stage(start_iteration=0, reward_set="homie"))
    with pytest.raises(ConfigError, match="foot_forces"):
        env.step(torch.zeros(2, 13))


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_knees_are_where_mujoco_has_them(robot: str) -> None:
    spec = load_robot(robot)
    model = build_model(spec, training_options(spec))
    data, rng = mujoco.MjData(model), np.random.default_rng(4)
    q = rng.uniform(-0.6, 0.6, len(spec.lmo_joints))
    for name, angle in zip(spec.lmo_joints, q):
        data.qpos[model.joint(name).qposadr[0]] = angle
    data.qpos[2], data.qpos[3:7] = 1.0, [1.0, 0.0, 0.0, 0.0]
    mujoco.mj_kinematics(model, data)
    bodies = [model.joint(f"{side}_knee_joint").bodyid[0] for side in ("left", "right")]
    truth = data.xpos[bodies] - data.qpos[:3]
    ours = LegChain(spec)(torch.tensor(q, dtype=torch.float32)[None])[0].numpy()
    assert np.abs(ours - truth).max() < 1e-5
    assert truth[0, 1] - truth[1, 1] > 0.1


def test_foot_forces_are_the_sum_of_mujocos_contacts() -> None:
    """A robot that is pushed sideways while it lands: forces on each foot against mj_contactForce, one by one."""
    model = build_model(SPEC, training_options(SPEC), foot_forces=True)
    layout, data = Layout(SPEC, model), mujoco.MjData(model)
    data.qpos[:3], data.qpos[3] = [0.0, 0.0, SPEC.nominal_height_m + 0.01], 1.0
    data.qpos[layout.qpos.numpy()] = data.ctrl[layout.ctrl.numpy()] = layout.default.numpy()
    data.xfrc_applied[layout.root_body, 1] = 60.0
    pressed = 0
    for _ in range(60):
        mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)
        by_hand = np.zeros((2, 3))
        for i, contact in enumerate(data.contact):
            names = [model.geom(geom).name for geom in contact.geom]
            force = np.zeros(6)
            mujoco.mj_contactForce(model, data, i, force)
            foot = 0 if any(n.startswith("left_sole") for n in names) else 1
            # MuJoCo's force acts on the second geom
            sign = 1.0 if "sole" in names[1] else -1.0
            by_hand[foot] += sign * contact.frame.reshape(3, 3).T @ force[:3]
        feet = layout.feet(torch.tensor(data.sensordata, dtype=torch.float32)[None])
        assert feet.force_w is not None
        assert np.abs(feet.force_w[0].numpy() - by_hand).max() < 1e-2
        assert (by_hand[:, 2] >= 0).all(), "floors press upwards"
        pressed += int((by_hand[:, 2] > 50).all() and np.abs(by_hand[:, 1]).max() > 5)
    assert pressed > 10
    plain = build_model(SPEC, training_options(SPEC))
    assert Layout(SPEC, plain).feet(torch.zeros(1, plain.nsensordata)).force_w is None


def worlds(num: int) -> Worlds:
    return new_worlds(num, len(SPEC.lmo_joints), 20, 4, 0)


def test_a_foot_that_touches_down_tells_how_long_it_was_in_the_air() -> None:
    w = worlds(1)
    up, down = torch.tensor([[False, True]]), torch.tensor([[True, True]])
    assert [touch_down(w, down, 0.02).tolist(), touch_down(w, down, 0.02).tolist()] == [[[0.0, 0.0]]] * 2
    for _ in range(15):
        assert touch_down(w, up, 0.02).tolist() == [[0.0, 0.0]]
    assert touch_down(w, down, 0.02)[0].tolist() == pytest.approx([0.3, 0.0])
    assert touch_down(w, down, 0.02).tolist() == [[0.0, 0.0]]


def test_a_commanded_turn_costs_nothing_and_a_drift_costs_what_it_is() -> None:
    """World 0 turns .5 rad/s as told; world 1 walks straight and drifts .1 rad/s off; world 2 stands and is turned.

    All walk for 2 s, a second command follows within the walk, and after 1 s of stopping they stand still.
    """
    w, dt_s = worlds(3), 0.02
    paid = torch.zeros(3)
    num_paid = torch.zeros(3)
    for tick in range(200):
        walking = tick < 100
        w.flags[0] = torch.tensor([0.0, 0.0, 1.0 if walking else 0.0])
        w.flags[1] = torch.tensor([1.0 if tick < 50 else 0.0, 1.0 if 50 <= tick < 100 else 0.0, 0.0])
        turned = torch.tensor([0.5, 0.1, 0.2]) * walking
        asked = torch.tensor([0.5, 0.0, 0.0]) * walking
        w.moving[:2] = walking
        # the second keeps rolling for a second after the stop
        w.velocity_f[:] = torch.tensor([[0.0, 0.0, 0.5], [0.3, 0.0, 0.0], [0.0, 0.0, 0.0]]) * (tick < 150)
        ended = end_walks(w, (turned - asked) * dt_s)
        if tick < 150:
            assert ended.tolist() == [0.0, 0.0, 0.0]
        paid += ended
        num_paid += ended != 0
    assert paid.tolist() == pytest.approx([0.0, 0.2, 0.0], abs=1e-5)
    assert num_paid[1] == 1
    assert not w.on_walk.any()


def test_the_environment_ends_walks_with_the_heading_that_the_robot_really_turned() -> None:
    """A helped robot that should go straight is turned away by twists; what is paid for is its heading at the end."""
    config = EnvironmentConfig(num_worlds=2, num_threads=1, randomize=False)
    config = replace(config, commands=replace(config.commands, resample=False))
    env = LmoEnvironment(
        SPEC, config, Stage(start_iteration=0, push=0.0, stand_push=0.0, max_delay=0, arm_amplitude=0.0)
    )
    env.worlds.flags[:] = torch.tensor([1.0, 0.0, 0.0])
    began = torch.atan2(env.heading[1], env.heading[0])
    seen = torch.zeros(2)
    turned = torch.zeros(2)
    for tick in range(250):
        if tick == 50:
            env.worlds.flags.zero_()
        if 20 <= tick < 50:
            env.engine.state("qvel")[0, 5] += 1.0
        env.step(torch.zeros(2, env.num_actions))
        now = torch.atan2(env.heading[1], env.heading[0])
        ended = env.walk_error != 0
        turned = torch.where(ended, torch.remainder(now - began + torch.pi, 2 * torch.pi) - torch.pi, turned)
        seen = torch.where(ended, env.walk_error, seen)
    assert ((env.root_height > 0.4) & (env.root_height < 0.75)).all(), "the helped robots stand"
    assert not env.worlds.on_walk.any()
    assert seen.tolist() == pytest.approx(turned.tolist(), abs=1e-4)
    assert seen[0] > 0.1
