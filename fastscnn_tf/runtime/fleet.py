"""`Fleet`: who shares the work. This process alone, several, or Ray's actors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from ..core.arguments import check_number
from .actors import check_address, in_actors
from .workers import MAX_PROCESSES, Item, Result, in_processes


@dataclasses.dataclass(frozen=True)
class Fleet:
    """Who shares the work on many items.

    Attributes:
        processes: how many share it, each with an interpreter of its own.
        ray: HOST:PORT of a Ray cluster whose actors they are, `auto` for the one that runs on this
            machine, or `local` to start one here; None without Ray.

    Raises:
        ConfigError: no such number or address.
    """

    processes: int = 1
    ray: str | None = None

    def __post_init__(self) -> None:
        check_number("processes", self.processes, 1, MAX_PROCESSES, kinds=(int,))
        if self.ray is not None:
            check_address(self.ray)

    @classmethod
    def of(cls, processes: int | Fleet) -> Fleet:
        """One of so many processes, or the one that is given."""
        return processes if isinstance(processes, Fleet) else cls(processes)

    @property
    def alone(self) -> bool:
        """Whether this process does everything."""
        return self.processes == 1 and self.ray is None

    def map(
        self,
        make: Callable[[], Callable[[Item], Result]],
        items: Sequence[Item],
        name: Callable[[Item], str] = str,
        here: Callable[[Item], Result] | None = None,
        shared: Path | None = None,
    ) -> Generator[Result]:
        """`map(make(), items)`: results in order, see `in_processes` and `in_actors`.

        Args:
            make: makes the function, once for each worker.
            items: what the function is called with.
            name: of an item, for messages.
            here: the function, if this process has made it already.
            shared: a folder that is made, if need be, and that all workers must see.
        """
        if self.ray is not None:
            yield from in_actors(make, items, self.processes, self.ray, name, shared)
        elif self.processes > 1:
            yield from in_processes(make, items, self.processes, name)
        else:
            yield from map(here or make(), items)
