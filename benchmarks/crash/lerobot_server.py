"""Opens datasets with the real LeRobotDataset, one folder per line of stdin; run by the Python that has lerobot.

Each answer is one JSON line: `{"version"}` first, then per folder `{"episodes", "frames"}` or `{"error"}`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import lerobot  # pyright: ignore[reportMissingImports]
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # pyright: ignore[reportMissingImports]

FAILURES = (OSError, ValueError, LookupError, RuntimeError, TypeError, ArithmeticError, AttributeError)
"""what lerobot, datasets, pyarrow and av raise on a dataset they cannot use; anything else ends the process"""


def opened(root: Path) -> dict[str, Any]:
    """Open one folder and read the first and the last frame of every episode, with all its cameras."""
    data = LeRobotDataset(f"local/{root.name}", root=root, video_backend="pyav")
    for row in data.meta.episodes:
        first, last = row["dataset_from_index"], row["dataset_to_index"] - 1
        for index in (first, last):
            frame = data[index]
            found = (int(frame["index"]), int(frame["episode_index"]), frame["task"])
            if found[:2] != (index, row["episode_index"]) or found[2] not in row["tasks"]:
                raise ValueError(f"frame {index} came as {found}")
            for camera in data.meta.video_keys:
                if tuple(frame[camera].shape) != (3, *data.meta.shapes[camera][:2]):
                    raise ValueError(f"frame {index} of {camera} has shape {tuple(frame[camera].shape)}")
    return {"episodes": data.num_episodes, "frames": data.num_frames}


def main() -> None:
    """Answer until stdin ends."""
    print(json.dumps({"version": lerobot.__version__}), flush=True)
    for line in sys.stdin:
        try:
            answer = opened(Path(line.strip()))
        except FAILURES as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
