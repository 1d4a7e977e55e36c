"""Scripts of commands for the robots of a bench, and everything worth plotting that was seen while they ran."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float

from wbvla.core.errors import ConfigError
from wbvla.core.rotation import wrap_angle
from wbvla.lmo.environment import CONTACT_N
from wbvla.lmo.plant import Feet
from wbvla.lmo.trial import Trial
from wbvla.robots.description import RobotSpec


@dataclass(frozen=True, kw_only=True)
class Act:
    """One span of a script."""

    seconds: float
    """length [s]"""
    height_m: float
    """commanded stance height [m]"""
    flags: tuple[int, int, int] = (0, 0, 0)
    """commanded motion along x, y, psi"""
    force_n: tuple[float, float] = (0.0, 0.0)
    """horizontal push on the root along x and y of the world [N]"""


Script = Sequence[Act]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What was seen after every control tick."""

    dt_s: float
    position_w: Float[np.ndarray, "tick robot 3"]
    """of the root [m]"""
    yaw: Float[np.ndarray, "tick robot"]
    """unwrapped, from 0 at the start [rad]"""
    velocity: Float[np.ndarray, "tick robot 3"]
    """along the heading [m/s] and yaw rate [rad/s]"""
    reference: Float[np.ndarray, "tick robot 3"]
    """velocity asked for, same frame"""
    height_m: Float[np.ndarray, "tick robot"]
    """slewed stance height reference"""
    com_w: Float[np.ndarray, "tick robot 3"]
    """centre of mass of the whole robot [m]"""
    sole_m: Float[np.ndarray, "tick robot 2"]
    """height of the middle of each sole above the floor"""
    lowest_m: Float[np.ndarray, "tick robot 2"]
    """height of the lowest corner of each sole above the floor"""
    sole_mps: Float[np.ndarray, "tick robot 2"]
    """horizontal speed of each sole"""
    contact: Bool[np.ndarray, "tick robot 2"]
    """the foot bears more than 5 N"""
    fallen: Bool[np.ndarray, "tick robot"]
    qpos: Float[np.ndarray, "tick robot q"]
    """whole state of the model, for films"""

    @property
    def standing(self) -> Bool[np.ndarray, " robot"]:
        """Who never fell."""
        return ~self.fallen[-1]

    def cut(self, start_s: float, end_s: float, robots: Sequence[int] | np.ndarray | slice = slice(None)) -> "Trace":
        """A span of time of some robots."""
        ticks = slice(round(start_s / self.dt_s), round(end_s / self.dt_s))
        parts = {f.name: getattr(self, f.name)[ticks][:, robots] for f in fields(self) if f.name != "dt_s"}
        return Trace(dt_s=self.dt_s, **parts)


def follow(
    trial: Trial, scripts: Sequence[Script], on_tick: Callable[[int, int], None] = lambda tick, ticks: None
) -> Trace:
    """Run one script per robot, all equally long; `on_tick(tick, ticks)` moves a progress bar."""
    flags, heights, forces = _plan(scripts, trial.settings.rate_hz)
    if flags.shape[1] != trial.config.num_robots:
        raise ConfigError(f"{flags.shape[1]} scripts for {trial.config.num_robots} robots; one each is needed")
    pushed, half, rows = bool(np.any(forces)), sole_half_m(trial.spec), []
    turned, before = np.zeros(flags.shape[1]), trial.yaw
    for tick in range(len(flags)):
        if pushed:
            trial.push_force(forces[tick])
        trial.step(flags[tick], heights[tick])
        turned = turned + wrap_angle(trial.yaw - before)
        before = trial.yaw
        rows.append(_seen(trial, turned, half))
        on_tick(tick + 1, len(flags))
    return Trace(dt_s=trial.dt_s, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _plan(scripts: Sequence[Script], hz: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flags, heights and forces of every tick and robot."""
    lengths = [sum(round(act.seconds * hz) for act in script) for script in scripts]
    if len(set(lengths)) != 1:
        raise ConfigError(f"scripts that run together must be equally long, not {sorted(set(lengths))} ticks")
    columns = {
        name: np.stack([_spread(script, name, hz) for script in scripts], axis=1)
        for name in ("flags", "height_m", "force_n")
    }
    return columns["flags"], columns["height_m"], columns["force_n"]


def _spread(script: Script, name: str, hz: float) -> np.ndarray:
    """One field of the acts, repeated for the ticks of each."""
    values = np.array([getattr(act, name) for act in script], dtype=np.float64)
    return np.repeat(values, [round(act.seconds * hz) for act in script], axis=0)


def _seen(trial: Trial, turned: np.ndarray, half: tuple[float, float]) -> dict[str, np.ndarray]:
    feet = trial.layout.feet(trial.engine.output("sensordata").cpu())
    sole = feet.position_w.numpy()
    return {
        "position_w": trial.position,
        "yaw": turned,
        "velocity": trial.velocity,
        "reference": np.array(trial.reference),
        "height_m": np.array(trial.controller.height),
        "com_w": trial.centre_of_mass,
        "sole_m": sole[:, :, 2].copy(),
        "lowest_m": lowest_corner(feet, half),
        "sole_mps": np.linalg.norm(feet.velocity_w.numpy()[:, :, :2], axis=2),
        "contact": feet.force.numpy() > CONTACT_N,
        "fallen": trial.fallen.copy(),
        "qpos": trial.engine.state("qpos").cpu().numpy().copy(),
    }


def sole_half_m(spec: RobotSpec) -> tuple[float, float]:
    """Half length and half width of a sole [m]."""
    points = np.array(spec.sole_points)
    half = (points.max(axis=0) - points.min(axis=0)) / 2
    return float(half[0]), float(half[1])


def lowest_corner(feet: Feet, half_m: tuple[float, float]) -> Float[np.ndarray, "robot 2"]:
    """Height of the lowest corner of each sole: z - |x_z| l - |y_z| w, with x, y the sole's axes [m]."""
    normal, ahead = feet.normal_w.numpy(), feet.forward_w.numpy()
    left_z = normal[:, :, 0] * ahead[:, :, 1] - normal[:, :, 1] * ahead[:, :, 0]
    return feet.position_w.numpy()[:, :, 2] - half_m[0] * np.abs(ahead[:, :, 2]) - half_m[1] * np.abs(left_z)
