"""What the controller's environment asks of a physics engine that steps many worlds of one robot at once."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wbvla.core.errors import ConfigError


@runtime_checkable
class Engine(Protocol):
    """Many worlds of one model. State tensors are live: writing to one changes the worlds."""

    @property
    def num_worlds(self) -> int: ...

    @property
    def device(self) -> torch.device:
        """Where all tensors of the engine live."""
        ...

    def state(self, name: str) -> Float[Tensor, "world ..."]:
        """Live view of a state field (`qpos`, `qvel`, `ctrl`, `xfrc_applied` ...)."""
        ...

    def output(self, name: str) -> Float[Tensor, "world ..."]:
        """Field computed by the last step (`sensordata`, `actuator_force` ...); may be overwritten by its user."""
        ...

    def parameter(self, name: str) -> Float[Tensor, "world ..."]:
        """Live per-world values of a model field (`body_mass`, `geom_friction` ...).

        Call `commit` after changing masses, inertias or armature; other fields act at the next step.
        """
        ...

    def commit(self) -> None:
        """Make constants that derive from changed parameters follow them."""
        ...

    def step(self, substeps: int) -> None:
        """Advance all worlds by `substeps` physics steps and refresh the outputs."""
        ...

    def check(self) -> None:
        """Raise when the engine dropped contacts or constraints since the last look."""
        ...

    def snapshot(self) -> dict[str, Tensor]:
        """Copies on the host of everything a later `restore` needs to continue to the bit; parameters are not in it."""
        ...

    def restore(self, snapshot: Mapping[str, Tensor]) -> None:
        """Put a snapshot back."""
        ...


def check_snapshot(snapshot: Mapping[str, Tensor], mine: Mapping[str, Tensor]) -> None:
    """Raises ConfigError unless a snapshot has just the tensors, in shape and kind, that an engine would put there."""
    if snapshot.keys() != mine.keys():
        raise ConfigError(f"snapshot holds {sorted(snapshot)}, not {sorted(mine)}; does it come from another engine?")
    for name, tensor in mine.items():
        theirs, ours = ((tuple(t.shape), t.dtype) for t in (snapshot[name], tensor))
        if theirs != ours:
            raise ConfigError(f"snapshot's {name} {theirs} does not fit worlds of {ours}")


def began_anew(engine: Engine, before_s: Float[Tensor, " world"], passed_s: float) -> Bool[Tensor, " world"]:
    """Worlds that were no longer finite and that the engine put back to the model's pose while `passed_s` went by [s].

    They look like robots that stand; but their clock, which was at `before_s`, began at 0 again.
    """
    return (engine.state("time") < before_s + 0.5 * passed_s).flatten()
