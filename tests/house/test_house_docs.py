"""What the documents name exists: paths, make targets, verbs and their options."""

import json
import re
from pathlib import Path

import pytest

from wbvla.cli.main import VERBS
from wbvla.recipes.catalogue import gather
from wbvla.recipes.registry import recipes

gather()

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [p for p in PAGES if p.is_file()]
TOP = {p.name for p in ROOT.iterdir() if p.name not in (".git", ".venv", "runs", "workspace")}
ROOMS = {p.name for p in (ROOT / "src" / "wbvla").iterdir() if p.is_dir()}
MADE_LATER = ("runs/", "demo/", "dist/", "workspace/", ".venv/")


def quoted(text: str) -> list[str]:
    """Inline code and the lines of code blocks."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, flags=re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    rest = re.sub(r"```.*?```", "", text, flags=re.S)
    return lines + re.findall(r"`([^`\n]+)`", rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_named_paths_exist(page: Path) -> None:
    missing = []
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.S)):
        word = code.strip().rstrip("/")
        if not re.fullmatch(r"[\w.][\w./-]*", word) or "/" not in word or code.startswith(MADE_LATER):
            continue
        first = word.split("/")[0]
        base = ROOT / "src/wbvla" if first in ROOMS else ROOT
        if first in ROOMS | TOP and not (base / word).exists():
            missing.append(code)
    assert not missing, f"{page.name} names what does not exist: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert not missing, f"{page.name} links to {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_named_commands_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    options = json.loads((ROOT / "tests/house/cli_options.json").read_text())
    unknown = []
    for code in quoted(page.read_text()):
        for target in re.findall(r"(?:^|\s)make ([a-z]+)", code):
            unknown += [] if target in targets else [f"make {target}"]
        for verb, rest in re.findall(r"(?:^|[\s/])wbvla ([a-z]+)\b([^|&;#]*)", code):
            if verb not in VERBS:
                unknown.append(f"wbvla {verb}")
                continue
            known = {flag for name, flags in options.items() if name.split()[0] == verb for flag in flags}
            fields = verb == "train"  # its other options are the fields of the recipe
            flags = re.findall(r"(--[a-z][\w.-]*)", rest)
            unknown += [f"wbvla {verb} {f}" for f in flags if f not in known and not fields]
        for recipe in re.findall(r"wbvla train ([a-z0-9-]+)", code):
            unknown += [] if recipe in set(recipes) else [f"recipe {recipe}"]
    assert not unknown, f"{page.name} names what does not exist: {unknown}"
