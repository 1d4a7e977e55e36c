"""What preparing data costs on one core: augmentation per picture, statistics per row and per episode.

    OMP_NUM_THREADS=1 python benchmarks/data_prepare.py [--quick]

Pictures are noise, the worst case for no part of it. Statistics are those of a real dataset on disk, recorded here with
the columns of an AgiBot X2 demonstration and no camera; reading its parquet files is part of the time. Last line: one
JSON object. The long form writes docs/results/data_prepare.json.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.data.augment import POLICY, VIDEO, augment, draw
from wbvla.data.dataset_stats import compute_stats
from wbvla.data.features import ACTION, STATE, action_names, state_names
from wbvla.data.format import vector
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetConfig, DatasetWriter
from wbvla.robots.platforms import load_robot

RESULT = Path(__file__).parents[1] / "docs" / "results" / "data_prepare.json"


def augmentation(windows: int, repeats: int) -> dict[str, float]:
    """Milliseconds per picture, the fastest of some repeats."""
    rng, found = np.random.default_rng(0), {}
    for name, config in (("policy", POLICY), ("video", VIDEO)):
        for side in (64, 224):
            images = rng.integers(0, 256, (windows, 1, 3, side, side, 3), dtype=np.uint8)
            times = []
            for repeat in range(repeats):
                draws = draw(config, np.array([[repeat, i] for i in range(windows)]))
                start = time.perf_counter()
                augment(images, draws, [True] * 3)
                times.append(time.perf_counter() - start)
            found[f"augment_{name}_{side}px_ms"] = 1000 * min(times) / (windows * 3)
    return found


def statistics(episodes: int, length: int) -> dict[str, float]:
    """Statistics of a dataset of so many episodes, and what that means for 100,000 of them."""
    spec = load_robot("agibot_x2")
    features = {STATE: vector(state_names(spec)), ACTION: vector(action_names(spec))}
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "data"
        with DatasetWriter.create(root, DatasetConfig(fps=10, robot=spec.name, features=features)) as writer:
            for _ in range(episodes):
                with writer.episode(task="walk") as episode:
                    rows = {k: rng.normal(size=(length, *f.shape)).astype(np.float32) for k, f in features.items()}
                    for t in range(length):
                        episode.add({k: v[t] for k, v in rows.items()})
                    episode.commit()
        data = Dataset(root)
        start = time.perf_counter()
        compute_stats(data)
        seconds = time.perf_counter() - start
    return {
        "stats_episodes": episodes,
        "stats_frames": episodes * length,
        "stats_us_per_frame": 1e6 * seconds / (episodes * length),
        "stats_ms_per_episode": 1000 * seconds / episodes,
        "stats_100k_episodes_min": seconds / episodes * 1e5 / 60,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pictures and episodes, nothing written")
    quick = parser.parse_args().quick
    figures: dict[str, Any] = augmentation(4 if quick else 8, 3 if quick else 16)
    figures |= statistics(30 if quick else 300, 100)
    if not quick:
        write_json(RESULT, {"command": " ".join(sys.argv), "seed": 0, **provenance(), "result": figures})
    print(json.dumps({k: round(v, 4) for k, v in figures.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
