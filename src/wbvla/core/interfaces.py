"""The four seams of the runtime: Body, Policy, Driver, Observer. A simulated body and a real one look the same."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from wbvla.core.records import Action, BodyState, Image, JointTarget, Observation, Tick


@runtime_checkable
class Body(Protocol):
    """A robot, real or simulated, at the control rate. Only the control thread calls it."""

    @property
    def joint_names(self) -> Sequence[str]:
        """Order of all joint arrays."""
        ...

    @property
    def control_hz(self) -> float:
        """Control ticks per second [Hz]."""
        ...

    def read(self) -> BodyState:
        """Latest proprioception; never blocks."""
        ...

    def images(self) -> Mapping[str, Image]:
        """Latest frame of each camera, with stamps; never blocks on a camera (a lock-step body may render here)."""
        ...

    def write(self, target: JointTarget) -> None:
        """Send PD targets; raises RobotError on a wrong shape or a NaN."""
        ...

    def tick(self) -> float:
        """Wait for the next control tick (lock-step bodies advance their physics instead); returns its time [s]."""
        ...

    def close(self) -> None:
        """Leave the robot in a safe, damped state and free what was taken."""
        ...


@runtime_checkable
class Policy(Protocol):
    """Observation in, action chunk out."""

    def reset(self) -> None:
        """Forget the past; called at the start of each episode."""
        ...

    def act(self, observation: Observation) -> Action:
        """The next chunk."""
        ...


@runtime_checkable
class Driver(Protocol):
    """Who produces actions while data is collected: an expert, a teleoperator, a policy."""

    instruction: str

    def reset(self) -> None:
        """Forget the past; called at the start of each episode."""
        ...

    def act(self, observation: Observation) -> Action | None:
        """The next chunk, or None when the demonstration is over."""
        ...


@runtime_checkable
class Observer(Protocol):
    """Someone who watches the control loop: recorder, metrics, flight recorder. Must be quick."""

    def observe(self, tick: Tick) -> None:
        """Called once per control tick, after the body was written."""
        ...
