"""Pickles of tensors, read without running them.

A pickle is a program: it may name any function of any module and have it called. Checkpoints come
from strangers, so this reader is an interpreter of its own that only moves data. A global stays a
name; nothing is imported, looked up, called, or given attributes. The few names that make up
tensors (`MAKERS`) have functions of this module standing in for them, everything else becomes an
`Opaque` that swallows its arguments and state. From the standard library comes
`pickletools.genops` alone, a disassembler.

Tensors are not built here but described (`Tensor`), so what is no weight costs nothing. Time and
memory are bounded by the file's size and `MAX_STEPS`: no operation copies what exists already.
"""

from __future__ import annotations

import dataclasses
import io
import math
import pickletools
from collections.abc import Callable
from typing import Any, Literal, TypeGuard

MAX_STEPS = 5_000_000  # a state dict takes thousands, a long training log some hundred thousand
MAX_RANK = 8
MAX_EXTENT = 1 << 48  # keeps products of hostile integers small enough to compute
MAX_ARGUMENTS = 16
MAX_NAME = 1000  # longer text is no name; comparing and joining megabytes again and again hangs

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
    order: Literal["", "<", ">"] = ""


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
        raise PickleError(f"the shape of a tensor is no sequence of up to {MAX_RANK} integers")
    if not all(type(n) is int and 0 <= n < MAX_EXTENT for n in value):
        raise PickleError("an extent of a tensor is out of range")
    return tuple(value)


def packed(
    storage: Storage,
    shape: tuple[int, ...],
    order: Literal["", "<", ">"] = "",
    fortran: bool = False,
) -> Tensor:
    """The tensor that fills a storage without gaps.

    Raises:
        PickleError: the shape has other than the storage's number of elements.
    """
    if math.prod(shape) != storage.size:
        raise PickleError("an array has other than the bytes that its shape needs")
    along = shape[::-1] if fortran else shape
    strides = tuple(math.prod(along[axis + 1 :]) for axis in range(len(along)))
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
    size, rest = divmod(len(data), item_size(dtype.code))
    if rest:
        raise PickleError("a numpy array ends within an element")
    storage = Storage(dtype.code, size, data=data)
    return packed(storage, extents(shape), dtype.order, fortran=order == "F")


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


