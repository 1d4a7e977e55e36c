"""The folder of a run tells every configuration that went into it."""

import json
from dataclasses import dataclass
from pathlib import Path

from wbvla.core.run import open_run


@dataclass(frozen=True)
class Config:
    """Of a run."""

    rate: float = 0.1
    sizes: tuple[int, ...] = (2, 3)


def told(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_a_run_that_goes_on_as_it_was_has_no_past(tmp_path: Path) -> None:
    for _ in range(2):
        open_run(tmp_path / "run", Config(), 3)
    found = told(tmp_path / "run")
    assert found["seed"] == 3
    assert found["config"] == {"rate": 0.1, "sizes": [2, 3]}
    assert "before" not in found


def test_the_commits_of_a_run_that_went_on_with_other_code_are_kept(tmp_path: Path) -> None:
    open_run(tmp_path, Config(), 3)
    first = told(tmp_path)
    assert "commits" not in first
    (tmp_path / "run.json").write_text(json.dumps({**first, "commit": "0123456789ab"}))
    for _ in range(2):
        open_run(tmp_path, Config(), 3)
    assert told(tmp_path)["commits"] == ["0123456789ab", first["commit"]]
    assert told(tmp_path)["commit"] == first["commit"]


def test_every_other_config_and_seed_of_a_run_is_kept_in_order(tmp_path: Path) -> None:
    for config, seed in ((Config(), 3), (Config(rate=0.2), 3), (Config(rate=0.2), 4), (Config(rate=0.2), 4)):
        open_run(tmp_path, config, seed)
    found = told(tmp_path)
    assert (found["config"]["rate"], found["seed"]) == (0.2, 4)
    assert [(row["config"]["rate"], row["seed"]) for row in found["before"]] == [(0.1, 3), (0.2, 3)]
    assert all(row["commit"] == found["commit"] for row in found["before"])
