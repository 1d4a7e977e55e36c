"""Instructions to token ids: a prompt template around a `tokenizers` tokenizer, right-padded, with its mask."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from wbvla.core.errors import ConfigError

OPENVLA_PROMPT = "In: What action should the robot take to {instruction}?\nOut:"
PAD, BOS = "<PAD>", "<s>"
COMMON_WORDS = (
    "a the to and then on in at of with from into onto near your left right front behind forward "
    "backward back go walk step turn side squat crouch stand rise stop look reach grasp grab pick lift "
    "hold carry bring put place push pull open close release load box bag cart table shelf door bottle "
    "cup ball cube floor handle hand hands arm arms red green blue yellow orange purple white black "
    "grey brown small big up down around between it them object"
)


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """How an instruction becomes a row of ids."""

    template: str = "{instruction}"
    """text with one `{instruction}`"""
    bos_token: int = 1
    """id in front of every prompt"""
    pad_token: int = 0
    """id that fills shorter rows"""
    suffix_tokens: tuple[int, ...] = ()
    """ids appended after the prompt; OpenVLA wants 29871 (the empty piece)"""
    max_words: int = 48
    """longest prompt [tokens]"""

    def __post_init__(self) -> None:
        if self.template.count("{instruction}") != 1:
            raise ConfigError(f"prompt template {self.template!r} must hold {{instruction}} once")


OPENVLA = PromptConfig(template=OPENVLA_PROMPT, pad_token=32000, suffix_tokens=(29871,), max_words=256)


class Prompts:
    """Turns instructions into ids; the same object in training and serving."""

    def __init__(self, config: PromptConfig, tokenizer: Tokenizer) -> None:
        self.config = config
        self.tokenizer = tokenizer

    def ids(self, instruction: str) -> list[int]:
        """Ids of one prompt, BOS first; raises ConfigError when the instruction is empty or too long."""
        words = " ".join(instruction.lower().split())
        if not words:
            raise ConfigError("the instruction is empty; say what the robot should do")
        text = self.config.template.format(instruction=words)
        body = self.tokenizer.encode(text, add_special_tokens=False).ids
        suffix = list(self.config.suffix_tokens)
        missing = suffix if body[len(body) - len(suffix) :] != suffix else []
        ids = [self.config.bos_token, *body, *missing]
        if len(ids) > self.config.max_words:
            raise ConfigError(f"instruction of {len(ids)} tokens, at most {self.config.max_words}: {instruction!r}")
        return ids

    def batch(self, instructions: Sequence[str]) -> tuple[Int[Tensor, "batch word"], Bool[Tensor, "batch word"]]:
        """Ids padded on the right to the longest, and which of them are real."""
        rows = [self.ids(i) for i in instructions]
        longest = max(len(r) for r in rows)
        ids = torch.full((len(rows), longest), self.config.pad_token, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = True
        return ids, mask


def build_tokenizer(instructions: Sequence[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE tokenizer learnt from `instructions` and common robot words; any text can be encoded.

    Deterministic: words are sorted, each weighs the same. Raises ConfigError when `vocabulary` cannot hold all bytes.
    """
    if vocabulary < 300:
        raise ConfigError(f"a byte-level tokenizer needs a vocabulary of at least 300, not {vocabulary}")
    words = {w for i in instructions for w in re.findall(r"\w+", i.lower())} | set(COMMON_WORDS.split())
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # pyright: ignore
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(words), trainer)
    return tokenizer


def load_tokenizer(source: str) -> Tokenizer:
    """A tokenizer.json file, a folder that holds one, or a Hugging Face name; raises ConfigError for a bad path."""
    path = Path(source)
    file = path / "tokenizer.json" if path.is_dir() else path
    if file.is_file():
        return Tokenizer.from_file(str(file))
    if path.is_absolute() or source.startswith("."):
        raise ConfigError(f"no tokenizer at {source}; give a tokenizer.json, its folder or a Hugging Face name")
    return Tokenizer.from_pretrained(source)
