"""EgoDex: partN/<task>/<i>.{mp4,hdf5}; egocentric video at 30 Hz with the poses of camera, hands and body joints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Num

from wbvla.core.errors import DataError
from wbvla.data.features import IMAGE, POSE
from wbvla.data.format import vector
from wbvla.data.importers.hdf5 import Hdf5, open_hdf5
from wbvla.data.importers.streams import VideoPictures
from wbvla.data.importers.take import Columns, ImportConfig, Item, Take, importers, require_finite, require_size, within

HEAD = IMAGE + "head"
CAMERA, SKELETON, CONFIDENCE = "observation.camera_pose", "observation.skeleton", "observation.confidence"
MAX_JOINTS = 256
ROTATION_TOLERANCE = 1e-2
"""how far R^T R may be from the identity [-]"""


@importers.register("egodex")
class EgoDex:
    """Poses as x y z and quaternion wxyz in the source's world frame; no robot, no action."""

    version = 1
    licence = "CC BY-NC-ND: no commercial use, and what is made of it may not be passed on"

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """One per video or HDF5 file; what lacks the other is rejected with that reason."""
        stems = {p.with_suffix("").relative_to(src).as_posix() for p in src.rglob("*.mp4")}
        stems |= {p.with_suffix("").relative_to(src).as_posix() for p in src.rglob("*.hdf5")}
        if not stems:
            raise DataError(f"{src} holds neither .mp4 nor .hdf5 files; name the folder of part1, part2 ...")
        for stem in sorted(stems, key=lambda s: (s.rpartition("/")[0], len(s), s)):
            yield Item(name=stem)

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """One clip; raises DataError with the reason when it is broken."""
        video = VideoPictures(within(src, f"{item.name}.mp4"))
        with open_hdf5(within(src, f"{item.name}.hdf5")) as file:
            columns, notes = _columns(file), _intrinsics(file)
            task, others = _words(file)
        return Take(
            task=task or Path(item.name).parent.name.replace("_", " "),
            rate_hz=video.rate_hz,
            columns=columns,
            cameras={HEAD: video},
            times_s={"head": video.times_s},
            phrasings=others,
            language=True,
            notes=notes,
        )

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """Frames and units."""
        frame = "the source's world frame; x y z [m], quaternion wxyz"
        clock = "stamps of each video file"
        return {"robot": "human", "frames": {CAMERA: frame, SKELETON: frame}, "clock": clock}


def _words(file: Hdf5) -> tuple[str, tuple[str, ...]]:
    """The description that holds; of a pair (there and back) the one the file points to."""
    both = [file.text("llm_description"), file.text("llm_description2")]
    if both[1] and file.text("which_llm_description") == "2":
        return both[1], ()
    return both[0], ()


def _intrinsics(file: Hdf5) -> dict[str, Any]:
    matrix = file.read("camera/intrinsic", 3)
    if matrix is None or matrix.shape != (3, 3):
        return {}
    values = require_finite("camera/intrinsic", matrix.astype(np.float64))
    fx, fy, cx, cy = (float(values[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return {"cameras": {"head": {"model": "pinhole", "fx": fx, "fy": fy, "cx": cx, "cy": cy}}}


def _columns(file: Hdf5) -> Columns:
    """Poses of the camera and of every joint, and how sure the source is of them."""
    joints = [n for n in file.members("transforms") if n != "camera"]
    if not joints or len(joints) > MAX_JOINTS:
        raise DataError(f"transforms/ holds {len(joints)} joints, not 1 to {MAX_JOINTS}")
    found: Columns = {}
    camera = file.read("transforms/camera", 4, 4)
    if camera is not None:
        found[CAMERA] = vector([f"camera.{p}" for p in POSE]), poses_of("transforms/camera", camera)
    poses = []
    for joint in joints:
        matrices = file.read(f"transforms/{joint}", 4, 4)
        if matrices is None:
            raise DataError(f"transforms/{joint} is empty")
        require_size("transforms/", len(joints) * matrices.nbytes)
        poses.append(poses_of(f"transforms/{joint}", matrices))
    _require_equal({j: len(p) for j, p in zip(joints, poses)})
    found[SKELETON] = vector([f"{j}.{p}" for j in joints for p in POSE]), np.concatenate(poses, axis=1)
    sure = {n: file.read(f"confidences/{n}") for n in file.members("confidences")}
    known = {n: v for n, v in sure.items() if v is not None}
    if known:
        _require_equal({n: len(v) for n, v in known.items()})
        values = np.stack([v.astype(np.float32) for v in known.values()], axis=1)
        found[CONFIDENCE] = vector(list(known)), require_finite("confidences", values)
    return found


def _require_equal(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        some = ", ".join(f"{n} {v}" for n, v in sorted(lengths.items(), key=lambda x: x[1])[:: len(lengths) - 1])
        raise DataError(f"joints have different numbers of frames: {some}")


def poses_of(name: str, matrices: Num[np.ndarray, "row 4 4"]) -> np.ndarray:
    """Position and quaternion wxyz of rigid transforms, float32 (row, 7); raises DataError where they are none."""
    values = require_finite(name, matrices.astype(np.float64))
    turn = values[:, :3, :3]
    off = np.abs(np.swapaxes(turn, 1, 2) @ turn - np.eye(3)).max(axis=(1, 2))
    off = np.maximum(off, np.abs(values[:, 3] - [0.0, 0.0, 0.0, 1.0]).max(axis=1))
    off = np.where(np.linalg.det(turn) < 0, 2.0, off)
    if (off > ROTATION_TOLERANCE).any():
        raise DataError(f"{name} is no rigid transform at frame {int(np.flatnonzero(off > ROTATION_TOLERANCE)[0])}")
    return np.concatenate([values[:, :3, 3], quaternions(turn)], axis=1).astype(np.float32)


def quaternions(turn: Float64[np.ndarray, "row 3 3"]) -> Float64[np.ndarray, "row 4"]:
    """Unit quaternions wxyz, w >= 0, of rotation matrices.

    The largest row of the symmetric 4x4 matrix 4 q q^T, which is linear in R (Shepperd 1978), so nothing cancels.
    """
    r = turn
    trace = np.trace(r, axis1=1, axis2=2)
    outer = np.empty((len(r), 4, 4))
    outer[:, 0, 0] = 1.0 + trace
    for i in range(3):
        outer[:, i + 1, i + 1] = 1.0 + 2.0 * r[:, i, i] - trace
        j, k = (i + 1) % 3, (i + 2) % 3
        outer[:, 0, i + 1] = outer[:, i + 1, 0] = r[:, k, j] - r[:, j, k]
        outer[:, j + 1, k + 1] = outer[:, k + 1, j + 1] = r[:, j, k] + r[:, k, j]
    best = outer[:, range(4), range(4)].argmax(axis=1)
    q = outer[np.arange(len(r)), best]
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    return np.where(q[:, :1] < 0, -q, q)
