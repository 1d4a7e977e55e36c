"""What this computer has and what wbvla needs of it, one finding per line, each with its remedy."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wbvla.core.run import cpu_model

EXTRAS = {
    "base (robot side)": (
        "",
        ("numpy", "jaxtyping", "pyzmq", "msgpack", "onnxruntime", "Pillow", "tyro", "rich"),
    ),
    "sim": ("sim", ("mujoco", "mink", "daqp", "gymnasium")),
    "train": (
        "train",
        ("torch", "transformers", "peft", "accelerate", "safetensors", "rsl-rl-lib", "onnx", "tensorboard"),
    ),
    "collect": ("collect", ("pyarrow", "av", "matplotlib")),
    "dev": ("dev", ("pytest", "hypothesis", "beartype", "import-linter", "ruff", "pyright")),
}
GIB = 1024**3
MIN_DISK_GIB = 5.0
MIN_MEMORY_GIB = 8.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    subject: str
    found: str
    ok: bool
    required: bool = True
    """whether `wbvla demo` cannot work without it"""
    remedy: str = ""
    """what to do when it is not ok"""


def check_python() -> Finding:
    """Python >= 3.11."""
    return Finding(
        subject="Python",
        found=f"{platform.python_version()} at {sys.executable}",
        ok=sys.version_info >= (3, 11),
        remedy="make setup PYTHON=/path/to/python3.11",
    )


def missing(packages: Iterable[str]) -> list[str]:
    """Those packages that are not installed."""
    absent = []
    for name in packages:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    return absent


def check_packages() -> list[Finding]:
    """One finding per extra: what is installed, and the command that installs the rest."""
    findings = []
    for name, (extra, packages) in EXTRAS.items():
        absent = missing(packages)
        target = f"'wbvla[{extra}]'" if extra else "wbvla"
        findings.append(
            Finding(
                subject=f"packages: {name}",
                found=f"{len(packages)} installed" if not absent else f"missing {', '.join(absent)}",
                ok=not absent,
                required=name != "dev",
                remedy=f"make setup   (or: pip install -c constraints.txt {target})",
            )
        )
    return findings


def check_cpu() -> Finding:
    """Threads this process may use."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding(
        subject="CPU",
        found=f"{threads} threads, {cpu_model()}",
        ok=threads >= 2,
        required=False,
        remedy="the robot loop and the policy server are two processes: give them two threads",
    )


def check_gpu() -> Finding:
    """An NVIDIA GPU, useful for full-size training, not needed for anything small."""
    tool = shutil.which("nvidia-smi")
    names = ""
    if tool:
        query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=20)
        names = "; ".join(done.stdout.strip().splitlines()) if done.returncode == 0 else ""
    return Finding(
        subject="GPU",
        found=names or "none found",
        ok=bool(names),
        required=False,
        remedy="tiny recipes run on the CPU; for full size: an NVIDIA driver and a CUDA build of torch in .venv",
    )


def check_memory() -> Finding:
    """Main memory that is available now [GiB]."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return Finding(subject="memory", found="not measured on this system", ok=True, required=False)
    rows = dict(line.split(":", 1) for line in info.read_text().splitlines())
    total, free = (int(rows[k].split()[0]) * 1024 / GIB for k in ("MemTotal", "MemAvailable"))
    return Finding(
        subject="memory",
        found=f"{free:.1f} of {total:.1f} GiB available",
        ok=free >= MIN_MEMORY_GIB * 0.9,
        required=False,
        remedy=f"the demo is made for {MIN_MEMORY_GIB:.0f} GiB; close other programs",
    )


def check_disk(folder: Path) -> Finding:
    """Free space where runs are written [GiB]."""
    free = shutil.disk_usage(folder).free / GIB
    return Finding(
        subject="disk",
        found=f"{free:.1f} GiB free in {folder}",
        ok=free >= MIN_DISK_GIB,
        remedy=f"free {MIN_DISK_GIB:.0f} GiB, or run from another folder",
    )


def check_renderer(script: str, remedy: str) -> Finding:
    """Run `script` in a process of its own (a broken OpenGL ends the process); it prints the backend that drew."""
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        return Finding(subject="renderer", found="no picture after 180 s", ok=False, remedy=remedy)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return Finding(
        subject="renderer",
        found=lines[-1] if lines else f"ended with code {done.returncode}",
        ok=done.returncode == 0,
        remedy=remedy,
    )
