"""The robot loop: 50 Hz balance, always; 10 Hz actions from a source, when they come. Simulated or real body alike."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from wbvla.core.command import Command
from wbvla.core.contract import require_match
from wbvla.core.errors import ConfigError, WbvlaError
from wbvla.core.interfaces import Body, Observer
from wbvla.core.records import BodyState, JointTarget, Observation, Tick
from wbvla.deploy.chunk import ChunkConfig, ChunkPlayer, Setpoint
from wbvla.deploy.safety import SafetyLayer
from wbvla.deploy.sources import LocalSource, Source
from wbvla.robots.description import RobotSpec

WARM_UP_CALLS = 3
END_OF_RUN = "end_of_run"
"""what the safety layer latches when a run sits down of itself: no fault, and no flight recording"""
__all__ = ["Balancer", "LocalSource", "LoopReport", "RobotLoop", "Source"]


@runtime_checkable
class Balancer(Protocol):
    """The low-level controller as the loop sees it (`deploy.lmo.LmoController`)."""

    @property
    def kp(self) -> Float[np.ndarray, " lmo"]:
        """Stiffness of the joints it drives [N.m/rad]."""
        ...

    @property
    def kd(self) -> Float[np.ndarray, " lmo"]:
        """Damping of the joints it drives [N.m.s/rad]."""
        ...

    def reset(self, height_m: float) -> None:
        """Start anew, standing at this height [m]."""
        ...

    def step(self, state: BodyState, command: Command) -> Float[np.ndarray, " lmo"]:
        """Targets over `RobotSpec.lmo_joints` [rad]."""
        ...


@dataclass
class LoopReport:
    """What one run really did; periods and ages are of the body's clock, work is of the processor's."""

    ticks: int = 0
    reason: str = "ticks"
    """why it ended: `ticks`, `finished` (source or observer), `stopped` (operator) or `tripped`"""
    trip: str = ""
    """rule that stopped the robot; empty when none did, also after a run that ended of itself and sat down"""
    chunks: int = 0
    """chunks put into effect"""
    observations: int = 0
    overruns: int = 0
    """periods longer than 1.5 control periods"""
    counts: dict[str, int] = field(default_factory=dict)
    """acts of the safety layer by rule"""
    periods_s: list[float] = field(default_factory=list)
    work_s: list[float] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    """age of the action in effect at each tick after the first chunk [s]"""

    def summary(self) -> dict[str, float]:
        """Rates and percentiles: `loop_hz`, `period_p50_ms` ... `work_max_ms`, `age_p99_ms`."""
        figures = {"loop_hz": 1.0 / float(np.mean(self.periods_s)) if self.periods_s else 0.0}
        for name, values in (("period", self.periods_s), ("work", self.work_s), ("age", self.ages_s)):
            if values:
                points = np.percentile(np.array(values) * 1e3, [50, 95, 99, 100])
                figures |= {f"{name}_{p}_ms": float(v) for p, v in zip(("p50", "p95", "p99", "max"), points)}
        return figures


class RobotLoop:
    """Joins a body, a low-level controller, a source of actions and the safety layer; one object per run.

    `instruction` may be changed while it runs. `finish()` ends the run after the current tick, `stop()` is the
    operator's stop: stand still, then sit down damped.
    """

    def __init__(
        self,
        body: Body,
        spec: RobotSpec,
        lmo: Balancer,
        source: Source,
        safety: SafetyLayer,
        observers: Sequence[Observer] = (),
    ) -> None:
        if abs(safety.control_hz - body.control_hz) > 1e-6:
            raise ConfigError(
                f"the safety layer counts {safety.control_hz} Hz, the body {body.control_hz} Hz; "
                "make it with SafetyLayer(spec, control_hz=body.control_hz)"
            )
        joints = {"joint_names": list(spec.joint_names)}
        require_match(f"body of {spec.name}", joints, {"joint_names": list(body.joint_names)})
        stride = body.control_hz / source.rate_hz
        if abs(stride - round(stride)) > 1e-6 or stride < 1:
            raise ConfigError(
                f"{source.rate_hz} observations per second do not divide the control rate {body.control_hz} Hz"
            )
        self.instruction = ""
        self._body, self._spec, self._lmo, self._source = body, spec, lmo, source
        self._safety, self._observers, self._stride = safety, tuple(observers), round(stride)
        self._lmo_index, self._arm_index = spec.indices(spec.lmo_joints), spec.indices(spec.arm_joints)
        self._kp, self._kd, self._rest = spec.column("kp"), spec.column("kd"), spec.column("default")
        self._kp[self._lmo_index], self._kd[self._lmo_index] = lmo.kp, lmo.kd
        self._finish = self._stop = self._sits = self._ended = self._sees = False
        self._seen = -1
        self._settle_ticks = 0
        self._state: BodyState | None = None
        self._setpoint: Setpoint | None = None
        self._error: Exception | None = None

    def stop(self) -> None:
        """Operator's stop (callable from a signal handler or another thread, also before the run): settle, then sit."""
        self._stop = True

    def finish(self) -> None:
        """End the run after the current tick, without settling (an episode is over)."""
        self._finish = True

    def run(self, ticks: int, instruction: str = "", sit: bool = False) -> LoopReport:
        """Run at most `ticks` control ticks and say what happened; raises SafetyTrip when a trip is latched.

        With `sit` the robot is sat down where the run ends of itself, as by `stop`, before anyone lets go of the body;
        without it the robot is left standing to a caller that goes on driving it, or resets a simulated world.
        """
        report, self._sits = LoopReport(), sit
        for _ in self.ticks(report, ticks, instruction):
            pass
        self._sits = False
        return report

    def ticks(self, report: LoopReport, ticks: int, instruction: str = "") -> Iterator[Tick]:
        """The same, one control tick at a time, for a caller that sets the pace; `report` is whole at the end.

        What fails in a tick trips: the robot is sat down, then the error is raised.
        """
        first = self._body.read()
        self._safety.begin(first)
        self.instruction = instruction or self.instruction
        self._source.reset()
        # the first calls of a network are slow: they are made before time counts, and forgotten
        height_m = self._spec.nominal_height_m
        for _ in range(WARM_UP_CALLS):
            self._lmo.reset(height_m)
            self._safety.require_stance(first, self._lmo.step(first, Command(height_m=height_m)))
        self._lmo.reset(height_m)
        config = ChunkConfig(control_hz=self._body.control_hz)
        player = ChunkPlayer(first.q[self._arm_index], height_m, config, first.gripper)
        self._seen, self._settle_ticks, self._finish, self._ended = -1, 0, False, False
        self._state, self._setpoint, self._error, self._sees = first, None, None, False
        now_s = before_s = first.time_s
        while not self._is_over(report, ticks):
            started = time.perf_counter()
            tick = self._guarded_tick(player, report, now_s, now_s - before_s)
            report.work_s.append(time.perf_counter() - started)
            before_s, now_s = now_s, self._wait(now_s)
            self._account(report, tick, now_s - before_s)
            if tick is not None:
                yield tick
        report.counts = dict(self._safety.counts)
        report.trip = "" if self._safety.trip == END_OF_RUN else self._safety.trip
        if self._error is not None:
            raise self._error

    def _guarded_tick(self, player: ChunkPlayer, report: LoopReport, now_s: float, period_s: float) -> Tick | None:
        """One tick; None when it failed, which trips: the body is still told how to sit down."""
        tick = None
        with self._or_sit():
            tick = self._tick(player, report, now_s, period_s)
        if tick is None:
            hold = JointTarget(q=self._rest.copy(), kp=self._kp.copy(), kd=self._kd.copy(), gripper=np.ones(2))
            with self._or_sit():
                self._body.write(self._safety.finish(hold))
            return None
        for observer in self._observers:
            with self._or_sit():
                observer.observe(tick)
        return tick

    @contextmanager
    def _or_sit(self) -> Iterator[None]:
        """Whatever fails within trips, and is raised once the robot sits: nobody else would catch what stands on it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self._error = self._error or error
            self._safety.stop("loop_fault")

    def _wait(self, now_s: float) -> float:
        """The body's next tick [s]; a body that cannot wait any more is sat down at the control rate."""
        with self._or_sit():
            return self._body.tick()
        time.sleep(1.0 / self._body.control_hz)
        return now_s + 1.0 / self._body.control_hz

    def _is_over(self, report: LoopReport, ticks: int) -> bool:
        """Set the reason and say whether the run ends before the next tick."""
        if self._safety.trip:
            if self._safety.trip != END_OF_RUN:
                report.reason = "stopped" if self._safety.trip == "operator_stop" else "tripped"
            return self._safety.settled
        if self._stop:
            return False
        if self._finish or self._source.finished:
            report.reason = "finished"
        elif report.ticks < ticks:
            return False
        self._stop = self._ended = self._sits
        return not self._sits

    def _account(self, report: LoopReport, tick: Tick | None, period_s: float) -> None:
        report.ticks += 1
        if report.ticks > 1:  # the first one is as long as it took to start
            report.periods_s.append(period_s)
            report.overruns += period_s > 1.5 / self._body.control_hz
        if tick is None:
            return
        report.observations += tick.observation is not None
        if math.isfinite(tick.chunk_age_s):
            report.ages_s.append(tick.chunk_age_s)

    def _tick(self, player: ChunkPlayer, report: LoopReport, now_s: float, period_s: float) -> Tick:
        """Read, observe, decide, write: everything of one control tick but the waiting."""
        state = self._read()
        self._safety.begin_tick(state, now_s)
        observation = self._observe(state, player, report)
        age_s, setpoint = self._play(player, report, state.time_s)
        arm, command = self._safety.guard(setpoint, age_s, self._halted)
        command = self._settle(command)
        target = self._safety.finish(self._target(state, arm, setpoint, command))
        self._body.write(target)
        return Tick(
            index=report.ticks,
            state=state,
            command=command,
            target=target,
            arm_target=arm,
            chunk_age_s=age_s,
            period_s=period_s,
            observation=observation,
            events=self._safety.take_events(),
        )

    @property
    def _halted(self) -> bool:
        """Whether the robot stands or sits for good: no chunk moves it any more."""
        return self._stop or bool(self._safety.trip)

    def _read(self) -> BodyState:
        """Proprioception; where the body has none that may be used (NaN, say) the last one, until it is stale."""
        try:
            self._state = self._body.read()
        except WbvlaError:
            if self._state is None:
                raise
            self._safety.report("state_refused")
        return self._state

    def _play(self, player: ChunkPlayer, report: LoopReport, now_s: float) -> tuple[float, Setpoint]:
        """Age of the chunk in effect [s] and its setpoint; once the robot is halted, the last one."""
        if self._halted and self._setpoint is not None:
            return player.age_s(now_s), self._setpoint
        report.chunks += self._take(player)
        self._setpoint = player.step()
        return player.age_s(now_s), self._setpoint

    def _observe(self, state: BodyState, player: ChunkPlayer, report: LoopReport) -> Observation | None:
        """Offer an observation to the source when one is due."""
        if report.ticks % self._stride or self._halted:
            return None
        try:
            images = self._body.images()
        except WbvlaError:
            if not self._sees:
                raise  # a camera that never worked is an error, one that dies is an old picture
            self._safety.report("camera_stale")
            return None
        if not self._safety.sees(images, state.time_s):
            return None
        self._sees = True
        sequence = report.ticks // self._stride
        observation = Observation(sequence=sequence, state=state, images=images, instruction=self.instruction)
        player.observed(sequence)
        self._source.offer(observation)
        return observation

    def _take(self, player: ChunkPlayer) -> bool:
        """Put the newest chunk into effect when it is new and allowed."""
        latest = self._source.latest()
        if latest is None or latest[1] == self._seen:
            return False
        action, self._seen, time_s = latest
        if not self._safety.admit(action):
            return False
        refused = player.load(action, self._seen, time_s)
        if refused:
            self._safety.report(refused)
        return not refused

    def _settle(self, command: Command) -> Command:
        """After a stop, or the end of a run that sits: stand for `settle_s`, then trip into the damped sit."""
        if not self._stop:
            return command
        self._settle_ticks += 1
        if self._settle_ticks > self._safety.config.settle_s * self._body.control_hz:
            self._safety.stop(END_OF_RUN if self._ended else "operator_stop")
        return Command(height_m=command.height_m)

    def _target(
        self, state: BodyState, arm: Float[np.ndarray, " arm"], setpoint: Setpoint, command: Command
    ) -> JointTarget:
        """One PD target for every joint: arms from the chunk, legs and waist yaw from the LMO, the rest held."""
        q = self._rest.copy()
        legs = self._lmo.step(state, command)
        if not np.isfinite(legs).all():
            self._safety.stop("lmo_fault")
            legs = state.q[self._lmo_index]
        q[self._lmo_index], q[self._arm_index] = legs, arm
        return JointTarget(q=q, kp=self._kp.copy(), kd=self._kd.copy(), gripper=setpoint.gripper)
