"""MindSpore's `.ckpt`, read without MindSpore: a protocol buffer of names and tensors.

    Checkpoint { repeated Value value = 1 }    Value { string tag = 1; TensorProto tensor = 2 }
    TensorProto { repeated int64 dims = 1; string tensor_type = 2; bytes tensor_content = 3 }

Source: MindSpore, mindspore/ccsrc/utils/checkpoint.proto.
"""

from collections.abc import Container

from ...core.console import LOG
from ...core.files.protobuf import Value, Wire, content_of, text
from .pickled_tensors import MAX_NAME, Tensor, extents, packed

# fmt: off
_TYPES = {
    "Float16": "f2", "Float32": "f4", "Float64": "f8", "BFloat16": "B2", "Int8": "i1",
    "Int16": "i2", "Int32": "i4", "Int64": "i8", "UInt8": "u1", "UInt16": "u2", "UInt32": "u4",
    "UInt64": "u8", "Bool": "b1",
}
# fmt: on
SHOWN = 6  # kinds of entries that a line names
NETWORK = "network."  # what a network inside a training step is called


def read_mindspore(data: bytes) -> dict[str, Tensor]:
    """The network's tensors by their names, without those of its training.

    Raises:
        ValueError, LookupError: damaged.
    """
    wire, found = Wire(), {}
    for number, value in wire.fields(memoryview(data)):
        entry = wire.message(value)
        name, tensor = text(entry[1][0]), wire.message(entry[2][0])
        if number != 1 or len(name) > MAX_NAME or name in found:
            raise ValueError(f"field {number} or name {name[:60]!r} has no place in a checkpoint")
        found[name] = _tensor(wire, tensor)
    others = [name for name in found if _is_of_training(name, found)]
    if others:
        LOG.info(
            "%d entries of the training are left out: %s", len(others), ", ".join(_kinds(others))
        )
    return {name: tensor for name, tensor in found.items() if name not in others}


def _tensor(wire: Wire, tensor: dict[int, list[Value]]) -> Tensor:
    code = _TYPES.get(text(tensor[2][0]).rpartition("kNumberType")[2])
    if code is None:
        return Tensor()
    content = content_of(tensor.get(3, [memoryview(b"")])[0])
    return packed(code, content, extents(wire.integers(tensor.get(1, []))))


def _is_of_training(name: str, names: Container[str]) -> bool:
    """What an optimizer keeps beside each weight (`accum.<weight>`), and its counters."""
    rest = name.partition(".")[2]
    beside = rest in names or f"{NETWORK}{rest}" in names
    return not rest or (beside and not name.startswith(NETWORK))


def _kinds(names: list[str]) -> list[str]:
    """`accum.*` for all that begin so; no more than a few."""
    found = list(dict.fromkeys(n if "." not in n else n.partition(".")[0] + ".*" for n in names))
    return found if len(found) <= SHOWN else [*found[:SHOWN], "..."]
