"""What the controller's environment asks of a physics engine that steps many worlds of one robot at once."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Engine(Protocol):
    """Many worlds of one model. State tensors are live: writing to one changes the worlds."""

    @property
    def num_worlds(self) -> int: ...

    def state(self, name: str) -> Float[Tensor, "world ..."]:
        """Live view of a state field (`qpos`, `qvel`, `ctrl`, `xfrc_applied` ...)."""
        ...

    def output(self, name: str) -> Float[Tensor, "world ..."]:
        """Field computed by the last step (`sensordata`, `actuator_force` ...); may be overwritten by its user."""
        ...

    def parameter(self, name: str) -> Float[np.ndarray, "world ..."]:
        """Per-world values of a model field (`body_mass`, `geom_friction` ...); call `commit` after writing."""
        ...

    def commit(self) -> None:
        """Make constants that derive from changed parameters follow them."""
        ...

    def step(self, substeps: int) -> None:
        """Advance all worlds by `substeps` physics steps and refresh the outputs."""
        ...

    def snapshot(self) -> dict[str, Tensor]:
        """Copies of everything a later `restore` needs to continue to the bit."""
        ...

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Put a snapshot back."""
        ...
