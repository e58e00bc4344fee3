"""Types that many signatures share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]
# Wraps the indices of what is worked through, as a progress bar does; `iter` shows nothing.
Progress: TypeAlias = Callable[[Iterable[int]], Iterable[int]]
