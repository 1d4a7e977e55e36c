"""One clip of manipulation video: attempts are simulated without pictures until one succeeds; that one is drawn."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Float, UInt8

from wbvla.collect.manipulation.catalogue import SPLITS, catalogue
from wbvla.collect.manipulation.hands import TICK_S, Hands
from wbvla.collect.manipulation.layout import Clip, Rows
from wbvla.collect.manipulation.work import Slip, Work
from wbvla.collect.manipulation.works import WORKS
from wbvla.core.errors import DataError, RobotError
from wbvla.data.features import pinhole
from wbvla.sim.bench_robot import SIDES
from wbvla.sim.camera import RenderConfig, Renderer
from wbvla.sim.workbench import Bench

MOST_ATTEMPTS = 12
"""of one clip, before the recording gives up: the work itself must be broken then"""
LONGEST_S = 40.0
"""an attempt that takes longer has failed [s]"""
SETTLE_S = 0.4
"""after the last motion, before success is judged [s]"""


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """What the bytes of a clip depend on, beside its number."""

    fps: int
    """[Hz]"""
    size: int
    """head pictures [px]"""
    wrist_size: int
    """wrist pictures; 0 = none [px]"""
    samples: int
    """per pixel"""
    split: str
    """`train` or `test`"""
    seed: int
    """of everything"""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Edge of each camera's pictures [px]."""
        hands = dict.fromkeys(("left_hand", "right_hand"), self.wrist_size) if self.wrist_size else {}
        return {"head": self.size, **hands}


@dataclass(kw_only=True)
class Film:
    """States that a performance is drawn from, one per frame."""

    qpos: list[np.ndarray] = field(default_factory=list)
    alpha: list[np.ndarray] = field(default_factory=list)
    """opacity of every geometry: what was wiped off is gone"""
    rows: Rows = field(default_factory=Rows)

    def take(self, bench: Bench, hands: Hands) -> None:
        """One frame."""
        self.qpos.append(bench.data.qpos.copy())
        self.alpha.append(bench.model.geom_rgba[:, 3].copy())
        rows = self.rows
        rows.q.append(bench.q)
        rows.dq.append(bench.dq)
        rows.torque.append(bench.torque)
        rows.gap_mm.append(bench.gap_m * 1e3)
        rows.target.append(hands.target)
        rows.closing.append(np.array([1.0 - hands.opening[side] for side in SIDES]))
        for xyz, xyzw, palm in (
            (rows.end_xyz, rows.end_xyzw, bench.palm),
            (rows.target_xyz, rows.target_xyzw, hands.ik.palm),
        ):
            poses = [palm(side) for side in SIDES]
            xyz.append(np.array([place for place, _ in poses]))
            xyzw.append(np.array([_xyzw(turn) for _, turn in poses]))


@dataclass(frozen=True, kw_only=True)
class Performance:
    """A success: what is written, and what it is drawn from."""

    clip: Clip
    bench: Bench
    film: Film


def act(config: ClipConfig, number: int, place: tuple[int, int]) -> Performance:
    """The first attempt at a clip that succeeds; raises DataError when too many fail."""
    failed: list[str] = []
    for attempt in range(MOST_ATTEMPTS):
        work, film = open_work(config, number, attempt), Film()
        try:
            bench = work.start()
            reason = _perform(work, film, config.fps)
        except (Slip, RobotError) as error:
            reason = str(error)
        if not reason:
            clip = _clip_of(work, film, number, place, config, tuple(failed))
            return Performance(clip=clip, bench=bench, film=film)
        failed.append(f"{work.name}: {reason}")
    raise DataError(f"clip {number} failed {MOST_ATTEMPTS} times: {', '.join(sorted(set(failed)))}")


def open_work(config: ClipConfig, number: int, attempt: int) -> Work:
    """The piece of work of a clip's attempt, not started."""
    split = list(SPLITS).index(config.split)
    rng = np.random.default_rng((config.seed, split, number, attempt))
    return WORKS[number % len(WORKS)](catalogue(config.split), rng)


