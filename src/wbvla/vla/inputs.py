"""What the model is fed, defined once: images resized, instruction tokenised, state normalised, actions undone.

Training, evaluation and serving all go through the same `Inputs`, which is written into the artefact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from tokenizers import Tokenizer
from torch import Tensor

from wbvla.core.errors import ContractMismatch
from wbvla.core.run import plain, rebuild
from wbvla.data.transforms import Normalizer, resize
from wbvla.vla.tokens import PromptConfig, Prompts

STATE_LIMIT = 3.0
"""a normalised state channel is clipped to +- this: a sensor far outside the training data must not decide alone"""


@dataclass(frozen=True, kw_only=True)
class InputsConfig:
    """The serialised preprocessing of one artefact."""

    cameras: tuple[str, ...]
    """cameras in token order"""
    image_size: int
    """side of the square picture after a bicubic resize that does not keep the aspect ratio [px]"""
    prompt: PromptConfig
    """instruction format"""
    state: Normalizer
    """q01..q99 of the training states to -1..1"""
    arms: Normalizer
    """q01..q99 of the training arm targets to -1..1"""


class Inputs:
    """Raw observations to model inputs, and decoded arm targets back to [rad]."""

    def __init__(self, config: InputsConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.prompts = Prompts(config.prompt, tokenizer)

    def image(self, rgb: UInt8[np.ndarray, "*batch height width 3"]) -> UInt8[np.ndarray, "*batch size size 3"]:
        """One camera's frames at the model's size."""
        return resize(rgb, (self.config.image_size, self.config.image_size))

    def text(self, instructions: Sequence[str]) -> tuple[Int[Tensor, "batch word"], Bool[Tensor, "batch word"]]:
        """Padded ids and which of them are real."""
        return self.prompts.batch(instructions)

    def state(self, rows: Float[np.ndarray, "*batch channel"]) -> Float32[np.ndarray, "*batch channel"]:
        """Normalised and clipped state; raises ContractMismatch on another number of channels."""
        expected = len(self.config.state.offset)
        if rows.shape[-1] != expected:
            raise ContractMismatch("robot state", [f"channels: {expected} here, {rows.shape[-1]} there"])
        return np.clip(self.config.state.apply(rows), -STATE_LIMIT, STATE_LIMIT)

    def to_json(self) -> dict[str, Any]:
        """Everything but the tokenizer, which lies beside as tokenizer.json."""
        return plain(self.config)

    @staticmethod
    def from_json(value: dict[str, Any], tokenizer: Tokenizer) -> "Inputs":
        return Inputs(rebuild(InputsConfig, value), tokenizer)
