"""Many files, one commit: everything is staged aside, entered in a journal, then renamed; a kill leaves old or new.

The journal is the point of no return: before it, recovery removes what was staged; after it, recovery finishes.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from wbvla.core.errors import DataError
from wbvla.core.files import fsync_folder
from wbvla.data.format import INFO

STAGING = ".staging"
JOURNAL, LOCK = "journal.json", "lock"
ADD, REPLACE = "add", "replace"


def _unwatched(step: str) -> None:
    """Default watcher of a Disk: nobody looks."""


@dataclass(frozen=True)
class Disk:
    """The durable operations of a commit; `watch` hears of each before and after it (crash tests kill there)."""

    watch: Callable[[str], None] = _unwatched

    def flush(self, path: Path) -> None:
        """fsync one file."""
        self.watch(f"before fsync {path.name}")
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        self.watch(f"after fsync {path.name}")

    def move(self, source: Path, target: Path) -> None:
        """Rename and make the rename durable; missing folders are made, durably."""
        self._make_folder(target.parent)
        self.watch(f"before rename {target.name}")
        os.replace(source, target)
        self.watch(f"after rename {target.name}")
        fsync_folder(target.parent)

    def write(self, path: Path, content: bytes) -> None:
        """Write a whole file aside, fsync and rename it into place."""
        aside = path.with_name(f".{path.name}.tmp")
        self.watch(f"before write {path.name}")
        aside.write_bytes(content)
        self.flush(aside)
        self.move(aside, path)

    def remove(self, path: Path) -> None:
        """Unlink a file durably."""
        self.watch(f"before unlink {path.name}")
        path.unlink(missing_ok=True)
        fsync_folder(path.parent)
        self.watch(f"after unlink {path.name}")

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            fsync_folder(folder.parent)


def as_json(value: Any) -> bytes:
    """A JSON document as bytes; NaN refused."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


class Commit:
    """A set of files that appear together. Stage each under its final relative name, then `apply`."""

    def __init__(self, root: Path, disk: Disk, kind: str = ADD) -> None:
        self._root, self._disk, self._kind = Path(root), disk, kind
        self._moves: list[tuple[str, str]] = []
        self._removals: list[str] = []
        (self._root / STAGING).mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """The dataset that is changed."""
        return self._root

    def stage(self, name: str) -> Path:
        """The path to write the future `name` to; files appear in the order they were staged."""
        aside = f"{STAGING}/{len(self._moves):06d}{Path(name).suffix}"
        self._moves.append((aside, name))
        return self._root / aside

    def stage_bytes(self, name: str, content: bytes) -> None:
        """Stage a small file."""
        self.stage(name).write_bytes(content)

    def stage_link(self, name: str, source: Path) -> None:
        """Stage the present content of a file under another name, without copying it where the disk allows."""
        aside = self.stage(name)
        try:
            os.link(source, aside)
        except OSError:
            shutil.copyfile(source, aside)

    def remove(self, name: str) -> None:
        """Let a file of the dataset vanish with this commit, after the renames."""
        self._removals.append(name)

    def path_after(self, name: str) -> Path:
        """Where the content that `name` will have lies now: staged, or in the dataset already."""
        staged = {final: self._root / aside for aside, final in self._moves}
        return staged.get(name, self._root / name)

    def staged(self) -> list[tuple[str, Path]]:
        """Final name and present path of each file staged so far."""
        return [(name, self._root / aside) for aside, name in self._moves]

    def apply(self) -> None:
        """Make all staged files durable, write the journal, rename in order, drop the journal."""
        for aside, _ in self._moves:
            self._disk.flush(self._root / aside)
        fsync_folder(self._root / STAGING)
        journal = {"kind": self._kind, "moves": self._moves, "removals": self._removals}
        self._disk.write(self._root / STAGING / JOURNAL, as_json(journal))
        replay(self._root, self._disk)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Stage inside; everything is applied at the end. A failure inside leaves the dataset as it was.

        Raises DataError when the disk fails; past the point of no return, recovery finishes the commit.
        """
        staged = False
        try:
            yield
            staged = True
        except OSError as error:
            raise DataError(
                f"{self._root} cannot be written ({error}); nothing was changed: free space and try again"
            ) from error
        finally:
            if not staged:
                self.abandon()
        try:
            self.apply()
        except OSError as error:
            way = f"free space and run `wbvla data repair {self._root}`"
            raise DataError(f"{self._root}: the commit was interrupted ({error}); {way}") from error

    def abandon(self) -> None:
        """Remove what was staged."""
        for aside, _ in self._moves:
            (self._root / aside).unlink(missing_ok=True)
        self._moves.clear()


def pending(root: Path) -> str | None:
    """Kind of the commit that is under way or was interrupted after its point of no return; None when there is none."""
    path = Path(root) / STAGING / JOURNAL
    return str(_read_journal(path)["kind"]) if path.is_file() else None


def replay(root: Path, disk: Disk) -> None:
    """Finish the renames of the journal, if there is one. Raises DataError when a staged file has vanished."""
    path = Path(root) / STAGING / JOURNAL
    if not path.is_file():
        return
    journal = _read_journal(path)
    if journal["kind"] == REPLACE and _is_waiting(root, journal, INFO):
        # other readers know nothing of journals: without info.json none takes the mixture for a dataset
        disk.remove(Path(root) / INFO)
    for aside, name in journal["moves"]:
        source, target = Path(root) / aside, Path(root) / name
        if source.exists():
            disk.move(source, target)
        elif not target.exists():
            raise DataError(f"{root}: the interrupted commit lacks {name}; run `wbvla data repair {root}`")
    for name in journal["removals"]:
        if (Path(root) / name).exists():
            disk.remove(Path(root) / name)
    disk.remove(path)


def _is_waiting(root: Path, journal: dict[str, Any], name: str) -> bool:
    """Whether a file is still to be renamed into place."""
    return any((Path(root) / aside).exists() for aside, final in journal["moves"] if final == name)


def _read_journal(path: Path) -> dict[str, Any]:
    try:
        journal = json.loads(path.read_bytes())
        moves = [(str(aside), str(name)) for aside, name in journal["moves"]]
        return {"kind": journal["kind"], "moves": moves, "removals": [str(n) for n in journal["removals"]]}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error!r}); run `wbvla data repair {path.parent.parent}`") from error


def recover(root: Path, disk: Disk) -> None:
    """Finish an interrupted commit, then remove whatever else lies in the staging folder. Needs the lock."""
    staging = Path(root) / STAGING
    if not staging.is_dir():
        return
    replay(root, disk)
    for path in staging.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def lock(root: Path) -> IO[bytes]:
    """Take the dataset for writing until the handle is closed; raises DataError when another process has it."""
    path = Path(root) / STAGING / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise DataError(f"{root} is being written by another process; wait for it or stop it") from error
    return handle
