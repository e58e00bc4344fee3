"""One function per worker over many items: results in order, errors in their place.

What a worker is (a process, an actor of Ray's) is left to those who derive from `Crew`; whoever is
one, it answers by `Answers`.
"""

from __future__ import annotations

import abc
import logging
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.errors import FastSCNNError
from ..tflite.foreign_options import adopt_options, current_options
from .tried import known_here, learn

AHEAD = 16  # items for each worker that may be handed out before the first result is taken

Answer = tuple[Any, Exception | None]  # a result, or why there is none


class WorkerDied(FastSCNNError):
    """A worker ended without an answer, as when the system kills it for memory."""


class Crew(abc.ABC):
    """The workers, what each works at, and the answers that wait for their turn.

    Items are handed out in order, one to a worker and no more than `AHEAD` for each before a result
    is taken. No item is begun once an earlier one has failed, but some after it may be done.

    Args:
        items: what the function is called with.
        name: of an item, for messages.
        count: of the workers.
    """

    lives = 1  # workers that may die of an item before that is its error

    def __init__(self, items: Sequence[Any], name: Callable[[Any], str], count: int):
        self.items, self.name, self.count = items, name, count
        self.busy: dict[Any, int | None] = {}  # call -> item; None while a worker starts
        self._idle: list[Any] = []  # calls that have been answered, of workers with nothing to do
        self._next, self._last, self._wanted = 0, len(items), 0
        self._again: list[int] = []  # what workers have died of
        self._deaths: Counter[int] = Counter()
        self._answers: dict[int, Answer] = {}

    @abc.abstractmethod
    def start(self) -> Iterable[Any]:
        """Starts the workers, or one after a death: calls that `answered` gives back."""

    @abc.abstractmethod
    def call(self, worker: Any, item: Any) -> Any:
        """Hands an item to the worker of an answered call: the call that it answers next."""

    @abc.abstractmethod
    def answered(self) -> Iterable[Any]:
        """Waits until some of the busy calls have an answer, or their worker is dead."""

    @abc.abstractmethod
    def answer(self, call: Any) -> Answer:
        """The answer of such a call.

        Raises:
            WorkerDied: how the worker ended, for the end of a sentence.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Ends all workers; nothing stays half-written."""

    def results(self) -> Iterator[Any]:
        """What came of each item, or the error of the first bad one."""
        try:
            if self.items:
                self._take_on()
            for index in range(len(self.items)):
                yield self._result(index)
        finally:
            self.stop()

    def _take_on(self) -> None:
        for worker in self.start():
            self._give(worker)

    def _result(self, index: int) -> Any:
        self._wanted = index
        for worker in [self._idle.pop() for _ in self._idle[:]]:
            self._give(worker)
        while index not in self._answers:
            for call in self.answered():
                self._take(call)
        value, error = self._answers.pop(index)
        if error is not None:
            raise error
        return value

    def _give(self, worker: Any) -> None:
        if self._again:
            index = self._again.pop()
        elif self._next < min(self._last, self._wanted + AHEAD * self.count):
            index, self._next = self._next, self._next + 1
        else:
            self._idle.append(worker)
            return
        self.busy[self.call(worker, self.items[index])] = index

    def _take(self, call: Any) -> None:
        index = self.busy.pop(call)
        try:
            answer = self.answer(call)
        except WorkerDied as death:
            self._bury(index, death)
            return
        if index is not None:
            self._note(index, answer)
        elif answer[1] is not None:
            raise answer[1]
        self._give(call)

    def _note(self, index: int, answer: Answer) -> None:
        self._answers[index] = answer
        if answer[1] is not None:
            self._last = self._next  # those handed out may end, no other begins

    def _bury(self, index: int | None, death: WorkerDied) -> None:
        if index is None:
            raise WorkerDied(f"a worker that was starting {death}")
        self._deaths[index] += 1
        if self._deaths[index] < self.lives:
            self._again.append(index)
            self._take_on()
        else:
            who = "the process" if self.lives == 1 else f"the last of {self.lives} workers"
            name = self.name(self.items[index])
            self._note(index, (None, WorkerDied(f"{name}: {who} that worked at it {death}")))


class Answers:
    """What a worker answers with: it makes its function with the first item.

    Args:
        make: makes the function.
        about: what holds where the workers were started, see `about_here`.
    """

    def __init__(self, make: Callable[[], Callable[[Any], Any]], about: Mapping[str, Any]):
        learn(about["known"])  # the file that was tried there
        adopt_options(about["options"])
        # What a file has to say was said there.
        logging.getLogger("fastscnn_tf").addHandler(logging.NullHandler())
        self._make = make
        self._function: Callable[[Any], Any] | None = None

    def __call__(self, item: Any) -> Answer:
        try:
            self._function = self._function or self._make()
            return self._function(item), None
        except Exception as error:
            return None, _picklable(error)


def about_here() -> dict[str, Any]:
    """What `Answers` takes over."""
    return {"known": known_here(), "options": current_options()}


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
