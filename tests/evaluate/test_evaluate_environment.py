"""The tasks as gymnasium environments: the checker passes, seeds repeat, the teleoperator's actions do the task."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from wbvla.collect.experts import expert_for
from wbvla.core.errors import ConfigError
from wbvla.core.records import Observation
from wbvla.evaluate.environment import EnvironmentConfig, TaskEnvironment, from_action
from wbvla.sim.tasks import tasks

SMALL, BLIND = EnvironmentConfig(width=48, height=48), EnvironmentConfig(cameras=())
NAMES = {name: f"wbvla/{name.title().replace('-', '')}-v0" for name in tasks}


def made(name: str, config: EnvironmentConfig, **kwargs: str) -> TaskEnvironment:
    environment = gymnasium.make(NAMES[name], config=config, disable_env_checker=True, **kwargs).unwrapped
    assert isinstance(environment, TaskEnvironment)
    return environment


def stand(environment: TaskEnvironment) -> dict[str, np.ndarray]:
    """Flags neutral, as high and as before."""
    spec = environment.world.spec
    arms = spec.column("default")[spec.indices(spec.arm_joints)].astype(np.float32)
    flags, height = np.ones(3, dtype=np.int64), np.array([spec.nominal_height_m], dtype=np.float32)
    return {"flags": flags, "height_m": height, "arm_targets": arms, "grippers": np.ones(2, dtype=np.float32)}


# Two pieces of advice are not followed: actions are in SI units, as a VLA's are, and speeds have no bounds.
@pytest.mark.filterwarnings("ignore:.*For Box action spaces, we recommend")
@pytest.mark.filterwarnings("ignore:.*A Box observation space (max|min)imum value is.*infinity")
@pytest.mark.parametrize("name", list(tasks))
def test_the_checker_passes(name: str) -> None:
    environment = made(name, SMALL, render_mode="rgb_array")
    check_env(environment)
    environment.close()


def test_same_seed_same_episode_and_words_on_request() -> None:
    environment = made("box-lift", SMALL)
    runs = []
    for _ in range(2):
        first, info = environment.reset(seed=12)
        environment.action_space.seed(3)
        steps = [environment.step(environment.action_space.sample()) for _ in range(4)]
        runs.append((first, [step[0] for step in steps]))
        assert info["world_seed"] == 12
        assert not any(info["subgoals"].values())
    (first, then), (again, later) = runs
    for a, b in zip([first, *then], [again, *later]):
        for key in ("q", "dq", "gyro_b"):
            np.testing.assert_array_equal(a[key], b[key])
        for camera, picture in a["images"].items():
            np.testing.assert_array_equal(picture, b["images"][camera])
    other, info = environment.reset(options={"instruction": "lift it"})
    assert other["instruction"] == "lift it"
    assert info["world_seed"] != 12
    assert not np.array_equal(other["images"]["head"], first["images"]["head"])
    environment.close()


def test_a_robot_told_to_stand_stands_until_the_time_is_over() -> None:
    environment = made("box-lift", BLIND)
    environment.task.time_limit_s = 2.0
    seen, _ = environment.reset(seed=1)
    assert "images" not in seen
    assert seen in environment.observation_space
    for step in range(20):
        seen, reward, terminated, truncated, info = environment.step(stand(environment))
        assert (reward, terminated, truncated) == (0.0, False, step == 19)
        assert not info["fell"]
    assert environment.world.time_s == pytest.approx(2.0)
    with pytest.raises(ConfigError, match="call reset"):
        environment.step(stand(environment))


def test_flags_walk_the_robot() -> None:
    environment = made("box-lift", BLIND)
    environment.reset(seed=1)
    start = environment.world.root_pose()[0][:2]
    action = stand(environment)
    action["flags"] = np.array([0, 1, 1])
    for _ in range(20):
        environment.step(action)
    assert np.linalg.norm(environment.world.root_pose()[0][:2] - start) > 0.2


def test_the_teleoperator_earns_the_whole_reward() -> None:
    environment = made("box-lift", BLIND)
    environment.reset(seed=11)
    expert = expert_for(environment.task, environment.world, seed=11)
    total, terminated, info, steps = 0.0, False, {}, 0
    while not terminated and steps < 400:
        state = environment._body.read()
        action = expert.act(Observation(sequence=steps, state=state, images={}, instruction=expert.instruction))
        assert action is not None
        _, reward, terminated, truncated, info = environment.step(from_action(action))
        assert not truncated
        total, steps = total + reward, steps + 1
    assert info["success"]
    assert total == pytest.approx(1.0)


def test_an_unknown_way_to_render_is_refused() -> None:
    with pytest.raises(ConfigError, match="rgb_array"):
        TaskEnvironment(render_mode="human")
