"""Two processes train one controller, as `torchrun` starts them: same weights in both, other worlds, exact resume."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wbvla.core.errors import ConfigError
from wbvla.core.metrics import read_metrics
from wbvla.lmo.checkpoint import part, read_checkpoint
from wbvla.lmo.ranks import Ranks, join
from wbvla.lmo.train import CHECKPOINT, METRICS


def torchrun(folder: Path, iterations: int) -> None:
    """The trainer in two real processes on this machine."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    train = ["-m", "wbvla.cli.main", "train", "tiny-lmo", "--folder", str(folder), "--iterations", str(iterations)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run([*run, *train], env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_ranks_learn_one_policy_and_resume_to_the_bit(tmp_path: Path) -> None:
    torchrun(tmp_path / "whole", 4)
    torchrun(tmp_path / "halves", 2)
    torchrun(tmp_path / "halves", 4)
    names = (CHECKPOINT, "rank001_000004.safetensors")
    for folder in ("whole", "halves"):
        assert sorted(p.name for p in (tmp_path / folder).glob("*.safetensors")) == sorted(names)
    ranks = []
    for name in names:
        whole, meta = read_checkpoint(tmp_path / "whole" / name)
        halves, _ = read_checkpoint(tmp_path / "halves" / name)
        assert meta["iteration"] == 4
        assert whole.keys() == halves.keys()
        assert all(torch.equal(whole[key], halves[key]) for key in whole)
        ranks.append(whole)
    for kind in ("actor.", "critic.", "optimizer."):
        one, other = (part(tensors, kind) for tensors in ranks)
        assert all(torch.equal(one[key], other[key]) for key in one), kind
    assert not torch.equal(ranks[0]["env.engine.state"], ranks[1]["env.engine.state"])
    rows = read_metrics(tmp_path / "halves" / METRICS)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["env_steps"] == 4 * 2 * 16 * 8


def test_half_an_environment_of_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="start with torchrun"):
        join()


def test_each_rank_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [Ranks(rank=r, world=8, local=r).device("cuda:0") for r in (0, 3, 5)] == ["cuda:0", "cuda:3", "cuda:1"]
    assert Ranks(rank=1, world=2, local=1).device("cpu") == "cpu"
    assert Ranks().device("cuda:2") == "cuda:2"
