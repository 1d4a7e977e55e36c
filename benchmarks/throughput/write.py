"""Writes the dataset of data_throughput.py with LeRobot itself: run under the Python that has it.

    python benchmarks/throughput/write.py ROOT FRAMES.npy LENGTHS FPS CAMERA

FRAMES is uint8 (frame, height, width, 3), the episodes of the given lengths one after another. Codec and
everything else are LeRobot's defaults.
"""

import json
import sys

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # pyright: ignore[reportMissingImports]

FEATURES = {"observation.state": 14, "action": 20}


def main() -> int:
    root, frames, lengths = sys.argv[1], np.load(sys.argv[2], mmap_mode="r"), json.loads(sys.argv[3])
    fps, camera = int(sys.argv[4]), sys.argv[5]
    features = {name: {"dtype": "float32", "shape": (n,), "names": None} for name, n in FEATURES.items()}
    picture = {"dtype": "video", "shape": frames.shape[1:], "names": ["height", "width", "channels"]}
    data = LeRobotDataset.create("local/benchmark", fps, {camera: picture, **features}, root=root, use_videos=True)
    for end, length in zip(np.cumsum(lengths), lengths, strict=True):
        for number, frame in enumerate(frames[end - length : end]):
            values = {name: np.full(n, number, np.float32) for name, n in FEATURES.items()}
            data.add_frame({camera: np.array(frame), **values, "task": "walk to the table"})
        data.save_episode()
    data.finalize()
    return 0


if __name__ == "__main__":
    sys.exit(main())