class InertUnpickler:
    """Reads one pickle after another from a stream.

    Attributes:
        storages: key -> storage, of all that the pickles refer to.
    """

    def __init__(self, stream: io.BytesIO) -> None:
        self.storages: dict[str, Storage] = {}
        self._stream = stream
        self._steps = 0

    def load(self) -> Any:
        """Reads the next pickle.

        Raises:
            ValueError, LookupError, TypeError: it is malformed.
        """
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []  # the stacks below each mark
        self._memo: dict[int, Any] = {}
        for opcode, argument, _ in pickletools.genops(self._stream):
            self._spend(1)
            if opcode.name not in _OPERATIONS:
                raise PickleError(f"opcode {opcode.name} has no place in a checkpoint")
            _OPERATIONS[opcode.name](self, argument)
        return self._stack.pop()

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise PickleError(f"more than {MAX_STEPS} steps")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        return self._stack.pop()

    def _mark(self, _: Any) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _unmark(self) -> list[Any]:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _top(self, count: int) -> list[Any]:
        items = self._stack[-count:]
        if len(items) < count:
            raise PickleError("stack underflow")
        del self._stack[-count:]
        return items

    def _put(self, index: int | None) -> None:
        index = len(self._memo) if index is None else index
        if not 0 <= index <= MAX_STEPS:
            raise PickleError("memo index out of range")
        self._memo[index] = self._stack[-1]

    def _append(self, items: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        # Weights have text for names. Hashing other keys could be made slow (integers that
        # collide) or overflow the C stack (deep tuples).
        if isinstance(self._stack[-1], dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                if _is_name(key):
                    self._stack[-1][key] = value

    def _dict(self, _: Any) -> None:
        items = self._unmark()
        self._push({})
        self._set(items)

    def _global(self, module: Any, name: Any) -> Global:
        if not _is_name(module) or not _is_name(name):
            raise PickleError("a global without a name")
        return Global(f"{module}.{name}")

    def _call(self, function: object, args: object) -> None:
        """What stands for a call: a described tensor, a plain container, or an `Opaque`."""
        name = function.name if isinstance(function, Global) else "?"
        if name in MAKERS and _are_arguments(args):
            if args and isinstance(args[0], list):
                self._spend(len(args[0]))  # one list can be given to many calls
            self._push(MAKERS[name](*args))
        elif name.startswith(("torch._utils._rebuild", "torch._tensor._rebuild")):
            self._push(Tensor())  # quantized, sparse, ...: an error only where it is a weight
        else:
            self._push(Opaque(name))

    def _new(self, count: int) -> None:
        function, args, *_ = self._top(count)
        self._call(function, args)

    def _instance(self, names: str | None) -> None:
        args = self._unmark()
        function = self._global(*names.split(" ", 1)) if names else args.pop(0)
        self._call(function, tuple(args))

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, Opaque) and isinstance(state, dict):
            target.is_model |= "_parameters" in state and "_modules" in state
        elif isinstance(target, _NumpyType) and isinstance(state, tuple):
            target.order = ">" if ">" in state[1:2] else "<"
        elif isinstance(target, Tensor) and target.storage is None and _are_arguments(state):
            _fill(target, state)

    def _persistent(self, given: object) -> None:
        """Storages, and the classes that torch's old format wraps to note their source."""
        kind, *what = given if given and _are_arguments(given) else ("?",)
        if kind == "module" and what:
            self._push(what[0])
        elif kind == "storage" and len(what) >= 4 and isinstance(what[0], Global):
            self._push(self._storage(what[0], what[1], what[3], what[4:]))
        else:
            self._push(Opaque("?"))

    def _storage(self, kind: Global, key: str, size: Any, view: list[Any]) -> object:
        code = STORAGES.get(kind.name.rpartition(".")[2], "")
        if not code or not kind.name.startswith("torch.") or any(view):
            return Opaque(kind.name)
        if not _is_name(key):
            raise PickleError("a storage without a key")
        storage = Storage(code, extents([size])[0], key)
        if self.storages.setdefault(key, storage) != storage:
            raise PickleError(f"storage {key!r} has two types or sizes")
        return storage


_Operation = Callable[[InertUnpickler, Any], object]
_VALUES = ("int", "int_or_bool", "float", "str", "bytes", "bytearray", "bytes_or_str")

# Without EXT1, EXT2 and EXT4 (classes registered in the process) and buffers outside the pickle.
_OPERATIONS: dict[str, _Operation] = {
    **{
        opcode.name: InertUnpickler._push
        for opcode in pickletools.opcodes
        if opcode.arg and [kind.name for kind in opcode.stack_after] in [[v] for v in _VALUES]
    },
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, _: None),  # genops has seen to them
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, i: m._push(m._memo[i])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), InertUnpickler._put),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), lambda m, _: m._new(2)),
    **dict.fromkeys(("INST", "OBJ"), InertUnpickler._instance),
    "NEWOBJ_EX": lambda m, _: m._new(3),
    "NONE": lambda m, _: m._push(None),
    "NEWTRUE": lambda m, _: m._push(True),
    "NEWFALSE": lambda m, _: m._push(False),
    "EMPTY_TUPLE": lambda m, _: m._push(()),
    "EMPTY_LIST": lambda m, _: m._push([]),
    "EMPTY_DICT": lambda m, _: m._push({}),
    "EMPTY_SET": lambda m, _: m._push(Opaque("set")),
    "MARK": InertUnpickler._mark,
    "TUPLE": lambda m, _: m._push(tuple(m._unmark())),
    "TUPLE1": lambda m, _: m._push(tuple(m._top(1))),
    "TUPLE2": lambda m, _: m._push(tuple(m._top(2))),
    "TUPLE3": lambda m, _: m._push(tuple(m._top(3))),
    "LIST": lambda m, _: m._push(m._unmark()),
    "FROZENSET": lambda m, _: m._push(Opaque(f"frozenset of {len(m._unmark())}")),
    "DICT": InertUnpickler._dict,
    "APPEND": lambda m, _: m._append(m._top(1)),
    "APPENDS": lambda m, _: m._append(m._unmark()),
    "ADDITEMS": lambda m, _: m._unmark(),
    "SETITEM": lambda m, _: m._set(m._top(2)),
    "SETITEMS": lambda m, _: m._set(m._unmark()),
    "POP": lambda m, _: m._pop() if m._stack else m._unmark(),
    "POP_MARK": lambda m, _: m._unmark(),
    "DUP": lambda m, _: m._push(m._stack[-1]),
    "GLOBAL": lambda m, names: m._push(m._global(*names.split(" ", 1))),
    "STACK_GLOBAL": lambda m, _: m._push(m._global(*m._top(2))),
    "BUILD": InertUnpickler._build,
    "PERSID": InertUnpickler._persistent,
    "BINPERSID": lambda m, _: m._persistent(m._pop()),
}
