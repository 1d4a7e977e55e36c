"""Prismatic: image towers, projector and a Llama decoder under the parameter names of the OpenVLA release."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from wbvla.core.errors import ConfigError
from wbvla.vla.backbone import TowerConfig, VisionBackbone


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """The Llama decoder."""

    vocabulary: int
    """rows of the embedding table"""
    width: int
    """channels of a token"""
    inner_width: int
    """channels inside the gated MLP"""
    depth: int
    """number of layers"""
    heads: int
    """attention heads, also key-value heads"""
    max_positions: int = 2048
    """longest sequence [tokens]"""
    norm_eps: float = 1e-6
    """RMS norm epsilon; OpenVLA's config leaves it at Llama's default"""


@dataclass(frozen=True, kw_only=True)
class PrismaticConfig:
    """Towers, projector and decoder; the projector's sizes follow from the other two."""

    towers: tuple[TowerConfig, ...]
    """one or two image towers"""
    language: LanguageConfig
    """the decoder"""
    bos_token: int = 1
    """token that opens the sequence, in front of the patches"""

    @property
    def image_size(self) -> int:
        """Side of the square picture all towers take [px]."""
        return self.towers[0].image_size

    @property
    def num_patches(self) -> int:
        """Visual tokens per camera."""
        return self.towers[0].num_patches


def tiny() -> PrismaticConfig:
    """About 0.9 M parameters: trains on one CPU core."""
    dino = TowerConfig(
        image_size=64, patch_size=16, width=64, depth=3, heads=4, mlp_width=128,
        class_token=True, num_registers=1, stem="conv", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
    )  # fmt: skip
    siglip = TowerConfig(
        image_size=64, patch_size=16, width=48, depth=2, heads=4, mlp_width=96, stem="conv", pooling_head=True
    )
    language = LanguageConfig(vocabulary=512, width=128, inner_width=256, depth=4, heads=4, max_positions=256)
    return PrismaticConfig(towers=(dino, siglip), language=language)


def full_7b() -> PrismaticConfig:
    """DINOv2-L/14-reg + SigLIP-so400m/14 at 224 px, fused GELU projector, Llama-2-7B: 7,541,237,184 parameters."""
    dino = TowerConfig(
        image_size=224, patch_size=14, width=1024, depth=24, heads=16, mlp_width=4096, class_token=True,
        num_registers=4, layer_scale=True, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
    )  # fmt: skip
    siglip = TowerConfig(
        image_size=224, patch_size=14, width=1152, depth=27, heads=16, mlp_width=4304, pooling_head=True
    )
    language = LanguageConfig(vocabulary=32064, width=4096, inner_width=11008, depth=32, heads=32)
    return PrismaticConfig(towers=(dino, siglip), language=language)


