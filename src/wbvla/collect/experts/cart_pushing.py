"""Expert of cart-pushing: walk to the bar, close the hands around it, push and steer, stop at the line."""

from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from jaxtyping import Float

from wbvla.collect.approach import X, Y
from wbvla.collect.arms import Reach
from wbvla.collect.bar import Bar, BarConfig, bar_phases
from wbvla.collect.expert import PERIOD_S, SLIPPED, Expert, Lapse, Motion, Script, experts
from wbvla.collect.ik import SIDES
from wbvla.core.rotation import yaw_of
from wbvla.sim.cart import cart_speed
from wbvla.sim.tasks.cart_pushing import CART, LANE, CartPushing, hands_on


@dataclass(frozen=True, kw_only=True)
class PushConfig:
    """How the cart is pushed, steered and stopped."""

    stop_m: float = 0.27
    """pelvis to bar: in reach of bent arms, knees and feet clear of the cart"""
    raise_arms_m: float = 0.5
    """the arms come up when less than this is left to walk [m]"""
    accept: tuple[float, float, float] = (0.06, 0.04, 0.06)
    """while pushing, errors within this are left alone: x, y [m], psi [rad]"""
    gain_rad_per_m: float = 0.5
    """the cart is turned back by this for each metre its front wheels are beside the lane's middle"""
    turn_rad: float = 0.12
    """and by this at most"""
    aside_m: float = 0.05
    """the hands move the bar to the side by this at most; the rest is for the feet"""
    twist_rad: float = 0.15
    """and turn it by this at most against the robot"""
    push_n: float = 4.0
    """force of each hand ahead: about the rolling resistance"""
    brake_ns_per_m: float = 40.0
    """force of each hand against the cart's speed once the robot stops [N.s/m]"""
    spare_m: float = 0.10
    """the cart is meant to stop this far past the line"""
    speed_mps: float = 0.15
    """of the hands while they hold the bar"""
    lost_s: float = 0.4
    """a bar that a hand has not touched for this long is lost"""
    aside_at_first_m: float = 0.10
    """perturbed: the lane's middle seems off by up to this over the first half"""
    break_share: float = 0.3
    """perturbed: share of the pushes that are broken off once: the cart is stopped, let go and taken again"""
    wait_m: float = 0.12
    """the robot farther than this beside its place does not walk on: the cart turns the faster, the faster it goes"""
    go_on_m: float = 0.06
    """until it is nearer than this"""


