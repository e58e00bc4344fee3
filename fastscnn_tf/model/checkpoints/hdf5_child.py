"""How HDF5 reads a file of anybody, for the process of `core.confined_child`.

The library is C, and made files have it run for ever, crash, or follow links into other files.
"""

import io
import math
from collections.abc import Callable
from typing import Any

OBJECTS = 50_000  # a network of 100 layers takes 500
DEPTH = 32  # groups inside each other; Keras writes 6, and a few more for models inside models
# Keras 3 numbers a layer's variables; their ranks tell what they are.
VARIABLES = {
    (4, 1): ("kernel", "bias"),
    (4,): ("kernel",),
    (4, 4, 1): ("depthwise_kernel", "pointwise_kernel", "bias"),
    (4, 4): ("depthwise_kernel", "pointwise_kernel"),
    (1, 1, 1, 1): ("gamma", "beta", "moving_mean", "moving_variance"),
}
CONTAINERS = {"layers", "_layer_checkpoint_dependencies"}
OTHERS = {"optimizer", "seed_generator", "metrics"}  # what has variables beside the layers


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
                raise ValueError(f"{path}{name} is not an array")
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


def keras_names(file: Any, found: dict[str, Any]) -> dict[str, str]:
    """Names `layer/variable` -> paths of a model's weights, without its optimizer's.

    Keras 2's files list their layers and variables in attributes; Keras 3's `.weights.h5` number
    variables. A file of neither kind keeps its paths.
    """
    for top in ("model_weights", ""):
        if layers := _listed(file[top or "/"], "layer_names") if top in (*file, "") else []:
            return _names_of_keras2(file[top or "/"], f"{top}/".lstrip("/"), layers)
    numbered = [path.rpartition("/vars/") for path in found]
    owners = {layer for layer, _, number in numbered if number.isdecimal()}
    owners = {layer for layer in owners if not OTHERS & set(layer.split("/"))}
    if not owners:
        return {path: path for path in found}
    named: dict[str, str] = {}
    for layer in sorted(owners, key=_natural):
        count = sum(path.startswith(f"{layer}/vars/") for path in found)
        paths = [f"{layer}/vars/{number}" for number in range(count)]
        if not set(paths) <= set(found):
            raise ValueError(f"{layer}: its variables are not numbered from 0")
        name = "/".join(part for part in layer.split("/") if part not in CONTAINERS)
        own = _text(file[f"{layer}/vars"].attrs.get("name", ""))
        name = f"{name.rpartition('/')[0]}/{own}".strip("/") if own else name
        kinds = VARIABLES.get(tuple(len(found[p].shape) for p in paths), map(str, range(count)))
        named |= {spelled(name, kind): path for kind, path in zip(kinds, paths, strict=True)}
    return named


def _names_of_keras2(group: Any, top: str, layers: list[str]) -> dict[str, str]:
    """The layer is called as its group: TensorFlow 1 gave variables other scopes now and then."""
    named: dict[str, str] = {}
    for layer in layers:
        variables = _listed(group[layer], "weight_names") if layer in group else []
        scopes = {variable.rpartition("/")[0] for variable in variables}
        for variable in variables:
            kind = variable.rpartition("/")[2].partition(":")[0]
            name = spelled(layer, kind) if len(scopes) == 1 else variable.partition(":")[0]
            if name in named:
                name = f"{layer}/{name}"
            if name in named:
                raise ValueError(f"two weights are called {name}")
            named[name] = f"{top}{layer}/{variable}"
    return named


def spelled(layer: str, kind: str) -> str:
    """`layer/variable`; Keras 3 calls the kernel of a depthwise convolution as all others."""
    depthwise = kind == "kernel" and layer.rpartition("/")[2].startswith("depthwise_conv2d")
    return f"{layer}/{'depthwise_' * depthwise}{kind}"


def _listed(group: Any, name: str) -> list[str]:
    """A list of names among the attributes; long ones are in parts, with a number behind."""
    if name in group.attrs:
        return [_text(each) for each in group.attrs[name]]
    found: list[str] = []
    for number in range(OBJECTS):
        if f"{name}{number}" not in group.attrs:
            break
        found += [_text(each) for each in group.attrs[f"{name}{number}"]]
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _natural(path: str) -> list[Any]:
    """`conv2d_10` comes after `conv2d_9`, and `conv2d` before `conv2d_1`."""
    parts = [part.rpartition("_") for part in path.split("/")]
    return [(a, int(n)) if n.isdecimal() and a else (a + _ + n, 0) for a, _, n in parts]


def arrays(content: bytes, largest: int, keras: bool, attribute: str = "") -> dict[str, Any]:
    """All arrays of a file by their paths, those of a Keras model by their names, or a text.

    Raises:
        ValueError: no HDF5 file, data that lie elsewhere, or more bytes than `largest`.
    """
    import h5py
    import numpy as np

    read, room = {}, largest
    try:
        opened = h5py.File(io.BytesIO(content), "r")
    except OSError as error:
        raise ValueError(f"truncated or damaged HDF5 file ({error})") from None
    with opened as file:
        if attribute:
            words = _text(file.attrs.get(attribute, "")).encode()[: largest + 1]
            return {attribute: np.frombuffer(words, np.uint8)}
        found = datasets(file)
        named = keras_names(file, found) if keras else {path: path for path in found}
        for name, path in named.items():
            if path not in found:
                raise ValueError(f"{path} is missing")
            item = found[path]
            if item.external or item.is_virtual or item.shape is None:
                raise ValueError(f"{path}: its values lie elsewhere")
            room -= math.prod(item.shape) * item.dtype.itemsize
            if room < 0:
                raise ValueError(f"more than {largest:,} bytes of arrays, of shape {item.shape}")
            read[name] = array(path, item)
    return read


def run(content: bytes, order: list[Any], say: Callable[..., None]) -> bytes | None:
    """A .npz of all arrays, or None where `say` was told what is wrong."""
    import numpy as np

    try:
        packed = io.BytesIO()
        np.savez(packed, **arrays(content, *order))
        return packed.getvalue()
    except Exception as error:  # HDF5's errors come as those of any kind
        say(refused=" ".join(str(error).split())[:200] or type(error).__name__)
        return None
