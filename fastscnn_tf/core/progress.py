"""`Progress`: what wraps the steps of a long work, to show a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Progress = Callable[[Iterable[int]], Iterable[int]]  # `iter` shows nothing