def _perform(work: Work, film: Film, fps: int) -> str:
    """Act it out; empty when it succeeded, else why not."""
    ticks = round(1.0 / (fps * TICK_S))
    film.take(work.bench, work.hands)
    work.frame = 1
    settle = work.hands.wait(SETTLE_S)
    for tick, _ in enumerate(_joined(work, settle), start=1):
        work.hands.tick()
        work.watch()
        if tick % ticks == 0:
            film.take(work.bench, work.hands)
            work.frame = len(film.qpos)
        if tick * TICK_S > LONGEST_S:
            return "it took too long"
    return "" if work.is_done() else "it was not done in the end"


def _joined(work: Work, settle: Iterator[None]) -> Iterator[None]:
    yield from work.script()
    yield from settle


def _clip_of(
    work: Work, film: Film, number: int, place: tuple[int, int], config: ClipConfig, failed: tuple[str, ...]
) -> Clip:
    count, labels = len(film.qpos), work.labels
    starts = [min(frame, count) if index else 0 for index, (frame, _, _) in enumerate(labels)]
    ends = [*starts[1:], count]
    segments = [(a, b, text, skill) for a, b, (_, text, skill) in zip(starts, ends, labels) if a < b]
    model = work.bench.model
    free = {name: int(model.joint(name).qposadr[0]) for name in work.things}
    poses = {f"pose.{name}": np.array([q[at : at + 7] for q in film.qpos]) for name, at in free.items()}
    return Clip(
        number=number,
        task=place[0],
        episode=place[1],
        instruction=work.instruction,
        scene=work.scene_text,
        segments=tuple(segments),
        failed=failed,
        rows=film.rows,
        cameras=_cameras(work.bench, config),
        truth={
            **poses,
            "qpos": np.array(film.qpos),
            "attempt": np.array(len(failed)),
            "table_z": np.array(work.table_z),
        },
    )


def _cameras(bench: Bench, config: ClipConfig) -> dict[str, Any]:
    """Parameters of each camera by the name of its file; the head's place is in the world, the hands' in their link."""
    found: dict[str, Any] = {}
    for camera, size in config.sizes.items():
        index = int(bench.model.camera(camera).id)
        matrix = pinhole(float(bench.model.cam_fovy[index]), size, size)
        name = {"left_hand": "hand_left", "right_hand": "hand_right"}.get(camera, camera)
        intrinsic = {"fx": matrix["fx"], "fy": matrix["fy"], "ppx": matrix["cx"], "ppy": matrix["cy"]}
        found[f"{name}_intrinsic_params"] = {"intrinsic": {**intrinsic, "width": size, "height": size}}
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, bench.model.cam_quat[index])
        look = turn.reshape(3, 3) @ np.diag([1.0, -1.0, -1.0])  # x right, y down, z ahead, as calibrations have it
        link = bench.model.body(int(bench.model.cam_bodyid[index])).name
        place = {"translation_vector": bench.model.cam_pos[index].tolist(), "rotation_matrix": look.tolist()}
        found[f"{name}_extrinsic_params"] = {"extrinsic": place, "frame": link}
    return found


def draw(performance: Performance, config: ClipConfig) -> Iterator[dict[str, UInt8[np.ndarray, "size size 3"]]]:
    """The pictures of every frame."""
    bench, groups = performance.bench, _by_size(config.sizes)
    renderers = [
        Renderer(bench.model, cameras, RenderConfig(width=size, height=size, samples=config.samples))
        for size, cameras in groups.items()
    ]
    try:
        for qpos, alpha in zip(performance.film.qpos, performance.film.alpha):
            bench.data.qpos[:] = qpos
            bench.model.geom_rgba[:, 3] = alpha
            mujoco.mj_kinematics(bench.model, bench.data)
            mujoco.mj_camlight(bench.model, bench.data)
            images: dict[str, np.ndarray] = {}
            for renderer in renderers:
                images |= renderer.render(bench.data)
            yield images
    finally:
        for renderer in renderers:
            renderer.close()


def _by_size(sizes: Mapping[str, int]) -> dict[int, list[str]]:
    """Cameras that share a renderer."""
    found: dict[int, list[str]] = {}
    for camera, size in sizes.items():
        found.setdefault(size, []).append(camera)
    return found


def _xyzw(turn: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4"]:
    """Quaternion of a rotation as the layout has it; the scalar is never negative."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, turn.flatten())
    return np.roll(quat if quat[0] >= 0.0 else -quat, -1)
