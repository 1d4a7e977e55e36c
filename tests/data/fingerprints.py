"""What an episode is, to the bit: compared before and after a dataset is rearranged, damaged or repaired."""

import hashlib
from pathlib import Path

import numpy as np

from wbvla.data.format import OWN_FEATURES
from wbvla.data.reader import Dataset

NUMBERS = ("index", "episode_index", "task_index")
"""columns that change when episodes are numbered anew"""


def fingerprint(data: Dataset, index: int, truth: bool = True) -> str:
    """Words, recorded columns, every decoded frame and, unless told, the privileged arrays."""
    total = hashlib.sha256(repr([data.instruction(index, i) for i in range(data.episodes[index].length)]).encode())
    for name, values in sorted(data.columns(index).items()):
        if name not in NUMBERS:
            total.update(name.encode())
            total.update(repr(values.tolist()).encode() if values.dtype == object else values.tobytes())
    for camera in data.cameras:
        total.update(data.frames(camera, index, range(data.episodes[index].length)).tobytes())
    for name, values in sorted(data.truth(index).items()) if truth else ():
        total.update(name.encode() + values.tobytes())
    return total.hexdigest()


def fingerprints(root: Path, truth: bool = True) -> list[str]:
    """One per episode; asserts on the way that every number is as it must be."""
    data = Dataset(root)
    found, start = [], 0
    for record in data.episodes:
        numbers = data.columns(record.index, list(OWN_FEATURES))
        steps = np.arange(record.length)
        np.testing.assert_array_equal(numbers["index"], start + steps)
        np.testing.assert_array_equal(numbers["frame_index"], steps)
        assert (numbers["episode_index"] == record.index).all()
        assert set(record.tasks) == {data.tasks[i] for i in numbers["task_index"]}
        assert record.start == start
        start += record.length
        found.append(fingerprint(data, record.index, truth))
    assert start == data.info.total_frames
    data.close()
    return found
