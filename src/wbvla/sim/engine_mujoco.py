"""The CPU engine: `mujoco.batch` behind the engine interface, with its state rows seen as torch tensors."""

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np
import torch
from jaxtyping import Float
from mujoco.batch import Batch
from torch import Tensor

from wbvla.core.errors import ConfigError
from wbvla.sim.engine import check_snapshot


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
        self._parameters: dict[str, Tensor] = {}

    @property
    def num_worlds(self) -> int:
        return self._batch.nsim

    @property
    def device(self) -> torch.device:
        """Always the CPU."""
        return torch.device("cpu")

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

    def parameter(self, name: str) -> Float[Tensor, "world ..."]:
        """Live per-world float64 values of a model field."""
        if name not in self._parameters:
            self._parameters[name] = torch.from_numpy(self._batch.expand(name))
        return self._parameters[name]

    def commit(self) -> None:
        """Run mj_setConst in every world."""
        self._batch.set_const()

    def step(self, substeps: int) -> None:
        """Advance all worlds; one whose state is no longer finite begins anew at the model's pose (MuJoCo warns)."""
        self._batch.step(nstep=substeps)
        for name, copy in self._copies.items():
            np.copyto(copy, self._sources[name])

    def check(self) -> None:
        """Nothing to raise: MuJoCo's memory fits the model, and where it does not MuJoCo itself warns of it."""

    def snapshot(self) -> dict[str, Tensor]:
        """State rows and outputs."""
        return {name: tensor.clone() for name, tensor in self._live().items()}

    def _live(self) -> dict[str, Tensor]:
        rows = {f"output.{name}": torch.from_numpy(copy) for name, copy in self._copies.items()}
        return {"state": torch.from_numpy(self._batch.state), **rows}

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Raises ConfigError when the snapshot belongs to another model, engine or number of worlds."""
        mine = self._live()
        check_snapshot(snapshot, mine)
        for name, tensor in mine.items():
            tensor.copy_(snapshot[name])
