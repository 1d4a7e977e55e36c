"""The robot side runs without torch or a simulator, starts fast, and the command line answers at once."""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "torch", "transformers", "safetensors", "rsl_rl", "mujoco", "mink", "gymnasium", "pyarrow", "av", "matplotlib",
    "scipy", "peft", "accelerate", "onnx", "beartype", "pandas", "psutil", "tensorboard", "h5py",
)  # fmt: skip
BLOCK = f"""
import sys

class NotInstalled:
    '''As in an environment with the base dependencies only: anything heavier is absent.'''

    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}} in the base environment', name=name)

sys.meta_path.insert(0, NotInstalled())
"""
IMPORT_ALL = """
import importlib, json, pkgutil
import wbvla.core, wbvla.robots, wbvla.deploy
found = []
for package in (wbvla.core, wbvla.robots, wbvla.deploy):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):
        importlib.import_module(module.name)
        found.append(module.name)
print(json.dumps(found))
"""


def run(code: str, *, cwd: Path = ROOT) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_module_of_the_robot_side_imports_in_a_base_environment() -> None:
    modules = json.loads(run(BLOCK + IMPORT_ALL))
    assert {"wbvla.core.records", "wbvla.robots.platforms", "wbvla.deploy.runtime", "wbvla.deploy.link"} <= set(modules)


def test_shipped_controllers_answer_in_a_base_environment() -> None:
    """A stand-still observation goes through the shipped ONNX controller with no torch in reach."""
    code = BLOCK + (
        "import numpy as np\n"
        "from wbvla.core.command import Command\n"
        "from wbvla.core.records import BodyState\n"
        "from wbvla.deploy.lmo import LmoController\n"
        "from wbvla.robots.platforms import load_robot, shipped_lmo\n"
        "spec = load_robot('agibot_x2')\n"
        "lmo = LmoController.load(shipped_lmo('agibot_x2'), spec)\n"
        "lmo.reset(spec.nominal_height_m)\n"
        "n = len(spec.joint_names)\n"
        "state = BodyState(time_s=0.0, q=spec.column('default'), dq=np.zeros(n), torque=np.zeros(n),\n"
        "    gripper=np.ones(2), gyro_b=np.zeros(3), gravity_b=np.array([0.0, 0.0, -1.0]))\n"
        "target = lmo.step(state, Command(height_m=spec.nominal_height_m))\n"
        "assert target.shape == (13,) and np.isfinite(target).all()\n"
    )
    run(code)


def test_import_of_deploy_is_fast_and_light() -> None:
    code = (
        "import sys, time\nstart = time.perf_counter()\nimport wbvla.deploy\n"
        "print(time.perf_counter() - start)\nassert 'torch' not in sys.modules\n"
    )
    assert min(float(run(code)) for _ in range(3)) < 0.5


def test_help_answers_within_a_second() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([Path(sys.executable).with_name("wbvla"), "--help"], capture_output=True, text=True)
        times.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert "usage: wbvla VERB" in done.stdout
    assert min(times) < 1.0


def test_built_wheel_works_in_a_true_base_environment(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "-q", "--outdir", tmp_path, ROOT], check=True)
    subprocess.run([sys.executable, ROOT / "scripts" / "smoke_wheel.py", tmp_path], check=True)
