"""The engine of every import: episodes made ready in parallel, committed in order, resumed after a kill."""

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from wbvla.core.contract import require_match
from wbvla.core.errors import DataError
from wbvla.core.files import write_json
from wbvla.core.run import plain
from wbvla.data.beside import read_notes
from wbvla.data.dataset_stats import write_stats
from wbvla.data.features import CONTRACT_SCHEMA
from wbvla.data.format import CONTRACT, INFO, Info, read_info
from wbvla.data.importers import (  # noqa: F401  (each enters the table of formats)
    agibot_world,
    egocentric,
    egodex,
    groot,
    primitives,
    tutorial,
    xr_teleoperate,
)
from wbvla.data.importers.prepare import Job, Prepared, prepare
from wbvla.data.importers.take import ImportConfig, Importer, Item, importers
from wbvla.data.journal import Disk, lock, recover
from wbvla.data.reader import Dataset
from wbvla.data.words import LANGUAGE
from wbvla.data.writer import DatasetConfig, DatasetWriter

REPORT = "meta/import_report.json"
WORK = ".import"
"""folder of episodes under way, in the dataset; readers skip it, and it goes when the import ends"""
FREE_CHOICE = ("only", "processes")
"""options that may change from one call to the next"""

Show = Callable[[float, float, str], None]


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did; kept as meta/import_report.json."""

    format: str
    importer_version: int
    licence: str
    source: str
    episodes: int
    frames: int
    copied_videos: int
    """of them, taken undecoded"""
    rejected: Mapping[str, str]
    """episode of the source -> why it is not in the dataset"""
    remarks: Mapping[str, int] = field(default_factory=dict)
    """what was mended or dropped in episodes, and in how many"""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """features that episodes had and the dataset has not, and in how many"""
    finished: bool = True
    """whether every episode of the source was looked at"""


def import_dataset(
    format: str, src: Path, dst: Path, config: ImportConfig | None = None, show: Show = lambda done, total, note: None
) -> ImportReport:
    """Bring the episodes of `src`, in a foreign format, into the dataset `dst`; called again it goes on.

    Episodes that are in the dataset are not read again; rejected ones are looked at anew, and come last when they
    were mended. A kill or Ctrl-C leaves a valid dataset. Raises UnknownName on another format, DataError when `src`
    is not of this format or holds no usable episode, ContractMismatch when `dst` was made with other options.
    """
    src, dst, config = Path(src), Path(dst), config or ImportConfig()
    importer = importers.build(format)
    if not src.is_dir():
        raise DataError(f"{src} is no folder; name the folder of the {format} data")
    if dst.resolve().is_relative_to(src.resolve()) or src.resolve().is_relative_to(dst.resolve()):
        raise DataError(f"{dst} and {src} lie in one another; choose another folder for the dataset")
    work = dst / WORK
    with lock(work):  # beside the writer's own lock: two imports would share the work folder
        for rest in work.glob("[0-9]*"):
            shutil.rmtree(rest)
        report = _Import(format, importer, src, dst, config, show).run()
    shutil.rmtree(work, ignore_errors=True)
    if not report.episodes:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(report.rejected.items())[:3])
        raise DataError(f"no episode of {src} can be used ({len(report.rejected)} rejected: {reasons})")
    return report


class _Import:
    """One call of `import_dataset`."""

    def __init__(self, format: str, importer: Importer, src: Path, dst: Path, config: ImportConfig, show: Show) -> None:
        self._format, self._importer, self._src, self._dst = format, importer, src, dst
        self._config, self._show = config, show
        facts = importer.facts(src, config)
        self._licence = str(facts.get("licence", importer.licence))
        self._facts = {key: value for key, value in facts.items() if key != "licence"}
        self._rejected: dict[str, str] = {}
        self._writer: DatasetWriter | None = None
        self._done, self._total = 0, 1

    def run(self) -> ImportReport:
        """Import until the source is at its end; on Ctrl-C close what there is and raise it again."""
        finished = False
        try:
            self._open()
            self._all()
            finished = True
        except KeyboardInterrupt:
            pass
        finally:
            if self._writer is not None:
                self._writer.close()
                self._settle()
            report = self._report(finished)
        if not finished:
            raise KeyboardInterrupt
        return report

    def _open(self) -> None:
        """Go on with the dataset that is there, if it is from the same import."""
        self._settle()
        if not (self._dst / INFO).is_file():
            return
        there = Dataset.read_json(self._dst, CONTRACT)
        require_match(f"dataset {self._dst}", self._identity(), there.get("import", {}))
        self._writer = DatasetWriter.open(self._dst)

    def _settle(self) -> None:
        """Finish or remove what a kill or Ctrl-C left half done, and bring the statistics up to date."""
        with lock(self._dst):
            recover(self._dst, Disk())
        if not (self._dst / INFO).is_file():
            return
        data = Dataset(self._dst)
        counted = data.stats.get("index", {}).get("count", [0])[0]
        if counted != data.num_frames:
            write_stats(self._dst)

    def _all(self) -> None:
        there = self._committed()
        items = [i for i in self._importer.items(self._src, self._config) if self._config.wants(i.name)]
        if len({i.name for i in items}) < len(items):
            raise DataError(f"{self._src} has two episodes of one name; rename one")
        if not items:
            raise DataError(f"{self._src} holds no episode of {self._format} that is wanted")
        self._done, self._total = sum(i.name in there for i in items), len(items)
        self._show(self._done, self._total, f"{self._done} were there")
        todo = deque(i for i in items if i.name not in there)
        while todo and self._writer is None:  # the first good one says what the dataset holds
            item = todo.popleft()
            self._take_over(item, prepare(self._job(item, 0)))
        for item, result in self._results(todo):
            self._take_over(item, result)

    def _job(self, item: Item, number: int) -> Job:
        return Job(
            format=self._format,
            src=self._src,
            item=item,
            config=self._config,
            info=self._writer.info if self._writer else None,
            folder=self._dst / WORK / f"{number:06d}",
        )

    def _results(self, todo: deque[Item]) -> Iterator[tuple[Item, Prepared | str]]:
        """Every item in order with what became of it."""
        if self._config.processes == 1:
            for number, item in enumerate(todo):
                yield item, prepare(self._job(item, number))
            return
        waiting = deque(enumerate(todo))
        while waiting:
            yield from self._parallel(waiting)

    def _parallel(self, todo: deque[tuple[int, Item]]) -> Iterator[tuple[Item, Prepared | str]]:
        """As `_results`, by several processes, until one of them dies: its episode is then tried once more, alone."""
        context = multiprocessing.get_context("spawn")
        before = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(self._config.processes, context, _enter, ())
        waiting: deque[tuple[int, Item, Future[Prepared | str]]] = deque()
        try:
            while todo or waiting:
                while todo and len(waiting) < self._config.processes + 1:
                    number, item = todo.popleft()
                    waiting.append((number, item, pool.submit(_prepared, self._job(item, number))))
                number, item, future = waiting[0]
                try:
                    result = future.result()
                except BrokenProcessPool:
                    waiting.popleft()
                    todo.extendleft((n, i) for n, i, _ in reversed(waiting))
                    waiting.clear()
                    yield item, _alone(context, self._job(item, number))
                    return
                waiting.popleft()
                yield item, result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
                child.join()

    def _take_over(self, item: Item, result: Prepared | str) -> None:
        """Commit one episode, or write down why not."""
        self._done += 1
        if isinstance(result, str):
            self._rejected[item.name] = result
        else:
            self._commit(item, result)
        frames = self._writer.num_frames if self._writer else 0
        self._show(self._done, self._total, f"{frames} frames, {len(self._rejected)} rejected")

    def _commit(self, item: Item, made: Prepared) -> None:
        if self._writer is None:
            self._writer = DatasetWriter.create(self._dst, self._dataset(made))
        facts = {"format": self._format, "episode": item.name, "copied": list(made.copied)}
        facts |= {"remarks": list(made.remarks), "left_out": list(made.left_out)}
        with self._writer.episode(made.task, made.ready) as episode:
            for name, column in made.columns.items():
                episode.fill(name, column)
            for s in made.segments:
                episode.segment(s.start, s.end, s.text, s.skill)
            if LANGUAGE in self._writer.info.features:
                episode.add_phrasings(made.phrasings)
            episode.note(**made.notes, **{"import": facts})
            episode.commit()
        shutil.rmtree(made.folder, ignore_errors=True)

    def _dataset(self, made: Prepared) -> DatasetConfig:
        facts = {k: v for k, v in self._facts.items() if k != "robot"}
        contract = {"schema": CONTRACT_SCHEMA, **facts, "import": self._identity()}
        robot = str(self._facts["robot"])
        return DatasetConfig(fps=made.fps, robot=robot, features=made.features, contract=contract)

    def _identity(self) -> dict[str, Any]:
        """What must be the same for two calls to fill one dataset."""
        options = {k: v for k, v in plain(self._config).items() if k not in FREE_CHOICE}
        importer = {"importer_version": self._importer.version, "licence": self._licence}
        return {"format": self._format, **importer, "options": json.loads(json.dumps(options))}

    def _committed(self) -> set[str]:
        """Episodes of the source that the dataset holds, by their notes."""
        count = self._writer.num_episodes if self._writer else 0
        return {str(facts["episode"]) for facts in map(self._import_note, range(count)) if "episode" in facts}

    def _import_note(self, episode: int) -> dict[str, Any]:
        return dict(read_notes(self._dst, episode).get("import", {}))

    def _report(self, finished: bool) -> ImportReport:
        """Count what the dataset holds, whichever call it came from, and write it down."""
        info: Info | None = read_info(self._dst) if (self._dst / INFO).is_file() else None
        notes = [self._import_note(i) for i in range(info.total_episodes if info else 0)]
        report = ImportReport(
            format=self._format,
            importer_version=self._importer.version,
            licence=self._licence,
            source=str(self._src),
            episodes=len(notes),
            frames=info.total_frames if info else 0,
            copied_videos=sum(len(n.get("copied", ())) for n in notes),
            rejected=self._rejected,
            remarks=dict(sorted(Counter(r for n in notes for r in n.get("remarks", ())).items())),
            left_out=dict(sorted(Counter(r for n in notes for r in n.get("left_out", ())).items())),
            finished=finished,
        )
        write_json(self._dst / REPORT, plain(report))
        return report


def _alone(context: SpawnContext, job: Job) -> Prepared | str:
    """One episode in a process of its own: whatever it does to that process, the import goes on."""
    with ProcessPoolExecutor(1, context, _enter, ()) as pool:
        try:
            return pool.submit(_prepared, job).result()
        except BrokenProcessPool:
            return "the process that read it died (a damaged file, or out of memory)"


def _prepared(job: Job) -> Prepared | str:
    """`prepare` in a worker, which by this module knows every format."""
    return prepare(job)


def _enter() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
