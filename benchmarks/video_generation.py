"""How fast action-free video is made, and whether it repeats: people's egocentric and two-arm manipulation video.

    python benchmarks/video_generation.py [--kind ego|manipulation|both] [--hours 1.0] [--quick]

Each kind is recorded into a dataset, start-up, encoding and writing included, in as many processes as given.
`images_per_s` is of the wall clock, `images_per_cpu_s` of processor time of all processes. `identical`: a second
generation of the first clips from the same seed, by one process, is the same to the byte in every file of a clip.
The long form writes docs/results/video_generation.json, one entry per kind and a total. Last line: one JSON object.
"""

import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from wbvla.collect.ego.video import EgoVideoConfig, record_egovideo
from wbvla.collect.manipulation.layout import CLIP
from wbvla.collect.manipulation.video import FIRST_EPISODE, ManipulationVideoConfig, record_manipulation
from wbvla.core.files import write_json
from wbvla.core.run import provenance
from wbvla.data.reader import Dataset

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "video_generation.json"
LIMIT_MINUTES = 90.0
"""an hour of each kind is wanted within this; one kind alone says nothing about it"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure the generation of video."""

    kind: str = "both"
    """`ego`, `manipulation` or `both`"""
    hours: float = 1.0
    """of each kind [h]"""
    size: int = 224
    """edge of each picture [px]"""
    processes: int = os.cpu_count() or 1
    """rooms or scenes drawn at the same time"""
    repeat: int = 10
    """clips that are made a second time"""
    seed: int = 0
    """of everything"""
    out: Path | None = None
    """keep the datasets here, and go on with them; default: they are thrown away"""
    quick: bool = False
    """a few clips of 96x96; nothing is written"""


def record_ego(options: Options, folder: Path, clips: int) -> None:
    """People in rooms, into a dataset: so many hours of them, or a few clips by one process."""
    config = EgoVideoConfig(
        width=options.size,
        height=options.size,
        hours=options.hours,
        processes=options.processes,
        seed=options.seed,
    )
    record_egovideo(replace(config, hours=0.0, num_clips=clips, processes=1) if clips else config, folder)


def count_dataset(folder: Path) -> tuple[int, float, int]:
    """Images, seconds of video and clips of a dataset; nothing where there is none."""
    if not (folder / "meta" / "info.json").is_file():
        return 0, 0.0, 0
    data = Dataset(folder)
    return data.num_frames * len(data.contract["cameras"]), data.num_frames / data.fps, data.num_episodes


def files_of_dataset(folder: Path, clip: int) -> list[Path]:
    """Pictures, columns, truth and notes of one of the first thousand clips."""
    names = (f"file-{clip:03d}", f"episode_{clip:06d}")
    return [p for p in folder.rglob("*") if p.stem in names and "chunk-001" not in str(p.parent) and p.is_file()]


def record_mani(options: Options, folder: Path, clips: int) -> None:
    """Work at a table: so many hours of it by some processes, or a few clips by one."""
    config = ManipulationVideoConfig(
        size=options.size, hours=options.hours, processes=options.processes, seed=options.seed
    )
    record_manipulation(replace(config, clips=clips, processes=1) if clips else config, folder)


def count_mani(folder: Path) -> tuple[int, float, int]:
    """Head images (those of the wrists come on top), seconds of video and clips of a recording."""
    clips = [json.loads(path.read_text()) for path in folder.glob(f"truth/*/*/{CLIP}")]
    images = sum(int(clip["length"]) for clip in clips)
    return images, images / ManipulationVideoConfig().fps, len(clips)


def files_of_mani(folder: Path, clip: int) -> list[Path]:
    """Everything in the folders of one clip's episode."""
    return [p for p in folder.glob(f"*/*/{FIRST_EPISODE + clip}/**/*") if p.is_file()]


@dataclass(frozen=True)
class Kind:
    """One kind of video."""

    record: Callable[[Options, Path, int], None]
    """options, folder, and a number of clips to make instead of hours; 0 = hours"""
    count: Callable[[Path], tuple[int, float, int]]
    """images, seconds of video, clips"""
    files: Callable[[Path, int], list[Path]]
    """of a clip"""


KINDS: dict[str, Kind] = {
    "ego": Kind(record_ego, count_dataset, files_of_dataset),
    "manipulation": Kind(record_mani, count_mani, files_of_mani),
}


def digest_of(kind: Kind, folder: Path, clip: int) -> str:
    """Of everything that is kept of a clip."""
    found = hashlib.sha256()
    for path in sorted(kind.files(folder, clip)):
        found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


def cpu_s() -> float:
    """Processor time of this process and of those that it has waited for [s]."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


def measure(name: str, options: Options, scratch: Path) -> dict[str, Any]:
    """Record one kind, then its first clips again."""
    kind, folder, again = KINDS[name], (options.out or scratch) / name, scratch / f"{name}-again"
    there = kind.count(folder)[0]
    began, spent = time.perf_counter(), cpu_s()
    kind.record(options, folder, 0)
    wall_s, used_s = time.perf_counter() - began, cpu_s() - spent
    images, seconds, clips = kind.count(folder)
    repeated = min(options.repeat, clips)
    kind.record(options, again, repeated)
    same = [digest_of(kind, folder, i) == digest_of(kind, again, i) for i in range(repeated)]
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "hours": round(seconds / 3600.0, 4),
        "wall_s": round(wall_s, 1),
        "images": images - there,
        "images_per_s": round((images - there) / wall_s, 1),
        "images_per_cpu_s": round((images - there) / used_s, 1),
        "identical": all(same),
        "compared": len(same),
        "clips": clips,
        "megabytes": round(size / 1e6, 1),
        "resumed_at_image": there,
    }


def main() -> None:
    """Measure, print, and write the long form."""
    options = tyro.cli(Options)
    if options.quick:
        options = replace(options, hours=0.004, size=96, repeat=2)
    with tempfile.TemporaryDirectory(prefix="wbvla-video-") as scratch:
        kinds = list(KINDS) if options.kind == "both" else [options.kind]
        rows = {kind: measure(kind, options, Path(scratch)) for kind in kinds}
    wall_s = sum(row["wall_s"] for row in rows.values())
    figures = {
        "hours": round(sum(row["hours"] for row in rows.values()), 4),
        "wall_s": round(wall_s, 1),
        "images_per_s": round(sum(row["images"] for row in rows.values()) / wall_s, 1),
        "identical": all(row["identical"] for row in rows.values()),
        "within_limit": wall_s <= LIMIT_MINUTES * 60.0 if set(rows) == set(KINDS) else None,
        "size": options.size,
        "processes": options.processes,
        "seed": options.seed,
        **rows,
    }
    if not options.quick:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            RESULT,
            {
                **figures,
                "command": " ".join(["python", "benchmarks/video_generation.py", *sys.argv[1:]]),
                **provenance(),
            },
        )
        print(f"written to docs/results/{RESULT.name}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
