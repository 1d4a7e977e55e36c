"""Work spread over processes, with results in the order of their items."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from wbvla.core.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result],
    items: Iterator[Item],
    processes: int,
    enter: tuple[Any, ...] = (),
    ahead: Callable[[], int] | None = None,
) -> Generator[Result, None, None]:
    """Results of `work` on `items`, which may be without end, one after the other as the items come.

    Processes are spawned; they leave Ctrl-C to this one and end when it is gone, however it went. Closing the generator
    ends them at once, in the middle of what they do. An exception of `work` is raised here. Raises DataError when a
    process dies.

    Args:
        enter: a function and its arguments, called once in every process before its first item.
        ahead: how many items may be under way; without it one more than there are processes.
    """
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _enter, enter)
    waiting: deque[Future[Result]] = deque()
    try:
        while True:
            most = processes + 1 if ahead is None else max(1, min(processes + 1, ahead()))
            for item in itertools.islice(items, max(0, most - len(waiting))):
                waiting.append(pool.submit(work, item))
            if not waiting:
                return
            try:
                result = waiting.popleft().result()
            except BrokenProcessPool as error:
                raise DataError("a process that worked on this died (out of memory?); run again to go on") from error
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
            child.join()


def _enter(first: Callable[..., None] | None = None, *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        threading.Thread(target=lambda: (wait([sentinel]), os._exit(1)), daemon=True).start()
    if first is not None:
        first(*arguments)
