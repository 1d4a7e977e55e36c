"""The task the controller learns: many worlds of one robot, commands in, joint targets out, rewards and resets."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from tensordict import TensorDict
from torch import Generator, Tensor

from wbvla.core.command import shaped_velocity, slew_height, smooth_flags
from wbvla.core.errors import ConfigError
from wbvla.lmo import rewards
from wbvla.lmo.assist import Assist
from wbvla.lmo.commands import VELOCITY, HeightBand, sample_commands, uniform
from wbvla.lmo.disturb import Bumps
from wbvla.lmo.drive import Drive
from wbvla.lmo.follow import Follower, Motion
from wbvla.lmo.frames import gravity_in_body, heading, to_heading_frame, turned
from wbvla.lmo.gait import advance_phase, feed_forward, schedule
from wbvla.lmo.observation import (
    PAST,
    PRESETS,
    actor_mirror,
    add_noise,
    clock_signal,
    critic_mirror,
    noise_scale,
)
from wbvla.lmo.perturb import ArmMotion
from wbvla.lmo.plant import Layout, build_model, leg_columns, training_options
from wbvla.lmo.randomize import Plants
from wbvla.lmo.reward_frame import Before, Frame, body_facts
from wbvla.lmo.reward_sets import needs_foot_forces
from wbvla.lmo.senses import Senses
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.squat import LegReference, squat_reference
from wbvla.lmo.stages import Stage
from wbvla.lmo.tally import Tally
from wbvla.lmo.walks import end_walks, touch_down
from wbvla.lmo.worlds import Progress, new_worlds, tensors_of
from wbvla.robots.description import RobotSpec
from wbvla.sim.engine import began_anew
from wbvla.sim.engines import open_engine
from wbvla.sim.mjcf import MjcfOptions

CONTROL_HZ = 50.0
VELOCITY_EMA = 0.06
CONTACT_N = 5.0
LIFTED_M = 0.03
"""a sole above this is in the air [m]"""


class LmoEnvironment:
    """Steps all worlds at 50 Hz; what `rsl_rl` calls a vectorised environment."""

    def __init__(
        self, spec: RobotSpec, config: EnvironmentConfig, stage: Stage, options: MjcfOptions | None = None
    ) -> None:
        self.spec, self.config, self.stage = spec, config, stage
        self.device = torch.device(config.device)
        self.rng = Generator(self.device).manual_seed(config.seed)
        with self.device:  # constants and memory are made there; what a step draws follows `rng`
            self._build(spec, options or training_options(spec))

    def _build(self, spec: RobotSpec, options: MjcfOptions) -> None:
        """Worlds, standing, each at an age of its own."""
        config, stage = self.config, self.stage
        feels = needs_foot_forces(stage.apply(config.weights))
        model = build_model(spec, options, feels)
        self.layout = Layout(spec, model)
        outputs = ("sensordata", "actuator_force")
        self.engine = open_engine(config.engine, model, config.num_worlds, outputs, config.device, config.num_threads)
        self.substeps = round(1 / CONTROL_HZ / model.opt.timestep)
        self.dt_s = 1 / CONTROL_HZ
        if self.substeps % 2:
            raise ConfigError(f"control period {self.dt_s} s must hold an even number of {model.opt.timestep} s steps")
        self._tables(spec)
        self.plants = Plants(self.engine, model, spec)
        self._draw_plants()
        self.bumps = Bumps(self.engine, model)
        self.drive = Drive(self.engine, self.layout, model, spec)
        self.assist = Assist(model, self.layout)
        self.senses = Senses(config, config.num_worlds)
        self.arms = ArmMotion(spec, self.layout.arm_names, config.arms, config.num_worlds)
        self.progress = Progress(assist=1.0, feed_forward=1.0, falls_per_minute=-1.0, stage=0)
        past = PAST if "history" in PRESETS[config.preset] else 0
        num_joints = len(self.layout.qpos)
        self.worlds = new_worlds(config.num_worlds, self.num_actions, num_joints, model.nsensordata, past)
        self.tally = Tally(config.num_worlds, self.dt_s)
        self._every = torch.arange(config.num_worlds)
        self.reset(self._every)
        oldest, rng = int(0.9 * self.episode_ticks), self.rng
        self.worlds.age[:] = torch.randint(0, oldest, (config.num_worlds,), generator=rng, device=rng.device)
        self.engine.step(1)
        self._sense()
        self.look()

    def _tables(self, spec: RobotSpec) -> None:
        """Constants of the robot as tensors."""
        self.num_actions = len(spec.lmo_joints)
        self.episode_ticks = round(self.config.episode_s * CONTROL_HZ)
        self.leg_reference = LegReference(squat_reference(spec))
        index = spec.indices(spec.lmo_joints)
        self.q_default = torch.tensor(spec.column("default")[index], dtype=torch.float32)
        lower, upper = (torch.tensor(spec.column(c)[index], dtype=torch.float32) for c in ("lower", "upper"))
        margin = self.config.target_margin_rad
        self.target_lower, self.target_upper = lower - margin, upper + margin
        self.columns = leg_columns(spec.lmo_joints)
        self.body = body_facts(spec, self.columns, self.dt_s)
        self.goal_speed = torch.tensor(self.config.shaping.goal_speed)
        blocks = PRESETS[self.config.preset]
        self.has_clock = "clock" in blocks
        self.follower = Follower(self.config, self.spec, self.dt_s)
        self.noise = noise_scale(self.config.preset, self.num_actions, self.config.noise)
        self.actor_mirror = actor_mirror(spec, self.config.preset)
        self.critic_mirror = critic_mirror(spec, self.config.preset, self.layout.arm_names, self.layout.held_names)

    def enter(self, stage: Stage) -> None:
        """Take another stage of the curriculum; new plants are drawn when its ranges differ."""
        before, self.stage = self.stage, stage
        if stage.plant != before.plant:
            self._draw_plants()

    def _draw_plants(self) -> None:
        """The plants follow from the seed and the stage alone, so a resumed run has the same."""
        drawn = np.tile([0.8, 1.0, 0.0, 0.0], (self.config.num_worlds, 1))
        if self.config.randomize:
            drawn = self.plants.draw(self.stage.plant, self.config.seed)
        self.plant = torch.tensor(drawn, dtype=torch.float32, device=self.device)

    def command(self, ids: Tensor) -> None:
        """New commands for some worlds."""
        if len(ids) == 0:
            return
        w = self.worlds
        heights = HeightBand(
            nominal_m=self.spec.nominal_height_m,
            range_m=self.spec.height_range_m,
            any_share=self.stage.any_height_share,
        )
        drawn = sample_commands(len(ids), self.config.commands, heights, self.rng)
        w.flags[ids], w.height_goal[ids], w.command_left_s[ids] = drawn
        w.heading_error[ids] = 0.0

    def reset(self, ids: Tensor) -> None:
        """Stand some worlds up at their commanded height, heading anywhere, arms part of the way to a new pose."""
        if len(ids) == 0:
            return
        w, rng, num = self.worlds, self.rng, len(ids)
        for name, tensor in tensors_of(w).items():
            if name != "targets":
                tensor[ids] = 0
        self.command(ids)
        w.height[ids] = w.height_goal[ids]
        w.delay[ids] = torch.randint(0, self.stage.max_delay + 1, (num,), generator=rng, device=rng.device)
        if self.follower.keeps_heading:
            bias = self.config.gyro_bias_radps
            w.gyro_bias[ids] = uniform(-bias, bias, (num,), rng)
        self.senses.draw(ids, w, self.stage, rng)
        w.calm[ids] = torch.rand(num, generator=rng, device=self.rng.device) < self.stage.calm_share
        w.sensors[ids] = self.layout.neutral_sensors(num, w.sensors.shape[1])
        self.arms.retarget(ids, self.stage.arm_amplitude, self.stage.home_share, rng)
        arms = self.arms.state
        start = self.arms.default + 0.5 * (arms.target[ids] - self.arms.default)
        arms.command[ids] = start
        q = self.layout.default.repeat(num, 1)
        q[:, self.layout.lmo] = self.leg_reference(w.height[ids])
        q[:, self.layout.lmo] += 0.03 * torch.randn(num, self.num_actions, generator=rng, device=rng.device)
        q[:, self.layout.arm] = start
        self.place(ids, q, uniform(-torch.pi, torch.pi, (num,), rng))
        self.bumps.put(w)
        qvel = self.engine.state("qvel")
        qvel[ids, :2] = uniform(-0.2, 0.2, (num, 2), rng).to(qvel.dtype)

    def place(self, ids: Tensor, q: Float[Tensor, "n joint"], yaw: Float[Tensor, " n"]) -> None:
        """Put worlds at rest at the origin with these joints, just above the floor."""
        qpos, layout = self.engine.state("qpos"), self.layout
        root = q.new_zeros(len(ids), 7)
        root[:, 2] = self.worlds.height[ids] + 0.003
        root[:, 3], root[:, 6] = torch.cos(yaw / 2), torch.sin(yaw / 2)
        qpos[ids, :7] = root.to(qpos.dtype)
        qpos[ids[:, None], layout.qpos] = q.to(qpos.dtype)
        for name in ("qvel", "qacc_warmstart", "xfrc_applied", "qfrc_applied"):
            self.engine.state(name)[ids] = 0.0
        self.engine.state("ctrl")[ids[:, None], layout.ctrl] = q.to(qpos.dtype)
        self.worlds.targets[ids] = q[:, None]

    def _sense(self) -> None:
        """Take the engine's foot sensors over (resets write neutral ones); remember what lagging senses will tell."""
        self.worlds.sensors.copy_(self.engine.output("sensordata"))
        if self.stage.imu_lag or self.stage.joint_lag:
            qpos, qvel = self.engine.state("qpos"), self.engine.state("qvel")
            lmo = self.layout.lmo
            q, dq = qpos[:, self.layout.qpos[lmo]].float(), qvel[:, self.layout.qvel[lmo]].float()
            parts = [qvel[:, 3:6].float(), gravity_in_body(qpos[:, 3:7].float()), q - self.q_default, dq]
            self.senses.record(self.worlds, torch.cat(parts, dim=1), self.stage)

    def look(self) -> None:
        """Derive everything that observations and rewards need from the state."""
        qpos, qvel = self.engine.state("qpos").float(), self.engine.state("qvel").float()
        self.root_height, self.quat, self.twist = qpos[:, 2], qpos[:, 3:7], qvel[:, :6]
        self.gravity, self.heading = gravity_in_body(self.quat), heading(self.quat)
        level = to_heading_frame(qvel[:, :2], *self.heading)
        self.velocity = torch.cat([level, qvel[:, 2:3]], dim=1)
        self.omega = qvel[:, 3:6]
        self.twist_z = -(self.omega * self.gravity).sum(1)
        joints, speeds = qpos[:, self.layout.qpos], qvel[:, self.layout.qvel]
        self.q, self.dq = joints[:, self.layout.lmo], speeds[:, self.layout.lmo]
        self.q_arm = joints[:, self.layout.arm]
        self.q_held = joints[:, self.layout.held]
        self.feet = self.layout.feet(self.worlds.sensors)
        self.contact = self.feet.force > CONTACT_N

    def observations(self) -> TensorDict:
        """`policy`: with noise, what the robot has; `critic`: without noise, and what only a simulator knows."""
        w = self.worlds
        reading = self._reading()
        command = torch.cat([w.flags, w.height[:, None]], dim=1)
        rest = [w.action, clock_signal(w.phase, w.moving)] if self.has_clock else [w.action]
        after = torch.cat([*rest, *self.follower.seen(w), w.past.flatten(1)], dim=1)
        told = torch.cat([command, self.senses.told(w, reading, self.stage), after], dim=1)
        self.seen = noisy = add_noise(told, self.noise, self.rng)
        critic = torch.cat([command, reading, after, self._privileged()], dim=1)
        return TensorDict({"policy": noisy, "critic": critic}, batch_size=[len(critic)])

    def _reading(self) -> Float[Tensor, "world n"]:
        """What perfect and immediate senses would tell: angular velocity, gravity, joint angles and speeds."""
        return torch.cat([self.omega, self.gravity, self.q - self.q_default, self.dq], dim=1)

    def _privileged(self) -> Float[Tensor, "world n"]:
        """What the critic sees besides, in the order of `critic_mirror`."""
        w = self.worlds
        parts = [
            self.velocity, w.velocity_f - w.reference_f, w.reference_f, (self.root_height - w.height)[:, None],
            self.contact.float(), self.feet.position_w[:, :, 2], clock_signal(w.phase, w.moving),
            w.moving[:, None].float(), self.q_arm - self.arms.default, self.q_held, self.plant,
            w.delay[:, None].float(), w.recover_s[:, None], w.true_course, *self._pressed(),
            w.imu_lag[:, None].float(), w.joint_lag[:, None].float(),
        ]  # fmt: skip
        return torch.cat(parts, dim=1)

    def _pressed(self) -> list[Float[Tensor, "world n"]]:
        """Blow and pulls in the heading frame, in units of 100 N and 10 N.m."""
        w, (cos, sin) = self.worlds, self.heading
        blow = torch.cat([to_heading_frame(w.blow[:, :2], cos, sin) / 100, w.blow[:, 2:] / 10], dim=1)
        flat = to_heading_frame(w.pull[..., :2], cos[:, None], sin[:, None])
        return [blow, torch.cat([flat, w.pull[..., 2:]], dim=-1).flatten(1) / 100]

    @torch.no_grad()
    def step(self, action: Float[Tensor, "world lmo"]) -> tuple[TensorDict, Tensor, Tensor, dict[str, Tensor]]:
        """Observations, rewards, dones and `{"time_outs"}` after one control tick."""
        w, shaping = self.worlds, self.config.shaping
        action_2, dq_1, self.heading_1 = w.action_1.clone(), self.dq, self.heading
        w.action_1.copy_(w.action)
        w.action.copy_(action.clamp(-self.config.action_clip, self.config.action_clip))
        w.height.copy_(slew_height(w.height, w.height_goal, shaping, self.dt_s, clip=torch.clamp))
        w.sbar.copy_(smooth_flags(w.sbar, w.flags, shaping))
        if w.past.shape[1]:
            w.past.copy_(torch.cat([self.seen[:, None, : w.past.shape[2]], w.past[:, :-1]], dim=1))
        reference = self._wanted()
        self._disturb(reference)
        begun = self.engine.state("time").clone()
        self.drive.advance(w, self._targets(), self.substeps, self._sense)
        self.diverged = began_anew(self.engine, begun, self.dt_s)
        w.age += 1
        self.look()
        if self.stage.bumps_m > 0:
            self.bumps.tread(self.feet.position_w[:, :, 2] > LIFTED_M, w, self.stage, self.rng)
        self._tick_clock()
        frame = self._frame(Before(reference=reference, asked=action, action_2=action_2, dq_1=dq_1))
        reward, parts = rewards.total(frame, self.stage.apply(self.config.weights))
        fallen, stalled = self._ended()
        failed = fallen | stalled
        reward = reward * self.dt_s - self.config.scales.fall * failed
        timeout = (w.age >= self.episode_ticks) & ~failed
        self.tally.add(frame, parts, (fallen, stalled), w.flags, w.sbar)
        done = failed | timeout
        w.command_left_s -= self.dt_s
        if self.config.commands.resample:
            self.command(((w.command_left_s <= 0) & ~done).nonzero()[:, 0])
            self.reset(done.nonzero()[:, 0])
            self.look()
        return self.observations(), reward, done, {"time_outs": timeout}

    def _targets(self) -> Float[Tensor, "world joint"]:
        """PD targets of this tick: reference pose + scaled action (+ fading gait), arms on their own way."""
        w, layout = self.worlds, self.layout
        leg = self.leg_reference(w.height) + self.config.action_scale * w.action
        if self.progress.feed_forward > 0:
            strength = self.progress.feed_forward * (w.sbar.abs().amax(1) / 0.4).clamp(0, 1) * w.moving
            leg = leg + feed_forward(w.phase, strength, self.columns, self.num_actions, self.config.gait)
        targets = w.targets[:, 0].clone()
        targets[:, layout.lmo] = leg.clamp(self.target_lower, self.target_upper) - w.encoder_bias
        targets[:, layout.arm] = self.arms.advance(self.stage.arm_amplitude, self.dt_s, self.rng, self.stage.home_share)
        return targets

    def _disturb(self, reference: Float[Tensor, "world 3"]) -> None:
        """What pushes and pulls, and the helping wrench, without which nothing strikes yet."""
        w, stage = self.worlds, self.stage
        if self.progress.assist > 0:
            stage = replace(stage, blow=(0.0, 0.0), pull=(0.0, 0.0))
        self.drive.disturb(w, stage, self.config, self.dt_s, self.rng)
        if self.progress.assist > 0:
            error = self.root_height - w.height
            strength = self.progress.assist
            self.drive.help(self.assist.wrench(strength, self.quat, self.twist, self.heading, reference, error))

    def _tick_clock(self) -> None:
        """Gait phase, filtered velocity, time since each foot was lifted, and leave to recover."""
        w, gait = self.worlds, self.config.gait
        moving = self._follow((w.flags.abs().amax(1) > 0) | (w.sbar.abs().amax(1) > gait.active_above))
        start = 0.5 * torch.randint(0, 2, w.phase.shape, generator=self.rng, device=self.device).float()
        w.phase.copy_(advance_phase(w.phase, moving, w.moving, start, self.dt_s, gait))
        w.moving.copy_(moving)
        speed = torch.cat([self.velocity[:, :2], self.omega_z()[:, None]], dim=1)
        w.velocity_f += VELOCITY_EMA * (speed - w.velocity_f)
        reference = self._wanted()
        w.reference_f += VELOCITY_EMA * (reference - w.reference_f)
        w.heading_error += self.dt_s * (speed[:, 2] - reference[:, 2])
        planted = (self.contact | (self.feet.position_w[:, :, 2] < 0.015)) & moving[:, None]
        w.idle_s.copy_((w.idle_s + self.dt_s) * planted)
        w.recover_s.copy_((w.recover_s - self.dt_s).clamp(min=0))
        self.landed_s = touch_down(w, self.contact, self.dt_s)
        asked = self.dt_s * self._reference()[:, 2]
        self.walk_error = end_walks(w, turned(self.heading, self.heading_1) - asked)

    def _reference(self) -> Float[Tensor, "world 3"]:
        """Velocity that the smoothed flags ask for; the velocity interface asks directly."""
        if self.config.commands.interface == VELOCITY:
            return self.goal_speed * self.worlds.flags
        w = self.worlds
        return shaped_velocity(w.flags, w.sbar, self.goal_speed, self.config.shaping, tanh=torch.tanh)

    def _wanted(self) -> Float[Tensor, "world 3"]:
        """Velocity to be tracked."""
        return self.follower.wanted(self._reference(), self.worlds)

    def _follow(self, walking: Bool[Tensor, " world"]) -> Bool[Tensor, " world"]:
        """Keep the courses of this tick; returns which worlds step."""
        root = self.engine.state("qpos")[:, :3].float()
        motion = Motion(self.feet, root, self.heading, self.velocity, self.twist_z)
        return self.follower.follow(walking, self.worlds, motion, self._reference(), self.rng)

    def omega_z(self) -> Float[Tensor, " world"]:
        """Yaw rate [rad/s], of the body z-axis as in the observation."""
        return self.omega[:, 2]

    def _frame(self, before: Before) -> Frame:
        w = self.worlds
        stance, swing_target = schedule(w.phase, w.moving, self.config.gait)
        force = self.engine.output("actuator_force")[:, self.layout.ctrl[self.layout.lmo]].float()
        return Frame(
            error_filtered=w.velocity_f - w.reference_f,
            speed=torch.cat([self.velocity[:, :2], self.omega_z()[:, None]], dim=1),
            goal=self.goal_speed * w.flags,
            vertical=self.velocity[:, 2],
            omega=self.omega,
            gravity=self.gravity,
            height=w.height,
            height_error=self.root_height - w.height,
            heading_error=w.heading_error,
            walk_error=self.walk_error,
            course=w.course,
            feet=self.feet,
            contact=self.contact,
            landed_s=self.landed_s,
            heading=self.heading,
            q=self.q,
            dq=self.dq,
            q_reference=self.leg_reference(w.height),
            q_target=w.targets[:, 0, self.layout.lmo],
            torque=force,
            action=w.action,
            action_1=w.action_1,
            before=before,
            stance=stance,
            swing_target=swing_target,
            moving=w.moving,
            recovering=(w.recover_s > 0) & ~w.moving,
            sigma=self.stage.sharpen(self.config.scales.sigma),
            scales=self.config.scales,
            body=self.body,
        )

    def _ended(self) -> tuple[Bool[Tensor, " world"], Bool[Tensor, " world"]]:
        """Fallen (or going where nobody sent it), and stalled: told to walk but one foot stays down."""
        w, c = self.worlds, self.config
        fallen = (self.gravity[:, 2] > c.fall_gravity) | (self.root_height < w.height - c.fall_drop_m)
        fallen = fallen | self.diverged | ~torch.isfinite(self.root_height)
        runaway = w.velocity_f[:, :2].norm(dim=1) > c.runaway_mps
        fallen = fallen | (runaway & ~w.moving & (w.recover_s == 0))
        stalled = (w.idle_s.amax(1) > c.stall_s) & w.moving if c.stall_s > 0 else torch.zeros_like(fallen)
        return fallen, stalled
