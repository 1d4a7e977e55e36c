"""LeRobot v2.1 and v2.0 read as they are: JSON-lines tables, one parquet and one mp4 per episode; GR00T's extras."""

from pathlib import Path
from typing import Any

from wbvla.core.errors import DataError
from wbvla.data.format import Info
from wbvla.data.layout import read_json, read_json_lines

EPISODES, EPISODES_STATS, TASKS = "meta/episodes.jsonl", "meta/episodes_stats.jsonl", "meta/tasks.jsonl"
MODALITY = "meta/modality.json"


def read_tasks(root: Path) -> list[str]:
    """Task strings by task_index."""
    path = Path(root) / TASKS
    if not path.is_file():
        return []
    try:
        rows = sorted((int(row["task_index"]), str(row["task"])) for row in read_json_lines(path))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a line lacks {error}") from error
    if [i for i, _ in rows] != list(range(len(rows))):
        raise DataError(f"{path}: task indices are not 0..{len(rows) - 1}")
    return [task for _, task in rows]


def read_rows(root: Path, info: Info) -> list[dict[str, Any]]:
    """Index, length, tasks and global start of each episode, in order."""
    path = Path(root) / EPISODES
    if not path.is_file():
        raise DataError(f"{root} is version {info.version} but has no {EPISODES}")
    try:
        rows = sorted(read_json_lines(path), key=lambda row: int(row["episode_index"]))
        start, result = 0, []
        for row in rows:
            length = int(row["length"])
            if length < 1:
                raise DataError(f"{path}: episode {row['episode_index']} has length {length}")
            tasks = row.get("tasks") or []
            tasks = [tasks] if isinstance(tasks, str) else list(tasks)
            result.append(
                {"episode_index": int(row["episode_index"]), "length": length, "tasks": tasks, "start": start}
            )
            start += length
        return result
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a line lacks {error}") from error


def read_stats(root: Path) -> dict[int, dict[str, Any]]:
    """Statistics of each episode by its number; empty in v2.0, which has none."""
    path = Path(root) / EPISODES_STATS
    if not path.is_file():
        return {}
    try:
        return {int(row["episode_index"]): dict(row["stats"]) for row in read_json_lines(path)}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a line lacks {error}") from error


def read_modality(root: Path) -> dict[str, Any]:
    """GR00T's slices of state and action by name; empty when there are none."""
    path = Path(root) / MODALITY
    value = read_json(path) if path.is_file() else {}
    if not isinstance(value, dict):
        raise DataError(f"{path} holds no object")
    return value
