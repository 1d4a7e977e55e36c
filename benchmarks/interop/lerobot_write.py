"""Inside LeRobot's environment: datasets written by its own class, with everything its release can hold.

    python lerobot_write.py OUT EPISODES

Writes OUT/videos and OUT/images, and OUT/rolling where the release has rolling files and depth (v3.0).
"""

import importlib.metadata
import inspect
import sys
from pathlib import Path

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

FPS, HEIGHT, WIDTH = 10, 96, 128
V3 = "video_files_size_in_mb" in inspect.signature(LeRobotDataset.create).parameters
AXES = ["height", "width", "channels"]
NUMBERS = {
    "observation.state": {"dtype": "float32", "shape": (6,), "names": [f"joint_{i}" for i in range(6)]},
    "action": {"dtype": "float32", "shape": (4,), "names": {"motors": ["a", "b", "c", "d"]}},
    "observation.tactile": {"dtype": "float32", "shape": (3, 5), "names": None},
    "observation.cube": {"dtype": "int64", "shape": (2, 3, 2), "names": None},
    "done": {"dtype": "bool", "shape": (1,), "names": None},
    "phase": {"dtype": "int64", "shape": (1,), "names": None},
    "wide": {"dtype": "float64", "shape": (2,), "names": ["x", "y"]},
    "remark": {"dtype": "string", "shape": (1,), "names": None},
}


def picture(rng: np.random.Generator, frame: int) -> np.ndarray:
    """A bright block that moves on a soft ground: neighbours differ plainly, and the codec keeps it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([y * 255 // HEIGHT, x * 255 // WIDTH, (x + y + 9 * frame) % 256], -1).astype(np.uint8)
    left = (7 * frame) % (WIDTH - 24)
    rgb[20:52, left : left + 24] = rng.integers(180, 255, 3)
    return rgb


def depth(frame: int) -> np.ndarray:
    """Millimetres, with a hole where nothing came back."""
    mm = (400 + 30 * np.arange(WIDTH)[None, :] + 5 * np.arange(HEIGHT)[:, None] + 40 * frame).astype(np.uint16)
    return mm[..., None]


def values(rng: np.random.Generator, episode: int, frame: int) -> dict:
    """One row of `NUMBERS`."""
    return {
        "observation.state": rng.standard_normal(6).astype(np.float32),
        "action": rng.standard_normal(4).astype(np.float32),
        "observation.tactile": rng.standard_normal((3, 5)).astype(np.float32),
        "observation.cube": rng.integers(-(2**40), 2**40, (2, 3, 2)),
        "done": np.array([frame % 3 == 0]),
        "phase": np.array([frame // 4]),
        "wide": rng.standard_normal(2),
        "remark": f"é {episode}/{frame}",
    }


def write(root: Path, kind: str, num_episodes: int) -> None:
    """One dataset; `kind` is videos, images or rolling."""
    features = dict(NUMBERS)
    cameras = ["observation.images.head", "observation.images.wrist"]
    dtype = "image" if kind == "images" else "video"
    features |= {c: {"dtype": dtype, "shape": (HEIGHT, WIDTH, 3), "names": AXES} for c in cameras}
    with_depth = V3 and kind != "images"
    if with_depth:
        info = {"is_depth_map": True}
        features["observation.depth"] = {"dtype": "video", "shape": (HEIGHT, WIDTH, 1), "names": AXES, "info": info}
    sizes = {"data_files_size_in_mb": 0.01, "video_files_size_in_mb": 0.02} if V3 and kind == "rolling" else {}
    data = LeRobotDataset.create(
        "local/made", fps=FPS, features=features, root=root, robot_type="bench", use_videos=kind != "images", **sizes
    )
    rng = np.random.default_rng(7)
    for episode in range(num_episodes):
        for frame in range(9 + 4 * (episode % 3)):
            row = values(rng, episode, frame) | {c: picture(rng, frame + 5 * i) for i, c in enumerate(cameras)}
            if with_depth:
                row["observation.depth"] = depth(frame)
            task = ("lift the box", "step back", "stand")[(episode + (frame > 6)) % 3]
            if V3:
                data.add_frame({**row, "task": task})
            else:
                data.add_frame(row, task=task)
        data.save_episode()
    if hasattr(data, "finalize"):
        data.finalize()


if __name__ == "__main__":
    out, count = Path(sys.argv[1]), int(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in ("videos", "images", *(("rolling",) if V3 else ())):
        write(out / name, name, count)
    print(importlib.metadata.version("lerobot"))
