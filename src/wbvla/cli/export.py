"""`wbvla export VLA LMO OUT`: join a trained VLA and a low-level controller into one bundle for deployment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wbvla.core.contract import SUMS, open_artefact
from wbvla.core.errors import ArtefactError
from wbvla.deploy.bundle import write_bundle
from wbvla.robots.platforms import shipped_lmo

SHIPPED = "shipped"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Join a trained VLA and a low-level controller into one bundle; both are verified and must fit each other."""

    vla: Annotated[Path, tyro.conf.Positional]
    """fine-tuning run, or the `vla` artefact inside it"""
    lmo: Annotated[str, tyro.conf.Positional]
    """`lmo` artefact, its run, or `shipped` for the one that comes with the VLA's robot"""
    out: Annotated[Path, tyro.conf.Positional]
    """folder of the bundle; an older bundle there is replaced"""


def artefact_of(folder: Path, kind: str) -> Path:
    """`folder` when it is an artefact itself, else the artefact named `kind` inside a run."""
    for path in (folder, folder / kind):
        if (path / SUMS).is_file():
            return path
    raise ArtefactError(f"no {kind} artefact in {folder} or {folder / kind}; is the run finished?")


def main(argv: list[str]) -> int:
    """Write the bundle and say what it binds."""
    options = tyro.cli(Options, args=argv, prog="wbvla export")
    vla = artefact_of(options.vla, "vla")
    lmo = shipped_lmo(_robot_of(vla)) if options.lmo == SHIPPED else artefact_of(Path(options.lmo), "lmo")
    bundle = write_bundle(options.out, vla, lmo)
    console = Console()
    console.print(f"bundle for [bold]{bundle.robot}[/bold]: {bundle.folder}")
    for part in (bundle.vla, bundle.lmo):
        console.print(f"  {part.contract.kind}  {part.digest[:16]}  {part.contract.rate_hz:g} Hz", soft_wrap=True)
    console.print(f"next: wbvla serve {bundle.folder}", soft_wrap=True)
    return 0


def _robot_of(vla: Path) -> str:
    """Robot of a VLA artefact."""
    return open_artefact(vla, "vla").contract.robot
