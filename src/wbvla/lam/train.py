"""Training a latent action model: pairs from recordings, the shared loop, an artefact judged on held-out episodes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from wbvla.core.errors import ConfigError
from wbvla.core.files import write_json
from wbvla.core.run import open_run, plain
from wbvla.data.augment import OFF, AugmentConfig
from wbvla.data.sources import Chosen, Source, identity_of
from wbvla.data.split import split_episodes
from wbvla.lam.artefact import lam_contract, save_lam
from wbvla.lam.model import LamConfig, LatentActionModel, lam_loss
from wbvla.lam.pairs import Pairs, PairSource, open_sources
from wbvla.lam.probe import ProbeConfig, ProbeResult, has_truth, probe
from wbvla.lam.quality import Quality, QualityConfig, judge
from wbvla.lam.streamed import StreamedPairs, pair_stream
from wbvla.train.loop import Hooks, LoopConfig, Progress, fit

ARTEFACT, FIGURES = "lam", "figures.json"


@dataclass(frozen=True, kw_only=True)
class LamTrainConfig:
    """One training run of a latent action model."""

    model: LamConfig
    """what is trained"""
    loop: LoopConfig
    """length, batch, optimiser; more batches than the quantiser's warm-up"""
    held_out: float = 0.2
    """share of episodes kept for judging [-]"""
    in_memory: bool = True
    """keep all frames in memory at the model's size; off reads them from disk as they are drawn"""
    stream_mib: int = 0
    """above 0: pairs are streamed, at most this much decoded at a time in each worker, for footage of any length;
    0 draws them at random [MiB]"""
    stream_workers: int = 1
    """processes that decode ahead when pairs are streamed"""
    augment: AugmentConfig = OFF
    """changes of training pairs, one draw for both frames"""
    quality: QualityConfig = field(default_factory=QualityConfig)
    """the gate"""
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    """read-out of true motion, where a recording keeps it"""

    def __post_init__(self) -> None:
        batches, warm = self.loop.steps * self.loop.micro_batches, self.model.quantizer.warmup_batches
        if batches <= warm:
            raise ConfigError(
                f"{self.loop.steps} steps are {batches} batches, and the codes begin after {warm} only: raise "
                "loop.steps or lower model.quantizer.warmup_batches"
            )


@dataclass(frozen=True, kw_only=True)
class TrainedLam:
    """What a training run leaves behind."""

    artefact: Path
    """folder of the trained model"""
    quality: Quality
    """figures on held-out episodes"""
    probe: ProbeResult | None
    """read-out of true motion; None where no recording keeps it"""
    steps_per_s: float
    """updates per second of this call"""


def train(
    config: LamTrainConfig,
    folder: Path,
    datasets: Sequence[Path],
    on_step: Callable[[Progress], None] | None = None,
) -> TrainedLam:
    """Train and write `folder/lam`; calling it again on the same folder goes on where it stopped.

    The artefact is written whether or not it passes the gate; `label` refuses one that does not.
    Raises DataError when a recording lacks the camera or has too few episodes.
    """
    sets = open_sources(datasets, config.model)
    parts, held_out = split_pairs(sets, config)
    open_run(folder, config, config.loop.seed)
    model = build(config)
    source = training_pairs(sets, parts, config)
    evaluate = (lambda m: _figures(m, held_out, config.quality)) if config.loop.evaluate_every else None
    hooks = Hooks(on_step=on_step, evaluate=evaluate, data=_data(config, sets, held_out))
    result = fit(model, lam_loss, source, config.loop, folder, hooks)
    quality = judge(model, held_out, config.quality)
    probed = _probe(model, parts, held_out, config)
    details = {"datasets": _origins(sets, held_out), "quality": plain(quality), "probe": plain(probed)}
    contract = lam_contract(model, sets[0].fps, details)
    artefact = save_lam(folder / ARTEFACT, model, contract, card(config, quality, probed, sets))
    write_json(folder / FIGURES, {"quality": plain(quality), "probe": plain(probed)})
    rate = (result.steps - result.resumed_from) / max(result.seconds, 1e-9)
    return TrainedLam(artefact=artefact.folder, quality=quality, probe=probed, steps_per_s=rate)


