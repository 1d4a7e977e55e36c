"""What the robot sees and where both its hands reach, before any task geometry is fixed: JSON, plots, a table.

python benchmarks/reach_map.py            # writes docs/results/reach_map.json and docs/images/reach_*.png
python benchmarks/reach_map.py --quick    # coarse, under a minute, writes nothing
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import tyro
from jaxtyping import Bool, Float
from matplotlib import pyplot as plt

from wbvla.collect.arms import ArmMotion
from wbvla.collect.ik import ArmIk, HandPose
from wbvla.core.files import write_bytes
from wbvla.core.rotation import quat_conjugate, quat_from_rpy, quat_rotate
from wbvla.core.run import provenance
from wbvla.robots.description import CameraFacts, RobotSpec
from wbvla.robots.kinematics import SquatTable, height_reference, link_poses, squat_table
from wbvla.robots.platforms import load_robot

DOCS = Path(__file__).resolve().parents[1] / "docs"
BOX = (0.20, 0.24, 0.15)
"""depth, width, height of the object that is looked at [m]"""
STANCES = (0.63, 0.56, 0.50)
CENTRES = {"floor": 0.075, "0.30 m": 0.375, "0.52 m (box-lift)": 0.595, "0.75 m": 0.825}
"""what the box stands on -> height of its centre [m]"""
PITCHES = {"head": (0.0, -0.2, 0.3), "head_forward": (0.0, 0.3, 0.48)}
LATERALS = (0.0, 0.25, 0.5, 0.75)
WIDTHS = (0.19, 0.22, 0.25)
PALM_HALF, GOOD_M, GOOD_TILT = 0.020, 0.01, 0.15


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make the map."""

    quick: bool = False
    """a coarse map; nothing is written"""
    robot: str = "agibot_x2"
    """robot by name"""


@functools.cache
def squat(robot: str) -> SquatTable:
    """The robot's squat table; it takes a second to solve."""
    return squat_table(load_robot(robot))


def posture(spec: RobotSpec, stance_m: float, head_pitch: float) -> Float[np.ndarray, " joint"]:
    """Standing at a height with the head pitched."""
    q = spec.column("default")
    q[spec.indices(spec.lmo_joints)] = height_reference(squat(spec.name), np.array(stance_m))
    q[spec.indices(("head_pitch_joint",))] = head_pitch
    return q


def box_points(centre: Float[np.ndarray, "*b 3"], per_edge: int = 7) -> Float[np.ndarray, "*b point 3"]:
    """Points on the faces of the box that can be seen from the front: top and front."""
    u = np.linspace(-0.5, 0.5, per_edge)
    a, b = (g.ravel() for g in np.meshgrid(u, u))
    top = np.stack([a, b, np.full_like(a, 0.5)], axis=-1)
    front = np.stack([np.full_like(a, -0.5), a, b], axis=-1)
    return centre[..., None, :] + np.concatenate([top, front]) * np.array(BOX)


def in_image(
    spec: RobotSpec, camera: CameraFacts, stance_m: float, head_pitch: float, points: Float[np.ndarray, "*b 3"]
) -> Bool[np.ndarray, "*b"]:
    """Which points, in the frame of the floor below the pelvis, fall into the image."""
    link = link_poses(spec, posture(spec, stance_m, head_pitch))[camera.link]
    eye = link.apply(np.array(camera.xyz)) + np.array([0.0, 0.0, stance_m])
    from_link = quat_rotate(np.broadcast_to(quat_conjugate(link.quat_wxyz), (*points.shape[:-1], 4)), points - eye)
    tilt = quat_from_rpy(np.array([0.0, -camera.pitch_down, 0.0]))
    x, y, z = np.moveaxis(quat_rotate(np.broadcast_to(tilt, (*points.shape[:-1], 4)), from_link), -1, 0)
    half_v = np.tan(np.deg2rad(camera.fovy_deg) / 2)
    half_h = half_v * camera.width / camera.height
    return (x > 0.05) & (np.abs(z) <= half_v * x) & (np.abs(y) <= half_h * x)


def visibility(spec: RobotSpec, step_m: float) -> list[dict[str, Any]]:
    """Share of the box in view, row by row."""
    rows = []
    distances = np.arange(0.3, 2.01, step_m)
    for camera in spec.cameras:
        for pitch in PITCHES.get(camera.name, ()):
            for stance in STANCES:
                for place, height in CENTRES.items():
                    for lateral in LATERALS:
                        centre = np.stack(
                            [distances, np.full_like(distances, lateral), np.full_like(distances, height)], -1
                        )
                        seen = in_image(spec, camera, stance, pitch, box_points(centre)).mean(axis=-1)
                        rows.append(
                            {
                                "camera": camera.name,
                                "head_pitch_rad": pitch,
                                "stance_m": stance,
                                "box_on": place,
                                "lateral_m": lateral,
                                "distance_m": distances.round(3).tolist(),
                                "visible": seen.round(3).tolist(),
                            }
                        )
    return rows


def one_hand(spec: RobotSpec, xs: np.ndarray, ys: np.ndarray, zs: np.ndarray) -> Bool[np.ndarray, "x y z"]:
    """Where the left palm gets to with its side towards the object, in the torso frame."""
    ik = ArmIk(spec)
    posture = ArmMotion(ik).posture
    good = np.zeros((len(xs), len(ys), len(zs)), dtype=bool)
    for j, y in enumerate(ys):
        for k, z in enumerate(zs):
            start = posture
            for i, x in enumerate(xs):
                for pitch in (0.5, 0.9, 0.1):
                    pose = {"left": HandPose(xyz=np.array([x, y, z]), pitch_down=pitch)}
                    first = ik.solve(pose, start, posture)
                    found = ik.solve(pose, first.q, posture)
                    good[i, j, k] |= bool(found.error_m[0] < GOOD_M and found.tilt_rad[0] < GOOD_TILT)
                    if good[i, j, k]:
                        start = found.q
                        break
    return good