class Projector(nn.Module):
    """Patch features to decoder tokens: fused-gelu-mlp for two towers, gelu-mlp for one."""

    def __init__(self, vision_width: int, width: int, num_towers: int) -> None:
        super().__init__()
        inner = 4 * vision_width if num_towers == 2 else width
        self.fc1 = nn.Linear(vision_width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.fc3 = nn.Linear(width, width) if num_towers == 2 else None

    def forward(self, x: Float[Tensor, "batch patch feature"]) -> Float[Tensor, "batch patch width"]:
        x = self.fc2(F.gelu(self.fc1(x)))
        return x if self.fc3 is None else self.fc3(F.gelu(x))


class Prismatic(nn.Module):
    """`[BOS | patches of every camera | rest of the text | queries]` through a Llama decoder.

    Positions skip padding but not absent cameras, so neither the length of the other instructions in a batch nor a
    dropped camera moves anything else.
    """

    def __init__(self, config: PrismaticConfig) -> None:
        super().__init__()
        self.config = config
        language = config.language
        self.vision_backbone = VisionBackbone(config.towers)
        vision_width = sum(t.width for t in config.towers)
        self.projector = Projector(vision_width, language.width, len(config.towers))
        self.language_model = LlamaForCausalLM(_llama_config(language))
        self.language_model.lm_head.requires_grad_(False)

    def visual_tokens(
        self, pixels: Float[Tensor, "batch camera channel height width"], present: Bool[Tensor, "batch camera"]
    ) -> Float[Tensor, "batch camera patch hidden"]:
        """Projected patches; those of absent cameras are zero and their pixels are never looked at."""
        shape = (*present.shape, self.config.num_patches, self.config.language.width)
        tokens = self.projector(self.vision_backbone(pixels[present]))
        return tokens.new_zeros(shape).masked_scatter(present[:, :, None, None], tokens)

    def forward(
        self,
        visual: Float[Tensor, "batch visual hidden"],
        visual_mask: Bool[Tensor, "batch visual"],
        text: Int[Tensor, "batch word"],
        text_mask: Bool[Tensor, "batch word"],
        queries: Float[Tensor, "batch query hidden"],
        parallel: bool = True,
    ) -> Float[Tensor, "batch position hidden"]:
        """Last hidden states of the whole sequence; zero where no sample of the batch has a token.

        `text` opens with BOS; `parallel` lets the queries see each other both ways, else they are causal too.
        """
        words = self.language_model.get_input_embeddings()(text)
        embeds = torch.cat([words[:, :1], visual, words[:, 1:], queries], dim=1)
        always = torch.ones_like(text_mask[:, :1])
        ask = always.expand(-1, queries.shape[1])
        keys = torch.cat([always, visual_mask, text_mask[:, 1:], ask], dim=1)
        counted = torch.cat([always, torch.ones_like(visual_mask), text_mask[:, 1:], ask], dim=1)
        positions = (counted.long().cumsum(dim=1) - 1).clamp(min=0)
        self._require_room(embeds.shape[1])
        mask = attention_mask(keys, queries.shape[1] if parallel else 0)
        used = keys.any(dim=0)
        output = self.language_model.model(
            inputs_embeds=embeds[:, used],
            attention_mask=mask[:, :, used][..., used],
            position_ids=positions[:, used],
            use_cache=False,
        )
        hidden = output.last_hidden_state
        return hidden.new_zeros(embeds.shape).masked_scatter(used[None, :, None], hidden)

    def _require_room(self, length: int) -> None:
        room = self.config.language.max_positions
        if length > room:
            raise ConfigError(
                f"a sequence of {length} tokens is longer than max_positions {room}; shorten the instruction or "
                "use fewer cameras"
            )

    def logits(
        self, pixels: Float[Tensor, "batch channel height width"], text: Int[Tensor, "batch word"]
    ) -> Float[Tensor, "batch position vocabulary"]:
        """Next-token logits for one picture and an unpadded text, as OpenVLA computes them."""
        present = torch.ones(len(pixels), 1, dtype=torch.bool, device=pixels.device)
        visual = self.visual_tokens(pixels[:, None], present).flatten(1, 2)
        no_queries = visual[:, :0]
        seen = torch.ones(visual.shape[:2], dtype=torch.bool, device=pixels.device)
        hidden = self(visual, seen, text, torch.ones_like(text, dtype=torch.bool), no_queries)
        return self.language_model.lm_head(hidden)


def attention_mask(
    keys: Bool[Tensor, "batch position"], num_parallel: int
) -> Bool[Tensor, "batch 1 position position"]:
    """Causal over valid keys; the last `num_parallel` positions also see each other; each position sees itself."""
    length = keys.shape[1]
    allowed = torch.ones(length, length, dtype=torch.bool, device=keys.device).tril()
    if num_parallel:
        allowed[-num_parallel:, -num_parallel:] = True
    itself = torch.eye(length, dtype=torch.bool, device=keys.device)
    return ((allowed & keys[:, None, :]) | itself)[:, None]


def _llama_config(language: LanguageConfig) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=language.vocabulary,
        hidden_size=language.width,
        intermediate_size=language.inner_width,
        num_hidden_layers=language.depth,
        num_attention_heads=language.heads,
        num_key_value_heads=language.heads,
        max_position_embeddings=language.max_positions,
        rms_norm_eps=language.norm_eps,
        tie_word_embeddings=False,
    )
