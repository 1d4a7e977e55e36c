"""The written rules of the house, checked on the source itself: sizes, names, docstrings, banned calls, layers."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "scripts").glob("*.py"))
SOURCES += sorted((ROOT / "benchmarks").glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 400, 60, 6
# "file:function" -> why it may be longer or take more than the rule allows
ALLOWED: dict[str, str] = {}
BANNED_MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "yaml", "unittest.mock")
BANNED_CALLS = ("torch.load", "eval", "exec", "np.fromfile")
BANNED_METHODS = ("send_pyobj", "recv_pyobj", "send_serialized", "recv_serialized")
BANNED_STEMS = ("utils", "util", "common", "helpers", "helper", "misc", "manager")
UNFINISHED = ("TODO", "FIXME", "XXX", "NotImplementedError(")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (n for n in ast.walk(tree) if isinstance(n, Function))


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute chain, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return ""


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [a.name for a in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
    return []


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=label)
def test_file_is_short_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES or label(path) in ALLOWED
    first = (ast.get_docstring(parse(path)) or "").strip()
    assert first or not text.strip(), "the file has no docstring"
    assert not text.strip() or text.lstrip().startswith(('"""', "#!")), "the docstring must open the file"
    assert not any(part.removesuffix(".py") in BANNED_STEMS for part in path.relative_to(ROOT).parts)


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_functions_are_short_with_few_parameters(path: Path) -> None:
    tree = parse(path)
    faults = []
    for function in functions(tree):
        place = f"{label(path)}:{function.name}"
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        given = [a for a in given if a.arg not in ("self", "cls")]
        if place in ALLOWED:
            continue
        if lines > MAX_FUNCTION_LINES:
            faults.append(f"{place} has {lines} lines, at most {MAX_FUNCTION_LINES}: split it")
        if len(given) > MAX_PARAMETERS:
            faults.append(f"{place} takes {len(given)} parameters, at most {MAX_PARAMETERS}: make a config")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_nothing_unsafe_or_unfinished(path: Path) -> None:
    faults = []
    for node in ast.walk(parse(path)):
        line = getattr(node, "lineno", 0)
        for name in imported(node):
            if name in BANNED_MODULES or name.split(".")[0] in BANNED_MODULES:
                faults.append(f"{line}: imports {name}")
            if name.endswith("TYPE_CHECKING"):
                faults.append(f"{line}: hides an import behind TYPE_CHECKING")
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in BANNED_CALLS or name.split(".")[-1] in BANNED_METHODS:
                faults.append(f"{line}: calls {name}")
            faults += [
                f"{line}: {k.arg} must stay off"
                for k in node.keywords
                if k.arg in ("allow_pickle", "trust_remote_code")
                and not (isinstance(k.value, ast.Constant) and k.value.value is False)
            ]
        if isinstance(node, ast.ExceptHandler):
            caught = dotted(node.type) if node.type else "everything"
            if caught in ("everything", "Exception", "BaseException"):
                faults.append(f"{line}: catches {caught}")
    text = path.read_text()
    faults += [f"says {word}" for word in UNFINISHED if word in text]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=label)
def test_shapes_are_real_annotations(path: Path) -> None:
    """jaxtyping checks objects, not strings: a file that uses it must not postpone its annotations."""
    text = path.read_text()
    assert not ("jaxtyping" in text and "from __future__ import annotations" in text)


def test_verbs_are_thin() -> None:
    long = [
        f"{label(p)}: {n} lines"
        for p in sorted((ROOT / "src/wbvla/cli").glob("*.py"))
        if (n := len(p.read_text().splitlines())) > 90 and label(p) not in VERB_ALLOWED
    ]
    assert not long, f"a verb joins stations, the work belongs in a room: {long}"


VERB_ALLOWED = {"src/wbvla/cli/journey.py": "no verb: how the demo's stations are shown and resumed"}


def test_layers_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_allow_list_is_used() -> None:
    """An exception that is no longer needed leaves the list."""
    for place in ALLOWED:
        file, _, function = place.partition(":")
        assert (ROOT / file).is_file(), f"{file} is gone"
        names = [f.name for f in functions(parse(ROOT / file))]
        assert not function or function in names, f"{place} is gone"


def test_tests_mirror_the_source_and_have_unique_names() -> None:
    rooms = {p.name for p in (ROOT / "src/wbvla").iterdir() if p.is_dir() and p.name != "__pycache__"}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders - rooms <= {"house", "end_to_end"}
    names = [p.name for p in TESTS if p.name.startswith("test_")]
    assert len(names) == len(set(names)), "two test files share a name"
