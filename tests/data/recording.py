"""Small datasets for the tests of the data room."""

from pathlib import Path

import numpy as np

from wbvla.data.format import Feature, scalar, vector, video
from wbvla.data.journal import Disk
from wbvla.data.writer import DatasetConfig, DatasetWriter

HEIGHT, WIDTH = 32, 48
HEAD, HAND = "observation.images.head", "observation.images.left_hand"
FEATURES: dict[str, Feature] = {
    HEAD: video(HEIGHT, WIDTH),
    HAND: video(HEIGHT, WIDTH),
    "observation.state": vector(["a", "b", "c"]),
    "action": vector(["x", "y"]),
    "primitive": scalar("int64"),
    "success": scalar("bool"),
    "note": scalar("string"),
}
CONFIG = DatasetConfig(fps=10, robot="agibot_x2", features=FEATURES, contract={"joint_names": ["a", "b"]})


def picture(episode: int, frame: int, camera: int = 0) -> np.ndarray:
    """A flat grey whose level says which frame it is: 5 levels apart, so it survives the codec."""
    level = (5 * frame + 11 * episode + 60 * camera) % 250
    return np.full((HEIGHT, WIDTH, 3), level, dtype=np.uint8)


def row(episode: int, frame: int) -> dict[str, object]:
    """Every column that `record` gives frame by frame."""
    return {
        HEAD: picture(episode, frame),
        HAND: picture(episode, frame, 1),
        "observation.state": np.array([episode, frame, episode * frame / 7]),
        "action": np.array([frame, -frame], dtype=np.float32),
        "primitive": episode % 3,
        "note": f"é{frame}",
    }


def record(writer: DatasetWriter, length: int, task: str = "lift the box", success: bool = True) -> int:
    """Record and commit one episode."""
    with writer.episode(task=task) as episode:
        for frame in range(length):
            episode.add(row(episode.index, frame))
        episode.fill("success", success)
        episode.add_truth(twist=np.arange(length * 6.0).reshape(length, 6))
        return episode.commit()


def make_dataset(root: Path, lengths: list[int], disk: Disk | None = None) -> Path:
    """A dataset of episodes of these lengths, two instructions in turn."""
    with DatasetWriter.create(root, CONFIG, disk) as writer:
        for i, length in enumerate(lengths):
            record(writer, length, task=("lift the box", "step back")[i % 2], success=i % 2 == 0)
    return root


def require_episode(dataset, index: int, length: int) -> None:
    """Assert that the columns of an episode are what `record` put there."""
    columns = dataset.columns(index)
    steps = np.arange(length)
    np.testing.assert_array_equal(columns["observation.state"][:, 1], steps)
    np.testing.assert_array_equal(columns["frame_index"], steps)
    np.testing.assert_array_equal(columns["index"], dataset.episodes[index].start + steps)
    assert (columns["episode_index"] == index).all()
    assert columns["note"].tolist() == [f"é{i}" for i in range(length)]
