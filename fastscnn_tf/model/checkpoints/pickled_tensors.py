"""What tensors look like in a pickle: names that stand for functions, and who stands in for them.

Nothing here builds an array or calls into a library: tensors are described (`Tensor`, `Storage`).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, TypeGuard

MAX_RANK = 8
MAX_EXTENT = 1 << 48  # keeps products of hostile integers small enough to compute
MAX_ARGUMENTS = 16
MAX_NAME = 1000  # longer text is not a name; comparing and joining megabytes again and again hangs

# Element types are numpy's codes, letter and size; "B2" stands for bfloat16, which numpy lacks.
# fmt: off
STORAGES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "B2",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "b1", "UntypedStorage": "u1", "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16", "QInt8Storage": "i1", "QUInt8Storage": "u1",
    "QInt32Storage": "i4", "QUInt4x2Storage": "u1", "QUInt2x4Storage": "u1",
}
# fmt: on
NUMPY_TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


Order = Literal["", "<", ">"]  # of bytes; empty: the file's


class PickleError(ValueError):
    """A pickle is malformed, or larger than any checkpoint would be."""


@dataclasses.dataclass(frozen=True, slots=True)
class Global:
    """The dotted name of a class or function; only ever a name."""

    name: str


@dataclasses.dataclass(slots=True)
class Opaque:
    """Stands for an object of any kind, named by its class or by the function that made it."""

    name: str
    is_model: bool = False  # its state is that of a torch.nn.Module


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """A run of elements: in the file under a key, or (`data`) in the pickle itself.

    Data are latin-1 text in protocols that lack bytes.
    """

    code: str
    size: int
    key: str = ""
    data: bytes | bytearray | memoryview | str | None = None

    @property
    def nbytes(self) -> int:
        return self.size * item_size(self.code)


@dataclasses.dataclass(slots=True)
class Tensor:
    """A view of a storage; offset and strides count elements.

    Attributes:
        storage: None in a tensor that cannot be read.
        order: byte order, "<" or ">"; empty for the file's.
    """

    storage: Storage | None = None
    offset: int = 0
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    order: Order = ""


@dataclasses.dataclass(slots=True)
class _NumpyType:
    code: str  # empty when unsafe, such as that of objects
    order: Literal["<", ">"] = "<"


def item_size(code: str) -> int:
    """Bytes of an element."""
    return int(code[1:])


def extents(value: object) -> tuple[int, ...]:
    """Checks a shape or strides.

    Raises:
        PickleError: no short sequence of integers in a sane range.
    """
    if not isinstance(value, (tuple, list)) or len(value) > MAX_RANK:
        raise PickleError(f"the shape of a tensor is not a sequence of up to {MAX_RANK} integers")
    if not all(type(n) is int and 0 <= n < MAX_EXTENT for n in value):
        raise PickleError("an extent of a tensor is out of range")
    return tuple(value)


def packed(
    code: str,
    data: bytes | bytearray | memoryview | str,
    shape: tuple[int, ...],
    order: Order = "",
    fortran: bool = False,
    what: str = "a tensor",
) -> Tensor:
    """The tensor that fills bytes without gaps.

    Args:
        code: of the element type.
        data: its bytes, or a letter of text for each of them.
        shape: of sane extents.
        order: of the bytes of an element.
        fortran: the first axis is the innermost.
        what: calls it in the message.

    Raises:
        PickleError: the shape needs another number of bytes.
    """
    count = math.prod(shape)
    if count * item_size(code) != len(data):
        raise PickleError(f"{what} of shape {shape} has {len(data):,} bytes")
    along = shape[::-1] if fortran else shape
    strides = tuple(math.prod(along[axis + 1 :]) for axis in range(len(along)))
    storage = Storage(code, count, data=data)
    return Tensor(storage, 0, shape, strides[::-1] if fortran else strides, order)


def _is_name(value: object) -> TypeGuard[str]:
    return type(value) is str and len(value) <= MAX_NAME


def _are_arguments(value: object) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple) and len(value) <= MAX_ARGUMENTS


def _mapping(*args: Any) -> object:
    pairs = args[0] if args and isinstance(args[0], list) else []  # Python 2 gives the items here
    pairs = [pair for pair in pairs if isinstance(pair, (tuple, list)) and len(pair) == 2]
    return {key: value for key, value in pairs if _is_name(key)}


def _torch_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *more: Any) -> object:
    metadata = more[2:]  # bits such as "conjugated", where they are set
    if not isinstance(storage, Storage) or any(metadata):
        return Tensor()
    (offset,), shape, strides = extents([offset]), extents(shape), extents(strides)
    if len(shape) != len(strides):
        raise PickleError("a tensor has other numbers of extents and strides")
    return Tensor(storage, offset, shape, strides)


def _subclass_tensor(function: Any, _: Any, args: Any, *more: Any) -> object:
    plain = isinstance(function, Global) and function.name == "torch._utils._rebuild_tensor_v2"
    return _torch_tensor(*args) if plain and _are_arguments(args) else Tensor()


def _numpy_array(data: Any, dtype: Any, shape: Any, order: Any) -> Tensor:
    if not isinstance(dtype, _NumpyType) or not dtype.code:
        return Tensor()
    if not isinstance(data, (bytes, bytearray, str)):
        raise PickleError("a numpy array has no bytes")
    return packed(dtype.code, data, extents(shape), dtype.order, fortran=order == "F")


def _fill(array: Tensor, state: tuple[Any, ...]) -> None:
    """Gives an array from `_reconstruct` its state, in place: others may refer to it already."""
    if len(state) == 5:
        _, shape, dtype, fortran, data = state
        made = _numpy_array(data, dtype, shape, "F" if fortran else "C")
        for field in dataclasses.fields(Tensor):
            setattr(array, field.name, getattr(made, field.name))


def _numpy_type(code: Any = "", *_: Any) -> object:
    return _NumpyType(code if isinstance(code, str) and code in NUMPY_TYPES else "")


def _first(value: Any = None, *_: Any) -> object:
    return value


# Called with what the pickle gives as arguments; none does more than to arrange them.
MAKERS: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "torch._utils._rebuild_tensor": _torch_tensor,
    "torch._utils._rebuild_tensor_v2": _torch_tensor,
    "torch._tensor._rebuild_from_type_v2": _subclass_tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch.Size": _first,
    "builtins.tuple": _first,  # paddle's tensors inside other objects: (name, array)
    "__builtin__.tuple": _first,
    "_codecs.encode": _first,  # latin-1 text stays text, so that it cannot be multiplied
    "__builtin__.bytes": lambda *_: b"",  # what old protocols have for no bytes
    "numpy.dtype": _numpy_type,
    "numpy.core.multiarray._reconstruct": lambda *_: Tensor(),  # until its state comes
    "numpy._core.multiarray._reconstruct": lambda *_: Tensor(),
    "numpy.core.numeric._frombuffer": _numpy_array,
    "numpy._core.numeric._frombuffer": _numpy_array,
}
