"""The loop: learns, resumes equal to the bit after SIGKILL and Ctrl-C, refuses what it must, stops on NaN."""

import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from wbvla.core.errors import ConfigError, ContractMismatch, TrainingDiverged
from wbvla.core.metrics import read_metrics
from wbvla.train.checkpoint import load_tensors, model_tensors, newest_checkpoint
from wbvla.train.loop import BEST, CHECKPOINTS, METRICS, Hooks, LoopConfig, fit
from wbvla.train.optim import OptimConfig, build_optimizer, learning_rate

CONFIG = LoopConfig(steps=4, batch_size=8, log_every=2, checkpoint_every=1, optim=OptimConfig(learning_rate=1e-2))


class Noise:
    """Batches of a linear problem, drawn from the step's generator."""

    def batch(self, step, rng: np.random.Generator):
        x = rng.standard_normal((8, 16)).astype(np.float32)
        return {"x": torch.from_numpy(x), "y": torch.from_numpy(x.sum(1, keepdims=True))}


def build(width: int = 32) -> nn.Module:
    """A net with everything a resume can lose: dropout, running statistics, weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return nn.Sequential(
            nn.Linear(16, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 1)
        )


def loss(model, batch, rng):
    noise = 0.01 * torch.randn(batch["x"].shape, generator=rng)
    value = nn.functional.mse_loss(model(batch["x"] + noise), batch["y"])
    return value, {"mse": float(value.detach())}


def held_out(model):
    torch.manual_seed(99)  # must not leak into the run
    x = torch.linspace(-1, 1, 64).reshape(4, 16)
    return {"held_mse": float(nn.functional.mse_loss(model(x), x.sum(1, keepdim=True)))}


HOOKS = Hooks(evaluate=held_out, best="held_mse")


def train(folder: Path, steps: int = 4, width: int = 32) -> None:
    config = replace(CONFIG, steps=steps, evaluate_every=2)
    fit(build(width), loss, Noise(), config, folder, HOOKS)


def outcome(folder: Path) -> tuple[dict[str, bytes], list[dict]]:
    found = newest_checkpoint(folder / CHECKPOINTS)
    assert found is not None
    return {k: v.numpy().tobytes() for k, v in found.tensors.items()}, read_metrics(folder / METRICS)


def test_a_run_learns_logs_and_keeps_its_best_weights(tmp_path):
    model, seen = build(), []
    config = replace(CONFIG, steps=60, log_every=20, checkpoint_every=25, evaluate_every=20)
    result = fit(model, loss, Noise(), config, tmp_path, replace(HOOKS, on_step=seen.append))
    rows = [r for r in read_metrics(tmp_path / METRICS) if "held_out" not in r]
    assert [r["step"] for r in rows] == [20, 40, 60]
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    assert result.best == min(r["held_mse"] for r in read_metrics(tmp_path / METRICS) if "held_out" in r)
    assert set(load_tensors(tmp_path / BEST)) == set(model_tensors(model))
    assert (seen[-1].step, seen[-1].eta_s) == (60, 0.0)
    assert seen[29].eta_s > 0
    manifests = sorted(p.name for p in (tmp_path / CHECKPOINTS).glob("*.json"))
    assert manifests == ["step_000000050.json", "step_000000060.json"], "only the last two stay"


def test_killed_at_any_instant_and_resumed_equals_uninterrupted_to_the_bit(tmp_path):
    """SIGKILL at random instants, in the middle of a checkpoint included, until the run gets through."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "pytest", "wbvla.train.loop"])
    steps, width = 30, 1024
    build_optimizer(build(), OptimConfig())  # the first optimiser of a process imports for a second
    started = time.perf_counter()
    train(tmp_path / "whole", steps, width)
    longest = 0.5 * (time.perf_counter() - started)
    rng, kills = random.Random(0), 0
    for attempt in range(40):
        process = context.Process(target=train, args=(tmp_path / "killed", steps, width))
        process.start()
        soon = 0.3 if attempt < 3 else 1.0  # so that at least two kills come before the end
        process.join(timeout=None if attempt == 39 else rng.uniform(0.0, soon * longest))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        if process.exitcode == 0:
            break
    assert process.exitcode == 0
    assert kills >= 2, "the run was too short to be killed"
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_two_steps_then_two_more_equal_four(tmp_path):
    train(tmp_path / "whole")

    class Off(RuntimeError):
        pass

    def pull_the_plug(progress):
        if progress.step == 3:
            raise Off

    config = replace(CONFIG, evaluate_every=2)
    with pytest.raises(Off):
        fit(build(), loss, Noise(), config, tmp_path / "cut", replace(HOOKS, on_step=pull_the_plug))
    torch.manual_seed(1234)  # whatever the process did before must not matter
    result = fit(build(), loss, Noise(), config, tmp_path / "cut", HOOKS)
    assert result.resumed_from == 2
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")


