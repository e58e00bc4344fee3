"""A thread that reads frames ahead; of a live source only the newest one waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from .sources import Frame

AHEAD = 2  # frames that wait where none is dropped


class Capture:
    """Reads a source's frames in a thread of its own.

    Args:
        frames: of a `Source`; the event it gets is set at the end.
        drop: keep only the newest frame while nobody takes one, and count the others.

    Attributes:
        dropped: frames that nobody has seen.
    """

    def __init__(self, frames: Callable[[threading.Event], Iterator[Frame]], drop: bool):
        self.dropped = 0
        self._frames, self._drop = frames, drop
        self._stop = threading.Event()
        self._change = threading.Condition()
        self._waiting: deque[Frame] = deque()
        self._ended = False
        self._failure: Exception | None = None
        # A daemon: a camera that never answers must not keep the program from ending.
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with self._change:
            self._change.notify_all()
        self._thread.join(2)

    def __iter__(self) -> Iterator[Frame]:
        """The frames, oldest first.

        Raises:
            DataError: a frame cannot be read; those before it have come.
        """
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                frame = self._waiting.popleft()
                self._change.notify_all()
            yield frame
        if self._failure is not None:
            raise self._failure

    def _read(self) -> None:
        frames = None
        try:
            frames = self._frames(self._stop)
            for frame in frames:
                with self._change:
                    if self._drop:
                        self.dropped += len(self._waiting)
                        self._waiting.clear()
                    self._change.wait_for(lambda: len(self._waiting) < AHEAD or self._stop.is_set())
                    if self._stop.is_set():
                        break
                    self._waiting.append(frame)
                    self._change.notify_all()
        except Exception as error:
            self._failure = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()
            close = getattr(frames, "close", None)
            if close is not None:
                close()  # in this thread, which alone uses it
