"""What a robot loads is what was trained: network, observation, targets, clock and height reference."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from wbvla.cli.lmo import main
from wbvla.core.errors import ArtefactError, ConfigError
from wbvla.core.run import open_run, read_run
from wbvla.deploy.lmo import LmoBatch, load_lmo
from wbvla.lmo.checkpoint import part, read_checkpoint
from wbvla.lmo.commands import VELOCITY
from wbvla.lmo.export import CHANGED, build_onnx, contract_of, export, parity, torch_action
from wbvla.lmo.protocol import RandomWalkConfig, random_walk
from wbvla.lmo.stages import Stage
from wbvla.lmo.train import CHECKPOINT, LmoConfig, Training
from wbvla.lmo.trial import TrialConfig
from wbvla.recipes.lmo import recipe_of, tiny_lmo
from wbvla.recipes.registry import recipes
from wbvla.robots.platforms import load_robot, shipped_lmo

SPEC = load_robot("agibot_x2")
TINY = replace(tiny_lmo(), stages=(Stage(start_iteration=0, push=0.0, max_delay=0),))
CONFIG = replace(TINY, environment=replace(TINY.environment, encoder_bias_rad=0.0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training without help, a few updates old, saved."""
    training = Training(CONFIG, tmp_path_factory.mktemp("run"))
    training.begin(None)
    training.iterate()
    training.env.progress.assist = training.env.progress.feed_forward = 0.0
    training.save()
    return training


