"""`wbvla doctor`: what this computer has, what is missing, and what to do about each failing line."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from wbvla.core import machine
from wbvla.core.machine import Finding

DRAW = """
import mujoco
from wbvla.sim.camera import RenderConfig, Renderer, find_gl
scene = '<geom size=".3" rgba="1 .9 .8 1"/><camera name="eye" pos="0 -2 0" zaxis="0 -1 0"/>'
model = mujoco.MjModel.from_xml_string(f'<mujoco><worldbody>{scene}</worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = Renderer(model, ['eye'], RenderConfig(width=64, height=48))
picture = renderer.render(data)['eye']
renderer.close()
assert picture[24, 32].max() > picture[2, 2].max() + 20, 'the picture is empty'
print(f'{find_gl()} draws off-screen')
"""
DRAW_REMEDY = "make setup   (it finds an OpenGL, or names the packages to install)"


def findings(folder: Path) -> list[Finding]:
    """All checks, in the order they are printed."""
    return [
        machine.check_python(),
        *machine.check_packages(),
        machine.check_cpu(),
        machine.check_memory(),
        machine.check_disk(folder),
        machine.check_gpu(),
        machine.check_renderer(DRAW, DRAW_REMEDY),
    ]


def table(rows: list[Finding]) -> Table:
    """Rows as they are shown; the remedy only where a line fails."""
    shown = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        mark = "[green]ok[/]" if row.ok else ("[red]FAIL[/]" if row.required else "[yellow]note[/]")
        shown.add_row(mark, row.subject, row.found if row.ok else f"{row.found}\n[bold]-> {row.remedy}[/]")
    return shown


def main(argv: list[str]) -> int:
    """Exit code 0 when everything that `wbvla demo` needs is here, else 1."""
    parser = argparse.ArgumentParser(prog="wbvla doctor", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(), help="where runs will be written")
    options = parser.parse_args(argv)
    console = Console()
    with console.status("looking (a test picture takes some seconds)"):
        rows = findings(options.folder.resolve())
    console.print(table(rows))
    failed = [r.subject for r in rows if r.required and not r.ok]
    verdict = f"[red]missing: {', '.join(failed)}[/]" if failed else "[green]ready for `wbvla demo`[/]"
    console.print(f"\n{verdict}")
    return 1 if failed else 0
