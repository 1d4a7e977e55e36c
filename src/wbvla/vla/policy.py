"""A trained VLA as a `core.Policy`: the preprocessing of training, eval mode, one chunk per observation."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from wbvla.core.contract import Contract
from wbvla.core.errors import ArtefactError, ContractMismatch
from wbvla.core.records import Action, Image, Observation
from wbvla.data.features import state_vector
from wbvla.vla.artefact import READY, LoadedVla, load_vla
from wbvla.vla.lora import merge_lora


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """How a VLA is run."""

    device: str = "cpu"
    """torch device"""
    threads: int = 1
    """CPU threads of torch; the control loop needs the other cores"""
    merge: bool = True
    """fold LoRA into the base weights, which is faster and gives the same actions"""
    warm_up: int = 2
    """passes run at load, so that the first real observation is not slow"""


class VlaPolicy:
    """Observation in, chunk out. Not thread-safe: one server thread owns it."""

    def __init__(self, loaded: LoadedVla, config: PolicyConfig) -> None:
        self.model, self.inputs, self.contract = loaded.model, loaded.inputs, loaded.artefact.contract
        self.device = torch.device(config.device)
        if config.merge:
            merge_lora(self.model)
        self.model.to(self.device)
        self.model.eval()
        self._text: tuple[str, tuple[torch.Tensor, torch.Tensor]] | None = None
        self.last_seconds = 0.0

    def reset(self) -> None:
        """Nothing is remembered between observations but the tokenised instruction."""
        self._text = None

    @torch.inference_mode()
    def act(self, observation: Observation) -> Action:
        """The next chunk; `last_seconds` is the time it took.

        Raises ContractMismatch without the required camera or with a body of another number of joints.
        """
        start = time.perf_counter()
        images, present = self.pictures(observation.images)
        row = state_vector(observation.state)[None]
        state = torch.from_numpy(self.inputs.state(row)).to(self.device)
        encoding = self.model.encode(
            torch.from_numpy(images)[None].to(self.device),
            torch.from_numpy(present)[None].to(self.device),
            *self._words(observation.instruction),
        )
        chunk = self.model.chunk(encoding, state)
        action = Action(
            rate_hz=self.model.config.action.rate_hz,
            arm_targets=self.inputs.config.arms.invert(chunk.arms[0].float().cpu().numpy()).astype(np.float64),
            grippers=chunk.grippers[0].double().cpu().numpy(),
            flags=chunk.flags[0].argmax(dim=-1).cpu().numpy() - 1,
            height_m=chunk.height_m[0].double().cpu().numpy(),
        )
        self.last_seconds = time.perf_counter() - start
        return action

    def pictures(
        self, images: Mapping[str, Image]
    ) -> tuple[UInt8[np.ndarray, "camera size size 3"], Bool[np.ndarray, " camera"]]:
        """The model's cameras in order, and which of them arrived; others are ignored."""
        config = self.inputs.config
        if config.cameras[0] not in images:
            raise ContractMismatch("observation", [f"camera: {config.cameras[0]!r} here, {sorted(images)} there"])
        frames = np.zeros((len(config.cameras), config.image_size, config.image_size, 3), np.uint8)
        present = np.array([c in images for c in config.cameras])
        for i, camera in enumerate(config.cameras):
            if present[i]:
                frames[i] = self.inputs.image(images[camera].rgb)
        return frames, present

    def _words(self, instruction: str) -> tuple[torch.Tensor, torch.Tensor]:
        if self._text is None or self._text[0] != instruction:
            text, mask = self.inputs.text([instruction])
            self._text = (instruction, (text.to(self.device), mask.to(self.device)))
        return self._text[1]


def load_policy(folder: Path, config: PolicyConfig | None = None) -> tuple[VlaPolicy, Contract]:
    """A fine-tuned VLA ready to act, and what it promises.

    Raises ArtefactError for a damaged, foreign or only pretrained artefact.
    """
    config = config or PolicyConfig()
    torch.set_num_threads(config.threads)
    loaded = load_vla(Path(folder))
    if loaded.stage != READY:
        raise ArtefactError(f"{folder} is {loaded.stage} only: it predicts codes, not actions; fine-tune it first")
    policy = VlaPolicy(loaded, config)
    _warm_up(policy, config.warm_up)
    return policy, loaded.artefact.contract


@torch.inference_mode()
def _warm_up(policy: VlaPolicy, passes: int) -> None:
    config = policy.inputs.config
    images = torch.zeros(1, len(config.cameras), config.image_size, config.image_size, 3, dtype=torch.uint8)
    present = torch.ones(1, len(config.cameras), dtype=torch.bool)
    text, mask = policy.inputs.text(["stand"])
    state = torch.zeros(1, len(config.state.offset))
    moved = [t.to(policy.device) for t in (images, present, text, mask, state)]
    for _ in range(passes):
        policy.model.chunk(policy.model.encode(*moved[:4]), moved[4])
