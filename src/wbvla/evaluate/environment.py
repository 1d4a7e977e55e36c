"""Tasks as gymnasium environments: one action of a VLA per step, 10 per second, over the deployed robot loop.

import gymnasium
import wbvla.evaluate.environment  # registers them

environment = gymnasium.make("wbvla/BoxLoading-v0")
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import UInt8

from wbvla.core.errors import ConfigError
from wbvla.core.records import Action, Observation, Tick
from wbvla.deploy.lmo import LmoController
from wbvla.deploy.runtime import LoopReport, RobotLoop
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.sources import LocalSource
from wbvla.robots.description import RobotSpec
from wbvla.robots.platforms import load_robot, shipped_lmo
from wbvla.sim.body import SimBody, SimBodyConfig
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.tasks import tasks
from wbvla.sim.tasks.task import has_fallen

RATE_HZ = 10.0
"""steps per second [Hz]"""
WORDS = "".join(chr(code) for code in range(32, 127))
"""characters of an instruction"""
VIEW = RenderConfig(width=480, height=360, samples=4)
"""of `render`"""
STATE = ("q", "dq", "torque", "gripper", "gyro_b", "gravity_b", "accel_b")
"""fields of `BodyState` that are observed"""


@dataclass(frozen=True, kw_only=True)
class EnvironmentConfig:
    """Who acts and what is drawn."""

    robot: str = "agibot_x2"
    """robot by name"""
    cameras: tuple[str, ...] = ("policy",)
    """cameras to draw beside those of the task; `policy` stands for all that a policy sees; empty = none at all, which
    is much faster"""
    width: int = 224
    """of each picture [px]"""
    height: int = 224
    """[px]"""
    lmo: str = ""
    """folder of a low-level controller; empty = the shipped one"""


class _Hand:
    """A Driver that sends what the environment was given."""

    instruction = ""

    def __init__(self) -> None:
        self.action: Action | None = None

    def reset(self) -> None:
        """It remembers nothing."""

    def act(self, observation: Observation) -> Action | None:
        """The action of this step."""
        return self.action


class TaskEnvironment(gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """One task. Actions: `flags` (0, 1, 2 for -1, 0, 1 of s_x, s_y, s_psi), `height_m`, `arm_targets`, `grippers`.

    Observations: `images` by camera, proprioception by the names of `BodyState`, `instruction`. The reward of a step is
    the share of sub-goals reached for the first time, so that a whole episode gives at most 1. An episode terminates
    with success, a fall or a trip of the safety layer, and is truncated at the task's time limit. `info` holds
    `subgoals`, `success`, `fell`, `trip` and `world_seed`. `reset(seed=n)` starts the world seed n of the
    demonstrations and trials; without a seed it is drawn. `options={"instruction": ...}` sets the words.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": round(RATE_HZ)}

    def __init__(
        self, task: str = "box-lift", config: EnvironmentConfig | None = None, render_mode: str | None = None
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render mode {render_mode!r} asked; there is 'rgb_array'")
        config = self.config = config or EnvironmentConfig()
        self.render_mode = render_mode
        self._spec, self.task = load_robot(config.robot), tasks.build(task)
        self.world = self.task.build(self._spec)
        cameras = (*config.cameras, *(self.task.cameras if config.cameras else ()))
        size = SimBodyConfig(cameras=cameras, image_width=config.width, image_height=config.height)
        self._body = SimBody(self.world, size)
        self._lmo = LmoController.load(Path(config.lmo) if config.lmo else shipped_lmo(config.robot), self._spec)
        self._stride = round(self._body.control_hz / RATE_HZ)
        self._hand, self._words = _Hand(), ""
        self._safety = SafetyLayer(self._spec)
        self._ticks: Iterator[Tick] = iter(())
        self._reached: set[str] = set()
        self._steps, self._world_seed = 0, 0
        self._renderer: Renderer | None = None
        self.action_space = action_space(self._spec)
        self.observation_space = observation_space(self._spec, size.camera_names(self.world), config)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start the world of a seed; without one a seed is drawn."""
        super().reset(seed=seed)
        self._world_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self.task.reset(self.world, self._world_seed)
        self._body.reset()
        self._words = str((options or {}).get("instruction") or self.task.instruction(self._world_seed))
        self._safety, self._reached, self._steps = SafetyLayer(self._spec), set(), 0
        loop = RobotLoop(self._body, self._spec, self._lmo, LocalSource(self._hand), self._safety)
        self._ticks = loop.ticks(LoopReport(), round(self.task.time_limit_s * self._body.control_hz), self._words)
        return self._observe(), self._info(self.task.progress(self.world), success=False)

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Act for 0.1 s; raises ConfigError before the first reset and after the end of an episode."""
        self._hand.action = to_action(action)
        if sum(1 for _ in zip(range(self._stride), self._ticks)) == 0:
            raise ConfigError("the episode is over or was never begun; call reset")
        self._steps += 1
        progress = self.task.progress(self.world)
        new = {goal for goal, done in progress.items() if done} - self._reached
        self._reached |= new
        success = self.task.success(self.world)
        info = self._info(progress, success)
        terminated = success or info["fell"] or bool(info["trip"])
        truncated = not terminated and self._steps >= round(self.task.time_limit_s * RATE_HZ)
        if terminated or truncated:
            self._ticks = iter(())
        return self._observe(), len(new) / len(progress), terminated, truncated, info

    def render(self) -> UInt8[np.ndarray, "height width 3"] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A third-person picture."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = Renderer(self.world.model, ("view",), VIEW)
        return self._renderer.render(self.world.data)["view"]

    def close(self) -> None:
        """Free the renderers."""
        self._body.close()
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _observe(self) -> dict[str, Any]:
        state, images = self._body.read(), self._body.images()
        seen: dict[str, Any] = {name: np.asarray(getattr(state, name), dtype=np.float32) for name in STATE}
        pictures = {name: image.rgb.copy() for name, image in images.items()}
        return seen | ({"images": pictures} if pictures else {}) | {"instruction": self._words}

    def _info(self, progress: Mapping[str, bool], success: bool) -> dict[str, Any]:
        return {
            "subgoals": dict(progress),
            "success": success,
            "fell": has_fallen(self.world),
            "trip": self._safety.trip,
            "world_seed": self._world_seed,
        }


def action_space(spec: RobotSpec) -> spaces.Space[Any]:
    """What a VLA may command for one step of 0.1 s."""
    rows = spec.indices(spec.arm_joints)
    lower, upper = (spec.column(name)[rows].astype(np.float32) for name in ("lower", "upper"))
    low, high = spec.height_range_m
    return spaces.Dict(
        flags=spaces.MultiDiscrete([3, 3, 3]),
        height_m=spaces.Box(low, high, (1,), np.float32),
        arm_targets=spaces.Box(lower, upper, dtype=np.float32),
        grippers=spaces.Box(0.0, 1.0, (2,), np.float32),
    )


def observation_space(spec: RobotSpec, cameras: tuple[str, ...], config: EnvironmentConfig) -> spaces.Space[Any]:
    """What a VLA sees."""
    joints, shape = len(spec.joint_names), (config.height, config.width, 3)
    sizes = dict(zip(STATE, (joints, joints, joints, 2, 3, 3, 3)))
    seen: dict[str, spaces.Space[Any]] = {n: spaces.Box(-np.inf, np.inf, (k,), np.float32) for n, k in sizes.items()}
    if cameras:
        seen["images"] = spaces.Dict({name: spaces.Box(0, 255, shape, np.uint8) for name in cameras})
    seen["instruction"] = spaces.Text(max_length=256, charset=WORDS)
    return spaces.Dict(seen)


def to_action(action: Mapping[str, Any]) -> Action:
    """A chunk of one step; raises ConfigError for a wrong shape or number."""
    return Action(
        rate_hz=RATE_HZ,
        arm_targets=np.asarray(action["arm_targets"], dtype=np.float64)[None],
        grippers=np.asarray(action["grippers"], dtype=np.float64)[None],
        flags=np.asarray(action["flags"], dtype=np.int64)[None] - 1,
        height_m=np.asarray(action["height_m"], dtype=np.float64),
    )


def from_action(action: Action) -> dict[str, Any]:
    """The first step of a chunk, as the environment takes it: a policy's or a teleoperator's."""
    return {
        "flags": (action.flags[0] + 1).astype(np.int64),
        "height_m": action.height_m[:1].astype(np.float32),
        "arm_targets": action.arm_targets[0].astype(np.float32),
        "grippers": action.grippers[0].astype(np.float32),
    }


def register() -> None:
    """Make every task known to gymnasium: `box-loading` becomes `wbvla/BoxLoading-v0`."""
    for name in tasks:
        camel = "".join(word.capitalize() for word in name.split("-"))
        gymnasium.register(
            f"wbvla/{camel}-v0", entry_point=f"{__name__}:{TaskEnvironment.__name__}", kwargs={"task": name}
        )


register()
