"""Pickles of tensors, read without running them.

A pickle is a program: it may name any function of any module and have it called. Checkpoints come
from strangers, so this reader is an interpreter of its own that only moves data. A global stays a
name; nothing is imported, looked up, called, or given attributes. The few names that make up
tensors (`pickled_tensors.MAKERS`) have functions standing in for them, everything else becomes an
`Opaque` that swallows its arguments and state. From the standard library comes
`pickletools.genops` alone, a disassembler.

Tensors are not built here but described (`Tensor`), so what is not a weight costs nothing. Time and
memory are bounded by the file's size and `MAX_STEPS`: no operation copies what exists already.
"""

import io
import pickletools
from collections.abc import Callable
from typing import Any

from . import pickled_tensors as made

MAX_STEPS = 5_000_000  # a state dict takes thousands, a long training log some hundred thousand


class InertUnpickler:
    """Reads one pickle after another from a stream.

    Attributes:
        storages: key -> storage, of all that the pickles refer to.
    """

    def __init__(self, stream: io.BytesIO) -> None:
        self.storages: dict[str, made.Storage] = {}
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
                raise made.PickleError(f"opcode {opcode.name} has no place in a checkpoint")
            _OPERATIONS[opcode.name](self, argument)
        return self._stack.pop()

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise made.PickleError(f"more than {MAX_STEPS} steps")

    def _push(self, value: object) -> None:
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
            raise made.PickleError("stack underflow")
        del self._stack[-count:]
        return items

    def _put(self, index: int | None) -> None:
        index = len(self._memo) if index is None else index
        if not 0 <= index <= MAX_STEPS:
            raise made.PickleError("memo index out of range")
        self._memo[index] = self._stack[-1]

    def _append(self, items: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        # Weights have text for names. Hashing other keys could be made slow (integers that
        # collide) or overflow the C stack (deep tuples).
        if isinstance(self._stack[-1], dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                if made._is_name(key):
                    self._stack[-1][key] = value

    def _dict(self, _: Any) -> None:
        items = self._unmark()
        self._push({})
        self._set(items)

    def _global(self, module: Any, name: Any) -> made.Global:
        if not made._is_name(module) or not made._is_name(name):
            raise made.PickleError("a global without a name")
        return made.Global(f"{module}.{name}")

    def _call(self, function: object, args: object) -> None:
        """What stands for a call: a described tensor, a plain container, or an `Opaque`."""
        name = function.name if isinstance(function, made.Global) else "?"
        if name in made.MAKERS and made._are_arguments(args):
            if args and isinstance(args[0], list):
                self._spend(len(args[0]))  # one list can be given to many calls
            self._push(made.MAKERS[name](*args))
        elif name.startswith(("torch._utils._rebuild", "torch._tensor._rebuild")):
            self._push(made.Tensor())  # quantized, sparse, ...: an error only where it is a weight
        else:
            self._push(made.Opaque(name))

    def _new(self, count: int) -> None:
        function, args, *_ = self._top(count)
        self._call(function, args)

    def _instance(self, names: str | None) -> None:
        args = self._unmark()
        function = self._global(*names.split(" ", 1)) if names else args.pop(0)
        self._call(function, tuple(args))

    def _build(self, _: Any) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, made.Opaque) and isinstance(state, dict):
            target.is_model |= "_parameters" in state and "_modules" in state
        elif isinstance(target, made._NumpyType) and isinstance(state, tuple):
            target.order = ">" if ">" in state[1:2] else "<"
        elif isinstance(target, made.Tensor) and not target.storage and made._are_arguments(state):
            made._fill(target, state)

    def _persistent(self, given: object) -> None:
        """Storages, and the classes that torch's old format wraps to note their source."""
        kind, *what = given if given and made._are_arguments(given) else ("?",)
        if kind == "module" and what:
            self._push(what[0])
        elif kind == "storage" and len(what) >= 4 and isinstance(what[0], made.Global):
            self._push(self._storage(what[0], what[1], what[3], what[4:]))
        else:
            self._push(made.Opaque("?"))

    def _storage(self, kind: made.Global, key: str, size: Any, view: list[Any]) -> object:
        code = made.STORAGES.get(kind.name.rpartition(".")[2], "")
        if not code or not kind.name.startswith("torch.") or any(view):
            return made.Opaque(kind.name)
        if not made._is_name(key):
            raise made.PickleError("a storage without a key")
        storage = made.Storage(code, made.extents([size])[0], key)
        if self.storages.setdefault(key, storage) != storage:
            raise made.PickleError(f"storage {key!r} has two types or sizes")
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
    "EMPTY_SET": lambda m, _: m._push(made.Opaque("set")),
    "MARK": InertUnpickler._mark,
    "TUPLE": lambda m, _: m._push(tuple(m._unmark())),
    "TUPLE1": lambda m, _: m._push(tuple(m._top(1))),
    "TUPLE2": lambda m, _: m._push(tuple(m._top(2))),
    "TUPLE3": lambda m, _: m._push(tuple(m._top(3))),
    "LIST": lambda m, _: m._push(m._unmark()),
    "FROZENSET": lambda m, _: m._push(made.Opaque(f"frozenset of {len(m._unmark())}")),
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
