"""Work spread over processes: order, errors, and processes that end with who asked for them."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wbvla.core.errors import ConfigError, DataError
from wbvla.core.workers import in_order

OFFSET: list[int] = []


def enter(offset: int) -> None:
    OFFSET.append(offset)


def slow_first(number: int) -> int:
    """Later items are done earlier."""
    time.sleep(0.2 if number == 0 else 0.0)
    return number + sum(OFFSET)


def refuse(number: int) -> int:
    raise ConfigError(f"not {number}")


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def linger(folder: Path) -> None:
    """Say who works, then do so for a long time."""
    (folder / str(os.getpid())).touch()
    time.sleep(60.0)


def test_results_come_in_the_order_of_their_items() -> None:
    made = in_order(slow_first, itertools.count(), 2, (enter, 100))
    assert list(itertools.islice(made, 5)) == [100, 101, 102, 103, 104]
    made.close()


def test_no_more_items_are_taken_than_may_be_under_way() -> None:
    taken: list[int] = []

    def items():
        for number in range(6):
            taken.append(number)
            yield number

    made = in_order(slow_first, items(), 2, ahead=lambda: 1)
    assert next(made) == 0
    assert taken == [0]
    assert list(made) == [1, 2, 3, 4, 5]


def test_an_error_of_the_work_arrives() -> None:
    with pytest.raises(ConfigError, match="not 3"):
        list(in_order(refuse, iter([3]), 1))


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(DataError, match="out of memory"):
        list(in_order(die, iter([0]), 1))


def is_alive(number: int) -> bool:
    """Whether a process runs; one that waits for its parent to take note has ended."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; sys.path.insert(0, {!r}); import {} as tests\n"
    code += "if __name__ == '__main__':\n    list(tests.in_order(tests.linger, iter([Path({!r})] * 2), 2))\n"
    script = tmp_path / "parent.py"
    script.write_text(code.format(str(Path(__file__).parent), Path(__file__).stem, str(tmp_path / "at_work")))
    (tmp_path / "at_work").mkdir()
    parent = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 60.0
    while len(workers := [int(path.name) for path in (tmp_path / "at_work").iterdir()]) < 2:
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "processes outlive their parent"
        time.sleep(0.05)