@pytest.fixture(scope="module")
def artefact(trained: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "lmo"
    return export(trained.folder / CHECKPOINT, CONFIG.environment, folder, "tiny-lmo", 1).folder


def test_onnx_equals_torch_on_ten_thousand_observations(trained: Training) -> None:
    tensors, _ = read_checkpoint(trained.folder / CHECKPOINT)
    actor = part(tensors, "actor.")
    assert parity(actor, build_onnx(actor)) < 1e-5


def test_onnx_equals_the_policy_that_rsl_rl_trained(trained: Training, artefact: Path) -> None:
    obs = trained.env.observations()
    with torch.no_grad():
        theirs = trained.learner.actor(obs)
    session = onnxruntime.InferenceSession(str(artefact / "policy.onnx"), providers=["CPUExecutionProvider"])
    ours = np.asarray(session.run(None, {"observation": obs["policy"].numpy()})[0])
    assert np.abs(ours - theirs.numpy()).max() < 1e-5
    assert torch.allclose(torch_action(trained.learner.actor.state_dict(), obs["policy"]), theirs, atol=1e-5)


def test_controller_sees_and_asks_what_the_environment_does(trained: Training, artefact: Path) -> None:
    """Both run side by side for two seconds of walking, stopping and squatting; every number agrees."""
    env = trained.env
    env.config = replace(env.config, commands=replace(env.config.commands, resample=False))
    env.noise = torch.zeros_like(env.noise)
    env.reset(torch.arange(16))
    env.worlds.height[:] = SPEC.nominal_height_m
    env.look()
    session, settings = load_lmo(artefact, SPEC)
    controller = LmoBatch(session, settings, SPEC, 16)
    controller.reset(np.full(16, SPEC.nominal_height_m))
    for tick in range(100):
        flags = torch.zeros(16, 3)
        flags[:8, tick % 3 if tick == 0 else 1] = 1.0 if tick < 50 else 0.0
        env.worlds.flags[:] = flags
        env.worlds.height_goal[:] = 0.63 if tick < 30 else 0.5
        seen = env.observations()["policy"]
        sensed = [x.double().numpy() for x in (flags, env.omega, env.gravity, env.q, env.dq)]
        controller.observe(*sensed)
        assert (controller.moving == env.worlds.moving.numpy()).all()
        controller.phase = env.worlds.phase.double().numpy()  # the environment starts walks on a random foot
        mine = controller.observe(*sensed)
        assert np.abs(mine - seen.numpy()).max() < 2e-5
        targets = controller.step(flags.double().numpy(), env.worlds.height_goal.double().numpy(), mine)
        env.step(torch_action(trained.learner.actor.state_dict(), seen))
        asked = env.worlds.targets[:, 0, env.layout.lmo].numpy()
        assert np.abs(asked - targets).max() < 2e-5


def test_the_card_says_when_a_run_was_not_one_recipe(trained: Training, artefact: Path, tmp_path: Path) -> None:
    card, run = (artefact / "card.md").read_text(), json.loads((trained.folder / "run.json").read_text())
    assert CHANGED not in card
    assert f"{run['cores']} cores of {run['cpu']}, source {run['commit']}" in card
    shutil.copytree(trained.folder, tmp_path / "run")
    open_run(tmp_path / "run", replace(CONFIG, iterations=CONFIG.iterations + 1), CONFIG.seed)
    other = export(tmp_path / "run" / CHECKPOINT, CONFIG.environment, tmp_path / "lmo", "tiny-lmo", 1)
    assert CHANGED in (other.folder / "card.md").read_text()
    assert other.config["run"]["before"][0]["config"]["iterations"] == CONFIG.iterations


def test_a_policy_that_still_leans_on_help_is_not_exported(trained: Training, tmp_path: Path) -> None:
    trained.env.progress.assist = 0.4
    trained.save("helped.safetensors")
    trained.env.progress.assist = 0.0
    with pytest.raises(ArtefactError, match=r"assist 0\.40"):
        export(trained.folder / "helped.safetensors", CONFIG.environment, tmp_path / "lmo", "tiny-lmo", 1)
    assert not (tmp_path / "lmo").exists()


@pytest.mark.parametrize("robot", ["agibot_x2", "unitree_g1"])
def test_shipped_controller_walks_on_the_full_model(robot: str) -> None:
    """All joints free, waist held by its own drive, random commands: the check that a welded waist would hide."""
    trial, walk = TrialConfig(num_robots=12, num_threads=1), RandomWalkConfig(seconds=6.0)
    result = random_walk(shipped_lmo(robot), load_robot(robot), trial, walk)
    assert result["fall_rate"] <= 1 / 12
    assert result["err_x_mps"] < 0.25
    assert result["err_y_mps"] < 0.2
    assert result["err_height_m"] < 0.04
    assert result["moving_share"] > 0.4


def test_an_export_knows_by_the_run_how_it_was_trained(tmp_path: Path) -> None:
    """A run of another interface gets that interface's contract without being told; no recipe is named that it left."""
    config = replace(recipes.build("x2-lmo-velocity"), seed=7, keep_every=20)
    open_run(tmp_path / "run", config, config.seed)
    read = read_run(tmp_path / "run", LmoConfig)
    assert read == config
    assert recipe_of(read) == "x2-lmo-velocity"
    assert contract_of(SPEC, read.environment).details["interface"] == VELOCITY
    assert recipe_of(replace(config, iterations=config.iterations + 1)) == ""
    assert recipe_of(replace(config, stages=config.stages[:2])) == ""
    with pytest.raises(ConfigError, match=r"no run\.json"):
        read_run(tmp_path, LmoConfig)


def test_the_command_line_exports_a_run_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environment = replace(CONFIG.environment, commands=replace(CONFIG.environment.commands, interface=VELOCITY))
    training = Training(replace(CONFIG, environment=environment), tmp_path / "run")
    training.begin(None)
    training.env.progress.assist = training.env.progress.feed_forward = 0.0
    training.save()
    open_run(training.folder, training.config, 5)
    assert main(["export", str(training.folder), str(tmp_path / "made")]) == 0
    assert str(tmp_path / "made") in capsys.readouterr().out
    contract = json.loads((tmp_path / "made" / "contract.json").read_text())
    assert contract["details"]["interface"] == VELOCITY
    card = (tmp_path / "made" / "card.md").read_text()
    assert "a configuration of its own" in card
    assert "wbvla train" not in card
