"""Clips for the arms: our own, a file's, a dataset's; what does not fit is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wbvla.core.errors import ConfigError, DataError
from wbvla.data.format import vector
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.lmo.clips import load_clips, own_clips
from wbvla.lmo.perturb import ArmConfig, ArmMotion
from wbvla.robots.platforms import load_robot

X2 = load_robot("agibot_x2")
ARMS = X2.arm_joints
DEFAULT = X2.column("default")[X2.indices(ARMS)]


def motion(num_clips: int = 3, times: int = 76) -> np.ndarray:
    """Elbows bend by up to 0.3 rad, clip after clip a little more."""
    clips = np.tile(DEFAULT, (num_clips, times, 1))
    bend = np.linspace(0, 0.3, times)[None] * np.arange(1, num_clips + 1)[:, None] / num_clips
    clips[:, :, ARMS.index("left_elbow_joint")] -= bend
    return clips


def test_a_file_is_played_as_it_stands(tmp_path: Path) -> None:
    np.save(tmp_path / "trajectories.npy", motion())
    config = ArmConfig(
        clips=tmp_path / "trajectories.npy", clip_share=1.0, jitter_rad=0.0, warp=(1.0, 1.0, 0.0),
        rate_radps=(50.0, 50.0), length_s=(2.5, 2.5), hold_s=(9.0, 9.0),
    )  # fmt: skip
    arms = ArmMotion(X2, ARMS, config, 4)
    rng = torch.Generator().manual_seed(0)
    arms.retarget(torch.arange(4), 1.0, 0.0, rng)
    arms.state.clip[:] = torch.tensor([0.0, 1.0, 2.0, 2.0])
    for _ in range(50):
        targets = arms.advance(1.0, 0.02, rng)
    bent = DEFAULT[ARMS.index("left_elbow_joint")] - targets[:, ARMS.index("left_elbow_joint")].numpy()
    assert bent == pytest.approx(0.3 * np.array([1, 2, 3, 3]) / 3 * 1.0 / 2.5, abs=2e-3)  # 1 s of 2.5 s


def test_clips_of_a_dataset_are_its_arm_targets(tmp_path: Path) -> None:
    names = ["s_x", *(f"{name}.target_rad" for name in reversed(ARMS))]
    config = DatasetConfig(fps=10, robot=X2.name, features={"action": vector(names)}, contract={})
    rows = motion(1, 60)[0]
    with DatasetWriter.create(tmp_path / "set", config) as writer, writer.episode(task="bend") as episode:
        for q in rows:
            episode.add({"action": np.concatenate([[9.0], q[::-1]]).astype(np.float32)})
        episode.commit()
    clips = load_clips(tmp_path / "set", X2, ARMS, 2.5, 30.0)
    assert clips.shape == (3, 26, len(ARMS))  # windows of 26 frames, every 13
    assert clips[1].numpy() == pytest.approx(rows[13:39], abs=1e-6)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (motion(times=20), "at least 76 times"),
        (motion()[:, :, :5], "wanted"),
        (motion() + 9.0, "beyond the limits"),
        (np.full((1, 80, 14), np.nan), "no numbers"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, clips: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", clips)
    with pytest.raises(ConfigError, match=message):
        load_clips(tmp_path / "a.npy", X2, ARMS, 2.5, 30.0)


def test_pickles_and_foreign_datasets_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ConfigError, match="no arm clips"):
        load_clips(tmp_path / "a.npy", X2, ARMS, 2.5, 30.0)
    config = DatasetConfig(fps=10, robot="other", features={"action": vector(["a"])}, contract={})
    DatasetWriter.create(tmp_path / "set", config).close()
    with pytest.raises(DataError, match="no arm targets of agibot_x2"):
        load_clips(tmp_path / "set", X2, ARMS, 2.5, 30.0)


def test_own_clips_move_both_arms_alike() -> None:
    clips = own_clips(X2, ARMS)
    index, sign = X2.mirror(ARMS)
    assert (clips - torch.tensor(DEFAULT)).abs().max() > 0.8
    mirrored = (clips - torch.tensor(DEFAULT))[:, :, torch.from_numpy(index)] * torch.from_numpy(sign)
    assert mirrored.numpy() == pytest.approx((clips - torch.tensor(DEFAULT)).numpy(), abs=1e-6)
