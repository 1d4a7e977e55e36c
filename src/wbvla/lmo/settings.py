"""Settings of the task the controller learns."""

from dataclasses import dataclass, field

from wbvla.core.command import Shaping
from wbvla.core.course import CourseConfig
from wbvla.core.errors import ConfigError
from wbvla.lmo.commands import CommandConfig
from wbvla.lmo.gait import GaitConfig
from wbvla.lmo.observation import PRESETS, NoiseConfig
from wbvla.lmo.perturb import ArmConfig
from wbvla.lmo.reward_frame import RewardScales
from wbvla.lmo.rewards import RewardWeights
from wbvla.sim.engines import check_engine


@dataclass(frozen=True, kw_only=True)
class EnvironmentConfig:
    """The task, apart from what the stages change."""

    num_worlds: int = 1024
    """robots that learn at once"""
    engine: str = "mujoco"
    """physics: `mujoco` on CPU threads, or `warp` (mujoco-warp, extra `gpu`)"""
    device: str = "cpu"
    """of physics, environment and learning: `cpu`, or with `warp` `cuda:0`"""
    num_threads: int = 2
    """CPU threads of the engine `mujoco`"""
    seed: int = 1
    """of commands, plants, pushes and noise"""
    preset: str = "clock"
    """observation: one of `PRESETS`"""
    action_scale: float = 0.25
    """[rad] per unit of action"""
    action_clip: float = 5.0
    """actions are clipped to this [-]"""
    target_margin_rad: float = 0.2
    """PD targets may pass a joint's limit by this: near the limit the drive needs it to push"""
    episode_s: float = 20.0
    """longest episode [s]"""
    stall_s: float = 1.0
    """a walking robot that keeps a foot down this long is reset; 0 switches it off"""
    fall_gravity: float = -0.6
    """fallen when gravity along the body's z is above this [-]"""
    fall_drop_m: float = 0.22
    """fallen when the root is this far below its reference [m]"""
    recover_s: float = 1.2
    """how long a pushed, standing robot may step [s]"""
    runaway_mps: float = 0.35
    """a standing robot that goes faster than this, and was not pushed, is reset as fallen"""
    push_every_s: float = 4.0
    """mean time between pushes, and between blows [s]"""
    blow_s: float = 0.2
    """length of a blow [s]"""
    randomize: bool = True
    """draw plants and errors of the encoders; off gives the nominal robot"""
    gyro_bias_radps: float = 0.005
    """half width of the gyro's bias about the vertical, for presets that integrate it [rad/s]"""
    encoder_bias_rad: float = 0.01
    """half width of the constant errors of the leg encoders [rad]"""
    pull_s: tuple[float, float] = (0.5, 3.0)
    """how long a force on the hands lasts [s]"""
    odometry_noise_m: float = 0.002
    """deviation of the soles' places as the joints tell them, per tick [m]"""
    shaping: Shaping = field(default_factory=Shaping)
    """how flags become a reference velocity"""
    course: CourseConfig = field(default_factory=CourseConfig)
    """how the error against the intended way is kept, for presets that see it"""
    commands: CommandConfig = field(default_factory=CommandConfig)
    """what is asked of the robot"""
    gait: GaitConfig = field(default_factory=GaitConfig)
    """reference of the swing feet"""
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    """of the observation"""
    arms: ArmConfig = field(default_factory=ArmConfig)
    """motion of the arms, which the controller must bear"""
    weights: RewardWeights = field(default_factory=RewardWeights)
    """of the reward's terms"""
    scales: RewardScales = field(default_factory=RewardScales)
    """widths of the reward's terms"""

    def __post_init__(self) -> None:
        check_engine(self.engine, self.device)
        if self.preset not in PRESETS:
            raise ConfigError(f"unknown observation preset {self.preset!r}; known: {', '.join(PRESETS)}")