def build(config: LamTrainConfig) -> LatentActionModel:
    """A seeded model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        return LatentActionModel(config.model, config.loop.batch_size // config.loop.micro_batches)


def training_pairs(
    sets: Sequence[Source], parts: Sequence[Pairs], config: LamTrainConfig
) -> PairSource | StreamedPairs:
    """Where training batches come from: drawn at random, or streamed."""
    if not config.stream_mib:
        return PairSource(parts, config.loop.batch_size, config.augment)
    chosen = [Chosen(s, split_episodes(s, config.held_out)[0]) for s in sets]
    size, seed, workers = config.loop.batch_size, config.loop.seed, config.stream_workers
    plan = pair_stream(config.model, size, seed, len(sets), config.stream_mib, workers)
    return StreamedPairs(chosen, plan, config.augment)


def split_pairs(sets: Sequence[Source], config: LamTrainConfig) -> tuple[list[Pairs], list[Pairs]]:
    """(training, held-out) pairs of each dataset, split by blocks of episodes (`data/split.py`)."""
    parts: tuple[list[Pairs], list[Pairs]] = ([], [])
    for data in sets:
        for side, episodes in zip(parts, split_episodes(data, config.held_out), strict=True):
            side.append(Pairs.of(data, config.model, episodes, config.in_memory and not config.stream_mib))
    return parts


def _figures(model: nn.Module, held_out: Sequence[Pairs], config: QualityConfig) -> dict[str, float]:
    """Held-out figures for the metric log; none before the codes stand."""
    assert isinstance(model, LatentActionModel)
    if not model.quantizer.active:
        return {}
    quality = judge(model, held_out, config)
    return {
        "held_mse": quality.mse,
        "held_gain": quality.gain.value,
        "held_code_gain": quality.code_gain.value,
        "held_perplexity_min": min(quality.perplexity),
    }


def _probe(
    model: LatentActionModel, parts: Sequence[Pairs], held_out: Sequence[Pairs], config: LamTrainConfig
) -> ProbeResult | None:
    """The read-out on the first recording that keeps true motion."""
    for seen, unseen in zip(parts, held_out, strict=True):
        if has_truth(seen, config.probe):
            return probe(model, seen, unseen, config.probe, config.loop.seed)
    return None


def _data(config: LamTrainConfig, sets: Sequence[Source], held_out: Sequence[Pairs]) -> dict[str, Any]:
    """What a run that goes on must share with the one that began."""
    seen = [identity_of(data, np.unique(part.where[:, 0]).tolist()) for data, part in zip(sets, held_out, strict=True)]
    return {"sets": seen, "gap_s": config.model.gap_s, "augment": plain(config.augment)}


def _origins(sets: Sequence[Source], held_out: Sequence[Pairs]) -> list[dict[str, Any]]:
    return [
        {
            "name": data.root.name,
            "sha256": data.digest,
            "fps": data.fps,
            "episodes": data.num_episodes,
            "held_out": sorted({int(e) for e in part.where[:, 0]}),
        }
        for data, part in zip(sets, held_out, strict=True)
    ]


def card(config: LamTrainConfig, quality: Quality, probed: ProbeResult | None, sets: Sequence[Source]) -> str:
    """The model card: what it is, what it was trained on, and its figures with intervals."""
    model, q = config.model, config.model.quantizer
    names = ", ".join(f"{d.root.name} ({d.num_episodes} episodes, {d.num_frames} frames)" for d in sets)
    verdict = "It may label data." if quality.passed else "It may NOT label data: " + "; ".join(quality.faults)
    lines = [
        f"# Latent action model: {model.stream}",
        "",
        f"{q.num_tokens} tokens of {q.num_codes} codes for what happens in {model.gap_s} s, seen by "
        f"{', '.join(model.cameras)}. Trained for {config.loop.steps} steps of {config.loop.batch_size} pairs, "
        f"seed {config.loop.seed}, on {names}; {config.held_out:.0%} of the episodes were held out.",
        "",
        f"Figures on {quality.pairs} held-out pairs of {quality.episodes} episodes "
        "(95 % bootstrap interval over episodes):",
        "",
        "| figure | value | interval |",
        "|---|---|---|",
        _row("gain over copying the first frame", quality.gain.value, quality.gain.low, quality.gain.high),
        _row("gain over codes of other pairs", quality.code_gain.value, quality.code_gain.low, quality.code_gain.high),
        f"| perplexity per token | {_list(quality.perplexity)} | of {q.num_codes} |",
        f"| codes in use per token | {_list(quality.usage)} | |",
        f"| codes that come back from the prediction | {quality.cycle:.3f} | |",
        *(_probe_rows(probed.r2, probed.shuffled) if probed else []),
        "",
        verdict,
        "",
    ]
    return "\n".join(lines)


def _row(name: str, value: float, low: float, high: float) -> str:
    return f"| {name} | {value:.3f} | {low:.3f} to {high:.3f} |"


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{v:.2f}" for v in values)


def _probe_rows(r2: Mapping[str, float], shuffled: Mapping[str, float]) -> list[str]:
    return [f"| R2 of codes -> true {n} | {v:.3f} | {shuffled[n]:.3f} with dealt-out codes |" for n, v in r2.items()]
