"""Numbers over time as JSON lines: appended, flushed, readable after any kill."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wbvla.core.files import write_bytes


class MetricLog:
    """Appends one JSON object per line to a file; a torn last line is cut off when it is opened again.

    Args of `keep_below_step`: entries with `step` at or above it are dropped on open, so that a run resumed
    from a checkpoint writes each step once.
    """

    def __init__(self, path: Path, keep_below_step: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [row for row in read_metrics(path) if keep_below_step is None or row.get("step", -1) < keep_below_step]
        write_bytes(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
        self._file = path.open("a")

    def write(self, row: Mapping[str, Any]) -> None:
        """Append one object and flush it."""
        self._file.write(json.dumps(dict(row)) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a metric log, oldest first; an absent file has none."""
    rows: list[dict[str, Any]] = []
    if not path.is_file():
        return rows
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows
