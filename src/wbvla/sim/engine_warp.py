"""The GPU engine: `mujoco-warp` behind the engine interface, its arrays seen as torch tensors on the same device."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp
from jaxtyping import Float
from torch import Tensor

from wbvla.core.errors import ConfigError
from wbvla.sim.engine import check_snapshot

STATE = (
    "time", "qpos", "qvel", "act", "history", "plastic", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied",
    "eq_active", "mocap_pos", "mocap_quat", "userdata",
)  # fmt: skip
"""all that a step reads of a world (MuJoCo's mjSTATE_INTEGRATION)"""
DERIVED = ("body_subtreemass", "body_invweight0", "dof_invweight0", "tendon_invweight0", "actuator_acc0")
"""model fields that follow from masses and inertias"""
LOST = (
    mjw.OverflowType.NEFC
    | mjw.OverflowType.NJMAX_NNZ
    | mjw.OverflowType.BROADPHASE
    | mjw.OverflowType.NARROWPHASE
    | mjw.OverflowType.CCD
    | mjw.OverflowType.HFIELD
    | mjw.OverflowType.EPA_HORIZON
)
"""overflows that change the physics; reaching the solver's iteration limit is a setting, not a loss"""
MAX_CONTACTS = 64
"""per world, where the pairs of geometries that may touch could make more"""
CHECK_EVERY = 64
"""calls of `step` between two looks at the overflow flags on a GPU: each look waits for the device"""
LARGEST = 1e10
"""positions and speeds beyond this are no longer physics (MuJoCo's mjMAXVAL)"""
UNROLLED = 10
"""up to this many solver iterations a captured graph runs all of them; above, it tests for convergence"""


class WarpEngine:
    """`num_worlds` copies of one MuJoCo model in float32 on `device` (`cuda:0`; `cpu` works and is slow).

    Nothing is copied to the host in a step: states, outputs and parameters are views of the engine's own arrays. On a
    GPU all substeps of one `step` are one CUDA graph. With `deterministic` contacts, constraint rows and sums have
    a fixed order there, so a run repeats to the bit; it costs speed. On a CPU it always does.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        device: str = "cpu",
        outputs: Sequence[str] = (),
        deterministic: bool = True,
    ) -> None:
        if num_worlds < 1:
            raise ConfigError(f"engine needs worlds >= 1, not {num_worlds}")
        self.model, self._num_worlds = model, num_worlds
        self._device = open_device(device)
        with wp.ScopedDevice(self._device):
            self._model = _put_model(model)
            contacts, rows = buffer_sizes(model, self._model.nxn_geom_pair_filtered.numpy())
            self._data = mjw.make_data(model, nworld=num_worlds, nconmax=contacts, njmax=rows)
        self._buffers = (contacts, rows)
        self._model.opt.warn_overflow = 0
        self._model.opt.graph_conditional = bool(model.opt.iterations > UNROLLED)
        self._model.opt.deterministic = deterministic and self._device.is_cuda
        unknown = [name for name in outputs if not isinstance(getattr(self._data, name, None), wp.array)]
        if unknown:
            raise ConfigError(f"mujoco-warp computes no {unknown[0]}; name fields of its Data")
        self._outputs = {name: self._view(getattr(self._data, name)) for name in outputs}
        self._states: dict[str, Tensor] = {}
        self._parameters: dict[str, Tensor] = {}
        self._graphs: dict[int, Any] = {}
        self._steps = 0
        self._overflow = self._view(self._data.overflow)
        self._broken = torch.zeros((), dtype=torch.long, device=self.device)
        self._moving = self._live()
        self._initial = {name: tensor[:1].clone() for name, tensor in self._moving.items()}

    @property
    def num_worlds(self) -> int:
        return self._num_worlds

    @property
    def device(self) -> torch.device:
        """Where all tensors live."""
        return torch.device(wp.device_to_torch(self._device))

    def _view(self, array: wp.array) -> Tensor:
        """The same memory as a torch tensor."""
        return wp.to_torch(array, requires_grad=False)

    def state(self, name: str) -> Float[Tensor, "world ..."]:
        """Live float32 view of a state field."""
        if name not in self._states:
            if name not in STATE:
                raise ConfigError(f"{name} is computed by the engine, or unknown; states: {', '.join(STATE)}")
            self._states[name] = self._view(getattr(self._data, name))
        return self._states[name]

    def output(self, name: str) -> Float[Tensor, "world ..."]:
        """Live float32 view of a computed field; the next `step` or `commit` overwrites it."""
        if name not in self._outputs:
            raise ConfigError(f"{name} is not among the engine's outputs {list(self._outputs)}; name it at the start")
        return self._outputs[name]

    def parameter(self, name: str) -> Float[Tensor, "world ..."]:
        """Live float32 view of per-world values of a model field; the first call makes the field per-world."""
        if name not in self._parameters:
            spec = next((f.type for f in fields(mjw.Model) if f.name == name), None)
            if getattr(spec, "shape", (None,))[:1] != ("*",):
                raise ConfigError(f"mujoco-warp has no per-world {name}")
            shared = getattr(self._model, name)
            rows = self._view(shared).expand(self._num_worlds, *shared.shape[1:], *_tail(shared)).contiguous().clone()
            array = wp.from_torch(rows, dtype=shared.dtype)
            setattr(self._model, name, array)
            self._parameters[name] = rows
            self._graphs.clear()
        return self._parameters[name]

    def commit(self) -> None:
        """What mj_setConst does, on the device in float32; states stay as they are."""
        for name in DERIVED:
            if self._view(getattr(self._model, name)).numel():
                self.parameter(name)
        with self._on_stream():
            mjw.set_const(self._model, self._data)

    def step(self, substeps: int) -> None:
        """Advance all worlds; one whose state is no longer finite begins anew at the model's pose, as in MuJoCo."""
        if not self._device.is_cuda:
            with wp.ScopedDevice(self._device):
                self._substeps(substeps)
        else:
            if substeps not in self._graphs:
                self._graphs[substeps] = self._capture(substeps)
            with self._on_stream():
                wp.capture_launch(self._graphs[substeps])
        self._mend()
        self._steps += 1
        if not self._device.is_cuda or self._steps % CHECK_EVERY == 0:
            self.check()

    def _substeps(self, substeps: int) -> None:
        for _ in range(substeps):
            mjw.step(self._model, self._data)

    def _mend(self) -> None:
        """Put worlds with impossible states back to the initial one (mj_checkPos, mj_checkVel)."""
        state = torch.cat([self._moving["qpos"], self._moving["qvel"]], dim=1)
        broken = ~(state.abs() < LARGEST).all(dim=1)
        self._broken += broken.sum()
        for name, tensor in self._moving.items():
            tensor.copy_(torch.where(broken.reshape(-1, *[1] * (tensor.dim() - 1)), self._initial[name], tensor))

    def _capture(self, substeps: int) -> Any:
        """CUDA graph of the substeps; a first run outside of it loads the kernels, its effect is undone."""
        torch.cuda.synchronize(self.device)
        before = {name: tensor.clone() for name, tensor in self._moving.items()}
        with wp.ScopedDevice(self._device):
            self._substeps(1)
            wp.synchronize_device(self._device)
            for name, tensor in before.items():
                self._moving[name].copy_(tensor)
            torch.cuda.synchronize(self.device)
            with wp.ScopedCapture(self._device) as capture:
                self._substeps(substeps)
        return capture.graph

    def _on_stream(self) -> Any:
        """Launches within come in order with torch's own."""
        if not self._device.is_cuda:
            return wp.ScopedDevice(self._device)
        return wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(self.device)))

    def check(self) -> None:
        """Raises ConfigError when contacts or constraints did not fit their buffers since the last look.

        Warns of worlds that had to begin anew.
        """
        broken = int(self._broken)
        if broken:
            self._broken.zero_()
            warnings.warn(f"{broken} worlds were no longer finite and began anew", RuntimeWarning, stacklevel=3)
        lost = (self._overflow & int(LOST)) != 0
        worlds = int(lost.sum())
        if worlds:
            kinds = mjw.OverflowType(int(self._overflow[lost].max()) & int(LOST))
            contacts, rows = self._buffers
            self._overflow.zero_()
            raise ConfigError(
                f"{worlds} of {self._num_worlds} worlds had more than {contacts} contacts or {rows} constraint rows "
                f"({kinds.name}): raise wbvla.sim.engine_warp.MAX_CONTACTS, or let fewer geometries collide"
            )

    def _live(self) -> dict[str, Tensor]:
        """Every state and output this model has."""
        states = {name: getattr(self._data, name) for name in STATE}
        rows = {name: self._view(array) for name, array in states.items() if array.size}
        return rows | {f"output.{name}": tensor for name, tensor in self._outputs.items()}

    def snapshot(self) -> dict[str, Tensor]:
        """States and outputs, on the host."""
        self.check()
        return {name: tensor.to("cpu", copy=True) for name, tensor in self._moving.items()}

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Raises ConfigError when the snapshot belongs to another model, engine or number of worlds."""
        check_snapshot(snapshot, self._moving)
        for name, tensor in self._moving.items():
            tensor.copy_(snapshot[name])
        self._overflow.zero_()


def open_device(name: str) -> wp.Device:
    """Warp's device of that name; raises ConfigError when this machine has none."""
    if wp.config.log_level == wp.LOG_INFO:
        wp.config.log_level = wp.LOG_WARNING
    wp.init()
    try:
        return wp.get_device(name)
    except (ValueError, RuntimeError) as error:
        have = ", ".join(str(device) for device in wp.get_devices())
        raise ConfigError(f"mujoco-warp finds no device {name!r}; here: {have}") from error


