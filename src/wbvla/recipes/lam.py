"""Recipes of latent action models: two for one CPU core, and two at the size of the paper's."""

from typing import Literal

from wbvla.data.augment import VIDEO
from wbvla.data.features import IMAGE
from wbvla.lam.model import LamConfig
from wbvla.lam.quantizer import QuantizerConfig
from wbvla.lam.train import LamTrainConfig
from wbvla.lam.transformer import PatchConfig
from wbvla.recipes.registry import recipes
from wbvla.train.loop import LoopConfig
from wbvla.train.optim import OptimConfig

HEAD, LEFT, RIGHT = IMAGE + "head", IMAGE + "left_hand", IMAGE + "right_hand"


def tiny_loop(steps: int) -> LoopConfig:
    """Batches of 64 at a rate that suits a million weights."""
    optim = OptimConfig(learning_rate=1.5e-3, weight_decay=0.01, warmup_steps=50)
    return LoopConfig(steps=steps, batch_size=64, checkpoint_every=250, optim=optim)


@recipes.register("tiny-lam-locomotion")
def tiny_locomotion() -> LamTrainConfig:
    """A moving head camera at 48x48, pairs 0.6 s apart; a fifth of the run is unquantised."""
    loop = tiny_loop(800)
    model = LamConfig(stream="locomotion", cameras=(HEAD,), quantizer=QuantizerConfig(warmup_batches=160))
    return LamTrainConfig(model=model, loop=loop)


@recipes.register("tiny-lam-manipulation")
def tiny_manipulation() -> LamTrainConfig:
    """Both hand cameras side by side: their view moves as the hands do, in the head's the arms are a few pixels.

    On 12 demonstrations (2 held out, 250 steps of 32, one seed) a linear read-out of arm joint velocities from the
    codes explained .63 of the variance, against .47 with the head beside the hands and .32 with the head alone.
    """
    loop = tiny_loop(600)
    model = LamConfig(
        stream="manipulation",
        cameras=(LEFT, RIGHT),
        height=32,
        width=48,
        quantizer=QuantizerConfig(warmup_batches=120),
    )
    return LamTrainConfig(model=model, loop=loop)


def full_size(stream: Literal["manipulation", "locomotion"]) -> LamTrainConfig:
    """Frozen DINOv2-base patches of the head camera at 224 px, 12 + 12 blocks, 4 tokens of 16 codes of width 128.

    30,000 steps of 256 pairs as in the paper; networks, schedule and rate as in UniVLA, the paper states none.
    Pairs are rotated, scaled, shifted, mirrored and recoloured, one draw for both frames (the paper states none).
    The codebook is moved by its loss, starts by k-means after 1,000 steps and has its dead codes revived.
    """
    optim = OptimConfig(learning_rate=1e-4, weight_decay=0.01, warmup_steps=500, clip_norm=0.1)
    loop = LoopConfig(
        steps=30_000,
        batch_size=256,
        micro_batches=4,
        evaluate_every=2000,
        checkpoint_every=1000,
        device="cuda",
        precision="bfloat16",
        optim=optim,
    )
    model = LamConfig(
        stream=stream,
        cameras=(HEAD,),
        height=224,
        width=224,
        net=PatchConfig(),
        quantizer=QuantizerConfig(num_tokens=4, num_codes=16, dim=128, update="gradient", warmup_batches=4_000),
        reconstruction=1.0,
    )
    return LamTrainConfig(model=model, loop=loop, held_out=0.02, in_memory=False, augment=VIDEO)


@recipes.register("lam-locomotion")
def locomotion() -> LamTrainConfig:
    """Full size, for egocentric walking video."""
    return full_size("locomotion")


@recipes.register("lam-manipulation")
def manipulation() -> LamTrainConfig:
    """Full size, for robot demonstrations."""
    return full_size("manipulation")
