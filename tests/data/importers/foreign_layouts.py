"""Small sources in the exact layouts of the foreign formats, with real videos, pictures, HDF5 files and archives."""

import io
import json
import tarfile
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
from PIL import Image

H, W = 32, 48


def grey(level: int, height: int = H, width: int = W) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def levels(length: int, base: int = 0) -> list[int]:
    """One grey per frame, far enough apart to survive a codec."""
    return [(base + 7 * i) % 250 for i in range(length)]


def mp4(
    path: Path, greys: Sequence[int], fps: int = 30, gop: int = 12, size: tuple[int, int] = (H, W), **more: Any
) -> Path:
    """A real H.264 file; `ticks` hundredths of a frame is every other one late, `options` are x264's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(tuple(greys), fps, gop, size, **more))
    return path


@lru_cache
def encoded(
    greys: tuple[int, ...],
    fps: int,
    gop: int,
    size: tuple[int, int],
    ticks: int = 0,
    options: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """The bytes of an mp4; the same clip is encoded once."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as out:
        usual = {"crf": "16", "bf": "0", "preset": "ultrafast", "x264-params": "scenecut=0"}
        stream = out.add_stream("libx264", rate=fps, options=usual | dict(options))
        stream.height, stream.width, stream.pix_fmt = size[0], size[1], "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, fps * 100)
        for i, level in enumerate(greys):
            frame = av.VideoFrame.from_ndarray(grey(level, *size), format="rgb24")
            frame.pts, frame.time_base = 100 * i + (ticks if i % 2 else 0), Fraction(1, fps * 100)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return memory.getvalue()


def truncate(path: Path, share: float = 0.5) -> None:
    """Cut a file short."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def picture(path: Path, level: int, size: tuple[int, int] = (H, W)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95} if path.suffix == ".jpg" else {}
    Image.fromarray(grey(level, *size)).save(path, **options)


# AgiBot World.


def agibot_h5(path: Path, length: int, **sets: Any) -> Path:
    """proprio_stats.h5 of N frames; `sets` replaces data sets by name with `__` for `/`, None removes one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    t, empty = np.arange(length), np.zeros((0,))
    joints = t[:, None] * 0.01 + np.arange(14) * 0.1
    quat = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (length, 2, 4))
    content: dict[str, Any] = {
        "timestamp": 1_700_000_000_000_000_000 + (t * 1e9 / 30).astype(np.int64),
        "state/joint/position": joints,
        "state/joint/current_value": joints,
        "state/joint/effort": empty,
        "state/joint/velocity": empty,
        "state/effector/position": np.stack([t * 1.0, t * 2.0], axis=1),
        "state/effector/force": empty,
        "state/head/position": np.full((length, 2), 0.3),
        "state/waist/position": np.full((length, 2), 0.2),
        "state/end/position": np.full((length, 2, 3), 0.5),
        "state/end/orientation": quat,
        "action/joint/position": joints + 0.005,
        "action/joint/index": t,
        "action/effector/position": np.stack([t / length, 1 - t / length], axis=1),
        "action/effector/index": t,
        "action/head/position": empty,
        "action/waist/position": empty,
        "action/end/position": np.full((length, 2, 3), 0.6),
        "action/end/orientation": quat,
        "action/robot/velocity": empty,
    }
    content |= {k.replace("__", "/"): v for k, v in sets.items()}
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            if values is not None:
                file[name] = values
    return path


