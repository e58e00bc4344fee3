"""The arrays of an HDF5 file that may come from anybody, read in a process with limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from ..core.errors import ModelFileError
from ..core.foreign_text import one_line
from ..core.zip_archive import read_npz
from .hdf5_child import REFUSED

SECONDS = 10  # honest files take less than one for 100 MB
BASE_MEMORY = 1 << 30  # bytes of address space: Python, numpy and HDF5
CHILD = Path(__file__).with_name("hdf5_child.py")


def read_hdf5(content: bytes, where: str, largest: int) -> dict[str, np.ndarray]:
    """The arrays of a file by their paths; bfloat16 comes as float32.

    Args:
        content: the file.
        where: messages call it so.
        largest: bytes that all arrays may have together.

    Raises:
        ModelFileError: damaged, larger, or with links, data elsewhere or other than numbers.
    """
    memory = BASE_MEMORY + len(content) + 4 * largest
    seconds = SECONDS + len(content) // (50 << 20)
    command = [sys.executable, "-P", str(CHILD), *map(str, (largest, memory, seconds))]
    # The child finds what this process found; one thread of BLAS needs less address space.
    paths = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=2 * seconds,  # of which it may work half
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"{where}: HDF5 came to no end with it") from None
    except OSError as failure:
        raise ModelFileError(f"{where}: no process to read it ({failure.strerror})") from None
    if done.returncode == REFUSED:
        raise ModelFileError(f"{where}: {one_line(done.stdout.decode('utf-8', 'replace'))}")
    if done.returncode:
        ends = (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0))
        how = "came to no end with" if done.returncode in ends else "crashed on"
        raise ModelFileError(f"{where}: HDF5 {how} it: damaged")
    return read_npz(done.stdout, where, largest=2 * largest + BASE_MEMORY, error=ModelFileError)


__all__ = ["read_hdf5"]
