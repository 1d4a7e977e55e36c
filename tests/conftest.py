"""What every test runs under: one thread per process, a found OpenGL, properties with the same examples each time."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Two test processes share few cores: a library's own threads would only wait for each other.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

GL_CHOICE = Path(sys.prefix) / "wbvla-gl"
if GL_CHOICE.is_file():
    os.environ.setdefault("MUJOCO_GL", GL_CHOICE.read_text().strip())

settings.register_profile("house", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("house")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long walks first, so that two processes end together."""
    items.sort(key=lambda item: 0 if item.get_closest_marker("slow") else 1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return Path(__file__).resolve().parent.parent