def agibot_episode(
    root: Path, episode: int, length: int, base: int = 0, task: int = 327, **sets: Any
) -> dict[str, Any]:
    """All files of one episode; returns its entry for task_info."""
    where = f"{task}/{episode}"
    mp4(root / "observations" / where / "videos/head_color.mp4", levels(length, base))
    mp4(root / "observations" / where / "videos/hand_left_color.mp4", levels(length, base + 60), gop=2)
    for i in range(length):
        depth = root / "observations" / where / f"depth/head_depth_{i:06d}.png"
        depth.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((H, W), 700 + 10 * i, dtype=np.uint16)).save(depth)
    agibot_h5(root / "proprio_stats" / where / "proprio_stats.h5", length, **sets)
    parameters = root / "parameters" / where / "camera/head_intrinsic_params.json"
    parameters.parent.mkdir(parents=True, exist_ok=True)
    parameters.write_text(json.dumps({"intrinsic": {"fx": 600.0, "fy": 601.0}}))
    labels = [
        {"start_frame": 0, "end_frame": length // 2, "action_text": "Reach for the cup", "skill": "Reach"},
        {"start_frame": length // 2, "end_frame": length, "action_text": "Lift the cup", "skill": "Lift"},
    ]
    words = {"task_name": "Pick the cup", "init_scene_text": "A cup on a table."}
    return {"episode_id": episode, **words, "label_info": {"action_config": labels}}


def agibot(root: Path, lengths: Sequence[int], task: int = 327) -> Path:
    """A source of sound episodes 1001, 1002, ..."""
    told = [agibot_episode(root, 1001 + i, n, 11 * i, task) for i, n in enumerate(lengths)]
    write_json(root / f"task_info/task_{task}.json", told)
    return root


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


# The others.


def tutorial(root: Path, lengths: Sequence[int], width: int = 14) -> Path:
    for i, n in enumerate(lengths):
        folder = root / "task_001" / f"episode_{i:03d}"
        for frame, level in enumerate(levels(n, 11 * i)):
            picture(folder / "images" / f"{frame}.png", level)
        np.save(folder / "actions.npy", np.arange(n * width, dtype=np.float64).reshape(n, width) / 100 + i)
        (folder / "lang.txt").write_text("put the box on the cart\n")
    return root


def xr_row(i: int) -> dict[str, Any]:
    arm = [0.1 * i + 0.01 * j for j in range(7)]
    group = {"qpos": arm, "qvel": [], "torque": []}
    body = {"qpos": [], "qvel": [], "torque": []}
    states = {k: dict(group) for k in ("left_arm", "right_arm")}
    states |= {k: {"qpos": [0.5 + i], "qvel": [], "torque": []} for k in ("left_ee", "right_ee")} | {"body": body}
    colors = {f"color_{c}": f"colors/{i:06d}_color_{c}.jpg" for c in (0, 1)}
    row = {"idx": i, "colors": colors, "depths": {}, "states": states, "actions": json.loads(json.dumps(states))}
    return row | {"tactiles": {}, "audios": {}, "sim_state": ""}


def xr(root: Path, lengths: Sequence[int], joint_names: dict[str, Any] | None = None) -> Path:
    image = {"width": W, "height": H, "fps": 30}
    for i, n in enumerate(lengths):
        folder = root / f"episode_{i:04d}"
        for frame, level in enumerate(levels(n, 11 * i)):
            for camera in (0, 1):
                picture(folder / f"colors/{frame:06d}_color_{camera}.jpg", (level + 90 * camera) % 250)
        info = {"version": "1.0.0", "date": "2026-01-01", "author": "lab", "image": image}
        info |= {"joint_names": joint_names or {"left_arm": [], "right_arm": []}}
        text = {"goal": "pick up the red cup", "desc": "the cup stands on the table", "steps": "step1: reach"}
        write_json(folder / "data.json", {"info": info, "text": text, "data": [xr_row(f) for f in range(n)]})
    return root


def egodex_h5(path: Path, length: int, confidences: bool = True, **attributes: str) -> Path:
    with h5py.File(path, "w") as file:
        file["camera/intrinsic"] = np.array([[700.0, 0, 320], [0, 701.0, 240], [0, 0, 1]])
        for j, joint in enumerate(("camera", "leftHand", "rightHand", "leftThumbTip")):
            matrices = np.tile(np.eye(4), (length, 1, 1))
            angle = 0.1 * np.arange(length)
            matrices[:, 0, 0], matrices[:, 0, 1] = np.cos(angle), -np.sin(angle)
            matrices[:, 1, 0], matrices[:, 1, 1] = np.sin(angle), np.cos(angle)
            matrices[:, :3, 3] = j + 0.01 * np.arange(length)[:, None]
            file[f"transforms/{joint}"] = matrices
            if confidences and joint != "camera":
                file[f"confidences/{joint}"] = np.full(length, 0.75)
        words = {"llm_description": "fold the shirt", "llm_description2": "", "which_llm_description": "1"}
        file.attrs.update(words | attributes)
    return path


def egodex(root: Path, lengths: Sequence[int]) -> Path:
    for i, n in enumerate(lengths):
        mp4(root / f"part1/fold_shirt/{i}.mp4", levels(n, 11 * i))
        egodex_h5(root / f"part1/fold_shirt/{i}.hdf5", n)
    return root


def tar_of(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return path


def egocentric(root: Path, lengths: Sequence[int], scratch: Path) -> Path:
    members: dict[str, bytes] = {}
    for i, n in enumerate(lengths):
        video = mp4(scratch / f"{i}.mp4", levels(n, 11 * i)).read_bytes()
        facts = {"factory_id": "factory_001", "worker_id": "worker_002", "video_index": i, "duration_sec": n / 30}
        facts |= {"width": W, "height": H, "fps": 30.0, "size_bytes": len(video), "codec": "h264"}
        members |= {f"clip_{i:05d}.mp4": video, f"clip_{i:05d}.json": json.dumps(facts).encode()}
    folder = root / "factory_001/workers/worker_002"
    tar_of(folder / "factory001_worker002_part00.tar", members)
    lens = {"fx": 1030.0, "fy": 1032.0, "cx": 966.0, "cy": 539.0, "k1": -0.1, "image_width": W, "image_height": H}
    write_json(folder / "intrinsics.json", lens)
    return root


def primitives(root: Path, lengths: dict[str, Sequence[int]]) -> Path:
    for i, (name, clips) in enumerate(lengths.items()):
        for j, n in enumerate(clips):
            mp4(root / name / f"{1700000000 + j}.mp4", levels(n, 11 * j + 40 * i))
    return root
