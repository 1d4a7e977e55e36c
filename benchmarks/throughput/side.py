"""One side of data_throughput.py: reads given windows once, in a fresh process, and prints the seconds as JSON.

    python benchmarks/throughput/side.py ours|lerobot ROOT PLAN.json

Runs under either package's own Python, so it imports only the one it is asked for. PLAN holds the camera, the
windows (episode, frame, global index), the gap, the deliverable, cores and the file for a few samples.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def rss_mib() -> float:
    """Memory of this process, shared pages by their share [MiB]."""
    with open("/proc/self/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def open_ours(root: str, plan: dict[str, Any]) -> tuple[Callable[[list[int]], Any], dict[str, str]]:
    import av
    import torch

    from wbvla.data.reader import Dataset

    data, camera, gap = Dataset(Path(root)), plan["camera"], plan["gap"]
    offsets = {camera: (0, gap), **dict.fromkeys(data.info.columns, (0,))}
    torch.set_num_threads(1)
    if plan.get("streamed"):
        return open_stream(data, plan), {"backend": "av " + av.__version__, "torch": torch.__version__}

    def read(window: list[int]) -> Any:
        item = data.window(window[0], window[1], offsets)
        frames = torch.from_numpy(np.ascontiguousarray(np.moveaxis(item[camera], -1, 1)))
        task = data.instruction(window[0], window[1])
        if plan["deliver"] == "uint8":
            return frames, task
        return torch.div(frames, 255), task

    return read, {"backend": "av " + av.__version__, "torch": torch.__version__}


def open_stream(data: Any, plan: dict[str, Any]) -> Callable[[list[int]], Any]:
    """Windows in the order of the stream, whatever is asked for."""
    import torch

    from wbvla.data.stream import Stream, StreamConfig

    camera = plan["camera"]
    places = {camera: (0.0, plan["gap"] / plan["fps"]), **dict.fromkeys(data.info.columns, (0.0,))}
    lane = Stream([data], StreamConfig(offsets_s=places, batch_size=1, size=tuple(plan["size"]), block=128)).lane(0)
    numbers = iter(range(1 << 40))

    def read(window: list[int]) -> Any:
        frames = lane.get(next(numbers))[camera]
        return torch.div(torch.from_numpy(np.ascontiguousarray(np.moveaxis(frames, -1, 1))), 255), ""

    return read


def open_lerobot(root: str, plan: dict[str, Any]) -> tuple[Callable[[list[int]], Any], dict[str, str]]:
    import lerobot  # pyright: ignore[reportMissingImports]
    import torch
    from lerobot.datasets.lerobot_dataset import LeRobotDataset  # pyright: ignore[reportMissingImports]

    camera, gap = plan["camera"], plan["gap"]
    torch.set_num_threads(1)
    data = LeRobotDataset(
        "local/benchmark",
        root=root,
        delta_timestamps={camera: [0.0, gap / plan["fps"]]},
        return_uint8=plan["deliver"] == "uint8",
    )

    def read(window: list[int]) -> Any:
        item = data[window[2]]
        return item[camera], item["task"]

    backend = str(data._video_backend)
    if backend == "torchcodec":
        import torchcodec  # pyright: ignore[reportMissingImports]

        backend += f" {torchcodec.__version__}"
    return read, {"backend": backend, "lerobot": lerobot.__version__, "torch": torch.__version__}


def main() -> int:
    side, root, plan_path = sys.argv[1:4]
    with open(plan_path) as handle:
        plan = json.load(handle)
    if plan["cores"]:
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: plan["cores"]]))
    read, facts = (open_ours if side == "ours" else open_lerobot)(root, plan)
    windows, warm = plan["windows"], plan.get("growth_after", 0)
    before, kept = 0.0, []
    start, cpu = time.perf_counter(), time.process_time()
    for number, window in enumerate(windows):
        frames, task = read(window)
        if warm and number == warm:
            before = rss_mib()
        if number < plan.get("keep", 0):
            kept.append(np.asarray(frames))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    assert isinstance(task, str)
    assert tuple(frames.shape) == (2, 3, *plan["size"]), frames.shape
    assert str(frames.dtype).removeprefix("torch.") == plan["deliver"], frames.dtype
    if kept:
        np.save(plan["samples"], np.stack(kept))
    growth = rss_mib() - before if warm else 0.0
    print(json.dumps({"seconds": seconds, "cpu_s": cpu, "growth_mib": growth, "rss_mib": rss_mib(), **facts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
