"""Unitree xr_teleoperate: episode_0000/{data.json, colors/}, joints of arms, hands and body in groups."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wbvla.core.errors import DataError
from wbvla.data.features import ACTION, IMAGE, STATE
from wbvla.data.format import vector
from wbvla.data.importers.streams import FilePictures
from wbvla.data.importers.take import MAX_FRAMES, Columns, ImportConfig, Item, Take, importers, require_finite, within
from wbvla.data.layout import inside, read_json
from wbvla.robots.platforms import load_robot

GROUPS = ("left_arm", "right_arm", "left_ee", "right_ee", "body")
MEASURES = {"qpos": (STATE, "q"), "qvel": ("observation.velocity", "dq"), "torque": ("observation.effort", "effort")}
FPS = 30
FILES = ("colors", "depths", "audios")
"""folders of an episode that hold no episodes"""
JOINT = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")


@importers.register("xr-teleoperate")
class XrTeleoperate:
    """Joints keep the names the file gives; where it gives none, `--robot` names the arms if they are its own."""

    version = 1
    licence = "not told by the layout; that of whoever recorded it"

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """Every folder with a data.json, and every one called episode_*."""
        found = []
        for folder, inner, files in os.walk(src):
            inner[:] = [n for n in inner if n not in FILES]  # thousands of pictures each
            if "data.json" in files or Path(folder).name.startswith("episode_"):
                found.append(Path(folder))
        for folder in sorted(found):
            at = folder.relative_to(src).as_posix()
            yield Item(name=at if folder != src else src.name, where={"at": at})

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """One episode; raises DataError with the reason when it is broken."""
        folder = within(src, str(item.where["at"]))
        told = _read(folder / "data.json")
        rows, info, texts = told["data"], _object(told, "info"), _object(told, "text")
        remarks: list[str] = []
        columns = _columns(rows, "states", _names_told(info), config)
        columns |= _columns(rows, "actions", _names_told(info), config)
        if not columns:
            raise DataError("neither states nor actions hold numbers")
        for key in ("depths", "audios", "tactiles", "sim_state"):
            if any(row.get(key) for row in rows):
                remarks.append(f"{key} were left out")
        task, desc = (str(texts.get(k) or "").strip() for k in ("goal", "desc"))
        return Take(
            task=task or desc or "(no words were recorded)",
            rate_hz=_fps(info),
            columns=columns,
            cameras=_cameras(folder, rows, config),
            phrasings=(desc,) if desc and task else (),
            language=True,
            notes={"source": {k: str(info[k])[:200] for k in ("version", "date", "author") if info.get(k)}}
            | ({"steps": str(texts["steps"])[:10_000]} if texts.get("steps") else {}),
            remarks=tuple(remarks),
        )

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """Units; the layout has no stamps."""
        return {
            "robot": config.robot or "unknown",
            "units": {"arm": "rad", "end effector": "as the source: rad, or its drive's own"},
            "clock": "none: frame i is at i / fps by the source's word",
        }


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError("data.json is missing")
    told = read_json(path)
    rows = told.get("data") if isinstance(told, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise DataError("data.json holds no frames")
    if len(rows) > MAX_FRAMES:
        raise DataError(f"data.json holds {len(rows)} frames, more than {MAX_FRAMES}")
    numbers = [row.get("idx") for row in rows]
    wrong = next((i for i, n in enumerate(numbers) if n != i), None)
    if wrong is not None:
        raise DataError(f"data.json: frame {wrong} says idx {numbers[wrong]}; frames are missing or out of order")
    return told


def _object(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object of the document; {} where it is none."""
    value = told.get(key)
    return value if isinstance(value, dict) else {}


def _fps(info: Mapping[str, Any]) -> float:
    fps = _object(info, "image").get("fps")
    return float(fps) if isinstance(fps, int | float) and 0 < fps < 1e4 else float(FPS)


def _names_told(info: Mapping[str, Any]) -> dict[str, list[str]]:
    """Joint names by group, as the file gives them."""
    told = _object(info, "joint_names")
    return {k: [_name(str(n)) for n in names] for k, names in told.items() if isinstance(names, list) and names}


