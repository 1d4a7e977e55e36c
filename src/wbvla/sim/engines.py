"""Opens a physics engine by name."""

from collections.abc import Sequence

import mujoco

from wbvla.core.errors import ConfigError
from wbvla.sim.engine import Engine
from wbvla.sim.engine_mujoco import MujocoEngine

MUJOCO, WARP = "mujoco", "warp"
ENGINES = (MUJOCO, WARP)
"""on CPU threads in float64; on a GPU (or, slowly, the CPU) in float32"""


def check_engine(name: str, device: str) -> None:
    """Raises ConfigError when no engine has this name or it does not run on this device."""
    if name not in ENGINES:
        raise ConfigError(f"no physics engine {name!r}; known: {', '.join(ENGINES)}")
    if name == MUJOCO and device != "cpu":
        raise ConfigError(f"engine {MUJOCO} runs on the CPU, not on {device!r}; choose engine {WARP}")


def open_engine(
    name: str, model: mujoco.MjModel, num_worlds: int, outputs: Sequence[str], device: str = "cpu", num_threads: int = 1
) -> Engine:
    """`num_worlds` of a model; `device` is for `warp`, `num_threads` for `mujoco`."""
    check_engine(name, device)
    if name == MUJOCO:
        return MujocoEngine(model, num_worlds, num_threads, outputs)
    try:
        from wbvla.sim.engine_warp import WarpEngine
    except ImportError as error:
        raise ConfigError(f"engine {WARP} needs the extra `gpu` (pip install 'wbvla[gpu]'): {error}") from error
    return WarpEngine(model, num_worlds, device, outputs)
