"""Processes that share the work: each makes its own function, so has its own interpreter.

A process that dies is named, and none outlives this one, whether it ends by an error, Ctrl-C or a
kill: a worker whose pipe closes stops.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from ..core.arguments import check_number
from ..core.environment import environment
from . import MAX_PROCESSES
from .crew import Answer, Answers, Crew, WorkerDied, about_here

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = 10  # seconds for a process to clean up
# Each process computes on its own threads; a pool of BLAS threads in each would fight over cores.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def in_processes(
    make: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    processes: int,
    name: Callable[[Item], str] = str,
) -> Iterator[Result]:
    """`map(make(), items)` over several processes.

    Items are handed out in order. An error is raised where its result would be, so it is that of
    the first bad item; no item is begun once an earlier one has failed, but some after it may be
    done.

    Args:
        make: makes the function, once in each process; what it is, the items and the results must
            be picklable.
        items: what the function is called with.
        processes: how many; no more are started than there are items.
        name: of an item, for messages.

    Raises:
        ConfigError: no such number of processes.
        WorkerDied: a process ended without an answer.
    """
    check_number("processes", processes, 1, MAX_PROCESSES)
    yield from _Processes(make, items, min(processes, len(items)), name).results()


class _Processes(Crew):
    def __init__(
        self, make: Callable[[], Any], items: Sequence[Any], count: int, name: Callable[[Any], str]
    ):
        super().__init__(items, name, count)
        self._make, self._processes = make, dict[Connection, Any]()

    def start(self) -> Iterable[Connection]:
        """As in `Crew`; what is called is a pipe."""
        context = multiprocessing.get_context("spawn")  # a fork would copy the interpreter's locks
        with one_thread(), _without_ctrl_c():
            for _ in range(self.count):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work, args=(theirs, self._make, about_here()), daemon=True
                )
                process.start()
                theirs.close()
                self._processes[ours] = process
                yield ours

    def call(self, worker: Connection, item: Any) -> Connection:
        """As in `Crew`."""
        # A process that has died is found out when its answer is read.
        with contextlib.suppress(OSError):
            worker.send(item)
        return worker

    def answered(self) -> Iterable[Any]:
        """As in `Crew`."""
        return wait(list(self.busy))

    def answer(self, call: Connection) -> Answer:
        """As in `Crew`."""
        try:
            return call.recv()
        except (EOFError, OSError):
            process = self._processes[call]
            process.join()
            code = process.exitcode
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            raise WorkerDied(how) from None

    def stop(self) -> None:
        """As in `Crew`, at what they work at; half-written files are removed by them."""
        for pipe, process in self._processes.items():
            process.terminate()
            pipe.close()
        for process in self._processes.values():
            process.join(PATIENCE)
            if process.exitcode is None:
                process.kill()
                process.join()


def _work(pipe: Connection, make: Callable[[], Any], about: Mapping[str, Any]) -> None:
    """A process: answers until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked from the start
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception, which cleans up
    answers = Answers(make, about)
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):  # whoever asked is gone, perhaps killed
            return
        answer = answers(item)
        try:
            pipe.send(answer)
        except OSError:  # nobody listens any more
            return


def one_thread() -> contextlib.AbstractContextManager[None]:
    """Processes started meanwhile use one BLAS thread each, unless the user says otherwise."""
    return environment(**{name: "1" for name in _ONE_THREAD if name not in os.environ})


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes started meanwhile never see Ctrl-C: this one ends them, and no traceback shows."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its start, otherwise the first process', unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
