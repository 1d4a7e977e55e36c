"""Finds robots by name, and the low-level policies that come with the package."""

from pathlib import Path

from wbvla.core.errors import ArtefactError
from wbvla.robots import agibot_x2, unitree_g1
from wbvla.robots.description import RobotSpec, robots

SHIPPED = (agibot_x2.agibot_x2, unitree_g1.unitree_g1)
"""robots of this package; importing their files registers them"""
POLICIES = Path(__file__).parent / "policies"


def load_robot(name: str) -> RobotSpec:
    """The robot registered under `name`, ours or a third party's; raises UnknownName with the closest names."""
    return robots.build(name)


def shipped_lmo(name: str) -> Path:
    """Folder of the low-level policy shipped for a robot; raises ArtefactError when there is none."""
    folder = POLICIES / f"{name}_lmo"
    if not folder.is_dir():
        have = sorted(p.name.removesuffix("_lmo") for p in POLICIES.glob("*_lmo"))
        raise ArtefactError(
            f"no low-level policy is shipped for {name!r}; shipped: {have or 'none'}. Train one with a recipe of "
            "`wbvla train --help`, then `wbvla lmo export`"
        )
    return folder
