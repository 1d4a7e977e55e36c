"""Draws cameras in a process of its own, so that real-time control never waits for an image.

The control side writes joint positions and their time into shared memory; the drawing side (this file run as a
program) takes the newest at its own rate and puts finished images back. Both directions use three slots and a
counter that is written last: the reader takes the slot of the newest count and checks that it was not overtaken.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import mujoco
import numpy as np

from wbvla.core.errors import RenderError, WbvlaError
from wbvla.core.records import Image
from wbvla.sim.camera import RenderConfig, Renderer, find_gl

NUM_SLOTS = 3
START_LIMIT_S = 60.0


class SlotRing:
    """Newest-value exchange of fixed-size byte records with a time stamp, one writer and any readers."""

    def __init__(self, path: Path, num_bytes: int, create: bool) -> None:
        mode = "w+" if create else "r+"
        self._head = np.memmap(path.with_suffix(".head"), np.int64, mode, shape=(1,))
        self._stamps = np.memmap(path.with_suffix(".stamps"), np.float64, mode, shape=(NUM_SLOTS,))
        self._slots = np.memmap(path, np.uint8, mode, shape=(NUM_SLOTS, num_bytes))

    def put(self, record: np.ndarray, time_s: float) -> None:
        """Publish bytes; never waits."""
        count = int(self._head[0]) + 1
        slot = count % NUM_SLOTS
        self._slots[slot], self._stamps[slot] = record, time_s
        self._head[0] = count

    def get(self) -> tuple[int, np.ndarray, float] | None:
        """Count, copy and time of the newest record; None before the first."""
        while True:
            count = int(self._head[0])
            if count == 0:
                return None
            record, stamp = self._slots[count % NUM_SLOTS].copy(), float(self._stamps[count % NUM_SLOTS])
            if int(self._head[0]) - count < NUM_SLOTS - 1:
                return count, record, stamp


def _state(data: mujoco.MjData) -> np.ndarray:
    """What drawing needs of a simulation state, as bytes."""
    parts = [data.qpos, data.mocap_pos.ravel(), data.mocap_quat.ravel()]
    return np.concatenate(parts).view(np.uint8)


def _restore(model: mujoco.MjModel, data: mujoco.MjData, record: np.ndarray) -> None:
    values = record.view(np.float64)
    nq, nm = model.nq, 3 * model.nmocap
    data.qpos[:] = values[:nq]
    data.mocap_pos[:] = values[nq : nq + nm].reshape(-1, 3)
    data.mocap_quat[:] = values[nq + nm :].reshape(-1, 4)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)


class RenderProcess:
    """The control side. `publish` and `latest` only copy memory."""

    def __init__(self, model: mujoco.MjModel, cameras: Sequence[str], config: RenderConfig, image_hz: float) -> None:
        find_gl()
        self._cameras, self._config = tuple(cameras), config
        shared = Path("/dev/shm")
        self._folder = Path(tempfile.mkdtemp(prefix="wbvla-", dir=shared if shared.is_dir() else None))
        mujoco.mj_saveModel(model, str(self._folder / "model.mjb"))
        self._states, self._frames = _rings(self._folder, model, len(cameras), config, create=True)
        job = {"cameras": list(cameras), "render": asdict(config), "image_hz": image_hz, "parent": os.getpid()}
        (self._folder / "job.json").write_text(json.dumps(job))
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        self.publish(data, time.monotonic())
        command = [sys.executable, "-m", "wbvla.sim.render_process", str(self._folder)]
        self._child = subprocess.Popen(command, start_new_session=True)  # Ctrl-C is for the loop: it still needs eyes
        self._await_first()

    def publish(self, data: mujoco.MjData, time_s: float) -> None:
        """Hand over the state to draw next; `time_s` becomes the stamp of its images."""
        self._states.put(_state(data), time_s)

    def latest(self) -> Mapping[str, Image]:
        """Newest finished images; raises RenderError when the drawing process has died."""
        if self._child.poll() is not None:
            raise RenderError(f"the drawing process ended with status {self._child.returncode}; start the body again")
        newest = self._frames.get()
        if newest is None:
            return {}
        _, record, stamp = newest
        shape = (len(self._cameras), self._config.height, self._config.width, 3)
        frames = record.reshape(shape)
        return {name: Image(rgb=rgb, time_s=stamp) for name, rgb in zip(self._cameras, frames)}

    def close(self) -> None:
        """End the process and remove its files; a second call does nothing."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _await_first(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while self._frames.get() is None:
            if self._child.poll() is not None or time.monotonic() > deadline:
                status = self._child.poll()
                self.close()
                raise RenderError(f"the drawing process gave no image within {START_LIMIT_S:.0f} s (status {status})")
            time.sleep(0.01)


def _rings(
    folder: Path, model: mujoco.MjModel, num_cameras: int, config: RenderConfig, create: bool
) -> tuple[SlotRing, SlotRing]:
    state_bytes = 8 * (model.nq + 7 * model.nmocap)
    frame_bytes = num_cameras * config.height * config.width * 3
    states = SlotRing(folder / "state", state_bytes, create)
    return states, SlotRing(folder / "frames", frame_bytes, create)


def draw_forever(folder: Path) -> None:
    """The drawing side: newest state in, images out, at the asked rate, until the parent is gone."""
    job = json.loads((folder / "job.json").read_text())
    model = mujoco.MjModel.from_binary_path(str(folder / "model.mjb"))
    data = mujoco.MjData(model)
    config = RenderConfig(**job["render"])
    states, frames = _rings(folder, model, len(job["cameras"]), config, create=False)
    renderer = Renderer(model, job["cameras"], config)
    deadline, drawn = time.monotonic(), 0
    while os.getppid() == job["parent"]:
        newest = states.get()
        if newest is not None and newest[0] != drawn:
            drawn, record, stamp = newest
            _restore(model, data, record)
            images = renderer.render(data)
            frames.put(np.concatenate([images[name].ravel() for name in job["cameras"]]), stamp)
        deadline = max(deadline + 1.0 / job["image_hz"], time.monotonic())
        time.sleep(max(0.0, deadline - time.monotonic()))
    renderer.close()


if __name__ == "__main__":
    try:
        with contextlib.suppress(KeyboardInterrupt):
            draw_forever(Path(sys.argv[1]))
    except WbvlaError as error:
        sys.exit(f"wbvla drawing process: {error}")
