"""The seam between VLA and LMO: three ternary flags and a stance height, and how flags become a reference velocity."""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from wbvla.core.errors import ConfigError

Array = TypeVar("Array", bound=Any)
FLAG_NAMES = ("s_x", "s_y", "s_psi")
HELD, PRINTED = "held", "printed"


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a VLA may ask of the controller: start or stop along each axis, and how high to stand.

    Source: WholeBodyVLA, arXiv 2512.11047.

    Right-handed body frame: x forward, y left, psi counter-clockwise seen from above.
    """

    s_x: int = 0
    """-1 backward, 0 stop, 1 forward"""
    s_y: int = 0
    """-1 right, 0 stop, 1 left"""
    s_psi: int = 0
    """-1 clockwise (right), 0 stop, 1 counter-clockwise (left)"""
    height_m: float
    """stance height in the robot's own height frame [m]"""

    def __post_init__(self) -> None:
        for name in FLAG_NAMES:
            if getattr(self, name) not in (-1, 0, 1):
                raise ConfigError(f"command flag {name} must be -1, 0 or 1, not {getattr(self, name)!r}")
        if not np.isfinite(self.height_m):
            raise ConfigError(f"command height must be finite, not {self.height_m!r}")

    @property
    def flags(self) -> tuple[int, int, int]:
        return (self.s_x, self.s_y, self.s_psi)

    @property
    def is_stand(self) -> bool:
        """True when no motion is asked for (the height may still change)."""
        return self.flags == (0, 0, 0)

    def vector(self) -> Float[np.ndarray, "4"]:
        """`[s_x, s_y, s_psi, h]` as float64, h in [m]."""
        return np.array([*self.flags, self.height_m], dtype=np.float64)

    @staticmethod
    def from_vector(vector: Float[np.ndarray, "4"]) -> "Command":
        """Inverse of `vector`; raises ConfigError when a flag is not ternary."""
        flags = [int(v) for v in np.rint(vector[:3])]
        if not np.allclose(flags, vector[:3], atol=1e-3):
            raise ConfigError(f"command flags must be -1, 0 or 1, not {vector[:3].tolist()}")
        return Command(s_x=flags[0], s_y=flags[1], s_psi=flags[2], height_m=float(vector[3]))


@dataclass(frozen=True, kw_only=True)
class Shaping:
    """How a flag that jumps becomes a reference velocity that does not."""

    goal_speed: tuple[float, float, float] = (0.4, 0.25, 0.5)
    """cruise speed along x, y [m/s] and psi [rad/s]"""
    alpha: float = 2.5
    """steepness of tanh [-]"""
    smoothing: float = 0.05
    """EMA factor lambda of the flags per control tick [-]"""
    height_slew_mps: float = 0.25
    """largest rate of the height reference [m/s]"""
    form: str = HELD
    """`held`: v_goal tanh(alpha sbar); `printed`: v_goal tanh(alpha (s - sbar)), as in the paper, which lets go of a
    held flag and kicks back on release"""

    def __post_init__(self) -> None:
        if self.form not in (HELD, PRINTED):
            raise ConfigError(f"no form of shaping {self.form!r}; known: {HELD}, {PRINTED}")


def smooth_flags(sbar: Array, flags: Array, shaping: Shaping) -> Array:
    """One tick of the moving average: sbar <- (1 - lambda) sbar + lambda s. Any array library; shape (..., 3)."""
    return sbar + shaping.smoothing * (flags - sbar)


def reference_velocity(sbar: Array, goal_speed: Array, shaping: Shaping, tanh: Any = np.tanh) -> Array:
    """v_ref = v_goal tanh(alpha sbar) [m/s, m/s, rad/s]: no jump at onset, holds, returns to 0 without crossing."""
    return goal_speed * tanh(shaping.alpha * sbar)


def printed_reference_velocity(
    flags: Array, sbar: Array, goal_speed: Array, shaping: Shaping, tanh: Any = np.tanh
) -> Array:
    """v_goal tanh(alpha (s - sbar)), the formula as printed: decays to 0 while s is held and kicks back on release."""
    return goal_speed * tanh(shaping.alpha * (flags - sbar))


def shaped_velocity(flags: Array, sbar: Array, goal_speed: Array, shaping: Shaping, tanh: Any = np.tanh) -> Array:
    """v_ref by the form that `shaping` names; `sbar` has already seen `flags`."""
    if shaping.form == PRINTED:
        return printed_reference_velocity(flags, sbar, goal_speed, shaping, tanh)
    return reference_velocity(sbar, goal_speed, shaping, tanh)


def slew_height(height: Array, target: Array, shaping: Shaping, dt_s: float, clip: Any = np.clip) -> Array:
    """Move the height reference towards its target by at most `height_slew_mps * dt_s` [m]."""
    step = shaping.height_slew_mps * dt_s
    return height + clip(target - height, -step, step)
