"""One family of exceptions whose messages are meant for the person at the keyboard.

Each message is a single line: what was expected, what came, what to do. The command line prints
it without a traceback.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class FastSCNNError(Exception):
    """Base of every error this package raises on purpose; the command line exits with code 1."""

    exit_code = 1


class InputError(FastSCNNError, ValueError):
    """Something the user gave cannot be used as it is; the command line exits with code 2."""

    exit_code = 2


class NothingThere(InputError):
    """Nothing lies at an address."""


class ConfigError(InputError):
    """An option or a configuration value is out of range or contradicts another."""


class DataError(InputError):
    """An image, a label map or a data set folder cannot be used."""


class ModelFileError(InputError):
    """A model file is missing, damaged or of another kind."""


class NonFiniteLogits(ModelFileError):
    """A model computes NaN or infinity."""


class OutputError(InputError):
    """An output exists already or cannot be written."""


class TrainingDiverged(FastSCNNError):
    """The loss became NaN or infinite."""


class StreamEnded(FastSCNNError):
    """A camera or a stream gives no more frames."""


class Interrupted(FastSCNNError):
    """Ctrl-C, with what was kept; the command line exits with code 130."""

    exit_code = 130


class Ended(BaseException):
    """A signal that asks the program to end; what stands half-written is removed on the way."""

    def __init__(self, number: int):
        super().__init__()
        self.number, self.exit_code = number, 128 + number


class ExportError(FastSCNNError):
    """The converted graph is not what its recipe promises."""


Kinds = type[Exception] | tuple[type[Exception], ...]


@contextlib.contextmanager
def retold(
    error: type[Exception], before: str = "", after: str = "", *, of: Kinds = InputError
) -> Iterator[None]:
    """What is raised meanwhile as another error, with more of a message around its text.

    Args:
        error: is raised in place of those of the kinds `of`.
        before: what stands before their text.
        after: what stands behind it.
        of: the kinds that are caught.
    """
    try:
        yield
    except of as failure:
        raise error(f"{before}{failure}{after}") from None


@contextlib.contextmanager
def instead_of(kinds: Kinds, error: Exception) -> Iterator[None]:
    """Raises an error in the place of any of some kinds that is raised meanwhile."""
    try:
        yield
    except kinds:
        raise error from None
