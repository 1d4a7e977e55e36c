"""Which step of an action chunk is in effect: counts what was really consumed, interpolates, and blends chunks."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from wbvla.core.command import Command
from wbvla.core.errors import ConfigError
from wbvla.core.records import Action

REMEMBERED_OBSERVATIONS = 256


@dataclass(frozen=True, kw_only=True)
class ChunkConfig:
    """How chunks at the policy's rate become targets at the control rate."""

    control_hz: float = 50.0
    """control ticks per second [Hz]"""
    blend_s: float = 0.1
    """time over which the jump between an old and a new chunk is faded out [s]"""


@dataclass(frozen=True, kw_only=True)
class Setpoint:
    """What the chunk in effect asks for at one control tick."""

    arm: Float[np.ndarray, " arm"]
    """[rad]"""
    gripper: Float[np.ndarray, "2"]
    """0 closed, 1 open [-]"""
    command: Command
    started: bool
    """False until the first chunk is in effect"""
    ended: bool
    """True when the chunk has no step left: the last arm target is held"""


@dataclass(frozen=True)
class _Playing:
    """A chunk being executed."""

    action: Action
    sequence: int
    time_s: float
    first_tick: int
    """consumed ticks at which its step 0 begins (may lie in the past)"""
    arm_before: Float[np.ndarray, " arm"]
    gripper_before: Float[np.ndarray, "2"]


class ChunkPlayer:
    """Plays chunks in control ticks.

    Consumption is counted, never estimated from a latency: a chunk that answers observation n skips exactly the
    ticks that were executed since n was taken, none before the first chunk and none while an old one had ended.
    Step i is reached (i + 1) / rate after the observation, linearly from the target before it.
    """

    def __init__(
        self,
        arm: Float[np.ndarray, " arm"],
        height_m: float,
        config: ChunkConfig,
        gripper: Float[np.ndarray, "2"] | None = None,
    ) -> None:
        """Until the first chunk arms [rad] and grippers (None: open) stay as they are."""
        self._config = config
        self._arm = arm.astype(np.float64)
        self._gripper = np.ones(2) if gripper is None else np.clip(gripper.astype(np.float64), 0.0, 1.0)
        self._command = Command(height_m=height_m)
        self._consumed = 0
        self._taken: OrderedDict[int, int] = OrderedDict()
        self._playing: _Playing | None = None
        self._fade_arm, self._fade_gripper, self._faded_ticks = np.zeros_like(self._arm), np.zeros(2), 0

    @property
    def sequence(self) -> int:
        """Sequence of the observation behind the chunk in effect; -1 before the first."""
        return -1 if self._playing is None else self._playing.sequence

    def age_s(self, now_s: float) -> float:
        """Age of the observation behind the chunk in effect [s]; infinity before the first."""
        return float("inf") if self._playing is None else now_s - self._playing.time_s

    def observed(self, sequence: int) -> None:
        """Note that observation `sequence` is being taken at this tick."""
        self._taken[sequence] = self._consumed
        while len(self._taken) > REMEMBERED_OBSERVATIONS:
            self._taken.popitem(last=False)

    def load(self, action: Action, sequence: int, time_s: float) -> str:
        """Put a chunk into effect; returns "" or the rule by which it was refused (nothing changes then)."""
        if action.arm_targets.shape[1] != self._arm.shape[0]:
            raise ConfigError(f"chunk has {action.arm_targets.shape[1]} arm joints, the robot {self._arm.shape[0]}")
        if sequence <= self.sequence or sequence not in self._taken:
            return "chunk_replayed"
        first = self._taken[sequence]
        if (self._consumed - first) * action.rate_hz >= action.num_steps * self._config.control_hz:
            return "chunk_late"
        self._playing = _Playing(action, sequence, time_s, first, self._arm.copy(), self._gripper.copy())
        arm, gripper = self._interpolate(self._playing, self._consumed)
        self._fade_arm, self._fade_gripper, self._faded_ticks = self._arm - arm, self._gripper - gripper, 0
        return ""

    def step(self) -> Setpoint:
        """The setpoint of this control tick; consumes it."""
        playing = self._playing
        ended = playing is not None and self._progress(playing, self._consumed) >= playing.action.num_steps
        if playing is not None and not ended:
            step = int(self._progress(playing, self._consumed) + 1e-9)
            self._consumed += 1
            self._faded_ticks += 1
            weight = max(0.0, 1.0 - self._faded_ticks / max(1.0, self._config.blend_s * self._config.control_hz))
            arm, gripper = self._interpolate(playing, self._consumed)
            self._arm, self._gripper = arm + weight * self._fade_arm, gripper + weight * self._fade_gripper
            self._command = playing.action.command(step)
        return Setpoint(
            arm=self._arm.copy(),
            gripper=self._gripper.copy(),
            command=self._command,
            started=playing is not None,
            ended=ended,
        )

    def _progress(self, playing: _Playing, consumed: int) -> float:
        """Steps of the chunk behind us [-]."""
        return (consumed - playing.first_tick) * playing.action.rate_hz / self._config.control_hz

    def _interpolate(
        self, playing: _Playing, consumed: int
    ) -> tuple[Float[np.ndarray, " arm"], Float[np.ndarray, "2"]]:
        """Arm and gripper targets after `consumed` ticks, without fading."""
        progress = self._progress(playing, consumed)
        step = int(min(progress + 1e-9, playing.action.num_steps - 1))
        part = min(1.0, progress - step)
        action = playing.action
        arm = action.arm_targets[step - 1] if step else playing.arm_before
        gripper = action.grippers[step - 1] if step else playing.gripper_before
        return (
            arm + part * (action.arm_targets[step] - arm),
            gripper + part * (action.grippers[step] - gripper),
        )
