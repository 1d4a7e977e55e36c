"""The list of clips in a folder of videos, pictures or tar archives: built once, in parallel, resumable, kept on disk.

Every file is opened and its first frame decoded; what cannot be is listed by name with its reason and left out.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from wbvla.core.errors import DataError
from wbvla.core.files import write_bytes
from wbvla.data.decoding import MAX_PIXELS
from wbvla.data.layout import inside
from wbvla.data.packets import ByteRange
from wbvla.data.video import VideoReader

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")
PICTURES = (".jpg", ".jpeg", ".png")
FOLDER = ".wbvla"
"""folder of the list, beside the clips or in a cache folder"""
LIST, PART = "clips.jsonl", "clips.jsonl.part"
MAX_MEMBERS = 1 << 20
"""most members of one archive"""
MAX_JSON = 1 << 20
"""largest description of one clip [bytes]"""
MAX_LIST = 1 << 30
"""largest list that is read back; a larger one is made anew [bytes]"""
MIN_FRAMES = 2


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One clip without actions."""

    name: str
    """what errors call it; for a member of an archive `ARCHIVE::MEMBER`, never used as a path"""
    path: str
    """its file, or its folder of pictures, relative to the source"""
    length: int
    """frames, at its own rate"""
    fps: float
    """its own mean rate [Hz]; 0 = that of the source"""
    start: int = 0
    """first byte in the file"""
    size: int | None = None
    """bytes in the file; None = all of it"""
    text: str = ""
    """words that hold for the whole clip: those of its description, else the folder it lies in"""
    intrinsics: dict[str, float] = field(default_factory=dict)
    """fx, fy, cx, cy and whatever else is known of the lens [px]"""

    def __post_init__(self) -> None:
        whole = (self.length, self.start, 0 if self.size is None else self.size)
        if not all(isinstance(n, int) and n >= 0 for n in whole) or not 0 <= float(self.fps) < 1e5 or not self.length:
            raise DataError(f"no clip: {self.name!r} of {self.length!r} frames at {self.fps!r} Hz from {self.start!r}")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All clips of a source, in order of their names, and what was left out."""

    clips: tuple[Clip, ...]
    broken: dict[str, str]
    """name -> reason, of everything that cannot be read"""
    digest: str
    """SHA-256 over names, sizes and lengths"""


@dataclass(frozen=True)
class Item:
    """One unit of work: a video, an archive or a folder of pictures, with what tells that it changed."""

    path: str
    bytes: int
    changed_ns: int


def list_clips(root: Path, cache: Path | None = None, workers: int = 0) -> Listing:
    """The clips under `root`; only what is new or changed since the last call is opened.

    Each finished file is noted at once, so that a call that was killed goes on where it stopped. `cache` is the folder
    for the list where `root` cannot be written; `workers` 0: one per core.
    Raises DataError when `root` holds nothing that can be read.
    """
    root = Path(root)
    folder = (Path(cache) if cache else root) / FOLDER
    items = find_items(root)
    if not items:
        raise DataError(f"{root} holds nothing to read; known: {', '.join((*VIDEOS, '.tar', *PICTURES))}")
    known = {k: v for name in (LIST, PART) for k, v in _read_rows(folder / name).items()}
    todo = [item for item in items if _key(item) not in known]
    if todo:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / PART).open("a", encoding="utf-8") as part, _pool(workers) as pool:
                for item, row in zip(todo, pool.map(lambda i: _probe(root, i), todo), strict=True):
                    known[_key(item)] = row
                    part.write(json.dumps([_key(item), row]) + "\n")
                    part.flush()
            rows = "".join(json.dumps([_key(i), known[_key(i)]]) + "\n" for i in items)
            write_bytes(folder / LIST, rows.encode())
            (folder / PART).unlink()
        except OSError as error:
            raise DataError(
                f"the list of clips cannot be written to {folder} ({error}); name a cache folder"
            ) from error
    return _listing(root, [known[_key(i)] for i in items])


def find_items(root: Path) -> list[Item]:
    """Videos, archives and folders of pictures under `root`, by name; neither hidden ones nor links out of it."""
    found = []
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if not n.startswith("."))
        pictures = [f for f in files if f.lower().endswith(PICTURES)]
        where = Path(folder)
        for file in sorted(files):
            path = where / file
            if file.lower().endswith((*VIDEOS, ".tar")) and not file.startswith(".") and path.is_file():
                if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                    continue
                facts = path.stat()
                found.append(Item(path.relative_to(root).as_posix(), facts.st_size, facts.st_mtime_ns))
        if pictures:
            found.append(Item(where.relative_to(root).as_posix(), len(pictures), where.stat().st_mtime_ns))
    return sorted(found, key=lambda i: i.path)


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their names, numbers by value."""
    names = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith(".")]

    def order(path: Path) -> tuple[int, str]:
        digits = "".join(c for c in path.stem if c.isdigit())
        return int(digits[-18:] or 0), path.name

    return sorted(names, key=order)


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """One picture as RGB; raises DataError when it is none, or too large to be one."""
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path} has {image.width}x{image.height} pixels, more than {MAX_PIXELS}")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"picture {path} cannot be decoded ({error})") from error


def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)))


def _key(item: Item) -> str:
    return f"{item.path}|{item.bytes}|{item.changed_ns}"


