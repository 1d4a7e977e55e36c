"""The folder of one run: resolved configuration, commit, versions and machine, so that a figure can be traced."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from wbvla.core.errors import ConfigError
from wbvla.core.files import write_json

Config = TypeVar("Config")

TRACKED = (
    "numpy",
    "torch",
    "mujoco",
    "mujoco-warp",
    "warp-lang",
    "rsl-rl-lib",
    "transformers",
    "onnxruntime",
    "pyarrow",
    "av",
)


def plain(value: Any) -> Any:
    """A config dataclass (nested, with paths and tuples) as JSON-ready values; objects by their name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Path):
        return str(value)
    return getattr(value, "__name__", repr(value))


def rebuild(kind: type[Config], value: Mapping[str, Any]) -> Config:
    """Inverse of `plain` for a config dataclass of numbers, words, paths, tuples, mappings and further dataclasses.

    Raises ConfigError naming an unknown or a missing field.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name for f in dataclasses.fields(kind) if f.init}  # pyright: ignore[reportArgumentType]
    if set(value) - known:
        unknown = ", ".join(sorted(set(value) - known))
        raise ConfigError(f"{kind.__name__} has no field {unknown}; it has {', '.join(sorted(known))}")
    try:
        return kind(**{name: _typed(hints[name], entry) for name, entry in value.items()})
    except TypeError as error:
        raise ConfigError(f"{kind.__name__} cannot be built from {sorted(value)}: {error}") from error


def _fields(kind: Any) -> set[str]:
    """Names of a dataclass's fields; none for anything else."""
    return {f.name for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()


def _typed(hint: Any, value: Any) -> Any:
    """One JSON value as the type that a field is declared with."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        rest = [a for a in args if a is not type(None)]
        fitting = [a for a in rest if isinstance(value, Mapping) and set(value) <= _fields(a)]
        return None if value is None or not rest else _typed((fitting or rest)[0], value)
    if origin is tuple:
        inner = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        return tuple(_typed(kind, entry) for kind, entry in zip(inner, value))
    if isinstance(value, Mapping) and dataclasses.is_dataclass(hint):
        return rebuild(typing.cast(type, hint), value)
    if isinstance(value, Mapping) and len(args) == 2:
        return {key: _typed(args[1], entry) for key, entry in value.items()}
    return Path(str(value)) if hint is Path else value


def commit() -> str:
    """The git commit of the source tree with `+` when it has changes, or `unknown` outside a checkout."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "-C", here, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5
        )
        dirty = subprocess.run(
            ["git", "-C", here, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if head.returncode != 0:
        return "unknown"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def read_run(folder: Path, kind: type[Config]) -> Config:
    """The config of a run folder as `open_run` wrote it; raises ConfigError when there is none or of another kind."""
    path = folder / "run.json"
    if not path.is_file():
        raise ConfigError(f"{folder} has no run.json, which says how it was trained; name the folder of a run")
    return rebuild(kind, json.loads(path.read_text())["config"])


def cpu_model() -> str:
    """Name of the processor as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def provenance() -> dict[str, Any]:
    """Commit, versions, processor and cores, for run folders and result files."""
    versions = {}
    for name in TRACKED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "packages": versions,
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 1,
    }


def open_run(folder: Path, config: Any, seed: int) -> Path:
    """Create a run folder holding run.json (resolved config, seed, provenance), or go on in one; returns it.

    A run that goes on with another config or seed keeps those it had under `before`, one that goes on with other code
    its commits under `commits`, oldest first: what it becomes was made by all of them.
    """
    path, now = folder / "run.json", {"seed": seed, "config": json.loads(json.dumps(plain(config)))}
    folder.mkdir(parents=True, exist_ok=True)
    there = json.loads(path.read_text()) if path.is_file() else {}
    before = there.get("before", [])
    if there and any(there.get(key) != value for key, value in now.items()):
        before = [*before, {key: there.get(key) for key in (*now, "commit")}]
    origin = provenance()
    commits = list(dict.fromkeys([*there.get("commits", []), *([there["commit"]] if there else []), origin["commit"]]))
    past = ({"before": before} if before else {}) | ({"commits": commits} if len(commits) > 1 else {})
    write_json(path, {**now, **origin, **past})
    return folder
