"""Inside LeRobot's environment: open datasets with its own class and write down all it gives, for comparison.

    python lerobot_read.py JOBS.json

JOBS = [{"root": folder, "out": path, "offsets": [frames], "windows": [global frame indices]}]. Leaves OUT.npz and
OUT.json of each; where LeRobot raises, OUT.json holds its words.
"""

import json
import sys
import tempfile
import traceback
from importlib.metadata import version
from pathlib import Path

import datasets
import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

PICTURES, TEXT = ("video", "image"), ("string", "language")
LONE = ("timestamp", "task_index")
"""LeRobot needs these as one number each, so it gives no windows of them"""


def plain(value):
    """A value of an item as numpy or as JSON."""
    return value.numpy() if isinstance(value, torch.Tensor) else value


def picture(value, is_depth: bool):
    """(..., C, H, W) float in [0, 1] to (..., H, W, C) uint8; depth stays what it is, [mm]."""
    array = np.moveaxis(np.asarray(value), -3, -1)
    return array[..., 0] if is_depth else np.rint(array * 255).astype(np.uint8)


def main(root: str, out: str, wanted: dict) -> None:
    """Every key of every frame, then windows over every feature that LeRobot can stack."""
    data = LeRobotDataset("local/compared", root=root)
    features = data.meta.features
    depths = set(getattr(data.meta, "depth_keys", []))
    arrays: dict[str, list] = {}
    texts: dict[str, list] = {}
    for i in range(len(data)):
        for key, value in data[i].items():
            if features.get(key, {}).get("dtype") in PICTURES:
                arrays.setdefault(f"item/{key}", []).append(picture(plain(value), key in depths))
            elif isinstance(value, torch.Tensor):
                arrays.setdefault(f"item/{key}", []).append(value.numpy())
            else:
                texts.setdefault(key, []).append(value)
    stacked = [k for k, f in features.items() if f["dtype"] not in TEXT and k not in LONE]
    deltas = {k: [o / data.fps for o in wanted["offsets"]] for k in stacked}
    windowed = LeRobotDataset("local/compared", root=root, delta_timestamps=deltas)
    for i in wanted["windows"]:
        item = windowed[i]
        for key in stacked:
            value = plain(item[key])
            shown = picture(value, key in depths) if features[key]["dtype"] in PICTURES else value
            arrays.setdefault(f"window/{key}", []).append(shown)
            arrays.setdefault(f"pad/{key}", []).append(item[f"{key}_is_pad"].numpy())
    np.savez(f"{out}.npz", **{k: np.stack(v) for k, v in arrays.items()})
    tasks = data.meta.tasks
    listed = [tasks.iloc[i].name for i in range(len(tasks))] if hasattr(tasks, "iloc") else [tasks[i] for i in tasks]
    facts = {
        **{name: version(name) for name in ("lerobot", "torchcodec", "av")},
        "episodes": data.num_episodes,
        "frames": len(data),
        "fps": data.fps,
        "keys": sorted({*(k.partition("/")[2] for k in arrays if k.startswith("item/")), *texts}),
        "tasks": listed,
        "texts": texts,
    }
    Path(f"{out}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = cache
        for job in json.loads(Path(sys.argv[1]).read_text()):
            try:
                main(job["root"], job["out"], job)
            except Exception:  # noqa: BLE001 - whatever LeRobot raises is a finding, told with its words
                Path(f"{job['out']}.json").write_text(json.dumps({"error": traceback.format_exc()}))
