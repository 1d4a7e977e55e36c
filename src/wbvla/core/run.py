"""The folder of one run: resolved configuration, commit, versions and machine, so that a figure can be traced."""

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from wbvla.core.files import write_json

TRACKED = ("numpy", "torch", "mujoco", "rsl-rl-lib", "transformers", "onnxruntime", "pyarrow", "av")


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
    """Create a run folder holding run.json (resolved config, seed, provenance); returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", {"seed": seed, "config": plain(config), **provenance()})
    return folder
