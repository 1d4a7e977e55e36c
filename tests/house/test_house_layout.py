"""The written rules of the house, checked on the source itself: sizes, names, docstrings, banned calls, layers."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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
TREES = {path: ast.parse(path.read_text(), filename=str(path)) for path in SOURCES + TESTS}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (n for n in ast.walk(tree) if isinstance(n, Function))


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute chain, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [a.name for a in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
    return []


def test_files_are_short_and_say_what_they_are_for() -> None:
    faults = []
    for path, tree in TREES.items():
        text, lines = path.read_text(), len(path.read_text().splitlines())
        if lines > MAX_FILE_LINES and label(path) not in ALLOWED:
            faults.append(f"{label(path)} has {lines} lines, at most {MAX_FILE_LINES}: split it")
        if text.strip() and not (ast.get_docstring(tree) and text.lstrip().startswith(('"""', "#!"))):
            faults.append(f"{label(path)} does not open with a docstring that says what it is for")
        if any(part.removesuffix(".py") in BANNED_STEMS for part in path.relative_to(ROOT).parts):
            faults.append(f"{label(path)}: such a name says nothing")
    assert not faults, "\n".join(faults)


def function_faults(path: Path, function: Function) -> list[str]:
    place = f"{label(path)}:{function.name}"
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    count = sum(a.arg not in ("self", "cls") for a in given)
    faults = []
    if lines > MAX_FUNCTION_LINES:
        faults.append(f"{place} has {lines} lines, at most {MAX_FUNCTION_LINES}: split it")
    if count > MAX_PARAMETERS:
        faults.append(f"{place} takes {count} parameters, at most {MAX_PARAMETERS}: make a config")
    return [] if place in ALLOWED else faults


def test_functions_are_short_with_few_parameters() -> None:
    faults = [f for path in SOURCES for fun in functions(TREES[path]) for f in function_faults(path, fun)]
    assert not faults, "\n".join(faults)


def node_faults(node: ast.AST) -> Iterator[str]:
    """What is unsafe about one node."""
    for name in imported(node):
        if name in BANNED_MODULES or name.split(".")[0] in BANNED_MODULES:
            yield f"imports {name}"
        if name.endswith("TYPE_CHECKING"):
            yield "hides an import behind TYPE_CHECKING"
    if isinstance(node, ast.Call):
        name = dotted(node.func)
        if name in BANNED_CALLS or name.split(".")[-1] in BANNED_METHODS:
            yield f"calls {name}"
        for k in node.keywords:
            off = isinstance(k.value, ast.Constant) and k.value.value is False
            if k.arg in ("allow_pickle", "trust_remote_code") and not off:
                yield f"{k.arg} must stay off"
    if isinstance(node, ast.ExceptHandler):
        caught = dotted(node.type) if node.type else "everything"
        if caught in ("everything", "Exception", "BaseException"):
            yield f"catches {caught}"


LAST_RESORT = "src/wbvla/deploy/runtime.py"
"""the control loop sits the robot down before it passes on an error, whatever it is"""


def test_nothing_unsafe_or_unfinished() -> None:
    faults: list[str] = []
    last_resorts: list[ast.AST] = []
    for path in SOURCES:
        for node in ast.walk(TREES[path]):
            found = list(node_faults(node))
            if label(path) == LAST_RESORT and "catches Exception" in found:
                found.remove("catches Exception")
                last_resorts.append(node)
            faults += [f"{label(path)}:{getattr(node, 'lineno', 0)} {fault}" for fault in found]
        faults += [f"{label(path)} says {word}" for word in UNFINISHED if word in path.read_text()]
    assert not faults, "\n".join(faults)
    assert len(last_resorts) == 1, "one place catches whatever fails beneath a standing robot"


def test_the_unsafe_is_recognised() -> None:
    """The walk above can fail: each of these is caught."""
    bad = """
import pickle
from typing import TYPE_CHECKING
torch.load(x)
eval(x)
np.load(x, allow_pickle=True)
socket.recv_pyobj()
try: pass
except Exception: pass
"""
    found = [fault for node in ast.walk(ast.parse(bad)) for fault in node_faults(node)]
    assert len(found) == 7, found
    fine = "model.eval()\nnp.load(x, allow_pickle=False)\nget().eval()"
    assert not [fault for node in ast.walk(ast.parse(fine)) for fault in node_faults(node)]


def test_shapes_are_real_annotations() -> None:
    """jaxtyping checks objects, not strings: a file that uses it must not postpone its annotations."""
    postponed = [
        label(p)
        for p in SOURCES
        if "jaxtyping" in (text := p.read_text()) and "from __future__ import annotations" in text
    ]
    assert not postponed


def test_verbs_are_thin() -> None:
    long = [
        f"{label(p)}: {n} lines"
        for p in sorted((ROOT / "src/wbvla/cli").glob("*.py"))
        if (n := len(p.read_text().splitlines())) > 90 and label(p) not in VERB_ALLOWED
    ]
    assert not long, f"a verb joins stations, the work belongs in a room: {long}"


VERB_ALLOWED = {
    "src/wbvla/cli/journey.py": "no verb: how the demo's stations are shown and resumed",
    "src/wbvla/cli/live_lmo.py": "no verb: curve and films of the demo's training from scratch",
    "src/wbvla/cli/stations.py": "no verb: the demo's stations, which only the command line may join",
}


def test_layers_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_allow_list_is_used() -> None:
    """An exception that is no longer needed leaves the list."""
    for place in ALLOWED:
        file, _, function = place.partition(":")
        assert (ROOT / file).is_file(), f"{file} is gone"
        names = [f.name for f in functions(TREES[ROOT / file])]
        assert not function or function in names, f"{place} is gone"


def test_tests_mirror_the_source_and_have_unique_names() -> None:
    rooms = {p.name for p in (ROOT / "src/wbvla").iterdir() if p.is_dir() and p.name != "__pycache__"}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders - rooms <= {"house", "end_to_end"}
    names = [p.name for p in TESTS if p.name.startswith("test_")]
    assert len(names) == len(set(names)), "two test files share a name"
