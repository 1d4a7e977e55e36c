"""A small real dataset with a known rule, and a model small enough to learn it in seconds."""

from pathlib import Path

import numpy as np
import pytest

from wbvla.data.augment import AugmentConfig
from wbvla.data.features import ACTION, IMAGE, STATE, SUCCESS, contract_for, features_for
from wbvla.data.format import Feature
from wbvla.data.labels import write_labels
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.platforms import load_robot
from wbvla.train.loop import LoopConfig
from wbvla.train.optim import OptimConfig
from wbvla.vla.action_decoder import ActionConfig
from wbvla.vla.backbone import TowerConfig
from wbvla.vla.finetune import HEADS, VISION, FinetuneConfig
from wbvla.vla.lora import LoraConfig
from wbvla.vla.model import StreamConfig, VlaConfig
from wbvla.vla.pretrain import PretrainConfig
from wbvla.vla.prismatic import LanguageConfig, PrismaticConfig
from wbvla.vla.tokens import PromptConfig

CAMERAS = ("head", "left_hand")
TASKS = ("walk to the bright side of the room", "lift the box")
STREAMS = (
    StreamConfig(name="manipulation", num_tokens=2, num_codes=4),
    StreamConfig(name="locomotion", num_tokens=2, num_codes=4),
)
SIDE = 32


def picture(bright_left: bool, rng: np.random.Generator) -> np.ndarray:
    """Grey noise, one half bright."""
    rgb = rng.integers(60, 90, (24, 32, 3))
    rgb[:, :16] += 130 if bright_left else 0
    rgb[:, 16:] += 0 if bright_left else 130
    return rgb.astype(np.uint8)


def rule(task: int, bright_left: bool) -> tuple[np.ndarray, int]:
    """Action row and code: walking follows the picture, lifting follows the words."""
    row = np.zeros(20, np.float32)
    if task == 0:
        row[17], row[19] = (1.0 if bright_left else -1.0), 0.64
        return row, 1 if bright_left else 2
    row[:14], row[14:16], row[19] = 0.5, 1.0, 0.5
    return row, 3


def write_dataset(root: Path, episodes: int, length: int) -> Path:
    """Episodes alternate between the tasks; the bright side changes inside each."""
    spec = load_robot("agibot_x2")
    config = DatasetConfig(
        fps=10, robot=spec.name, features=features_for(spec, CAMERAS, 24, 32), contract=contract_for(spec)
    )
    rng = np.random.default_rng(0)
    labels = []
    with DatasetWriter.create(root, config) as writer:
        for e in range(episodes):
            codes = []
            with writer.episode(task=TASKS[e % 2]) as episode:
                for t in range(length):
                    left = (t // 3 + e // 2) % 2 == 0
                    row, code = rule(e % 2, left)
                    frame = {ACTION: row, STATE: rng.normal(size=70).astype(np.float32)}
                    frame |= {IMAGE + c: picture(left, rng) for c in CAMERAS}
                    episode.add(frame)
                    codes.append((code, code) if t < length - 2 else (-1, -1))
                episode.fill(SUCCESS, 1)
                episode.commit()
            labels.append({"latent.manipulation": np.array(codes), "latent.locomotion": np.array(codes)})
    names = {f"latent.{s}": Feature(dtype="int64", shape=(2,)) for s in ("manipulation", "locomotion")}
    write_labels(root, names, labels, {"digest": "0" * 64})
    return root


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("vla") / "walk_and_lift", episodes=12, length=12)


@pytest.fixture(scope="session")
def model_config() -> VlaConfig:
    dino = TowerConfig(image_size=SIDE, patch_size=16, width=16, depth=2, heads=2, mlp_width=16, class_token=True)
    siglip = TowerConfig(image_size=SIDE, patch_size=16, width=16, depth=2, heads=2, mlp_width=16, stem="conv")
    language = LanguageConfig(vocabulary=400, width=32, inner_width=48, depth=2, heads=2, max_positions=64)
    return VlaConfig(
        prismatic=PrismaticConfig(towers=(dino, siglip), language=language),
        cameras=CAMERAS,
        streams=STREAMS,
        action=ActionConfig(state=70, height_range_m=(0.48, 0.66), width=32, heads=2, steps=2, state_dropout=0.2),
    )


def loop(steps: int, rate: float = 3e-3) -> LoopConfig:
    """A short loop without checkpoints on the way."""
    return LoopConfig(
        steps=steps, batch_size=16, checkpoint_every=1000, log_every=10, optim=OptimConfig(learning_rate=rate)
    )


@pytest.fixture(scope="session")
def pretrain_config(model_config: VlaConfig) -> PretrainConfig:
    return PretrainConfig(
        model=model_config, prompt=PromptConfig(), loop=loop(110), held_out=0.34, augment=AugmentConfig(shift=0.03)
    )


@pytest.fixture(scope="session")
def finetune_config() -> FinetuneConfig:
    return FinetuneConfig(
        loop=loop(90), lora=LoraConfig(rank=4, alpha=4.0), trainable=(*HEADS, *VISION), held_out=0.34,
        augment=AugmentConfig(shift=0.03),
    )  # fmt: skip
