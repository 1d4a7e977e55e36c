"""Where the low-level controller's results lie: the first robot's under the plain name, each other's with its own."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "results"


def result_of(name: str, robot: str) -> Path:
    """The result file of a benchmark for a robot."""
    return FOLDER / (f"{name}.json" if robot == "agibot_x2" else f"{name}_{robot}.json")
