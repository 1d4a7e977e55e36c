"""Draws cameras without a screen, by the first OpenGL that works here: EGL, then OSMesa."""

import functools
import importlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Bool, Float, UInt8

from wbvla.core.errors import ConfigError, RenderError
from wbvla.sim.appearance import CEILING_GROUP

PROBE = """
from mujoco.{name} import GLContext
context = GLContext(16, 16)
context.make_current()
from OpenGL import GL
assert GL.glGetString(GL.GL_VERSION)
context.free()
"""
PACKAGES = {"egl": "libegl1 libgl1-mesa-dri", "osmesa": "libosmesa6"}
SHADOW_MAP = 4096
"""edge of the shadow map [px]"""
UNSEEN = 5
"""a group of geometries that is never drawn"""
FINE = 256
"""higher images draw round things with all their facets; a third fewer save 30 % and are not seen on small ones [px]"""
FOUND = "WBVLA_GL"
"""environment variable that spares child processes the probe"""


@functools.cache
def find_gl() -> str:
    """The OpenGL to draw with: `MUJOCO_GL` if that names one, else EGL, else OSMesa; each is tried in a process
    of its own, because one that fails can take its process down.

    Raises RenderError with the command that installs one.
    """
    if sys.platform == "darwin":
        return "cgl"
    if os.environ.get(FOUND) in PACKAGES:
        return os.environ[FOUND]
    asked = os.environ.get("MUJOCO_GL", "")
    reasons = []
    for name in (asked,) if asked in PACKAGES else tuple(PACKAGES):
        reason = _probe(name)
        if not reason:
            os.environ.update({FOUND: name, "MUJOCO_GL": name, "PYOPENGL_PLATFORM": name})
            return name
        reasons.append(f"{name}: {reason}")
    raise RenderError(
        f"no OpenGL works here ({'; '.join(reasons)}). On Debian or Ubuntu run: "
        f"sudo apt-get install -y {' '.join(PACKAGES.values())}"
    )


def _probe(name: str) -> str:
    """Empty when this OpenGL works, else why not."""
    environment = {**os.environ, "MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
    command = [sys.executable, "-c", PROBE.format(name=name)]
    try:
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "no answer within 60 s"
    lines = result.stderr.strip().splitlines()
    return "" if result.returncode == 0 else (lines[-1] if lines else f"exit status {result.returncode}")


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """Size and quality of the images of one renderer."""

    width: int = 160
    """[px]"""
    height: int = 120
    """[px]"""
    shadows: bool = False
    """cast shadows, at three times the cost without a graphics card; the ceiling is not drawn then"""
    samples: int = 0
    """samples per pixel against jagged edges; 0 = one"""


class Renderer:
    """Draws the named cameras of one model. Belongs to the thread that made it; `close` frees its OpenGL."""

    def __init__(self, model: mujoco.MjModel, cameras: Sequence[str], config: RenderConfig) -> None:
        known = [model.camera(i).name for i in range(model.ncam)]
        unknown = [name for name in cameras if name not in known]
        if unknown:
            raise ConfigError(f"the model has no cameras {unknown}; it has {known}")
        self.model, self.cameras, self.config = model, tuple(cameras), config
        name = find_gl()
        self._gl = importlib.import_module(f"mujoco.{name}").GLContext(config.width, config.height)
        self._gl.make_current()
        model.vis.global_.offwidth, model.vis.global_.offheight = config.width, config.height
        model.vis.quality.offsamples = config.samples
        model.vis.quality.numslices, model.vis.quality.numstacks = (28, 16) if config.height > FINE else (16, 10)
        model.vis.quality.shadowsize = SHADOW_MAP if config.shadows else 0
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 64)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = config.shadows
        self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._option, self._perturb = mujoco.MjvOption(), mujoco.MjvPerturb()
        self._option.geomgroup[CEILING_GROUP] = not config.shadows
        self._view = mujoco.MjvCamera()
        self._view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._rect = mujoco.MjrRect(0, 0, config.width, config.height)

    def render(self, data: mujoco.MjData) -> Mapping[str, UInt8[np.ndarray, "height width 3"]]:
        """One colour image per camera; `data` must have had its kinematics computed."""
        images = {}
        for name in self.cameras:
            self._draw(data, name)
            rgb = np.empty((self.config.height, self.config.width, 3), dtype=np.uint8)
            mujoco.mjr_readPixels(rgb, None, self._rect, self._context)
            images[name] = np.ascontiguousarray(rgb[::-1])
        return images

    def render_depth(
        self, data: mujoco.MjData, cameras: Sequence[str] | None = None
    ) -> Mapping[str, Float[np.ndarray, "height width"]]:
        """Distance along each camera's optical axis [m], float32; of all cameras or of those named."""
        images = {}
        extent = self.model.stat.extent
        near, far = self.model.vis.map.znear * extent, self.model.vis.map.zfar * extent
        for name in self.cameras if cameras is None else cameras:
            self._draw(data, name)
            raw = np.empty((self.config.height, self.config.width), dtype=np.float32)
            mujoco.mjr_readPixels(None, raw, self._rect, self._context)
            depth = near * far / (near + raw.astype(np.float64) * (far - near))
            images[name] = np.ascontiguousarray(depth[::-1].astype(np.float32))
        return images

    def close(self) -> None:
        """Free OpenGL; a second call does nothing."""
        if self._gl is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._gl = None

    def _draw(self, data: mujoco.MjData, camera: str) -> None:
        if self._gl is None:
            raise RenderError("this renderer is closed; make a new one")
        self._gl.make_current()
        self._view.fixedcamid = index = int(self.model.camera(camera).id)
        everything, groups = mujoco.mjtCatBit.mjCAT_ALL, self.model.geom_group.copy()
        if not self.config.shadows:  # what is out of view may still throw a shadow into it
            self.model.geom_group[out_of_view(self.model, data, index, self.config.width / self.config.height)] = UNSEEN
        try:
            mujoco.mjv_updateScene(self.model, data, self._option, self._perturb, self._view, everything, self._scene)
        finally:
            self.model.geom_group[:] = groups
        mujoco.mjr_render(self._rect, self._scene, self._context)


def out_of_view(model: mujoco.MjModel, data: mujoco.MjData, camera: int, aspect: float) -> Bool[np.ndarray, " geom"]:
    """Geometries whose bounding sphere lies outside a camera's picture; MuJoCo itself would draw them all.

    Half of a furnished room and of the robot is behind or beside each camera: leaving it out saves a third of the time.
    """
    centres = (data.geom_xpos - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
    radius, depth = model.geom_rbound * 1.01 + 0.005, -centres[:, 2]
    high = np.tan(np.deg2rad(model.cam_fovy[camera]) / 2.0)
    beside = depth < -radius
    for axis, slope in ((0, high * aspect), (1, high)):
        beside |= np.abs(centres[:, axis]) > slope * depth + radius * np.hypot(1.0, slope)
    plain = model.cam_sensorsize[camera, 1] == 0.0 and not model.cam_projection[camera]
    return beside & (model.geom_rbound > 0.0) & plain
