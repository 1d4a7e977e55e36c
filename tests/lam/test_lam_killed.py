"""A latent action model's training that is killed at random instants ends where an undisturbed one ends."""

from dataclasses import replace
from pathlib import Path

from lam_clips import record
from test_lam_train import CONFIG

from killing import killed_until_done
from wbvla.core.contract import open_artefact
from wbvla.core.metrics import read_metrics
from wbvla.lam.train import LamTrainConfig, train
from wbvla.train.loop import METRICS

LONG = replace(CONFIG, loop=replace(CONFIG.loop, steps=24))


def run(config: LamTrainConfig, folder: Path, data: Path) -> None:
    train(config, folder, [data])


def test_killed_and_resumed_gives_the_same_curve_and_artefact(tmp_path):
    data, whole, killed = record(tmp_path / "data", episodes=8, frames=12), tmp_path / "whole", tmp_path / "killed"
    run(LONG, whole, data)
    kills, _ = killed_until_done(run, (LONG, killed, data), killed, "wbvla.lam.train")
    assert kills >= 2, "the run was too short to be killed"
    assert read_metrics(killed / METRICS) == read_metrics(whole / METRICS)
    assert open_artefact(killed / "lam", "lam").digest == open_artefact(whole / "lam", "lam").digest


def test_same_seed_same_losses_and_another_seed_others(tmp_path):
    data = record(tmp_path / "data", episodes=8, frames=12)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(replace(CONFIG, loop=replace(CONFIG.loop, seed=seed)), tmp_path / name, data)
    curves = {name: [r["loss"] for r in read_metrics(tmp_path / name / METRICS)] for name in "abc"}
    assert curves["a"] == curves["b"] != curves["c"]