def _read_rows(path: Path) -> dict[str, dict[str, Any]]:
    """What an earlier call noted; a line that was cut off by a kill is left out."""
    rows: dict[str, dict[str, Any]] = {}
    if not path.is_file() or path.stat().st_size > MAX_LIST:
        return rows
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            key, row = json.loads(line)
            rows[key] = {"clips": [asdict(Clip(**c)) for c in row["clips"]], "broken": dict(row["broken"])}
        except (ValueError, TypeError, KeyError, DataError, RecursionError):
            continue
    return rows


def _listing(root: Path, rows: list[dict[str, Any]]) -> Listing:
    clips = tuple(Clip(**c) for row in rows for c in row["clips"])
    for clip in clips:
        inside(clip.path, "the clip")
    broken = {name: reason for row in rows for name, reason in row["broken"].items()}
    if not clips:
        some = "; ".join(f"{n}: {r}" for n, r in list(broken.items())[:3])
        raise DataError(f"none of the clips in {root} can be read ({some})")
    digest = hashlib.sha256("".join(f"{c.name}|{c.size}|{c.length}|{c.fps}\n" for c in clips).encode())
    return Listing(clips=clips, broken=broken, digest=digest.hexdigest())


def _probe(root: Path, item: Item) -> dict[str, Any]:
    """The clips of one item, and what is broken in it."""
    path, broken = root / item.path, {}
    make: Callable[[Path, str, dict[str, str]], Iterator[Clip]]
    make = _of_folder if path.is_dir() else _of_archive if path.suffix == ".tar" else _of_video
    clips = []
    try:
        clips = [asdict(clip) for clip in make(path, item.path, broken)]
    except (DataError, OSError) as error:
        broken[item.path] = str(error)
    return {"clips": clips, "broken": broken}


def _of_video(path: Path, name: str, broken: dict[str, str]) -> Iterator[Clip]:
    parent = Path(name).parent.name
    yield _clip(ByteRange(path), name=name, path=name, **({"text": parent.replace("_", " ")} if parent else {}))


def _of_folder(path: Path, name: str, broken: dict[str, str]) -> Iterator[Clip]:
    pictures = find_pictures(path)
    about = path / "clip.json"
    facts = _description(about.read_bytes()) if about.is_file() and about.stat().st_size <= MAX_JSON else {}
    if len(pictures) < MIN_FRAMES:
        broken[name] = f"{len(pictures)} picture, a clip has at least {MIN_FRAMES}"
        return
    read_picture(pictures[0])
    yield Clip(name=name, path=name, length=len(pictures), fps=facts.pop("fps", 0.0), **facts)


def _of_archive(path: Path, name: str, broken: dict[str, str]) -> Iterator[Clip]:
    """Videos of a tar by their place in it; nothing is unpacked and no member's name becomes a path."""
    videos: dict[str, tuple[str, int, int]] = {}
    texts: dict[str, bytes] = {}
    whole = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_MEMBERS:
                    raise DataError(f"{name} has more than {MAX_MEMBERS} members")
                stem, _, kind = member.name.rpartition(".")
                if not member.isreg() or member.issparse():
                    continue
                if member.offset_data + member.size > whole:
                    broken[f"{name}::{member.name}"] = "the archive ends before it"
                elif f".{kind.lower()}" in VIDEOS:
                    videos[stem] = (member.name, member.offset_data, member.size)
                elif kind == "json" and member.size <= MAX_JSON:
                    file = archive.extractfile(member)
                    texts[stem] = file.read() if file else b""
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        broken[name] = f"the archive cannot be read on ({error})"
    shared = _description(texts.get("intrinsics", b"")).get("intrinsics", {})
    for stem, (member, start, size) in videos.items():
        facts = _description(texts.get(stem, b""))
        facts.pop("fps", None)  # the file's own stamps decide
        facts["intrinsics"] = facts.get("intrinsics") or shared
        try:
            source = ByteRange(path, start, size)
            yield _clip(source, name=f"{name}::{member}", path=name, start=start, size=size, **facts)
        except DataError as error:
            broken[f"{name}::{member}"] = str(error)


def _clip(source: ByteRange, **facts: Any) -> Clip:
    """A clip whose first frame decodes; raises DataError otherwise."""
    reader = VideoReader(source)
    try:
        if reader.num_frames < MIN_FRAMES:
            raise DataError(f"{reader.num_frames} frame, a clip has at least {MIN_FRAMES}")
        reader.read([0])
        return Clip(length=reader.num_frames, fps=reader.rate, **facts)
    finally:
        reader.close()


def _description(content: bytes) -> dict[str, Any]:
    """`text`, `fps` and `intrinsics` out of a clip's JSON, as WebDataset collections name them; {} when it is none."""
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    words = next((told[k] for k in ("text", "caption", "instruction", "task") if isinstance(told.get(k), str)), "")
    lens = told.get("intrinsics", told)
    names = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4", "image_width", "image_height")
    known = {k: float(lens[k]) for k in names if isinstance(lens, dict) and isinstance(lens.get(k), int | float)}
    fps = told.get("fps")
    rate = float(fps) if isinstance(fps, int | float) and 0 < fps < 1e4 else 0.0
    return {"text": words[:1000], "fps": rate, "intrinsics": known if "fx" in known else {}}
