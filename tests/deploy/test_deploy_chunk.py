"""Chunk playback: what is consumed, what is skipped, how targets are interpolated and blended."""

import numpy as np
import pytest
from deploy_fakes import chunk
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.errors import ConfigError
from wbvla.deploy.chunk import ChunkConfig, ChunkPlayer


def player(arm=None, blend_s=0.1):
    return ChunkPlayer(np.zeros(14) if arm is None else arm, 0.62, ChunkConfig(blend_s=blend_s))


def ramp(steps=10, start=0.0, slope=0.1):
    rows = start + slope * np.arange(1, steps + 1)[:, None] * np.ones(14)
    return chunk(np.zeros(14), steps, arm_targets=rows)


def test_each_step_is_reached_at_its_time_and_linearly():
    p = player()
    p.observed(0)
    assert p.load(ramp(), 0, 0.0) == ""
    arms = np.array([p.step().arm[0] for _ in range(50)])
    np.testing.assert_allclose(arms, 0.02 * np.arange(1, 51), atol=1e-12)
    last = p.step()
    assert last.ended
    assert last.arm[0] == pytest.approx(1.0)


def test_first_chunk_is_never_skipped_however_late():
    p = player()
    p.observed(0)
    for _ in range(40):
        assert not p.step().started
    assert p.load(ramp(), 0, 0.0) == ""
    assert p.step().arm[0] == pytest.approx(0.02)


def test_later_chunk_skips_what_was_consumed_and_nothing_while_the_old_one_had_ended():
    p = player(blend_s=0.0)
    p.observed(0)
    p.load(ramp(), 0, 0.0)
    for _ in range(10):
        p.step()
    p.observed(1)
    for _ in range(7):
        p.step()
    assert p.load(ramp(start=5.0), 1, 0.2) == ""
    assert p.step().arm[0] == pytest.approx(5.0 + 0.1 * 8 / 5)
    for _ in range(100):
        p.step()
    p.observed(2)
    for _ in range(30):
        assert p.step().ended
    assert p.load(ramp(start=0.0), 2, 3.0) == ""
    assert not p.step().ended


def test_late_repeated_and_unknown_chunks_change_nothing():
    p = player()
    p.observed(0)
    p.load(ramp(20), 0, 0.0)
    p.observed(1)
    for _ in range(12):
        p.step()
    assert p.load(ramp(2), 1, 0.0) == "chunk_late"
    assert p.load(ramp(), 0, 0.0) == "chunk_replayed"
    assert p.load(ramp(), 9, 0.0) == "chunk_replayed"
    assert p.step().arm[0] == pytest.approx(0.26)
    with pytest.raises(ConfigError, match="13 arm joints"):
        p.load(chunk(np.zeros(13)), 1, 0.0)


def test_flags_and_height_are_those_of_the_step_being_executed():
    flags = np.repeat(np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1]]), 1, axis=0)
    action = chunk(np.zeros(14), 3, flags=flags, height_m=np.array([0.6, 0.55, 0.5]))
    p = player()
    p.observed(0)
    p.load(action, 0, 0.0)
    commands = [p.step().command for _ in range(15)]
    assert [c.flags for c in commands[::5]] == [(1, 0, 0), (0, -1, 0), (0, 0, 1)]
    assert commands[4] == commands[0]
    assert [c.height_m for c in commands[4::5]] == [0.6, 0.55, 0.5]


@given(
    delays=st.lists(st.integers(0, 14), min_size=1, max_size=12),
    seed=st.integers(0, 2**16),
    blend=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_targets_never_jump_and_stay_within_what_was_asked(delays, seed, blend):
    """Whatever the latencies: with blending, a tick moves less than the chunks' own speed plus the faded jump."""
    rng = np.random.default_rng(seed)
    p, asked, arms = player(blend_s=blend), [np.zeros(14)], []
    for sequence, delay in enumerate(delays):
        p.observed(sequence)
        for _ in range(delay):
            arms.append(p.step().arm)
        rows = np.cumsum(rng.uniform(-0.05, 0.05, (8, 14)), axis=0)
        if p.load(chunk(np.zeros(14), 8, arm_targets=rows), sequence, 0.0) == "":
            asked.extend(rows)
        for _ in range(5):
            arms.append(p.step().arm)
    arms, bound = np.array(arms), np.abs(asked).max() + 1e-9
    assert (np.abs(arms) <= 3 * bound).all()
    if blend:
        jump = 2 * bound / (blend * 50)
        assert np.abs(np.diff(arms, axis=0)).max() <= 0.011 + jump * 2
