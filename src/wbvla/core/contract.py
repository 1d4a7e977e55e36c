"""What an artefact promises and the folder that holds it; refused, difference named, where it does not fit."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wbvla.core.errors import ArtefactError, ContractMismatch
from wbvla.core.files import fsync_folder, sha256_of, write_bytes, write_json

CONTRACT_VERSION = 1
SUMS = "SHA256SUMS"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The promises of one artefact; `details` holds what only its kind knows (gains, cameras, statistics ...)."""

    kind: str
    """`lmo`, `lam`, `vla` or `bundle`"""
    robot: str
    """robot name, or `any`"""
    joint_names: tuple[str, ...] = ()
    """joints it reads or drives, in order"""
    rate_hz: float
    """rate at which it is called [Hz]"""
    details: Mapping[str, Any] = field(default_factory=dict)
    version: int = CONTRACT_VERSION

    def to_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self), allow_nan=False))

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Contract":
        """Raises ArtefactError on a missing field or another version."""
        try:
            if value["version"] != CONTRACT_VERSION:
                raise ArtefactError(
                    f"contract version {value['version']} is not readable by this release "
                    f"(version {CONTRACT_VERSION}); export the artefact again"
                )
            return Contract(**{**value, "joint_names": tuple(value["joint_names"])})
        except (KeyError, TypeError) as error:
            raise ArtefactError(f"contract.json is incomplete: {error}") from error


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """One line per leaf where two JSON-like values differ."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        keys = list(ours) + [k for k in theirs if k not in ours]
        parts = (differences(ours.get(k), theirs.get(k), f"{path}.{k}" if path else str(k)) for k in keys)
        return [line for part in parts for line in part]
    same_kind = isinstance(ours, list | tuple) and isinstance(theirs, list | tuple)
    equal = list(ours) == list(theirs) if same_kind else ours == theirs
    return [] if equal else [f"{path}: {ours!r} here, {theirs!r} there"]


def require_match(subject: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Raises ContractMismatch naming every key of `ours` that differs in `theirs`."""
    found = differences(dict(ours), {k: theirs.get(k) for k in ours})
    if found:
        raise ContractMismatch(subject, found)


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """An opened artefact folder: verified files, its contract and resolved configuration."""

    folder: Path
    contract: Contract
    config: Mapping[str, Any]

    def file(self, name: str) -> Path:
        """Path of one of its files; raises ArtefactError when it has none of that name."""
        path = self.folder / name
        if not path.is_file():
            have = ", ".join(sorted(p.name for p in self.folder.iterdir()))
            raise ArtefactError(f"{self.folder} has no {name}; it holds {have}")
        return path

    @property
    def digest(self) -> str:
        """SHA-256 of SHA256SUMS: one hash that binds every file."""
        return sha256_of(self.folder / SUMS)


def write_artefact(
    folder: Path, contract: Contract, config: Mapping[str, Any], card: str, files: Mapping[str, bytes]
) -> Artefact:
    """Write `files`, contract.json, config.json, card.md and SHA256SUMS; the folder appears whole or not at all."""
    folder = Path(folder)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name, content in files.items():
        write_bytes(aside / name, content)
    write_json(aside / "contract.json", contract.to_json())
    write_json(aside / "config.json", dict(config))
    write_bytes(aside / "card.md", card.encode())
    names = sorted(p.name for p in aside.iterdir())
    sums = "".join(f"{sha256_of(aside / name)}  {name}\n" for name in names)
    write_bytes(aside / SUMS, sums.encode())
    _swap(aside, folder)
    return open_artefact(folder, contract.kind)


def _swap(aside: Path, folder: Path) -> None:
    """Put `aside` in the place of `folder`; an older folder is kept until the new one stands."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(aside, folder)
    fsync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def open_artefact(folder: Path, kind: str) -> Artefact:
    """Verify every hash and the kind; raises ArtefactError naming the file that is wrong."""
    folder = Path(folder)
    if not (folder / SUMS).is_file():
        raise ArtefactError(f"{folder} is no artefact: it has no {SUMS}")
    for line in (folder / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        if Path(name).name != name:
            raise ArtefactError(f"{folder}/{SUMS} names a file outside the folder: {name!r}")
        path = folder / name
        if not path.is_file() or sha256_of(path) != digest:
            raise ArtefactError(f"{path} is missing or differs from {SUMS}; copy or export the artefact again")
    contract = Contract.from_json(json.loads((folder / "contract.json").read_text()))
    if contract.kind != kind:
        raise ArtefactError(f"{folder} is a {contract.kind!r} artefact, asked for {kind!r}")
    return Artefact(folder=folder, contract=contract, config=json.loads((folder / "config.json").read_text()))
