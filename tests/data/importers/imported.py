"""What every test of an importer asks of the dataset it made."""

from pathlib import Path

import numpy as np

from wbvla.data.check import check
from wbvla.data.importers.run import ImportReport, import_dataset
from wbvla.data.importers.take import ImportConfig
from wbvla.data.reader import Dataset


def imported(kind: str, src: Path, dst: Path, **options) -> tuple[ImportReport, Dataset]:
    """Import in this process; the result is sound to `wbvla data check --deep`."""
    report = import_dataset(kind, src, dst, ImportConfig(**options))
    assert check(dst, deep=True) == []
    assert not (dst / ".import").exists()
    return report, Dataset(dst)


def shown_levels(data: Dataset, camera: str, episode: int) -> list[int]:
    """Mean grey of every frame."""
    frames = data.frames(camera, episode, range(data.episodes[episode].length))
    return [round(float(f.mean())) for f in frames]


def require_levels(data: Dataset, camera: str, episode: int, wanted: list[int], within: int = 3) -> None:
    found = shown_levels(data, camera, episode)
    np.testing.assert_allclose(found, wanted, atol=within)