class CartPushingExpert(Expert):
    """Takes the bar again until the cart is past the line or has left its lane."""

    phases: ClassVar = {
        "walk": ("walk to the cart", "walk"),
        **bar_phases("the bar of the cart"),
        "push": ("push the cart straight ahead", "push"),
        "halt": ("stop the cart", "stop"),
    }
    push_config = PushConfig()

    def script(self) -> Script:
        """Walk, take, push, halt; from the beginning when the bar slips or the robot strays."""
        apart = BarConfig(apart_m=self._cart_task.config.grip_m)
        bar = Bar(self, CART, lambda: hands_on(self.world), apart)
        self._draw_faults()
        while True:
            try:
                yield from self.walk("walk", lambda: self._stop_error(bar), self._walking)
                yield from bar.take(lambda: self._stop_error(bar))
                while True:
                    yield from self._push(bar)
                    yield from self._halt(bar)
            except Lapse as lapse:
                if self.recover(lapse):
                    yield from bar.release()
                    self.attempts += 1

    def is_lost(self) -> bool:
        """The cart has left its lane."""
        return self._cart_task.strayed()

    @property
    def _cart_task(self) -> CartPushing:
        return cast(CartPushing, self.task)

    def _draw_faults(self) -> None:
        """What goes wrong on purpose: aims beside the lane at first, stops and lets go once on the way."""
        config, strength = self.push_config, self.config.perturbation
        self._missing_s = 0.0
        self._aside_m = float(self._rng.uniform(-1, 1)) * config.aside_at_first_m * strength
        breaks = self._rng.uniform() < config.break_share * strength
        share = float(self._rng.uniform(0.15, 0.8))
        self._break_at_m = share * self._cart_task.config.distance_m if breaks else np.inf

    # Walking.

    def _stop_error(self, bar: Bar) -> Float[np.ndarray, "3"]:
        middle, yaw = bar.middle()
        place = middle[:2] - self.push_config.stop_m * _towards(yaw)
        return self.error_to(place, yaw, missed=True)

    def _walking(self, error: Float[np.ndarray, "3"]) -> Motion:
        raised = float(np.hypot(*error[:2])) < self.push_config.raise_arms_m or self.attempts > 0
        return Motion(arms=self.carry if raised else self.rest, opening=1.0 if raised else 0.0)

    # Pushing.

    def _push(self, bar: Bar) -> Script:
        """Ahead until what robot and cart still coast ends behind the line; not while the cart points aside."""
        config, waits = self.push_config, False
        ways = replace(self.config.approach, accept=config.accept, lag_s=0.0)
        steer = type(self.approach)(self.world.spec.shaping, ways)
        self.enter("push")
        while True:
            error = self._place_error()
            waits = abs(error[Y]) > (config.go_on_m if waits else config.wait_m)
            flags = steer.step(error * (0.0 if waits else 1.0, 1.0, 1.0))
            if flags[X] <= 0 and not waits and self.phase_s > 0.5:
                return
            flags[X] = max(0, int(flags[X]))
            yield replace(self._holding(bar, self._braking() if waits else config.push_n), flags=flags)
            self._keep(bar)
            if self._travelled() > self._break_at_m:
                return

    def _braking(self) -> float:
        """Force of each hand against the cart's speed [N]."""
        return -self.push_config.brake_ns_per_m * cart_speed(self.world, CART)[0]

    def _halt(self, bar: Bar) -> Script:
        """Stand and take the cart's speed away; over when it stands before the line."""
        task = self._cart_task.config
        self.enter("halt")
        while True:
            yield self._holding(bar, self._braking())
            self._keep(bar)
            still = self.phase_s > 1.5 and abs(cart_speed(self.world, CART)[0]) < task.still_mps
            if still and self._travelled() > self._break_at_m:
                self._break_at_m = np.inf
                raise Lapse(SLIPPED)
            if still and self._travelled() < task.distance_m + 0.01:
                return

    def _keep(self, bar: Bar) -> None:
        """Raise `SLIPPED` when a hand has been off the bar for too long."""
        self._missing_s = 0.0 if bar.held() else self._missing_s + PERIOD_S
        if self._missing_s > self.push_config.lost_s:
            self._missing_s = 0.0
            raise Lapse(SLIPPED)

    def _holding(self, bar: Bar, force_n: float) -> Motion:
        """Hands at the nominal distance, the bar aside and turned as it is wanted, each pushing ahead."""
        config, (wanted, yaw) = self.push_config, self._wanted()
        root, quat = self.world.root_pose()
        heading, seen = float(yaw_of(quat)), self.error_to(wanted, yaw)
        aside = float(np.clip(seen[1], -config.aside_m, config.aside_m))
        turn = float(np.clip(seen[2], -config.twist_rad, config.twist_rad))
        middle = root[:2] + config.stop_m * _towards(heading) + aside * _towards(heading + np.pi / 2.0)
        goals = bar.hands(np.array([*middle, bar.middle()[0][2]]), heading + turn)
        force = force_n * np.array([*_towards(self.pose_of(CART)[1]), 0.0])
        reach = Reach(goals=goals, speed_mps=config.speed_mps, forces_w=dict.fromkeys(SIDES, force))
        return Motion(arms=reach, height_m=bar.config.stance_m)

    def _travelled(self) -> float:
        return self._cart_task.lane_pose(self.world)[0]

    def _wanted(self) -> tuple[Float[np.ndarray, "2"], float]:
        """Where the bar's middle should be and how the cart should point now, in the world [m, rad].

        The front wheels do not slide sideways: the cart turns about their middle, which goes where it points. So it
        is pointed back at the lane's middle in proportion to their distance from it.
        """
        config, cart = self.push_config, self._cart_task.config.cart
        travelled, left, turned = self._cart_task.lane_pose(self.world)
        lane_yaw = self.pose_of(LANE)[1]
        axle = cart.wheel_at_m[0]
        front = left + axle * np.sin(turned)
        if travelled < self._cart_task.config.distance_m / 2.0:
            front -= self._aside_m
        turn = float(np.clip(-config.gain_rad_per_m * front, -config.turn_rad, config.turn_rad))
        origin, yaw = self.pose_of(CART)
        yaw_wanted = lane_yaw + turn
        middle = origin[:2] + axle * _towards(yaw)
        return middle - (axle - cart.bar_x_m) * _towards(yaw_wanted), yaw_wanted

    def _place_error(self) -> Float[np.ndarray, "3"]:
        """Seen from the robot: how far there is to go, its place behind the wanted bar to the side, its heading."""
        config, (bar, yaw) = self.push_config, self._wanted()
        error = self.error_to(bar - config.stop_m * _towards(yaw), yaw)
        error[X] = self._cart_task.config.distance_m + config.spare_m - self._travelled()
        return error


def _towards(yaw: float) -> Float[np.ndarray, "2"]:
    """Unit vector of a heading."""
    return np.array([np.cos(yaw), np.sin(yaw)])


@experts.register("cart-pushing")
def cart_pushing() -> type[Expert]:
    """Expert of cart-pushing."""
    return CartPushingExpert
