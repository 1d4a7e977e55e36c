"""Fine-tuning on demonstrations: LoRA on the decoder, action decoder from scratch, one model for all tasks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wbvla.core.contract import require_match
from wbvla.core.errors import DataError
from wbvla.core.files import write_json
from wbvla.core.run import open_run
from wbvla.data.augment import AugmentConfig
from wbvla.data.features import ACTION, STATE
from wbvla.data.reader import Dataset
from wbvla.data.split import split_episodes
from wbvla.data.stats import describe
from wbvla.data.transforms import Normalizer
from wbvla.train.loop import Hooks, LoopConfig, Progress, fit
from wbvla.vla.action_decoder import ActionLossConfig, action_loss
from wbvla.vla.artefact import READY, LoadedVla, load_vla, save_vla, vla_contract
from wbvla.vla.codes import INPUT_KEYS, code_loss
from wbvla.vla.imitation import action_figures, mean_action, target_chunk
from wbvla.vla.inputs import Inputs
from wbvla.vla.lora import LoraConfig, add_lora, has_lora
from wbvla.vla.pretrain import ARTEFACT, FIGURES, Trained, as_vla, load_parts, spread_weights
from wbvla.vla.samples import Batches, data_identity, flag_weights, label_digests, open_datasets

HEADS = ("queries", "camera_embed", "code_heads", "action_decoder")
VISION = ("prismatic.vision_backbone", "prismatic.projector")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """One fine-tuning run."""

    loop: LoopConfig
    """length, batch, optimiser"""
    lora: LoraConfig = field(default_factory=LoraConfig)
    """adapters in the language decoder"""
    trainable: tuple[str, ...] = HEADS
    """parts that learn in full beside the adapters"""
    loss: ActionLossConfig = field(default_factory=ActionLossConfig)
    """weights of the imitation loss"""
    code_weight: float = 0.1
    """weight of the latent codes' cross-entropy where demonstrations are labelled"""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """changes of training pictures, words and, mirrored, actions"""
    mixture: tuple[float, ...] = (1.0,)
    """sampling weight of each dataset, in the order given; a single number holds for all"""
    held_out: float = 0.1
    """share of episodes kept for evaluation [-]"""
    evaluate_frames: int = 512
    """held-out frames per dataset that are evaluated"""
    in_memory: bool = True
    """decode all pictures once; false decodes each batch's, for datasets larger than memory"""


