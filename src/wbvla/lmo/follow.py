"""Keeps the course of each world while it learns: as the robot knows it, and as it is."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from wbvla.core.course import advance_course, carry_course, corrected, keeps_stepping, limit_course
from wbvla.lmo.observation import PRESETS
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.worlds import Worlds


@dataclass(frozen=True)
class Motion:
    """How the roots moved in this tick, by the simulator."""

    level_feet: Float[Tensor, "world 2 3"]
    """soles seen from the root in the level frame along its heading [m]"""
    velocity: Float[Tensor, "world 3"]
    """heading frame [m/s]"""
    yaw_rate: Float[Tensor, " world"]
    """about the vertical [rad/s]"""


class Follower:
    """What the presets `heading` and `course` need every tick; does nothing for the others."""

    def __init__(self, settings: EnvironmentConfig, dt_s: float) -> None:
        blocks = PRESETS[settings.preset]
        self.keeps_place = "course" in blocks
        self.keeps_heading = self.keeps_place or "heading" in blocks
        self._settings, self._dt_s = settings, dt_s
        self._heading_only = torch.tensor([0.0, 0.0, 1.0])

    def seen(self, worlds: Worlds) -> list[Float[Tensor, "world n"]]:
        """Numbers for the observation."""
        if not self.keeps_heading:
            return []
        return [worlds.course if self.keeps_place else worlds.course[:, 2:]]

    def wanted(self, reference: Float[Tensor, "world 3"], worlds: Worlds) -> Float[Tensor, "world 3"]:
        """Velocity to be tracked: the reference, and for robots that step, what takes the error back."""
        if not self.keeps_heading:
            return reference
        better = corrected(reference, worlds.true_course, self._settings.course, torch)
        if not self.keeps_place:
            better = torch.cat([reference[:, :2], better[:, 2:]], dim=1)
        return torch.where(worlds.moving[:, None], better, reference)

    def follow(
        self,
        walking: Bool[Tensor, " world"],
        worlds: Worlds,
        motion: Motion,
        reference: Float[Tensor, "world 3"],
        rng: Generator,
    ) -> Bool[Tensor, " world"]:
        """One tick; returns which worlds step: those that walk, or are off their place."""
        w, config, dt_s = worlds, self._settings.course, self._dt_s
        fresh = (walking & ~w.walking)[:, None]
        w.walking.copy_(walking)
        if not self.keeps_heading:
            return walking
        noise = torch.randn(w.level_feet.shape, generator=rng, device=rng.device)
        feet = motion.level_feet + self._settings.odometry_noise_m * noise
        before = torch.where((w.age <= 1)[:, None, None], feet, w.level_feet)
        rate, step = motion.yaw_rate, motion.velocity * dt_s
        known = advance_course(w.course, feet, before, (rate + w.gyro_bias, reference), dt_s, torch)
        true = carry_course(w.true_course, (step[:, 0], step[:, 1], rate * dt_s), reference, dt_s, torch)
        w.course.copy_(torch.where(fresh, 0.0, limit_course(known, config, torch)))
        w.true_course.copy_(torch.where(fresh, 0.0, limit_course(true, config, torch)))
        w.level_feet.copy_(feet)
        place = w.course if self.keeps_place else w.course * self._heading_only
        return walking | keeps_stepping(place, w.moving, config)