def _put_model(model: mujoco.MjModel) -> mjw.Model:
    try:
        return mjw.put_model(model)
    except (NotImplementedError, ValueError) as error:
        raise ConfigError(f"mujoco-warp cannot run this model: {error} Use engine mujoco") from error


def _tail(array: wp.array) -> tuple[int, ...]:
    """Shape of one element: (3,) of a vec3, () of a number."""
    return tuple(getattr(array.dtype, "_shape_", ()))


def buffer_sizes(model: mujoco.MjModel, pairs: np.ndarray) -> tuple[int, int]:
    """Contacts and constraint rows that one world can have at most, the contacts capped at MAX_CONTACTS.

    A sphere touches a convex shape at one point, a capsule at two, boxes at eight (MuJoCo's documentation, "Collision
    detection"). A contact has 2 (condim - 1) rows in a pyramidal cone, condim in an elliptic one.
    """
    round_ = {int(mujoco.mjtGeom.mjGEOM_SPHERE): 1, int(mujoco.mjtGeom.mjGEOM_CAPSULE): 2}
    contacts = sum(min(round_.get(int(model.geom_type[g]), 8) for g in pair) for pair in pairs.reshape(-1, 2))
    condim = int(max([1, *model.geom_condim, *model.pair_dim]))
    cone = condim if model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC else 2 * (condim - 1)
    contacts = min(max(contacts, 1), MAX_CONTACTS)
    limits = 2 * int(np.count_nonzero(model.jnt_limited) + np.count_nonzero(model.tendon_limited))
    friction = model.nv + model.ntendon
    return contacts, contacts * max(1, cone) + limits + friction + 6 * model.neq
