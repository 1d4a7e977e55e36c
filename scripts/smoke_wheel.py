"""Installs the built wheel, base dependencies only, into a fresh environment and uses the robot side without torch."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USE = """
import importlib, pkgutil, sys, time
began = time.perf_counter()
import wbvla.deploy
seconds = time.perf_counter() - began
assert seconds < 0.5, f'import wbvla.deploy took {seconds:.2f} s'
for module in pkgutil.iter_modules(wbvla.deploy.__path__):
    importlib.import_module(f'wbvla.deploy.{module.name}')
import wbvla.robots.platforms as platforms
from wbvla.deploy.lmo import LmoController
spec = platforms.load_robot('agibot_x2')
assert len(spec.joint_names) == 31
LmoController.load(platforms.shipped_lmo('agibot_x2'), spec).reset(spec.nominal_height_m)
heavy = {'torch', 'mujoco', 'pyarrow', 'av', 'transformers', 'safetensors'} & set(sys.modules)
assert not heavy, heavy
"""


def main(folder: Path) -> None:
    """Raises CalledProcessError when the wheel does not install or does not work."""
    (wheel,) = folder.glob("*.whl")
    with tempfile.TemporaryDirectory() as aside:
        python = Path(aside) / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", Path(aside) / "venv"], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        subprocess.run([*pip, "-c", ROOT / "constraints.txt", wheel], check=True)
        subprocess.run([python, "-c", USE], check=True, cwd=aside)
        subprocess.run([python.with_name("wbvla"), "--help"], check=True, cwd=aside, stdout=subprocess.DEVNULL)
    sys.stdout.write(f"{wheel.name}: installs and works without torch\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist"))
