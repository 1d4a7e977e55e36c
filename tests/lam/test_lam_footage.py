"""Latent action models learn from footage without actions, and from a stream, with the same bits after a restart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.lam.lam_clips import FPS, SIDE, looked_at, pictures, record

from wbvla.core.errors import DataError
from wbvla.data.sources import open_source
from wbvla.data.video import VideoCodec, VideoWriter
from wbvla.lam.pairs import Pairs, open_sources
from wbvla.lam.streamed import StreamedPairs, pair_stream
from wbvla.lam.train import LamTrainConfig, train, training_pairs
from wbvla.recipes.lam import tiny_locomotion
from wbvla.train.loop import Progress

TINY = replace(tiny_locomotion().model, height=SIDE, width=SIDE)


def footage(root: Path, clips: int, frames: int) -> Path:
    """Videos of a camera that swings to and fro, without anything beside them."""
    rng = torch.Generator().manual_seed(0)
    for clip in range(clips):
        offset = 0.4 * torch.sin(0.4 * torch.arange(frames)[:, None] + 6.3 * torch.rand(2, generator=rng))
        path = root / "swing" / f"{clip}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = VideoWriter(path, SIDE, SIDE, FPS, VideoCodec())
        for rgb in looked_at(pictures(1, rng).expand(frames, -1, -1, -1), offset).numpy():
            writer.add(rgb)
        writer.close()
    return root


def short(stream_mib: int = 0, steps: int = 4, workers: int = 0) -> LamTrainConfig:
    recipe = tiny_locomotion()
    quantizer = replace(recipe.model.quantizer, warmup_batches=1)
    loop = replace(recipe.loop, steps=steps, batch_size=8, checkpoint_every=2, log_every=1)
    model = replace(TINY, quantizer=quantizer)
    return replace(recipe, model=model, loop=loop, stream_mib=stream_mib, stream_workers=workers)


def test_a_folder_of_videos_trains_a_model(tmp_path: Path) -> None:
    root = footage(tmp_path / "clips", clips=4, frames=20)
    for name, mib in (("random", 0), ("streamed", 8)):
        result = train(short(mib), tmp_path / name, [root])
        assert result.probe is None
        assert (result.artefact / "model.safetensors").is_file()
        assert "clips (4 episodes, 80 frames)" in (result.artefact / "card.md").read_text()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_streamed_run_resumes_to_the_bit(workers: int, tmp_path: Path) -> None:
    """Its k-means draws from torch's own randomness, which opening a loader must not touch."""
    root, config = footage(tmp_path / "clips", clips=4, frames=20), short(8, workers=workers)
    quantizer = replace(config.model.quantizer, warmup_batches=3)
    config = replace(config, model=replace(config.model, quantizer=quantizer), loop=replace(config.loop, steps=6))
    whole = train(config, tmp_path / "whole", [root])

    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise Stop

    with pytest.raises(Stop):
        train(config, tmp_path / "parts", [root], stop)
    parts = train(config, tmp_path / "parts", [root])
    weights = "model.safetensors"
    assert (whole.artefact / weights).read_bytes() == (parts.artefact / weights).read_bytes()


def test_streamed_pairs_are_a_gap_apart_and_leave_held_out_clips_alone(tmp_path: Path) -> None:
    root = record(tmp_path / "d", episodes=5, frames=15)
    config = short(8)
    sets = open_sources([root], config.model)
    source = training_pairs(sets, [], config)
    assert isinstance(source, StreamedPairs)
    (data,) = sets
    gap = config.model.gap_frames(FPS)
    camera = config.model.cameras[0]
    every = {data.frames(camera, e, [t], (SIDE, SIDE)).tobytes(): (e, t) for e in range(5) for t in range(15)}
    seen = set()
    for step in range(12):
        batch = source.batch(step, np.random.default_rng(step))
        for now, later in zip(batch["now"].numpy(), batch["later"].numpy(), strict=True):
            (episode, t), (same, t_later) = every[now.tobytes()], every[later.tobytes()]
            assert (same, t_later - t) == (episode, gap)
            seen.add((episode, t))
    assert len({e for e, _ in seen}) == 4
    assert len(seen) == 4 * (15 - gap)


def test_workers_give_the_steps_that_one_process_gives(tmp_path: Path) -> None:
    source = open_source(footage(tmp_path / "clips", clips=3, frames=20))
    plan = pair_stream(TINY, 4, seed=3, num_sources=1, group_mib=4, workers=1)
    rng = np.random.default_rng(0)
    ahead, plain = StreamedPairs([source], plan), StreamedPairs([source], replace(plan, workers=0))
    for step in (0, 1, 2, 7):
        first, second = ahead.batch(step, rng), plain.batch(step, rng)
        assert torch.equal(first["now"], second["now"])
        assert torch.equal(first["later"], second["later"])


def test_pairs_are_listed_in_order_and_thinned_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(footage(tmp_path / "clips", clips=3, frames=20))
    gap = TINY.gap_frames(source.fps)
    pairs = Pairs.of(source, TINY, [2, 0], in_memory=False)
    assert pairs.where.tolist() == [[e, t] for e in (2, 0) for t in range(20 - gap)]
    monkeypatch.setattr("wbvla.lam.pairs.MAX_LISTED", 10)
    few = Pairs.of(source, TINY, [2, 0], in_memory=False)
    assert few.where.tolist() == pairs.where[::3].tolist()


def test_footage_has_one_camera(tmp_path: Path) -> None:
    root = footage(tmp_path / "clips", clips=2, frames=8)
    two = replace(TINY, cameras=("observation.images.left_hand", "observation.images.right_hand"))
    with pytest.raises(DataError, match="footage of one camera"):
        open_sources([root], two)
