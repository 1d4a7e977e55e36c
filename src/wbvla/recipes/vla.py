"""Recipes of vision-language-action models: tiny ones for one CPU core, and the sizes of the paper."""

from wbvla.data.augment import POLICY
from wbvla.data.features import state_names
from wbvla.recipes.registry import recipes
from wbvla.robots.platforms import load_robot
from wbvla.train.loop import LoopConfig
from wbvla.train.optim import OptimConfig
from wbvla.vla.action_decoder import ActionConfig
from wbvla.vla.finetune import HEADS, VISION, FinetuneConfig
from wbvla.vla.lora import LoraConfig
from wbvla.vla.model import StreamConfig, VlaConfig
from wbvla.vla.pretrain import PretrainConfig
from wbvla.vla.prismatic import full_7b, tiny
from wbvla.vla.tokens import OPENVLA, PromptConfig

CAMERAS = ("head", "left_hand", "right_hand")
STREAMS = (
    StreamConfig(name="manipulation", num_tokens=4, num_codes=16),
    StreamConfig(name="locomotion", num_tokens=4, num_codes=16),
)


def action_config(robot: str, width: int, state_dropout: float) -> ActionConfig:
    """Chunk sizes that follow from a robot: 8 steps at 10 Hz."""
    spec = load_robot(robot)
    return ActionConfig(
        state=len(state_names(spec)),
        arms=len(spec.arm_joints),
        height_range_m=spec.height_range_m,
        width=width,
        state_dropout=state_dropout,
    )


@recipes.register("tiny-vla-pretrain")
def tiny_pretrain() -> PretrainConfig:
    """1.6 M parameters at 64 px, on one CPU core."""
    action = action_config("agibot_x2", 128, state_dropout=0.1)
    model = VlaConfig(prismatic=tiny(), cameras=CAMERAS, streams=STREAMS, action=action)
    optim = OptimConfig(learning_rate=1e-3, weight_decay=0.01, warmup_steps=30)
    loop = LoopConfig(steps=500, batch_size=32, checkpoint_every=200, optim=optim)
    return PretrainConfig(model=model, prompt=PromptConfig(), loop=loop)


@recipes.register("tiny-vla-finetune")
def tiny_finetune() -> FinetuneConfig:
    """LoRA in the decoder; the small towers, learnt from little video, go on learning in full."""
    optim = OptimConfig(learning_rate=1e-3, weight_decay=0.01, warmup_steps=20)
    return FinetuneConfig(
        loop=LoopConfig(steps=320, batch_size=32, checkpoint_every=100, optim=optim),
        lora=LoraConfig(rank=16, alpha=16.0),
        trainable=(*HEADS, *VISION),
    )


@recipes.register("prismatic-7b-pretrain")
def full_pretrain() -> PretrainConfig:
    """20k steps of global batch 1024 as in the paper; the learning rate is UniVLA's, the paper states none.

    Set `release` to the folder of a released checkpoint and `tokenizer` to its tokenizer.json.
    """
    model = VlaConfig(
        prismatic=full_7b(),
        cameras=CAMERAS,
        streams=STREAMS,
        action=action_config("agibot_x2", 1024, state_dropout=0.1),
    )
    optim = OptimConfig(learning_rate=2e-5, weight_decay=0.01, warmup_steps=500, schedule="constant")
    loop = LoopConfig(
        steps=20_000, batch_size=1024, micro_batches=64, checkpoint_every=1000, device="cuda", precision="bfloat16",
        optim=optim,
    )  # fmt: skip
    return PretrainConfig(
        model=model,
        prompt=OPENVLA,
        loop=loop,
        augment=POLICY,
        evaluate_frames=2048,
        in_memory=False,
    )


@recipes.register("prismatic-7b-finetune")
def full_finetune() -> FinetuneConfig:
    """10k steps of batch 64 as in the paper; rank 32 on all linear layers as UniVLA."""
    optim = OptimConfig(learning_rate=5e-5, weight_decay=0.01, warmup_steps=200)
    loop = LoopConfig(
        steps=10_000, batch_size=64, micro_batches=8, checkpoint_every=1000, device="cuda", precision="bfloat16",
        optim=optim,
    )  # fmt: skip
    return FinetuneConfig(loop=loop, augment=POLICY, evaluate_frames=2048, in_memory=False)
