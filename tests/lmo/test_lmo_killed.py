"""A controller's training that is killed at random instants ends where an undisturbed one ends."""

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import torch

from killing import killed_until_done
from wbvla.core.metrics import read_metrics
from wbvla.lmo.checkpoint import read_checkpoint
from wbvla.lmo.train import CHECKPOINT, METRICS, LmoConfig, train
from wbvla.recipes.lmo import tiny_lmo

LONG = replace(tiny_lmo(), iterations=16)
TIMED = {"seconds", "collect_s", "learn_s"}


def curve(folder: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k not in TIMED} for row in read_metrics(folder / METRICS)]


def run(config: LmoConfig, folder: Path) -> None:
    train(config, folder)


def run_dying_in_checkpoint(config: LmoConfig, folder: Path, nth: int) -> None:
    """SIGKILL itself when the nth file is written but not yet renamed."""
    rename, count = os.replace, 0

    def dying(source: Path, goal: Path) -> None:
        nonlocal count
        count += 1
        if count == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, goal)

    os.replace = dying
    train(config, folder)


def test_killed_and_resumed_gives_the_same_curve_and_weights(tmp_path: Path) -> None:
    train(LONG, tmp_path / "whole")
    context, folder = multiprocessing.get_context("forkserver"), tmp_path / "killed"
    for nth in (4, 5):
        dying = context.Process(target=run_dying_in_checkpoint, args=(LONG, folder, nth))
        dying.start()
        dying.join()
        assert dying.exitcode == -signal.SIGKILL
        assert any(p.name.endswith(".tmp") for p in folder.iterdir()), "it died before the rename"
    kills, _ = killed_until_done(run, (LONG, tmp_path / "killed"), tmp_path / "killed", "wbvla.lmo.train")
    assert kills >= 2, "the run was too short to be killed"
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    ours, _ = read_checkpoint(tmp_path / "whole" / CHECKPOINT)
    theirs, _ = read_checkpoint(tmp_path / "killed" / CHECKPOINT)
    assert [key for key in ours if not torch.equal(ours[key], theirs[key])] == []


def test_same_seed_same_curve_and_another_seed_another(tmp_path: Path) -> None:
    for name, config in (("a", tiny_lmo()), ("b", tiny_lmo()), ("c", replace(tiny_lmo(), seed=7))):
        train(config, tmp_path / name)
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    assert curve(tmp_path / "a") != curve(tmp_path / "c")
