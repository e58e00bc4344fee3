"""Ctrl-C and SIGTERM in training: the running step ends and is saved first."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..core.console import StatusLine, warn
from ..core.keras_api import Callback

NUMBERS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class StopOnSignal(Callback):
    """Has signals wait until the running step, or the end of an epoch, is done and saved.

    It is entered around `fit` and the first of its callbacks; `Checkpoint` reads `due`. Before the
    first step there is nothing to save: a signal acts at once then, and so does the second of
    its kind. A signal whose handler is not Python's is left alone.

    Attributes:
        due: whether this step is the last one.
        asked: whether a signal came.
        agree: whether this step shall be the last one, of `asked`; several workers decide together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.due = self.begun = False
        self.agree: Callable[[bool], bool] = bool
        self._before: dict[int, Any] = {}
        self._act: Callable[[], Any] | None = None

    @property
    def asked(self) -> bool:
        return self._act is not None

    def __enter__(self) -> StopOnSignal:
        with contextlib.suppress(ValueError):  # only the main thread may
            for number in NUMBERS:
                before = signal.getsignal(number)
                if callable(before):
                    signal.signal(number, self._note)
                    self._before[number] = before
        return self

    def __exit__(self, kind: Any, *rest: Any) -> None:
        for number in [*self._before]:
            self._put_back(number)
        if self._act and kind is None:
            self._act()

    def _put_back(self, number: int) -> Any:
        before = self._before.pop(number)
        signal.signal(number, before)
        return before

    def _note(self, number: int, frame: FrameType | None) -> None:
        before = self._put_back(number)
        if not self.begun:
            before(number, frame)
        self._act = self._act or (lambda: before(number, frame))
        with contextlib.suppress(RuntimeError):  # in the middle of another line
            if StatusLine.last:
                StatusLine.last.clear()
            warn("ends when the running step (or validation) is done and saved; again: at once")

    def _obey(self) -> None:
        if self.due and self._act:
            self._act()

    def on_train_batch_end(self, batch, logs=None):
        self.begun = True
        self.due = self.agree(self.asked)

    def on_train_batch_begin(self, batch, logs=None):
        self._obey()

    def on_epoch_begin(self, epoch, logs=None):
        if self.begun:  # a signal may have come while the last epoch was scored and saved
            self.due = self.due or self.agree(self.asked)
            self._obey()
