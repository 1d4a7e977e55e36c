"""The curriculum: what gets harder as training goes on."""

from dataclasses import dataclass, replace

from wbvla.lmo.rewards import RewardWeights


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Settings from `start_iteration` on."""

    start_iteration: int
    sharpness: float = 1.0
    """factor on the width of the tracking rewards"""
    arm_amplitude: float = 0.5
    """share of the arm joints' range"""
    push: float = 0.3
    """largest jump of the root velocity while walking, per axis [m/s, rad/s]"""
    stand_push: float = 0.3
    """the same while standing"""
    max_delay: int = 1
    """largest actuation delay, in half control ticks [10 ms]"""
    any_height_share: float = 0.0
    """walking commands at any stance height [-]"""
    smoothness: float = 1.0
    """factor on the weights of action rate and jerk"""
    stillness: float = 1.0
    """factor on what standing robots pay for moving"""

    def sharpen(self, sigma: tuple[float, float, float]) -> tuple[float, float, float]:
        """Widths of the tracking rewards in this stage."""
        x, y, yaw = sigma
        return (x * self.sharpness, y * self.sharpness, yaw * self.sharpness)

    def apply(self, weights: RewardWeights) -> RewardWeights:
        """The reward weights of this stage."""
        return replace(
            weights,
            action_rate=weights.action_rate * self.smoothness,
            action_jerk=weights.action_jerk * self.smoothness,
            still=weights.still * self.stillness,
            stand_action=weights.stand_action * self.stillness,
            drift=weights.drift * self.stillness,
        )
