"""The curriculum: what gets harder as training goes on."""

from dataclasses import dataclass, field, replace

from wbvla.core.errors import ConfigError
from wbvla.lmo.randomize import RandomizeConfig
from wbvla.lmo.reward_sets import OWN, REWARD_SETS
from wbvla.lmo.rewards import RewardWeights
from wbvla.lmo.worlds import HISTORY, SENSED


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Settings from `start_iteration` on."""

    start_iteration: int
    sharpness: float = 1.0
    """factor on the width of the tracking rewards"""
    arm_amplitude: float = 0.5
    """share of the arm joints' range"""
    push: float = 0.3
    """largest jump of the root velocity while walking, per axis [m/s, rad/s]; 0: no pushes, standing neither"""
    stand_push: float = 0.3
    """the same while standing"""
    blow: tuple[float, float] = (0.0, 0.0)
    """largest horizontal force [N] and yaw torque [N.m] of blows on the root, as often as pushes"""
    calm_share: float = 0.0
    """episodes without pushes, blows, pulls and bumps: where the last centimetres are learned [-]"""
    bumps_m: float = 0.0
    """unevenness of the ground, from lowest to highest [m]"""
    max_delay: int = 1
    """largest actuation delay, in half control ticks [10 ms]"""
    imu_lag: int = 0
    """largest lag of the IMU, in half control ticks [10 ms]; at most 5"""
    joint_lag: int = 0
    """largest lag of the encoders, in half control ticks [10 ms]; at most 5"""
    torque_noise: float = 0.0
    """torques of U(-this, this) x the joint's limit, drawn anew every control tick, on all joints [-]"""
    pull: tuple[float, float] = (0.0, 0.0)
    """largest horizontal and vertical force on the hands: pushing a cart, lifting a load [N]"""
    any_height_share: float = 0.0
    """walking commands at any stance height [-]"""
    home_share: float = 0.0
    """new arm targets that are the default pose [-]"""
    direction: float = 0.0
    """factor on the weight of the heading error J_dir, a term of stage II"""
    entropy: float = 0.003
    """weight of the policy's entropy in PPO"""
    target_kl: float = 0.015
    """what the learning rate is steered to; smaller late, so that steps average out the noise of the gradients"""
    max_std: float = 1.0
    """cap on the deviation of the actions: late, the policy should be right without noise"""
    plant: RandomizeConfig = field(default_factory=RandomizeConfig)
    """worlds get new plants when a stage has other ranges than the one before"""
    smoothness: float = 1.0
    """factor on the weights of action rate and jerk"""
    stillness: float = 1.0
    """factor on what standing robots pay for moving"""
    height: float = 1.0
    """factor on the weight of the stance height: late, where falls are rare, it may cost some ease to squat low"""
    reward_set: str = OWN
    """`own`: the weights of the environment; otherwise a published set by its name (`lmo/reward_sets.py`)"""

    def __post_init__(self) -> None:
        if self.reward_set not in (OWN, *REWARD_SETS):
            raise ConfigError(f"no reward set {self.reward_set!r}; known: {', '.join((OWN, *REWARD_SETS))}")
        for name, most in (("imu_lag", SENSED - 1), ("joint_lag", SENSED - 1), ("max_delay", 2 * HISTORY - 2)):
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"stage {name} must be 0 to {most} half control ticks, not {getattr(self, name)}")

    def sharpen(self, sigma: tuple[float, float, float]) -> tuple[float, float, float]:
        """Widths of the tracking rewards in this stage."""
        x, y, yaw = sigma
        return (x * self.sharpness, y * self.sharpness, yaw * self.sharpness)

    def apply(self, weights: RewardWeights) -> RewardWeights:
        """The reward weights of this stage, of its own set or of these."""
        weights = REWARD_SETS.get(self.reward_set, weights)
        return replace(
            weights,
            height=weights.height * self.height,
            action_rate=weights.action_rate * self.smoothness,
            action_jerk=weights.action_jerk * self.smoothness,
            still=weights.still * self.stillness,
            stand_action=weights.stand_action * self.stillness,
            drift=weights.drift * self.stillness,
            direction=weights.direction * self.direction,
            direction_end=weights.direction_end * self.direction,
        )
