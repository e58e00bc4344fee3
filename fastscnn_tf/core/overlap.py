"""Work that goes on while its results are used: decoding, the network and scoring at once.

Pillow, numpy's larger operations and the interpreter release Python's lock, so threads are enough.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from .arguments import check_number

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2  # items under way or done before they are asked for
MOST_READERS = 4  # decoding rarely takes four times as long as the network


def readers() -> int:
    """Threads that decode images for one network: one per core, up to four.

    Two on two cores evaluate CamVid 1.1 times as fast as one, though the network and the scoring
    need the cores, too: they wait for images less often.
    """
    return min(MOST_READERS, os.cpu_count() or 1)


def overlapped(
    function: Callable[[Item], Result], items: Iterable[Item], ahead: int = AHEAD, workers: int = 1
) -> Generator[Result]:
    """`map(function, items)`, computed in threads a few items early.

    Items are taken in the caller's thread, `ahead` more than results are asked for. Results come
    in order, and an error where its result would be, after all before it. Nothing starts before
    the first result is asked for; closing the iterator waits for what is under way.

    Args:
        function: with one worker its calls never overlap, and go in order.
        items: may be endless.
        ahead: how many items early.
        workers: threads.
    """
    source, failure = iter(items), None
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            while True:
                try:
                    item = next(source)
                except StopIteration:
                    break
                except Exception as error:  # the results before it come first
                    failure = error
                    break
                pending.append(pool.submit(function, item))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
    if failure is not None:
        raise failure


class Sharing(Protocol):
    """Who shares work: a `Fleet`."""

    @property
    def map(self) -> Callable[..., Generator[Any]]:
        """As `Fleet.map`."""


def shared(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | Sharing | None = None,
    name: Callable[[Item], str] = str,
    folder: Path | None = None,
) -> Generator[Result]:
    """`map(function, items)` by threads or processes: results, and an error, in order.

    Args:
        function: may be called by several threads at once; for processes it is pickled, as are
            items and results.
        items: what it is called with.
        workers: threads, one per core by default; or a `Fleet`, whose processes do it.
        name: of an item, for messages.
        folder: where the function writes, which all machines of a fleet must see.

    Raises:
        ConfigError: no such number of threads.
    """
    if workers is not None and not isinstance(workers, int):
        make = functools.partial(functools.partial, function)
        return workers.map(make, items, name, shared=folder)
    count = check_number("workers", (os.cpu_count() or 1) if workers is None else workers, 1)
    return overlapped(function, items, AHEAD * count, count)
