"""Where the files of a dataset lie: path templates and names read from files, which must never leave the dataset."""

import json
import re
import string
from pathlib import Path, PurePosixPath
from typing import Any

from wbvla.core.errors import DataError

MAX_PATH = 1024
MAX_JSON_BYTES = 1 << 28
"""a JSON file of meta/ beyond this is refused before it is read [bytes]"""
SPEC = re.compile(r"^(0?[1-9])?d?$")


def check_template(template: Any, fields: tuple[str, ...], key: str) -> str:
    """A path template of info.json, or DataError: only the known fields, plain numbers, below the dataset.

    `str.format` could otherwise reach attributes, or be asked for a name of a million zeros.
    """
    if not isinstance(template, str) or not 0 < len(template) <= MAX_PATH:
        raise DataError(f"{key} in meta/info.json is no path template: {str(template)[:80]!r}")
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise DataError(f"{key} {template!r} in meta/info.json cannot be followed ({error})") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in fields or conversion or not SPEC.match(spec or "")):
            raise DataError(f"{key} {template!r} in meta/info.json asks for {name!r}; known: {', '.join(fields)}")
    inside(template, key)
    return template


def inside(name: str, what: str = "a file") -> str:
    """A path relative to the dataset as it came, or DataError when it is absolute, climbs out or is no path."""
    path = PurePosixPath(name)
    bad = not name or len(name) > MAX_PATH or "\0" in name or "\\" in name
    if bad or path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise DataError(f"{what} {name[:120]!r} would lie outside the dataset; refused")
    return name


def read_json(path: Path) -> Any:
    """A JSON file, or DataError when it is too large or not JSON; the file must exist."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise DataError(f"{path} has {size} bytes, more than {MAX_JSON_BYTES} are not read")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); restore it from a copy") from error


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file, or DataError naming the line that is none."""
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise DataError(f"{path} has {size} bytes, more than {MAX_JSON_BYTES} are not read")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} line {number} is not JSON ({error}); restore it from a copy") from error
        if not isinstance(row, dict):
            raise DataError(f"{path} line {number} is no object: {str(row)[:80]}")
        rows.append(row)
    return rows
