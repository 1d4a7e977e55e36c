"""The CPU engine: `mujoco.batch` behind the engine interface, with its state rows seen as torch tensors."""

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from mujoco.batch import Batch
from torch import Tensor

from wbvla.core.errors import ConfigError


class MujocoEngine:
    """`num_worlds` copies of one MuJoCo model, stepped on `num_threads` threads.

    State tensors share memory with MuJoCo's state rows (nothing is copied). Outputs are copied after each step.
    Results do not depend on the number of threads.
    """

    def __init__(
        self, model: mujoco.MjModel, num_worlds: int, num_threads: int = 1, outputs: Sequence[str] = ()
    ) -> None:
        if num_worlds < 1 or num_threads < 1:
            raise ConfigError(f"engine needs worlds and threads >= 1, not {num_worlds} and {num_threads}")
        self.model = model
        self._batch = Batch(model, nsim=num_worlds, nthread=num_threads)
        self._sources = {name: self._batch.bind(name) for name in outputs}
        self._copies = {name: np.array(source) for name, source in self._sources.items()}
        self._states: dict[str, Tensor] = {}

    @property
    def num_worlds(self) -> int:
        return self._batch.nsim

    def state(self, name: str) -> Float[Tensor, "world ..."]:
        """Live float64 view of a state field; raises ValueError on a field that is no state."""
        if name not in self._states:
            array = self._batch.bind(name)
            if not array.flags.writeable:
                raise ConfigError(f"{name} is computed by the engine; ask for it by `output`")
            self._states[name] = torch.from_numpy(array)
        return self._states[name]

    def output(self, name: str) -> Float[Tensor, "world ..."]:
        """Float64 copy of a computed field, refreshed in place by `step`."""
        if name not in self._copies:
            raise ConfigError(f"{name} is not among the engine's outputs {list(self._copies)}; name it at the start")
        return torch.from_numpy(self._copies[name])

    def parameter(self, name: str) -> Float[np.ndarray, "world ..."]:
        """Live per-world values of a model field."""
        return self._batch.expand(name)

    def commit(self) -> None:
        """Run mj_setConst in every world."""
        self._batch.set_const()

    def step(self, substeps: int) -> None:
        """Advance all worlds; a world whose state is no longer finite is left for its user to reset."""
        self._batch.step(nstep=substeps)
        for name, copy in self._copies.items():
            np.copyto(copy, self._sources[name])

    def snapshot(self) -> dict[str, Tensor]:
        """State rows and outputs."""
        rows = {f"output.{name}": torch.from_numpy(copy.copy()) for name, copy in self._copies.items()}
        return {"state": torch.from_numpy(np.array(self._batch.state)), **rows}

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Raises ConfigError when the snapshot belongs to another model or number of worlds."""
        rows = snapshot["state"].numpy()
        if rows.shape != self._batch.state.shape:
            raise ConfigError(f"snapshot of {rows.shape} does not fit worlds of {self._batch.state.shape}")
        self._batch.state[...] = rows
        for name, copy in self._copies.items():
            np.copyto(copy, snapshot[f"output.{name}"].numpy())
