"""Every field of every config is read somewhere, documented, and its class is frozen."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREES = {p: ast.parse(p.read_text()) for p in sorted((ROOT / "src").rglob("*.py"))}
# "Class.field" -> why nothing reads it
UNREAD: dict[str, str] = {}


def configs() -> list[tuple[Path, ast.ClassDef]]:
    return [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config")
    ]


def attributes_read() -> set[str]:
    """Names that some expression reads as an attribute (`config.field`)."""
    return {
        node.attr
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


READ = attributes_read()
FOUND = configs()


def config_faults(node: ast.ClassDef) -> list[str]:
    decorators = " ".join(ast.unparse(d) for d in node.decorator_list)
    frozen = "frozen=True" in decorators and "kw_only=True" in decorators
    faults = [] if frozen else [f"{node.name} must be @dataclass(frozen=True, kw_only=True)"]
    for index, statement in enumerate(node.body):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        name = statement.target.id
        after = node.body[index + 1] if index + 1 < len(node.body) else None
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
        if not isinstance(text, str):
            faults.append(f"{node.name}.{name} has no docstring under it")
        if name not in READ and f"{node.name}.{name}" not in UNREAD:
            faults.append(f"{node.name}.{name} is read nowhere: a switch that does nothing")
    return faults


def test_configs_are_frozen_documented_and_alive() -> None:
    assert len(FOUND) > 20
    faults = [f"{path.relative_to(ROOT)}: {fault}" for path, node in FOUND for fault in config_faults(node)]
    assert not faults, "\n".join(faults)
