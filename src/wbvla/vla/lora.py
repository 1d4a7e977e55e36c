"""LoRA on the decoder's linear layers, by peft, inside the model itself: saved, loaded and merged with the rest."""

from dataclasses import dataclass

from peft import LoraConfig as PeftLoraConfig
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from wbvla.core.errors import ConfigError
from wbvla.vla.model import Vla

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters (Hu et al. 2021)."""

    rank: int = 32
    """rank of the update"""
    alpha: float = 16.0
    """gain; the update is scaled by alpha / rank"""
    dropout: float = 0.0
    """dropout on the adapters' input"""
    targets: tuple[str, ...] = ALL_LINEAR
    """linear layers of the decoder that get one"""


DECODER = "prismatic.language_model.model."
"""where the adapters sit"""


def add_lora(model: Vla, config: LoraConfig, trainable: tuple[str, ...]) -> None:
    """Freeze the model, put adapters into the decoder, and let the parts named in `trainable` learn in full.

    `trainable` holds prefixes of parameter names, e.g. `action_decoder`. Raises ConfigError on one that fits nothing.
    """
    frozen_before = {n for n, p in model.named_parameters() if not p.requires_grad}
    model.requires_grad_(False)
    for prefix in trainable:
        hits = [n for n, _ in model.named_parameters() if n.startswith(prefix)]
        if not hits:
            known = ", ".join(n for n, _ in model.named_children())
            raise ConfigError(f"no parameter starts with {prefix!r}; the model's parts are {known}, queries ...")
        if any(n.startswith(DECODER) for n in hits):
            raise ConfigError(f"{prefix!r} reaches into {DECODER}, which learns by adapters alone; name other parts")
        for name in set(hits) - frozen_before:
            model.get_parameter(name).requires_grad_(True)
    settings = PeftLoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=config.dropout,
        target_modules=list(config.targets),
        bias="none",
    )
    inject_adapter_in_model(settings, model.prismatic.language_model.model)


def has_lora(model: nn.Module) -> bool:
    """Whether any layer still carries an adapter."""
    return any(isinstance(m, LoraLayer) for m in model.modules())


def merge_lora(model: Vla) -> None:
    """Fold every adapter into its base layer and take it out; the model's function stays the same."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge(safe_merge=True)  # pyright: ignore[reportCallIssue]
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, module.get_base_layer())
