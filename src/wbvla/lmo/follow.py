"""Keeps the course of each world while it learns: as the robot knows it, and as it is."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from wbvla.core.course import advance_course, average_drift, carry_course, corrected, keeps_stepping, limit_course
from wbvla.lmo.frames import to_heading_frame
from wbvla.lmo.observation import PRESETS
from wbvla.lmo.plant import Feet
from wbvla.lmo.settings import EnvironmentConfig
from wbvla.lmo.worlds import Worlds
from wbvla.robots.description import RobotSpec


@dataclass(frozen=True)
class Motion:
    """How the roots moved in this tick, by the simulator."""

    feet: Feet
    root_w: Float[Tensor, "world 3"]
    """[m]"""
    heading: tuple[Float[Tensor, " world"], Float[Tensor, " world"]]
    """cosine and sine"""
    velocity: Float[Tensor, "world 3"]
    """heading frame [m/s]"""
    yaw_rate: Float[Tensor, " world"]
    """about the vertical [rad/s]"""

    def level(self, vector_w: Float[Tensor, "world 2 3"]) -> Float[Tensor, "world 2 3"]:
        """Vectors in the level frame along the heading."""
        cos, sin = (part[:, None] for part in self.heading)
        return torch.cat([to_heading_frame(vector_w[..., :2], cos, sin), vector_w[..., 2:]], dim=-1)

    def corners(self, offsets: Float[Tensor, "corner 2"]) -> Float[Tensor, "world 2 corner 3"]:
        """Corners of the soles, `offsets` forward and left of their centres, seen from the root [m]."""
        centre = self.level(self.feet.position_w - self.root_w[:, None])
        forward, normal = self.level(self.feet.forward_w), self.level(self.feet.normal_w)
        left = torch.cross(normal, forward, dim=-1)
        along, across = offsets[:, :1], offsets[:, 1:]
        return centre[:, :, None] + along * forward[:, :, None] + across * left[:, :, None]


class Follower:
    """What the presets `heading` and `course` need every tick; does nothing for the others."""

    def __init__(self, settings: EnvironmentConfig, spec: RobotSpec, dt_s: float) -> None:
        blocks = PRESETS[settings.preset]
        self.keeps_place = "course" in blocks
        self.keeps_heading = self.keeps_place or "heading" in blocks
        self._settings, self._dt_s = settings, dt_s
        points = torch.tensor(spec.sole_points, dtype=torch.float32, device=settings.device)[:, :2]
        self._corners = points - (points.amin(0) + points.amax(0)) / 2
        self._heading_only = torch.tensor([0.0, 0.0, 1.0], device=settings.device)

    def seen(self, worlds: Worlds) -> list[Float[Tensor, "world n"]]:
        """Numbers for the observation."""
        if not self.keeps_heading:
            return []
        return [worlds.course if self.keeps_place else worlds.course[:, 2:]]

    def wanted(self, reference: Float[Tensor, "world 3"], worlds: Worlds) -> Float[Tensor, "world 3"]:
        """Velocity to be tracked: the reference, and for robots that step, what takes the error back."""
        if not self.keeps_heading:
            return reference
        better = corrected(reference, worlds.course, self._settings.course, torch)
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
        corners = motion.corners(self._corners)
        noise = torch.randn((len(corners), 2, 1, 3), generator=rng, device=rng.device)
        feet = (corners + self._settings.odometry_noise_m * noise).flatten(1, 2)
        before = torch.where((w.age <= 1)[:, None, None], feet, w.level_feet)
        rate, step = motion.yaw_rate, motion.velocity * dt_s
        known = advance_course(w.course, feet, before, (rate + w.gyro_bias, reference), dt_s, torch)
        true = carry_course(w.true_course, (step[:, 0], step[:, 1], rate * dt_s), reference, dt_s, torch)
        w.drift.copy_(average_drift(w.drift, known, w.course, dt_s))
        w.course.copy_(torch.where(fresh, 0.0, limit_course(known, config, torch)))
        w.true_course.copy_(torch.where(fresh, 0.0, limit_course(true, config, torch)))
        w.level_feet.copy_(feet)
        place, drift = w.course, w.drift
        if not self.keeps_place:
            place, drift = place * self._heading_only, torch.zeros_like(drift)
        return walking | keeps_stepping(place, drift, w.moving, config)