def train(
    config: FinetuneConfig,
    folder: Path,
    datasets: Sequence[Path],
    start: Path,
    on_step: Callable[[Progress], None] | None = None,
) -> Trained:
    """Fine-tune the VLA in `start` and write `folder/vla`; calling it again on the same folder goes on.

    Raises DataError or ContractMismatch when the demonstrations do not fit the model.
    """
    sets = open_datasets(datasets)
    loaded = load_vla(start)
    model = loaded.model
    require_fit(loaded, sets)
    inputs = fitted_inputs(loaded.inputs, sets, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        add_lora(model, config.lora, config.trainable)
    parts, held_out = load_parts(sets, inputs, model.config, config.held_out, config.in_memory)
    open_run(folder, config, config.loop.seed)
    mean = mean_action(parts)
    hooks = Hooks(
        on_step=on_step,
        evaluate=lambda m: action_figures(as_vla(m), held_out, mean, config.evaluate_frames),
        data=data_identity(sets, config.held_out, model.config.streams, config.augment, config.mixture),
    )
    weights, size, seed = spread_weights(config.mixture, len(sets)), config.loop.batch_size, config.loop.seed
    batches = Batches(parts, weights, size, config.augment, seed)
    loss = FinetuneLoss(config, flag_weights(parts, model.config.action.arms))
    result = fit(model, loss, batches, config.loop, folder, hooks)
    contract = vla_contract(model.config, inputs, READY, sets)
    save_vla(folder / ARTEFACT, model, inputs, contract, (config.lora, config.trainable))
    figures = {k: v for k, v in result.metrics.items() if k.startswith(("arms_", "grippers_", "height_", "balanced_"))}
    write_json(folder / FIGURES, {**figures, "frames": result.metrics["frames"]})
    return Trained(artefact=folder / ARTEFACT, figures=figures)


class FinetuneLoss:
    """Imitation of the chunk, plus the codes where they are labelled."""

    def __init__(self, config: FinetuneConfig, flags: Tensor) -> None:
        self.config, self.flags = config, flags

    def __call__(
        self, model: nn.Module, batch: Mapping[str, Tensor], rng: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        vla = as_vla(model)
        encoding = vla.encode(*(batch[k] for k in INPUT_KEYS))
        low, high = vla.config.action.height_range_m
        chunk = vla.chunk(encoding, batch["state"])
        weights = self.flags.to(batch["state"].device)
        acts, figures = action_loss(chunk, target_chunk(batch), batch["valid"], weights, self.config.loss, high - low)
        if self.config.code_weight == 0.0:
            return acts, figures
        codes, more = code_loss(vla.code_logits(encoding), batch)
        return acts + self.config.code_weight * codes, {**figures, **more}


def require_fit(loaded: LoadedVla, sets: Sequence[Dataset]) -> None:
    """Raises where datasets hold no actions, another robot's, or codes of another LAM than the model learnt."""
    if has_lora(loaded.model):
        raise DataError(f"{loaded.artefact.folder} is fine-tuned already; start from a pretrained artefact")
    action, learnt = loaded.model.config.action, _learnt_labels(loaded)
    for dataset in sets:
        missing = [n for n in (STATE, ACTION) if n not in dataset.features]
        if missing:
            raise DataError(f"{dataset.root} has no {' and no '.join(missing)}; fine-tuning needs demonstrations")
        ours = {"state": action.state, "action": action.arms + action.grippers + 4, "fps": action.rate_hz}
        theirs = {"state": dataset.features[STATE].shape[0], "action": dataset.features[ACTION].shape[0]}
        require_match(f"dataset {dataset.root}", ours, {**theirs, "fps": float(dataset.fps)})
        require_match(f"{dataset.root} beside {sets[0].root}", _robot_of(sets[0]), _robot_of(dataset))
    found = label_digests(sets, loaded.model.config.streams)
    require_match("labelling LAM", {k: v for k, v in learnt.items() if k in found}, found)


def _learnt_labels(loaded: LoadedVla) -> dict[str, str]:
    """LAM digest per stream that pretraining saw."""
    labels = [d["labels"] for d in loaded.artefact.contract.details["datasets"]]
    streams = loaded.model.config.streams
    return {s.name: d[f"latent.{s.name}"]["digest"] for d in labels for s in streams if f"latent.{s.name}" in d}


def _robot_of(dataset: Dataset) -> dict[str, Any]:
    """What the channels of a demonstration mean."""
    names = {name: list(dataset.features[name].names or ()) for name in (STATE, ACTION)}
    return {**names, **{key: dataset.contract.get(key) for key in ("robot", "joint_names")}}


def fitted_inputs(inputs: Inputs, sets: Sequence[Dataset], config: FinetuneConfig) -> Inputs:
    """The preprocessing with state and arm ranges of the training episodes."""
    states, arms = [], []
    width = len(inputs.config.arms.offset)
    for dataset in sets:
        training, _ = split_episodes(dataset, config.held_out)
        states += [dataset.columns(e, [STATE])[STATE] for e in training]
        arms += [dataset.columns(e, [ACTION])[ACTION][:, :width] for e in training]
    fitted = replace(
        inputs.config,
        state=Normalizer.fit(describe(np.concatenate(states)), floor=1e-3),
        arms=Normalizer.fit(describe(np.concatenate(arms)), floor=1e-2),
    )
    return Inputs(fitted, inputs.prompts.tokenizer)
