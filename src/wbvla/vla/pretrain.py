"""Latent pretraining: predict the codes of both streams from picture and words, on video with or without a robot."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from wbvla.core.errors import ConfigError, DataError
from wbvla.core.files import write_json
from wbvla.core.run import open_run
from wbvla.data.augment import AugmentConfig
from wbvla.data.reader import Dataset
from wbvla.data.split import split_episodes
from wbvla.data.transforms import Normalizer
from wbvla.train.loop import Hooks, LoopConfig, Progress, fit
from wbvla.vla.artefact import PRETRAINED, save_vla, vla_contract
from wbvla.vla.codes import INPUT_KEYS, code_figures, code_loss, majority_codes
from wbvla.vla.inputs import Inputs, InputsConfig
from wbvla.vla.model import Vla, VlaConfig
from wbvla.vla.release import load_release
from wbvla.vla.samples import Batches, Samples, data_identity, label_digests, open_datasets
from wbvla.vla.tokens import PromptConfig, build_tokenizer, load_tokenizer

ARTEFACT, FIGURES = "vla", "figures.json"


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """One latent pretraining run."""

    model: VlaConfig
    """sizes, cameras, streams"""
    prompt: PromptConfig
    """instruction format"""
    loop: LoopConfig
    """length, batch, optimiser"""
    tokenizer: str = "built"
    """`built`: a small byte-level one from the datasets' instructions; else a tokenizer.json, folder or Hub name"""
    release: str = "none"
    """folder of a released OpenVLA-style checkpoint to start from; `none` starts from random weights"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """changes of training pictures and words; mirroring is refused here, the codes would be others"""
    mixture: tuple[float, ...] = (1.0,)
    """sampling weight of each dataset, in the order given; a single number holds for all"""
    held_out: float = 0.1
    """share of episodes kept for evaluation [-]"""
    evaluate_frames: int = 512
    """held-out frames per dataset that are evaluated"""
    in_memory: bool = True
    """decode all pictures once; false decodes each batch's, for datasets larger than memory"""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a trainer leaves behind."""

    artefact: Path
    """folder of the trained VLA"""
    figures: Mapping[str, float]
    """figures on held-out episodes"""


def train(
    config: PretrainConfig,
    folder: Path,
    datasets: Sequence[Path],
    on_step: Callable[[Progress], None] | None = None,
) -> Trained:
    """Pretrain and write `folder/vla`; calling it again on the same folder goes on where it stopped.

    Raises DataError when no dataset carries a label of any stream, ConfigError when windows would be mirrored.
    """
    if config.augment.mirror > 0:
        raise ConfigError("latent codes of mirrored pictures are not known; set augment.mirror to 0 in pretraining")
    sets = open_datasets(datasets)
    label_digests(sets, config.model.streams)
    model, inputs = build(config, sets)
    parts, held_out = load_parts(sets, inputs, config.model, config.held_out, config.in_memory)
    majority = majority_codes(parts, config.model.streams)
    if not majority:
        names = ", ".join(str(s.root) for s in sets)
        raise DataError(f"no latent labels in {names}; run `wbvla label` with a trained LAM first")
    open_run(folder, config, config.loop.seed)
    weights, size, seed = spread_weights(config.mixture, len(sets)), config.loop.batch_size, config.loop.seed
    batches = Batches(parts, weights, size, config.augment, seed)
    hooks = Hooks(
        on_step=on_step,
        evaluate=lambda m: code_figures(as_vla(m), held_out, majority, config.evaluate_frames),
        data=data_identity(sets, config.held_out, config.model.streams, config.augment, config.mixture),
    )
    result = fit(model, pretrain_loss, batches, config.loop, folder, hooks)
    save_vla(folder / ARTEFACT, model, inputs, vla_contract(config.model, inputs, PRETRAINED, sets))
    figures = {
        k: v for k, v in result.metrics.items() if k.split("_")[0] in ("accuracy", "majority", "blind", "frames")
    }
    write_json(folder / FIGURES, figures)
    return Trained(artefact=folder / ARTEFACT, figures=figures)


def untrained(config: PretrainConfig, folder: Path, datasets: Sequence[Path]) -> Path:
    """The artefact that pretraining starts from: the control for what pretraining brings."""
    sets = open_datasets(datasets)
    model, inputs = build(config, sets)
    save_vla(folder, model, inputs, vla_contract(config.model, inputs, PRETRAINED, sets))
    return folder


def build(config: PretrainConfig, sets: Sequence[Dataset]) -> tuple[Vla, Inputs]:
    """A seeded model and its preprocessing; state and action ranges are set by fine-tuning."""
    language, action = config.model.prismatic.language, config.model.action
    instructions = sorted({t for s in sets for t in s.tasks})
    if config.tokenizer == "built":
        tokenizer = build_tokenizer(instructions, language.vocabulary)
    else:
        tokenizer = load_tokenizer(config.tokenizer)
    if tokenizer.get_vocab_size() > language.vocabulary:
        raise ConfigError(f"{tokenizer.get_vocab_size()} tokens do not fit a vocabulary of {language.vocabulary}")
    inputs = InputsConfig(
        cameras=config.model.cameras,
        image_size=config.model.prismatic.image_size,
        prompt=config.prompt,
        state=_identity(action.state),
        arms=_identity(action.arms),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        model = Vla(config.model)
    if config.release != "none":
        load_release(model.prismatic, Path(config.release))
    return model, Inputs(inputs, tokenizer)


def load_parts(
    sets: Sequence[Dataset], inputs: Inputs, model: VlaConfig, held_out: float, in_memory: bool
) -> tuple[list[Samples], list[Samples]]:
    """(training, held-out) samples of each dataset, split by episode."""
    parts: tuple[list[Samples], list[Samples]] = ([], [])
    for dataset in sets:
        for side, episodes in zip(parts, split_episodes(dataset, held_out)):
            side.append(Samples(dataset, episodes, inputs, model, in_memory))
    return parts


def spread_weights(weights: Sequence[float], count: int) -> list[float]:
    """One weight per dataset; a single one is repeated."""
    return list(weights) * count if len(weights) == 1 else list(weights)


def pretrain_loss(
    model: nn.Module, batch: Mapping[str, Tensor], rng: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy on both streams; the action decoder takes no part."""
    vla = as_vla(model)
    return code_loss(vla.code_logits(vla.encode(*(batch[k] for k in INPUT_KEYS))), batch)


def read_figures(folder: Path) -> dict[str, float]:
    """Held-out figures of a finished run."""
    return json.loads((folder / FIGURES).read_text())


def _identity(channels: int) -> Normalizer:
    return Normalizer(mode="range", offset=(0.0,) * channels, scale=(1.0,) * channels)


def as_vla(model: nn.Module) -> Vla:
    """The same object under its type; raises ConfigError for any other module."""
    if not isinstance(model, Vla):
        raise ConfigError(f"expected a Vla, not {type(model).__name__}")
    return model
