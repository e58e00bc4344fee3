"""How HDF5 reads a file of anybody, for the process of `core.confined_child`.

The library is C, and made files have it run for ever, crash, or follow links into other files.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

OBJECTS = 50_000  # a network of 100 layers takes 500
DEPTH = 32  # groups inside each other; Keras writes 6, and a few more for models inside models


def datasets(file: Any) -> dict[str, Any]:
    """Path -> data set of all that lie in the file itself.

    Raises:
        ValueError: a link, or more or deeper groups than a model has.
    """
    import h5py

    found, waiting = {}, [("", file)]
    seen = {h5py.h5o.get_info(file["/"].id).addr}
    while waiting:
        path, group = waiting.pop()
        for name in group:
            if type(group.get(name, getlink=True)) is not h5py.HardLink:
                raise ValueError(f"{path}{name} is a link to elsewhere")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ValueError(f"{path}{name} is there under two names")
            seen.add(address)
            if len(seen) > OBJECTS or path.count("/") > DEPTH:
                raise ValueError("more or deeper groups than a model has")
            if isinstance(item, h5py.Dataset):
                found[path + name] = item
            elif isinstance(item, h5py.Group):
                waiting.append((f"{path}{name}/", item))
            else:
                raise ValueError(f"{path}{name} is no array")
    return found


def array(path: str, item: Any) -> Any:
    """The values of a data set, bfloat16 as float32.

    Raises:
        ValueError: not numbers.
    """
    import numpy as np

    if item.attrs.get("dtype") == "bfloat16" and item.dtype.itemsize == 2:
        upper = np.array(item).view(np.uint16)
        return (upper.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if item.dtype.kind not in "biuf":
        raise ValueError(f"{path} holds {item.dtype}, expected numbers")
    return np.array(item)


def arrays(content: bytes, largest: int) -> dict[str, Any]:
    """All arrays of a file.

    Raises:
        ValueError: no HDF5 file, data that lie elsewhere, or more bytes than `largest`.
    """
    import h5py

    found, room = {}, largest
    with h5py.File(io.BytesIO(content), "r") as file:
        for path, item in datasets(file).items():
            if item.external or item.is_virtual or item.shape is None:
                raise ValueError(f"{path}: its values lie elsewhere")
            room -= math.prod(item.shape) * item.dtype.itemsize
            if room < 0:
                raise ValueError(f"more than {largest:,} bytes of arrays, of shape {item.shape}")
            found[path] = array(path, item)
    return found


def run(content: bytes, largest: int, say: Callable[..., None]) -> bytes | None:
    """A .npz of all arrays by their paths, or None where `say` was told what is wrong."""
    import numpy as np

    try:
        packed = io.BytesIO()
        np.savez(packed, **arrays(content, largest))
        return packed.getvalue()
    except Exception as error:  # HDF5's errors come as those of any kind
        say(refused=" ".join(str(error).split())[:200] or type(error).__name__)
        return None
