"""Every verb exists, explains itself, and its options change only on purpose."""

import contextlib
import importlib
import io
import json
import os
import re
from pathlib import Path

import pytest

from wbvla.cli.main import VERBS, main

SNAPSHOT = Path(__file__).with_name("cli_options.json")
UPDATE = "WBVLA_UPDATE_SNAPSHOT"


def help_of(verb: str, *words: str) -> str:
    """What `wbvla VERB [WORDS] --help` prints."""
    shown = io.StringIO()
    module = importlib.import_module(f"wbvla.cli.{verb}")
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        module.main([*words, "--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())


def subcommands_of(text: str) -> list[str]:
    found = re.search(r"^usage: wbvla \w+ .*\{([a-z,-]+)\}", text)
    return found.group(1).split(",") if found else []


def options_of(text: str) -> list[str]:
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9._-]*[a-z0-9]", text)))


@pytest.fixture(scope="module")
def options() -> dict[str, list[str]]:
    old = {k: os.environ.get(k) for k in ("COLUMNS", "NO_COLOR")}
    os.environ.update({"COLUMNS": "200", "NO_COLOR": "1"})
    found = {}
    for verb in VERBS:
        text = help_of(verb)
        assert text.startswith(f"usage: wbvla {verb}"), f"wbvla {verb} --help does not explain it"
        found[verb] = options_of(text)
        found |= {f"{verb} {sub}": options_of(help_of(verb, sub)) for sub in subcommands_of(text)}
    for key, value in old.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})
    return found


def test_every_verb_and_subcommand_explains_itself(options: dict[str, list[str]]) -> None:
    assert set(VERBS) <= set(options)
    assert any(" " in name for name in options), "subcommands are looked at too"
    assert all(found for found in options.values()), options


def test_options_are_as_recorded(options: dict[str, list[str]]) -> None:
    """A changed option is a changed promise: run with WBVLA_UPDATE_SNAPSHOT=1 and say so in CHANGELOG.md."""
    if os.environ.get(UPDATE):
        SNAPSHOT.write_text(json.dumps(options, indent=1) + "\n")
    recorded = json.loads(SNAPSHOT.read_text())
    assert options == recorded, f"command line options changed; on purpose? then run with {UPDATE}=1"


def test_unknown_verb_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evla"]) == 2
    assert "eval" in capsys.readouterr().err


def test_errors_of_wbvla_are_one_line_without_traceback(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = main(["eval", str(tmp_path / "nothing")])
    shown = capsys.readouterr().err
    assert code == 1
    assert "nothing" in shown
    assert "Traceback" not in shown
