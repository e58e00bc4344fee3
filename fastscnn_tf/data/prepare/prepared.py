"""What preparing a data set led to."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What lies in a folder now.

    Attributes:
        folder: where.
        pairs: split -> number of pictures with label maps.
        already: it was there before; nothing was changed.
    """

    folder: Path
    pairs: dict[str, int]
    already: bool
