"""Training resumes to the bit, follows its curriculum and refuses what it cannot do."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from wbvla.core.errors import ArtefactError, ConfigError
from wbvla.core.files import sha256_of
from wbvla.core.metrics import read_metrics
from wbvla.lmo.checkpoint import read_checkpoint
from wbvla.lmo.export import export
from wbvla.lmo.runs import train_each
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.stages import Stage
from wbvla.lmo.train import CHECKPOINT, METRICS, LmoConfig, Training, TrainingProgress, train
from wbvla.recipes.lmo import (
    g1_lmo,
    tiny_lmo,
    x2_lmo,
    x2_lmo_clock,
    x2_lmo_heading,
    x2_lmo_history,
    x2_lmo_paper,
    x2_lmo_velocity,
)

TINY = replace(tiny_lmo(), stages=(Stage(start_iteration=0), Stage(start_iteration=3, push=0.5, max_delay=3)))


@pytest.mark.parametrize("preset", ["clock", "history"])
def test_stopped_and_resumed_equals_straight_to_the_bit(preset: str, tmp_path: Path) -> None:
    config = replace(TINY, environment=replace(TINY.environment, preset=preset))
    train(config, tmp_path / "straight")
    train(config, tmp_path / "resumed", stop_after=2)
    train(config, tmp_path / "resumed")
    ours, notes = read_checkpoint(tmp_path / "straight" / CHECKPOINT)
    theirs, other_notes = read_checkpoint(tmp_path / "resumed" / CHECKPOINT)
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []
    assert {k: v for k, v in notes.items() if k != "seconds"} == {
        k: v for k, v in other_notes.items() if k != "seconds"
    }
    rows = [read_metrics(tmp_path / run / METRICS) for run in ("straight", "resumed")]
    assert [r["reward"] for r in rows[0]] == [r["reward"] for r in rows[1]]
    assert [r["step"] for r in rows[1]] == [1, 2, 3, 4]
    assert [r["stage"] for r in rows[1]] == [0, 0, 0, 1]


def test_progress_reports_speed_and_time_left(tmp_path: Path) -> None:
    seen: list[TrainingProgress] = []
    train(replace(TINY, iterations=2, stages=(Stage(start_iteration=0),)), tmp_path, on_iteration=seen.append)
    assert [p.iteration for p in seen] == [1, 2]
    assert seen[0].env_steps == 16 * 8
    assert seen[0].env_steps_per_s > 0
    assert seen[1].remaining_s == 0
    assert seen[0].remaining_s > 0


def test_a_stage_bounds_how_widely_actions_are_tried(tmp_path: Path) -> None:
    free, closed = Stage(start_iteration=0), Stage(start_iteration=2, max_std=0.1)
    train(replace(TINY, stages=(free, closed)), tmp_path)
    spread = {row["step"]: row["std"] for row in read_metrics(tmp_path / METRICS)}
    assert spread[2] > 0.2
    assert all(spread[step] <= 0.1 + 1e-6 for step in (3, 4))


def test_warm_start_takes_weights_but_not_the_schedule(tmp_path: Path) -> None:
    path = train(replace(TINY, iterations=1, stages=(Stage(start_iteration=0),)), tmp_path / "first")
    training = Training(TINY, tmp_path / "second")
    training.begin(warm_start=path)
    weights, _ = read_checkpoint(path)
    assert torch.equal(training.learner.actor.state_dict()["mlp.0.weight"], weights["actor.mlp.0.weight"])
    assert training.iteration == 0
    assert training.env.progress.assist == 0.0
    train(TINY, tmp_path / "third", stop_after=1, warm_start=path)
    resumed = Training(TINY, tmp_path / "third")
    resumed.begin(warm_start=None)
    assert resumed.start == training.start, "a resumed run still knows what it began with"
    made = export(tmp_path / "third" / CHECKPOINT, TINY.environment, tmp_path / "lmo", "tiny-lmo", 1)
    card = (made.folder / "card.md").read_text()
    assert str(path) in card
    assert "from scratch" not in card
    assert "make it again" not in card
    assert made.config["start"]["sha256"] == sha256_of(path)
    assert made.config["env_steps"] == TINY.environment.num_worlds * TINY.learner.horizon


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learner": replace(TINY.learner, hidden=(16,))}, r"hidden is \[32\], this run has \[16\]"),
        ({"environment": replace(TINY.environment, preset="paper")}, "preset is clock, this run has paper"),
        ({"environment": replace(TINY.environment, action_scale=0.5)}, "action_scale is 0.25"),
        ({"robot": "unitree_g1"}, "robot is agibot_x2, this run has unitree_g1"),
    ],
)
def test_a_start_from_another_contract_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = train(replace(TINY, iterations=1, stages=(Stage(start_iteration=0),)), tmp_path / "first")
    training = Training(replace(TINY, **change), tmp_path / "second")
    with pytest.raises(ArtefactError, match=message):
        training.begin(warm_start=path)


def test_one_command_trains_every_seed_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    config = replace(TINY, iterations=2, stages=(Stage(start_iteration=0),))
    train(replace(config, seed=5, environment=replace(config.environment, seed=5)), tmp_path / "seed_5", stop_after=1)
    steps: list[int] = []
    assert train_each(config, (5, 6), tmp_path, lambda progress: steps.append(progress.iteration)) == tmp_path
    assert steps == [2, 1, 2]
    seen = [read_checkpoint(tmp_path / f"seed_{seed}" / CHECKPOINT)[0]["actor.mlp.0.weight"] for seed in (5, 6)]
    assert not torch.equal(*seen)


def test_help_fades_only_while_falls_are_rare(tmp_path: Path) -> None:
    training = Training(TINY, tmp_path)
    training._fade(0.0)
    assert training.env.progress.assist == pytest.approx(1 - TINY.fade.assist_step)
    for _ in range(200):
        training._fade(50.0)
    assert training.env.progress.assist == 1.0
    for _ in range(500):
        training._fade(0.0)
    assert training.env.progress.assist == training.env.progress.feed_forward == 0.0


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00garbage!")
    with pytest.raises(ArtefactError, match=CHECKPOINT):
        train(TINY, tmp_path)


def test_impossible_configs_are_refused() -> None:
    with pytest.raises(ConfigError, match="stages must start"):
        LmoConfig(robot="agibot_x2", iterations=1, stages=(Stage(start_iteration=5),))
    with pytest.raises(ConfigError, match="preset"):
        EnvironmentConfig(preset="vision")


def test_recipes_differ_only_in_what_they_say() -> None:
    assert x2_lmo_paper().environment.preset == "paper"
    assert replace(x2_lmo_paper(), environment=x2_lmo().environment) == x2_lmo()
    starts = [s.start_iteration for s in x2_lmo().stages]
    assert starts[-1] < x2_lmo().iterations
    assert x2_lmo().stages[-1].push > x2_lmo().stages[0].push


@pytest.mark.parametrize("way", ["replace", "augment", "none"])
def test_every_symmetry_learns_from_finite_samples(way: str, tmp_path: Path) -> None:
    config = replace(TINY, iterations=2, stages=TINY.stages[:1], learner=replace(TINY.learner, symmetry=way))
    train(config, tmp_path)
    weights, _ = read_checkpoint(tmp_path / CHECKPOINT)
    assert all(torch.isfinite(value).all() for key, value in weights.items() if key.startswith("actor."))
    with pytest.raises(ConfigError, match="no symmetry 'mirror'"):
        replace(TINY.learner, symmetry="mirror")


def test_rsl_rls_own_symmetry_gets_samples_and_their_mirror_images(tmp_path: Path) -> None:
    training = Training(replace(TINY, learner=replace(TINY.learner, symmetry="augment")), tmp_path)
    learner, obs = training.learner, training.env.observations()
    actions = torch.randn(16, training.env.num_actions)
    seen, acted = learner._both(training.env, obs, actions)
    assert seen is not None
    assert acted is not None
    assert torch.equal(seen["policy"][:16], obs["policy"])
    assert torch.equal(seen["policy"][16:], training.env.actor_mirror(obs["policy"]))
    assert torch.equal(learner.action_mirror(acted[16:]), actions)
    assert learner._both(training.env, None, None) == (None, None)


@pytest.mark.parametrize("recipe", [g1_lmo, x2_lmo, x2_lmo_clock, x2_lmo_heading, x2_lmo_history, x2_lmo_velocity])
def test_every_recipe_learns_in_its_hardest_stage(recipe: Callable[[], LmoConfig], tmp_path: Path) -> None:
    """Small, but with everything on: all observations, both robots, lags, blows, bumps, pulls, torque noise."""
    whole = recipe()
    world = replace(whole.environment, num_worlds=8, num_threads=1)
    stage = replace(whole.stages[-1], start_iteration=0)
    learner = replace(whole.learner, horizon=6)
    fade = replace(whole.fade, assist=0.0, feed_forward=0.0)
    config = replace(whole, iterations=1, stages=(stage,), environment=world, learner=learner, fade=fade)
    training = Training(config, tmp_path)
    training.begin(None)
    row = training.iterate()
    assert all(math.isfinite(value) for value in row.values())
    state = training.env.worlds
    assert state.senses.abs().amax() > 0
    assert training.env.engine.state("qfrc_applied").abs().amax() > 0
    assert state.imu_lag.max() > 0
    assert state.encoder_bias.abs().amax() > 0
