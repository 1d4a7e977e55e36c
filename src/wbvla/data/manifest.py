"""SHA-256 of every file: a manifest per episode, and a seal over the dataset's own files; both vouch for themselves.

A manifest holds the episode's meta row without statistics, and of each of its files the hash. Where several episodes
share a file it holds the hash of the episode's own share too, so that damage to one does not condemn the others.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wbvla.core.errors import DataError
from wbvla.core.files import sha256_of
from wbvla.data.format import CONTRACT, INFO, LABELS, MANIFEST_PATH, SEAL, STATS, TASKS, Info, require_written
from wbvla.data.journal import Commit, as_json

SCHEMA = 2
"""of what this package adds to LeRobot v3.0; `migrate.py` knows the steps from older ones"""


def manifest_of(
    episode: int, length: int, files: Sequence[tuple[str, Path]], row: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The manifest of an episode alone in its files, which lie, or lie for now, at the given paths.

    `row` is its meta row; statistics are left out of it.
    """
    facts = {name: {"sha256": sha256_of(path), "bytes": path.stat().st_size} for name, path in files}
    place = {k: v for k, v in (row or {}).items() if not k.startswith("stats/")}
    return signed({"episode_index": episode, "length": length, "row": place, "files": facts})


def signed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with the hash of its own content."""
    content = {k: v for k, v in manifest.items() if k != "self"}
    return {**content, "self": hashlib.sha256(as_json(content)).hexdigest()}


def read_manifest(root: Path, episode: int) -> dict[str, Any]:
    """Raises DataError when it is absent or does not match its own hash."""
    return _read_signed(Path(root) / MANIFEST_PATH.format(episode_index=episode))


def read_seal(root: Path) -> dict[str, Any]:
    """`schema`, `info`, `files` (hashes of the dataset's own files) and `texts` (contract and labels as they are).

    Raises DataError when it is absent or damaged, or was written by a newer release.
    """
    seal = _read_signed(Path(root) / SEAL)
    if seal.get("schema", 1) > SCHEMA:
        raise DataError(
            f"{root} was written by a newer release (schema {seal['schema']}, known {SCHEMA}); update wbvla"
        )
    return seal


def schema_of(root: Path) -> int:
    """Schema of what this package added to a dataset; 0 where it was made elsewhere and has no seal."""
    return int(read_seal(root).get("schema", 1)) if (Path(root) / SEAL).is_file() else 0


def stage_info(commit: Commit, info: Info) -> None:
    """Stage the seal and, last of the commit, info.json; raises DataError when `info` is of a version not written."""
    require_written(info, commit.path_after(INFO).parent.parent)
    sealed = (CONTRACT, LABELS, TASKS, STATS)
    paths = {name: commit.path_after(name) for name in sealed}
    files = {name: sha256_of(path) for name, path in paths.items() if path.is_file()}
    texts = {name: paths[name].read_text() for name in (CONTRACT, LABELS) if name in files}
    seal = {"schema": SCHEMA, "info": info.to_json(), "files": files, "texts": texts}
    commit.stage_bytes(SEAL, as_json(signed(seal)))
    commit.stage_bytes(INFO, as_json(info.to_json()))


def _read_signed(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    if not isinstance(value, dict) or signed(value) != value:
        raise DataError(f"{path} does not match its own hash")
    return value


def verify_file(root: Path, name: str, facts: Mapping[str, Any]) -> str:
    """What is wrong with one file, in words; empty when nothing is."""
    path = Path(root) / name
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != facts["bytes"]:
        return f"has {size} bytes, {facts['bytes']} were committed"
    return "" if sha256_of(path) == facts["sha256"] else "differs from its committed SHA-256"
