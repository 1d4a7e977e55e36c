"""One clip while it is recorded: rows go to the encoders and the columns; at its end it is committed, or refused."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from wbvla.collect.cameras.device import ACCEL, GYRO
from wbvla.collect.live.body_rows import columns_of
from wbvla.collect.live.encode import RemoteFootage
from wbvla.collect.live.ring import FrameRing, Status
from wbvla.collect.live.rows import Row, Ticks
from wbvla.core.errors import DataError
from wbvla.data.episode import EpisodeWriter
from wbvla.data.features import BODY_STAMP, DEPTH_OF, IMAGE, STAMPS, SUCCESS
from wbvla.data.words import LANGUAGE, SUBTASK
from wbvla.data.writer import DatasetWriter
from wbvla.robots.description import RobotSpec

Orders = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """What is known of a clip when it begins."""

    task: str
    """instruction"""
    phrasings: tuple[str, ...] = ()
    """other ways to say it"""
    skill: str = ""
    """name of the skill that the whole clip shows; empty: none"""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """columns that are the same in the whole clip, by name"""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """kept with the clip: who instructed, who consented"""
    num_frames: int = 0
    """end by itself after so many; 0: when it is told"""
    at_s: float = 0.0
    """frames captured before this do not belong to it [s]"""


class Clip:
    """Columns of a clip; pictures are only numbers of slots here."""

    def __init__(self, writer: DatasetWriter, orders: Orders, plan: ClipPlan, spec: RobotSpec | None) -> None:
        self.plan, self._spec, self._info = plan, spec, writer.info
        self._context = ExitStack()
        episode = writer.episode(plan.task, footage=partial(RemoteFootage, orders))
        self._episode: EpisodeWriter = self._context.enter_context(episode)
        self._rows: list[Row] = []
        self._body_s: list[float] = []
        self._motion: list[np.ndarray] = []
        self._opened: np.ndarray | None = None
        self._columns: list[Mapping[str, Any]] = []

    @property
    def num_frames(self) -> int:
        """Rows so far."""
        return len(self._rows)

    def add(self, row: Row, rings: Mapping[str, FrameRing], ticks: Ticks | None) -> None:
        """Take in a row: its pictures go to the encoders, which let go of the slots."""
        if self._spec is not None and ticks is not None:
            opened = ticks.at(row.time_s)
            if opened is None:
                raise DataError("no control tick has come yet; start the control loop before the clip")
            self._close_row(ticks, float(opened[0]))
            self._opened = opened
            self._body_s.append(float(opened[0]))
        for name, held in row.frames.items():
            if rings[name].config.motion and name == row.lead:
                self._motion.append(rings[name].motion(held.slot))
        self._rows.append(row)
        self._episode.add(self._pictures(row))

    def _pictures(self, row: Row) -> dict[str, Any]:
        names = {IMAGE + name + suffix: held.slot for name, held in row.frames.items() for suffix in ("", DEPTH_OF)}
        return {k: v for k, v in names.items() if k in self._info.features}

    def _close_row(self, ticks: Ticks, next_s: float) -> None:
        """The row before got its action with the last tick before this one."""
        if self._opened is None or self._spec is None:
            return
        closed = ticks.before(next_s)
        closed = self._opened if closed is None or closed[0] < self._opened[0] else closed
        acceleration = self._info.features["observation.imu"].shape == (6,)
        self._columns.append(columns_of(self._spec, self._opened, closed, acceleration))

    def commit(self, ticks: Ticks | None, ending: Mapping[str, Any], counts: Mapping[str, Any]) -> int:
        """Put the clip on disk; returns its number. Raises DataError when it cannot be."""
        episode, plan = self._episode, self.plan
        if not self._rows:
            raise DataError("no frame came")
        self._require_one_session()
        if ticks is not None and self._opened is not None:
            self._close_row(ticks, float(self._opened[0]) + 1.0 / self._info.fps)  # as if another row followed
        for name in self._columns[0] if self._columns else ():
            episode.fill(name, np.stack([c[name] for c in self._columns]))
        for name, value in plan.constants.items():
            episode.fill(name, value)
        if SUCCESS in self._info.features:
            episode.mark(ending.get("success"))
        if STAMPS in self._info.features:
            episode.fill(STAMPS, self._stamps())
        if plan.skill and SUBTASK in self._info.features:
            episode.segment(0, self.num_frames, plan.skill.replace("_", " "), plan.skill)
        if plan.phrasings and LANGUAGE in self._info.features:
            episode.add_phrasings(plan.phrasings)
        episode.note(**plan.notes, **ending.get("notes", {}), recorder=counts)
        episode.add_truth(**self._truth(), **ending.get("truth", {}))
        index = episode.commit()
        self._context.close()
        return index

    def discard(self) -> None:
        """Forget it."""
        self._context.close()

    def _require_one_session(self) -> None:
        for name in self._rows[0].frames:
            if len({r.frames[name].header.session for r in self._rows}) > 1:
                raise DataError(f"{name} was lost and opened again in the middle of it")

    def _offset_s(self, name: str) -> float:
        """One offset for the whole clip, the smallest, so that its stamps have the device's own spacing [s]."""
        return min(r.frames[name].offset_s for r in self._rows)

    def _stamps(self) -> np.ndarray:
        names = [n.removesuffix(".time_s") for n in self._info.features[STAMPS].names or ()]
        columns = []
        for name in names:
            if name == BODY_STAMP:
                columns.append(self._body_s)
            else:
                camera = name.removesuffix(DEPTH_OF)
                offset_s = self._offset_s(camera)
                columns.append([r.frames[camera].header.device_s + offset_s for r in self._rows])
        return np.array(columns[0] if len(columns) == 1 else list(zip(*columns)), dtype=np.float64)

    def _truth(self) -> dict[str, np.ndarray]:
        """The devices' own numbers and clocks, and the motion samples of the lead camera on the host's clock."""
        truth: dict[str, np.ndarray] = {}
        for name in self._rows[0].frames:
            headers = [r.frames[name].header for r in self._rows]
            truth[f"{name}_sequence"] = np.array([h.sequence for h in headers])
            truth[f"{name}_device_s"] = np.array([h.device_s for h in headers])
            truth[f"{name}_host_s"] = np.array([h.host_s for h in headers])
        if self._motion:
            samples, lead = np.concatenate(self._motion), self._rows[0].lead
            samples[:, 1] += self._offset_s(lead)
            for kind, word in ((ACCEL, "accel_mps2"), (GYRO, "gyro_radps")):
                chosen = samples[samples[:, 0] == kind]
                truth |= {f"{lead}_{word}": chosen[:, 2:], f"{lead}_{word.split('_')[0]}_s": chosen[:, 1]}
        return truth


def numbers_of(statuses: Mapping[str, Status]) -> dict[str, dict[str, int]]:
    """By camera, since the start: frames without room, frames that the device lost, times that it went away."""
    return {name: {f: s.get(f) for f in ("full", "gaps", "losses")} for name, s in statuses.items()}
