"""One function per process over many items: results in order, errors in their place.

Each process makes its own function, so that each has an interpreter of its own. A process that dies
is named, and none outlives this one, whether it ends by an error, Ctrl-C or a kill: a worker whose
pipe closes stops.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from ..core.arguments import check_number
from ..core.environment import environment
from ..core.errors import FastSCNNError
from ..tflite.foreign_options import adopt_options, current_options
from .tried import known_here, learn

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_PROCESSES = 256
PATIENCE = 10  # seconds for a process to clean up
# Each process computes on its own threads; a pool of BLAS threads in each would fight over cores.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerDied(FastSCNNError):
    """A process ended without an answer, as when the system kills it for memory."""


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
    crew = _Crew(make, items, min(processes, len(items)), name)
    try:
        for index in range(len(items)):
            yield crew.result(index)
    finally:
        crew.stop()


class _Crew:
    """The processes, what each works at, and the answers that wait for their turn."""

    def __init__(
        self, make: Callable[[], Any], items: Sequence[Any], count: int, name: Callable[[Any], str]
    ):
        self.items, self.name = items, name
        self.next, self.last = 0, len(items)  # the item to hand out, and where that ends
        self.answers: dict[int, tuple[Any, Exception | None]] = {}
        self.busy: dict[Connection, int] = {}
        self.processes: dict[Connection, Any] = {}
        context = multiprocessing.get_context("spawn")  # a fork would copy the interpreter's locks
        with _alone(), _without_ctrl_c():
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work, args=(theirs, make, known_here(), current_options()), daemon=True
                )
                process.start()
                theirs.close()
                self.processes[ours] = process
                self._give(ours)

    def _give(self, pipe: Connection) -> None:
        if self.next < self.last:
            # A process that has died is found out when its answer is read.
            with contextlib.suppress(OSError):
                pipe.send(self.items[self.next])
            self.busy[pipe] = self.next
            self.next += 1

    def result(self, index: int) -> Any:
        """What came of an item; waits for it."""
        while index not in self.answers:
            for pipe in wait(list(self.busy)):
                assert isinstance(pipe, Connection)
                self._take(pipe)
        value, error = self.answers.pop(index)
        if error is not None:
            raise error
        return value

    def _take(self, pipe: Connection) -> None:
        index = self.busy.pop(pipe)
        try:
            value, error = pipe.recv()
        except (EOFError, OSError):
            value, error = None, self._death(pipe, index)
        self.answers[index] = value, error
        if error is not None:
            self.last = self.next  # those handed out may end, no other begins
        self._give(pipe)

    def _death(self, pipe: Connection, index: int) -> WorkerDied:
        process = self.processes[pipe]
        process.join()
        code = process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return WorkerDied(f"{self.name(self.items[index])}: the process that worked at it {how}")

    def stop(self) -> None:
        """Ends all processes, at what they work at; half-written files are removed by them."""
        for pipe, process in self.processes.items():
            process.terminate()
            pipe.close()
        for process in self.processes.values():
            process.join(PATIENCE)
            if process.exitcode is None:
                process.kill()
                process.join()


def _work(
    pipe: Connection,
    make: Callable[[], Callable[[Any], Any]],
    known: frozenset[str],
    options: dict[str, Any],
) -> None:
    """A process: makes its function with the first item and answers until the pipe closes."""
    learn(known)  # the file that was tried where the processes were started
    adopt_options(options)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked from the start
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as an exception, which cleans up
    # What a file has to say was said where the processes were started.
    logging.getLogger("fastscnn_tf").addHandler(logging.NullHandler())
    function = None
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        answer: tuple[Any, Exception | None]
        try:
            function = function or make()
            answer = (function(item), None)
        except Exception as error:
            answer = (None, _picklable(error))
        try:
            pipe.send(answer)
        except OSError:  # nobody listens any more
            return


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _alone() -> contextlib.AbstractContextManager[None]:
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
