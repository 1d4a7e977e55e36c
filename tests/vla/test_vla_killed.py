"""Both VLA trainings, killed at random instants, end where undisturbed ones end; the seed decides the losses."""

from dataclasses import replace
from pathlib import Path

from killing import killed_until_done
from wbvla.core.metrics import read_metrics
from wbvla.train.loop import METRICS, LoopConfig
from wbvla.vla import finetune, pretrain
from wbvla.vla.artefact import load_vla
from wbvla.vla.finetune import FinetuneConfig
from wbvla.vla.pretrain import PretrainConfig


def often_saved(loop: LoopConfig) -> LoopConfig:
    """A run that can be killed in the middle, and in the middle of a checkpoint."""
    return replace(loop, steps=12, checkpoint_every=1, log_every=1)


def run_pretrain(config: PretrainConfig, folder: Path, data: Path) -> None:
    pretrain.train(config, folder, [data])


def run_finetune(config: FinetuneConfig, folder: Path, data: Path, start: Path) -> None:
    finetune.train(config, folder, [data], start)


def weights(folder: Path) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in load_vla(folder / "vla").model.state_dict().items()}


def test_pretraining_killed_and_resumed(dataset: Path, pretrain_config: PretrainConfig, tmp_path: Path) -> None:
    config, whole, killed = (
        replace(pretrain_config, loop=often_saved(pretrain_config.loop)),
        tmp_path / "a",
        tmp_path / "b",
    )
    run_pretrain(config, whole, dataset)
    kills, _ = killed_until_done(run_pretrain, (config, killed, dataset), killed, "wbvla.vla.finetune")
    assert kills >= 2, "the run was too short to be killed"
    assert read_metrics(killed / METRICS) == read_metrics(whole / METRICS)
    assert weights(killed) == weights(whole)


def test_finetuning_killed_and_resumed(
    dataset: Path, pretrain_config: PretrainConfig, finetune_config: FinetuneConfig, tmp_path: Path
) -> None:
    start = pretrain.untrained(pretrain_config, tmp_path / "start", [dataset])
    config, whole, killed = (
        replace(finetune_config, loop=often_saved(finetune_config.loop)),
        tmp_path / "a",
        tmp_path / "b",
    )
    run_finetune(config, whole, dataset, start)
    kills, _ = killed_until_done(run_finetune, (config, killed, dataset, start), killed, "wbvla.vla.finetune")
    assert kills >= 2, "the run was too short to be killed"
    assert read_metrics(killed / METRICS) == read_metrics(whole / METRICS)
    assert weights(killed) == weights(whole)


def test_same_seed_same_losses(dataset: Path, pretrain_config: PretrainConfig, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        loop = replace(pretrain_config.loop, steps=3, log_every=1, seed=seed)
        run_pretrain(replace(pretrain_config, loop=loop), tmp_path / name, dataset)
    curves = {name: [r["loss"] for r in read_metrics(tmp_path / name / METRICS) if "loss" in r] for name in "abc"}
    assert curves["a"] == curves["b"] != curves["c"]