def reach(spec: RobotSpec, step_m: float) -> dict[str, Any]:
    """Where both palms reach the sides of a box, by distance, height over the torso, width and lateral offset."""
    xs, zs = np.arange(0.20, 0.521, step_m), np.arange(-0.40, 0.201, step_m)
    laterals = np.array([0.0, 0.05, 0.10])
    sides = {w: w / 2 + PALM_HALF for w in WIDTHS}
    ys = np.unique(np.round([s + sign * lat for s in sides.values() for lat in laterals for sign in (1, -1)], 4))
    good = one_hand(spec, xs, ys, zs)

    def at(y: float) -> Bool[np.ndarray, "x z"]:
        return good[:, int(np.argmin(np.abs(ys - y))), :]

    both = {
        f"{w:.2f}": {f"{lat:.2f}": (at(side + lat) & at(side - lat)).astype(int).tolist() for lat in laterals}
        for w, side in sides.items()
    }
    poses = link_poses(spec, spec.column("default"))
    return {
        "distance_m": xs.round(3).tolist(),
        "above_torso_m": zs.round(3).tolist(),
        "torso_above_pelvis_m": float(poses[spec.torso_link].xyz[2]),
        "reached": both,
        "axes": "reached[box width m][lateral offset m][distance][height]",
    }


def draw_visibility(rows: list[dict[str, Any]], path: Path) -> None:
    """Share of the box in view over distance: standing, straight ahead; both cameras, three head pitches."""
    cameras = list(PITCHES)
    figure, axes = plt.subplots(1, len(cameras), figsize=(11, 3.8), sharey=True)
    for axis, camera in zip(axes, cameras):
        for colour, place in zip(("#888888", "#2a9d8f", "#e76f51", "#264653"), CENTRES):
            for style, pitch in zip(("-", "--", ":"), PITCHES[camera]):
                row = next(
                    r
                    for r in rows
                    if (r["camera"], r["head_pitch_rad"], r["box_on"], r["stance_m"], r["lateral_m"])
                    == (camera, pitch, place, STANCES[0], 0.0)
                )
                label = f"on {place}" if pitch == 0.0 else None
                axis.plot(row["distance_m"], row["visible"], style, color=colour, label=label, lw=1.8)
        pitches = ", ".join(f"{p:+.2f}" for p in PITCHES[camera])
        axis.set_title(f"{camera}: head pitch {pitches} rad (solid, dashed, dotted)", fontsize=9)
        axis.axvspan(1.0, 1.25, color="#e9c46a", alpha=0.3)
        axis.axvline(0.33, color="#e9c46a")
        axis.set_xlabel("pelvis to box centre [m]")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of the box in view")
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_reach(found: dict[str, Any], path: Path) -> None:
    """Where both hands reach a box, over the floor, for three stance heights."""
    figure, axes = plt.subplots(1, len(STANCES), figsize=(11, 3.8), sharey=True, layout="constrained")
    xs, zs = np.array(found["distance_m"]), np.array(found["above_torso_m"])
    for axis, stance in zip(axes, STANCES):
        share = np.mean([[np.array(g) for g in by.values()] for by in found["reached"].values()], axis=(0, 1))
        heights = zs + found["torso_above_pelvis_m"] + stance
        mesh = axis.pcolormesh(xs, heights, share.T, cmap="YlGn", vmin=0, vmax=1, shading="nearest")
        axis.plot(0.33, 0.595, "o", color="#e76f51", label="box-lift, at its grasp")
        axis.set_title(f"stance {stance:.2f} m", fontsize=9)
        axis.set_xlabel("pelvis to grasp point [m]")
    axes[0].set_ylabel("grasp point above the floor [m]")
    axes[0].legend(fontsize=7, loc="lower right")
    figure.colorbar(mesh, ax=axes, label="share of widths and offsets reached")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: nearest and farthest distance with the whole box in view, standing, straight ahead."""
    lines = ["| camera | head pitch [rad] | box on | whole box in view [m] |", "|---|---|---|---|"]
    for row in rows:
        if row["stance_m"] == STANCES[0] and row["lateral_m"] == 0.0:
            seen = [d for d, v in zip(row["distance_m"], row["visible"]) if v > 0.99]
            span = f"{min(seen):.2f} to {max(seen):.2f}" if seen else "never"
            lines.append(f"| {row['camera']} | {row['head_pitch_rad']:+.2f} | {row['box_on']} | {span} |")
    return lines


def main() -> None:
    """Compute, print the table, write files."""
    options = tyro.cli(Options)
    matplotlib.use("Agg")
    spec = load_robot(options.robot)
    rows = visibility(spec, 0.1 if options.quick else 0.05)
    found = reach(spec, 0.08 if options.quick else 0.02)
    print("\n".join(table(rows)))
    share = float(np.mean([np.mean(g) for by in found["reached"].values() for g in by.values()]))
    if not options.quick:
        (DOCS / "images").mkdir(parents=True, exist_ok=True)
        (DOCS / "results").mkdir(parents=True, exist_ok=True)
        result = {"visibility": rows, "reach": found, **provenance()}
        compact = json.dumps(result, separators=(",", ":"), allow_nan=False)  # thousands of cells
        write_bytes(DOCS / "results" / "reach_map.json", compact.encode() + b"\n")
        draw_visibility(rows, DOCS / "images" / "reach_visibility.png")
        draw_reach(found, DOCS / "images" / "reach_hands.png")
    print(json.dumps({"views": len(rows), "reached_share": round(share, 4)}))


if __name__ == "__main__":
    main()
