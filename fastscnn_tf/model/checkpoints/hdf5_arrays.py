"""The arrays of an HDF5 file that may come from anybody, read in a process with limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.confined import HDF5, Limits, run_confined
from ...core.errors import ModelFileError
from ...core.files.zip_archive import read_npz
from ...core.foreign_text import one_line

SECONDS = 10  # honest files take less than one for 100 MB
PATIENCE = 60  # seconds more, for what neither ends nor computes
BASE_MEMORY = 1 << 30  # bytes of address space: Python, numpy and HDF5
TASK = Path(__file__).with_name("hdf5_child.py")


def read_hdf5(
    content: bytes, where: str, largest: int, keras: bool = False, attribute: str = ""
) -> dict[str, np.ndarray]:
    """The arrays of a file by their paths; bfloat16 comes as float32.

    Args:
        content: the file.
        where: messages call it so.
        largest: bytes that all arrays may have together.
        keras: the weights of a Keras model alone, called `layer/variable`.
        attribute: no arrays but the bytes of the file's text of that name, empty without one.

    Raises:
        ModelFileError: damaged, larger, or with links, data elsewhere or other than numbers.
    """
    memory = BASE_MEMORY + len(content) + 4 * largest
    seconds = SECONDS + len(content) // (50 << 20)
    limits = Limits(memory, seconds, PATIENCE + 2 * seconds)
    outcome = run_confined(TASK, [largest, keras, attribute], content, limits, library=HDF5)
    if not outcome.started:
        raise ModelFileError(f"{where}: no process to read it ({outcome.ending})")
    for line in outcome.lines:
        raise ModelFileError(f"{where}: {one_line(line['refused'])}")
    if not outcome.result:
        slow = outcome.ending.startswith("no end") or outcome.ending.endswith("(SIGKILL)")
        how = "came to no end with" if slow else "crashed on"
        raise ModelFileError(f"{where}: HDF5 {how} it: damaged")
    return read_npz(outcome.result, where, largest=2 * largest + BASE_MEMORY, error=ModelFileError)
