"""Egocentric-10K: factory_001/workers/worker_002/*.tar of mp4 + json, read where they lie; nothing is unpacked."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from wbvla.core.errors import DataError
from wbvla.data.features import IMAGE
from wbvla.data.importers.streams import VideoPictures
from wbvla.data.importers.take import ImportConfig, Item, Take, importers, within
from wbvla.data.layout import inside
from wbvla.data.listing import MAX_JSON, MAX_MEMBERS, VIDEOS

HEAD = IMAGE + "head"
TASK = "work in a factory (no instruction was recorded)"
LENS = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4", "image_width", "image_height")


@importers.register("egocentric-10k")
class Egocentric:
    """Action-free clips; a member is a range of bytes of its archive, and its name is never used as a path."""

    version = 1
    licence = "as its card says, where access is on conditions; people at work are in view"

    def items(self, src: Path, config: ImportConfig) -> Iterator[Item]:
        """Every video of every archive; an archive that is cut short gives those that are whole."""
        archives = sorted(p for p in src.rglob("*.tar") if p.is_file())
        if not archives:
            raise DataError(f"{src} holds no .tar; name the folder of factory_001, factory_002 ...")
        for path in archives:
            yield from _items_of(src, path)

    def take(self, src: Path, item: Item, config: ImportConfig) -> Take:
        """One clip; raises DataError with the reason when it is broken."""
        where = item.where
        path = within(src, where["archive"])
        told = _described(path, where.get("text_at"), where.get("text_size"))
        video = VideoPictures(path, int(where["at"]), int(where["size"]))
        _require_told(told, video)
        lens = _lens(path.parent / "intrinsics.json")
        facts = {k: told[k] for k in ("factory_id", "worker_id", "video_index") if isinstance(told.get(k), str | int)}
        return Take(
            task=TASK,
            rate_hz=video.rate_hz,
            columns={},
            cameras={HEAD: video},
            times_s={"head": video.times_s},
            notes={"source": facts, **({"cameras": {"head": lens}} if lens else {})},
        )

    def facts(self, src: Path, config: ImportConfig) -> dict[str, Any]:
        """Nothing of a robot."""
        return {"robot": "human", "clock": "stamps of each video file"}


def _items_of(src: Path, path: Path) -> Iterator[Item]:
    archive, whole = path.relative_to(src).as_posix(), path.stat().st_size
    videos: dict[str, Item] = {}
    texts: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, "r:") as members:
            for number, member in enumerate(members):
                if number >= MAX_MEMBERS:
                    raise DataError(f"more than {MAX_MEMBERS} members")
                name, stem = f"{archive}::{member.name}", member.name.rpartition(".")[0]
                kind = PurePosixPath(member.name).suffix.lower()
                if kind in VIDEOS:
                    broken = _wrong(member, whole)
                    where = {"archive": archive, "at": member.offset_data, "size": member.size}
                    videos[stem] = Item(name=name, where=where, broken=broken)
                elif kind == ".json" and member.isreg() and member.size <= MAX_JSON:
                    texts[stem] = (member.offset_data, member.size)
    except (tarfile.TarError, OSError, ValueError, OverflowError, DataError) as error:
        yield Item(name=archive, broken=f"the archive cannot be read on ({error})")
    for stem, item in videos.items():
        at, size = texts.get(stem, (None, None))
        yield Item(name=item.name, where={**item.where, "text_at": at, "text_size": size}, broken=item.broken)


def _wrong(member: tarfile.TarInfo, whole: int) -> str:
    """Why a member cannot be used; empty when it can."""
    try:
        inside(member.name, "member")
    except DataError as error:
        return str(error)
    if not member.isreg() or member.issparse():
        return "it is no plain file (a link or a device)"
    if member.offset_data + member.size > whole:
        return "the archive ends before it"
    return "it has no bytes" if not member.size else ""


def _described(path: Path, at: int | None, size: int | None) -> dict[str, Any]:
    """The JSON beside a clip; {} where there is none."""
    if at is None or size is None:
        return {}
    with path.open("rb") as file:
        file.seek(at)
        content = file.read(min(size, MAX_JSON))
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"its description is not JSON ({error})") from error
    if not isinstance(told, dict):
        raise DataError("its description is no object")
    return told


def _require_told(told: dict[str, Any], video: VideoPictures) -> None:
    """Raises DataError where the description and the file disagree on size or duration."""
    size = (told.get("height"), told.get("width"))
    if all(isinstance(n, int) for n in size) and size != video.size:
        raise DataError(f"it is {video.size[0]}x{video.size[1]}, its description says {size[0]}x{size[1]}")
    seconds, rate = told.get("duration_sec"), video.rate_hz
    if isinstance(seconds, int | float) and rate and abs(video.length / rate - seconds) > max(0.5, 0.02 * seconds):
        raise DataError(f"it lasts {video.length / rate:.2f} s, its description says {seconds:.2f} s")


def _lens(path: Path) -> dict[str, float | str]:
    """Fisheye intrinsics of a worker's camera; {} where there are none."""
    if not path.is_file() or path.stat().st_size > MAX_JSON:
        return {}
    try:
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    known = {k: float(told[k]) for k in LENS if isinstance(told, dict) and isinstance(told.get(k), int | float)}
    return {"model": "fisheye", **known} if "fx" in known else {}
