"""`wbvla keys DIR`: make the CURVE keys with which a robot and its server know each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from wbvla.deploy.keys import make_keys


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make key pairs for a server and a robot; pairs that exist are kept. Secrets are readable by you alone."""

    folder: Annotated[Path, tyro.conf.Positional]
    """folder for the keys"""
    name: str = "robot"
    """name under which the server allows this robot"""


def main(argv: list[str]) -> int:
    """Make the keys and say what belongs where."""
    options = tyro.cli(Options, args=argv, prog="wbvla keys")
    files = make_keys(options.folder, options.name)
    console = Console()
    for path in files:
        console.print(f"  {path.stat().st_mode & 0o777:o}  {path}", soft_wrap=True)
    console.print(
        "the server needs server.public, server.secret and allowed/; "
        "a robot needs client.public, client.secret and server.public\n"
        "never copy a .secret to the other side; to let another robot in, put its client.public into allowed/",
        soft_wrap=True,
    )
    return 0
