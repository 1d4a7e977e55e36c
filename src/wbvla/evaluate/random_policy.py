"""The trivial baseline of success: a seeded policy that wanders within the robot's limits and looks at nothing."""

import numpy as np
from jaxtyping import Float

from wbvla.core.records import Action, Observation
from wbvla.robots.description import RobotSpec

HOLD_CHUNKS = 8
"""chunks for which one command is kept"""


class RandomPolicy:
    """A Policy. Arms drift by a bounded random walk around the default pose; flags and height jump now and then."""

    def __init__(self, spec: RobotSpec, seed: int, num_steps: int = 8, rate_hz: float = 10.0) -> None:
        arms = spec.indices(spec.arm_joints)
        self._default = spec.column("default")[arms]
        self._lower, self._upper = spec.column("lower")[arms], spec.column("upper")[arms]
        self._heights, self._seed = spec.height_range_m, seed
        self._num_steps, self._rate_hz = num_steps, rate_hz
        self.reset()

    def reset(self) -> None:
        """Start the same walk again."""
        self._rng = np.random.default_rng(self._seed)
        self._arm = self._default.copy()
        self._calls, self._flags = 0, np.zeros(3, dtype=np.int64)
        self._height, self._grip = self._heights[1], np.ones(2)

    def act(self, observation: Observation) -> Action:
        """The next chunk; only the order of calls matters, not what is observed."""
        if self._calls % HOLD_CHUNKS == 0:
            self._flags = self._rng.choice([-1, 0, 0, 1], size=3)
            self._height = float(self._rng.uniform(*self._heights))
            self._grip = self._rng.integers(0, 2, size=2).astype(np.float64)
        self._calls += 1
        steps = self._walk()
        self._arm = steps[0]
        return Action(
            rate_hz=self._rate_hz,
            arm_targets=steps,
            grippers=np.tile(self._grip, (self._num_steps, 1)),
            flags=np.tile(self._flags, (self._num_steps, 1)),
            height_m=np.full(self._num_steps, self._height),
        )

    def _walk(self) -> Float[np.ndarray, "step arm"]:
        noise = self._rng.normal(0.0, 0.08, size=(self._num_steps, self._arm.size))
        walked = self._arm + np.cumsum(noise, axis=0)
        pulled = self._default + 0.97 * (walked - self._default)
        return np.clip(pulled, self._lower, self._upper)