@pytest.fixture
def keyboard():
    """Ctrl-C as in a terminal; a suite started in the background inherits an ignored SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("keyboard")
def test_ctrl_c_saves_the_step_it_was_in_and_the_run_goes_on_from_there(tmp_path):
    def interrupt(progress):
        if progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    config = replace(CONFIG, checkpoint_every=100, steps=6)
    with pytest.raises(KeyboardInterrupt):
        fit(build(), loss, Noise(), config, tmp_path, Hooks(on_step=interrupt))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert fit(build(), loss, Noise(), config, tmp_path).resumed_from == 2
    assert fit(build(), loss, Noise(), config, tmp_path).resumed_from == 6, "a finished run stays finished"


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, caplog):
    train(tmp_path / "whole")
    train(tmp_path / "hurt")
    newest = tmp_path / "hurt" / CHECKPOINTS / "step_000000004.safetensors"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(bytes(content))
    result = fit(build(), loss, Noise(), replace(CONFIG, evaluate_every=2), tmp_path / "hurt", HOOKS)
    assert result.resumed_from == 3
    assert "step_000000004" in caplog.text
    assert outcome(tmp_path / "hurt") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_by_name(tmp_path, poison):
    def poisoned(model, batch, rng):
        value, figures = loss(model, batch, rng)
        return value * poison, figures

    model = build()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(TrainingDiverged, match=r"loss is (nan|inf) at step 0 of 4"):
        fit(model, poisoned, Noise(), CONFIG, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert newest_checkpoint(tmp_path / CHECKPOINTS) is None


def test_another_configuration_or_other_frozen_weights_are_refused(tmp_path):
    frozen = build()
    frozen[0].requires_grad_(False)
    fit(frozen, loss, Noise(), CONFIG, tmp_path)
    saved = json.loads((tmp_path / CHECKPOINTS / "step_000000004.json").read_text())
    assert saved["state"]["last"]["loss"] > 0
    with pytest.raises(ContractMismatch, match=r"config\.optim\.learning_rate"):
        fit(frozen, loss, Noise(), replace(CONFIG, optim=OptimConfig(learning_rate=3.0)), tmp_path)
    with torch.no_grad():
        frozen[0].weight[0, 0] += 1
    with pytest.raises(ContractMismatch, match="frozen_sha256"):
        fit(frozen, loss, Noise(), CONFIG, tmp_path)


def test_a_run_goes_on_with_the_same_data_alone(tmp_path):
    """Normalisers and splits follow from the data: weights of the one and ranges of the other are no model."""
    first = Hooks(data={"sets": [{"episodes": 20, "split": "ab"}], "gap_s": 0.6})
    fit(build(), loss, Noise(), CONFIG, tmp_path, first)
    fit(build(), loss, Noise(), CONFIG, tmp_path, first)
    more = Hooks(data={"sets": [{"episodes": 40, "split": "cd"}], "gap_s": 0.6})
    with pytest.raises(ContractMismatch, match=r"(?s)data\.sets.*20.*40|data\.sets.*40.*20"):
        fit(build(), loss, Noise(), CONFIG, tmp_path, more)


def test_micro_batches_average_to_the_whole_batch(tmp_path):
    def plain_loss(model, batch, rng):
        return nn.functional.mse_loss(model(batch["x"]), batch["y"]), {}

    results = []
    for parts in (1, 4):
        torch.manual_seed(0)
        model = nn.Linear(16, 1)
        fit(model, plain_loss, Noise(), replace(CONFIG, micro_batches=parts), tmp_path / str(parts))
        results.append(model.weight.detach())
    torch.testing.assert_close(results[0], results[1])


@dataclass
class Case:
    step: int
    rate: float


@pytest.mark.parametrize("case", [Case(0, 0.1), Case(9, 1.0), Case(10, 1.0), Case(60, 0.55), Case(110, 0.1)])
def test_the_rate_warms_up_and_follows_a_cosine_to_its_floor(case):
    config = OptimConfig(learning_rate=1.0, warmup_steps=10, final_fraction=0.1)
    assert learning_rate(config, case.step, 110) == pytest.approx(case.rate)
    assert learning_rate(replace(config, schedule="constant"), 100, 110) == 1.0


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="cannot be split into 3"):
        LoopConfig(steps=1, batch_size=8, micro_batches=3)
    with pytest.raises(ConfigError, match="at least 1"):
        LoopConfig(steps=0, batch_size=8)
