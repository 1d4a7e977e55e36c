"""A camera that slides over random pictures: as endless training pairs, and as small recordings with their truth."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from wbvla.data.features import video_features
from wbvla.data.writer import DatasetConfig, DatasetWriter

SIDE = 32
FPS = 10
MOVES = torch.tensor([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * 0.25
"""motions over a pair's gap: none, right, left, down, up [picture half-widths]"""


def pictures(count: int, rng: torch.Generator) -> torch.Tensor:
    """Smooth random colour pictures (count, 3, 64, 64) in 0..1."""
    noise = torch.rand(count, 3, 10, 10, generator=rng)
    return F.interpolate(noise, (64, 64), mode="bicubic", align_corners=False).clamp(0, 1)


def looked_at(scene: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """What a camera at `offset` (count, 2) sees of each picture, uint8 (count, SIDE, SIDE, 3)."""
    line = torch.linspace(-0.5, 0.5, SIDE)
    grid_y, grid_x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([grid_x, grid_y], -1)[None] + 0.5 * offset[:, None, None]
    seen = F.grid_sample(scene, grid, padding_mode="reflection", align_corners=False)
    return (seen * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class SlidingPairs:
    """Endless pairs of frames before and after one of the five motions."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def draw(self, seed: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Pairs, and the number of the motion of each."""
        rng = torch.Generator().manual_seed(seed)
        scene = pictures(self.batch_size, rng)
        start = 0.4 * torch.rand(self.batch_size, 2, generator=rng) - 0.2
        move = torch.randint(len(MOVES), (self.batch_size,), generator=rng)
        pair = {"now": looked_at(scene, start), "later": looked_at(scene, start + MOVES[move])}
        return pair, move

    def batch(self, step: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        return self.draw(int(rng.integers(1 << 31)))[0]


def record(root: Path, episodes: int, frames: int, seed: int = 0, camera: str = "head") -> Path:
    """A recording whose camera swings to and fro, with `camera_twist` (frames, 2) per frame beside it."""
    rng = torch.Generator().manual_seed(seed)
    promises = {"truth": {"camera_twist": ["right", "down"]}}
    config = DatasetConfig(fps=FPS, robot="none", features=video_features(SIDE, SIDE, camera), contract=promises)
    with DatasetWriter.create(root, config) as writer:
        for _ in range(episodes):
            phase = 0.4 * torch.arange(frames + 1)[:, None] + 6.3 * torch.rand(2, generator=rng)
            offset = 0.4 * torch.sin(phase)
            rgb = looked_at(pictures(1, rng).expand(frames, -1, -1, -1), offset[:-1]).numpy()
            with writer.episode("look around") as episode:
                for image in rgb:
                    episode.add({f"observation.images.{camera}": image, "primitive": 0})
                episode.add_truth(camera_twist=offset.diff(dim=0).numpy())
                episode.commit()
    return root