def _name(joint: str) -> str:
    """`kLeftShoulderPitch` of the vendor's lists as `left_shoulder_pitch`; other names stay."""
    if re.fullmatch(r"k[A-Z][A-Za-z0-9]+", joint):
        return "_".join(part.lower() for part in JOINT.findall(joint[1:]))
    return joint


def _columns(
    rows: Sequence[Mapping[str, Any]], part: str, told: Mapping[str, list[str]], config: ImportConfig
) -> Columns:
    """Groups side by side in a fixed order, one feature per measure; empty groups are absent."""
    found: Columns = {}
    for measure, (feature, unit) in MEASURES.items():
        if part == "actions":
            feature, unit = (ACTION if measure == "qpos" else f"action.{measure}"), f"target_{unit}"
        names: list[str] = []
        parts: list[np.ndarray] = []
        for group in GROUPS:
            values = _group(rows, part, group, measure)
            if values is not None:
                names += [f"{n}.{_unit(group, unit)}" for n in _names(group, values.shape[1], told, config)]
                parts.append(values)
        if parts:
            found[feature] = vector(names), np.concatenate(parts, axis=1)
    return found


def _unit(group: str, what: str) -> str:
    """Joints are in SI units; what drives a hand has units of its own."""
    if group.endswith("_ee"):
        return what
    return what + ("_radps" if "dq" in what else "_nm" if "effort" in what else "_rad")


def _group(rows: Sequence[Mapping[str, Any]], part: str, group: str, measure: str) -> np.ndarray | None:
    """(T, n) numbers of one group; None where the first frame has none."""
    name = f"{part}.{group}.{measure}"
    found = []
    for i, row in enumerate(rows):
        value: Any = row
        for key in (part, group, measure):
            value = value.get(key) if isinstance(value, Mapping) else None
        value = [] if value is None else value
        if not isinstance(value, list) or not all(isinstance(v, int | float) for v in value):
            raise DataError(f"{name} at frame {i} is no list of numbers")
        if found and len(value) != len(found[0]):
            raise DataError(f"{name} has {len(value)} numbers at frame {i}, {len(found[0])} at the first")
        found.append(value)
    if not found[0]:
        return None
    with np.errstate(over="ignore"):
        return require_finite(name, np.array(found, dtype=np.float64).astype(np.float32))


def _names(group: str, width: int, told: Mapping[str, list[str]], config: ImportConfig) -> list[str]:
    """Names of a group's joints: the file's, else those of the robot's arm, else numbers."""
    names = told.get(group, [])
    if len(names) == width:
        return names
    if names:
        raise DataError(f"joint_names gives {len(names)} names for {group}, which has {width} joints")
    if config.robot and group.endswith("_arm"):
        side = group.removesuffix("_arm")
        own = [n for n in load_robot(config.robot).arm_joints if n.startswith(side)]
        if len(own) != width:
            raise DataError(f"{group} has {width} joints, {config.robot} has {len(own)}: it is another robot")
        return own
    return [f"{group}_{i}" for i in range(width)]


def _cameras(folder: Path, rows: Sequence[Mapping[str, Any]], config: ImportConfig) -> dict[str, FilePictures]:
    """The pictures of every camera of the first frame; raises DataError on one that is missing later."""
    first = rows[0].get("colors")
    names = sorted(n for n in first if config.takes(n)) if isinstance(first, dict) else []
    if not names:
        raise DataError("the first frame has no picture that is wanted")
    found = {}
    for name in names:
        files = []
        for i, row in enumerate(rows):
            colors = row.get("colors")
            file = colors.get(name) if isinstance(colors, dict) else None
            if not isinstance(file, str):
                raise DataError(f"frame {i} has no picture of {name}")
            path = within(folder, inside(file, f"picture {name} of frame {i}"))
            if not path.is_file():
                raise DataError(f"picture {file} of frame {i} is missing")
            files.append(path)
        found[IMAGE + name] = FilePictures(files)
    return found
