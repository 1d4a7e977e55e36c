"""What is deployed together: a `vla/` and an `lmo/` artefact, and a manifest that binds their digests."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wbvla.core.contract import Artefact, open_artefact, require_match
from wbvla.core.errors import ArtefactError
from wbvla.core.files import fsync_folder, write_json

MANIFEST, VERSION = "bundle.json", 1
PARTS = ("vla", "lmo")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An opened bundle: both artefacts verified, their digests as the manifest has them."""

    folder: Path
    vla: Artefact
    lmo: Artefact

    @property
    def robot(self) -> str:
        """Robot both parts are made for."""
        return self.lmo.contract.robot


def write_bundle(folder: Path, vla: Path, lmo: Path) -> Bundle:
    """Copy both artefacts and bind them; the folder appears whole or not at all, replacing an older bundle.

    Raises ContractMismatch when the parts do not fit each other, ArtefactError when one is damaged.
    """
    parts = {"vla": open_artefact(vla, "vla"), "lmo": open_artefact(lmo, "lmo")}
    require_pair(parts["vla"], parts["lmo"])
    folder = Path(folder)
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise ArtefactError(f"{folder} exists and is no bundle; choose another folder or remove it")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    for name, part in parts.items():
        shutil.copytree(part.folder, aside / name)
    bound = {name: {"sha256": part.digest, "robot": part.contract.robot} for name, part in parts.items()}
    write_json(aside / MANIFEST, {"version": VERSION, "robot": parts["lmo"].contract.robot, "parts": bound})
    _swap(aside, folder)
    return open_bundle(folder)


def _swap(aside: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(aside, folder)
    fsync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def open_bundle(folder: Path) -> Bundle:
    """Verify every file of both parts, the manifest and the fit; raises ArtefactError or ContractMismatch."""
    folder = Path(folder)
    manifest = _manifest(folder)
    parts = {name: open_artefact(folder / name, name) for name in PARTS}
    for name, part in parts.items():
        if manifest["parts"].get(name, {}).get("sha256") != part.digest:
            raise ArtefactError(f"{folder / name} is not the artefact that {MANIFEST} binds; export the bundle again")
    require_pair(parts["vla"], parts["lmo"])
    return Bundle(folder=folder, vla=parts["vla"], lmo=parts["lmo"])


def _manifest(folder: Path) -> Mapping[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtefactError(f"{folder} is no bundle: it has no {MANIFEST}; make one with `wbvla export`")
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise ArtefactError(f"{path} is not JSON ({error}); export the bundle again") from error
    if manifest.get("version") != VERSION or "parts" not in manifest:
        raise ArtefactError(f"{path} has version {manifest.get('version')}, this release reads {VERSION}")
    return manifest


def require_pair(vla: Artefact, lmo: Artefact) -> None:
    """Raises unless the VLA is fine-tuned and both are for one robot with the same height range."""
    stage = vla.contract.details.get("stage")
    if stage != "ready":
        raise ArtefactError(f"the VLA in {vla.folder} is {stage!r}: it cannot act yet; fine-tune it first")
    ours: dict[str, Any] = {"robot": vla.contract.robot}
    theirs: dict[str, Any] = {"robot": lmo.contract.robot}
    if "height_range_m" in lmo.contract.details:
        ours["height_range_m"] = list(vla.contract.details["action"]["height_range_m"])
        theirs["height_range_m"] = list(lmo.contract.details["height_range_m"])
    require_match("the VLA and the low-level controller", ours, theirs)
