"""Checkpoints of other frameworks, written here byte by byte: formats, refusals, hostile files."""

import collections
import contextlib
import dataclasses
import io
import json
import pickle
import struct
import sys
import zipfile
from typing import Any

import numpy as np
import pytest

from fastscnn_tf.core.errors import ModelFileError
from fastscnn_tf.model.checkpoints import pickled_tensors, safe_pickle
from fastscnn_tf.model.checkpoints.checkpoint_file import read_checkpoint

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {
    "f2": "HalfStorage",
    "f4": "FloatStorage",
    "f8": "DoubleStorage",
    "i8": "LongStorage",
    "u1": "ByteStorage",
    "b1": "BoolStorage",
}


@dataclasses.dataclass
class Global:
    module: str
    name: str


ORDERED = Global("collections", "OrderedDict")


@dataclasses.dataclass
class Call:
    """What REDUCE calls, and the state that BUILD sets."""

    function: Any
    args: Any = ()
    state: Any = None


@dataclasses.dataclass
class Pid:
    value: tuple


@dataclasses.dataclass
class Raw:
    """Opcodes as they are."""

    opcodes: bytes


@dataclasses.dataclass
class View:
    """A tensor: a view of the elements of a base array, which is the storage."""

    base: np.ndarray
    offset: int = 0
    shape: Any = None
    strides: Any = None
    kind: str = ""
    key: str = ""
    size: int | None = None
    function: str = "_rebuild_tensor_v2"
    metadata: Any = None


class Writer:
    """A pickler for protocol 2 that may name what does not exist; collects storages."""

    def __init__(self, legacy=False):
        self.legacy, self.storages = legacy, {}

    def dumps(self, value):
        return b"\x80\x02" + self.emit(value) + b"."

    def emit(self, value):
        if value is None or value is True or value is False:
            return {None: b"N", True: b"\x88", False: b"\x89"}[value]
        if isinstance(value, View):
            return self.emit(self.tensor(value))
        plain = {
            Raw: lambda v: v.opcodes,
            Global: lambda v: f"c{v.module}\n{v.name}\n".encode(),
            Pid: lambda v: self.emit(v.value) + b"Q",
            int: lambda v: b"\x8a" + bytes([len(long(v))]) + long(v),
            float: lambda v: b"G" + struct.pack(">d", v),
            str: lambda v: b"X" + struct.pack("<I", len(v.encode())) + v.encode(),
            bytes: lambda v: b"B" + struct.pack("<I", len(v)) + v,
            tuple: lambda v: b"(" + b"".join(map(self.emit, v)) + b"t",
            list: lambda v: b"](" + b"".join(map(self.emit, v)) + b"e",
            dict: lambda v: b"}(" + b"".join(map(self.emit, sum(v.items(), ()))) + b"u",
        }
        if type(value) in plain:
            return plain[type(value)](value)
        assert isinstance(value, Call), value
        state = b"" if value.state is None else self.emit(value.state) + b"b"
        return self.emit(value.function) + self.emit(value.args) + b"R" + state

    def tensor(self, view):
        base = view.base.ravel()
        key = view.key or str(len(self.storages))
        self.storages[key] = base
        shape = view.base.shape if view.shape is None else view.shape
        strides = packed(shape) if view.strides is None else view.strides
        size = base.size if view.size is None else view.size
        storage = Global("torch", view.kind or KINDS[base.dtype.str[1:]])
        pid = ("storage", storage, key, "cpu", size, *([None] if self.legacy else []))
        hooks = Call(ORDERED)
        more = (view.metadata,) if view.metadata else ()
        args = (Pid(pid), view.offset, shape, strides, False, hooks, *more)
        return Call(Global("torch._utils", view.function), args)


def long(value):
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def packed(shape):
    return tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))


def zip_bytes(root, order="little", top="archive", drop=(), extra=None, compression=0):
    writer, buffer = Writer(), io.BytesIO()
    entries = {"data.pkl": writer.dumps(root), "byteorder": order.encode(), "version": b"3\n"}
    entries |= {f"data/{key}": base.tobytes() for key, base in writer.storages.items()}
    entries |= extra or {}
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            if name not in drop:
                archive.writestr(f"{top}/{name}", content)
    return buffer.getvalue()


def legacy_bytes(root):
    writer = Writer(legacy=True)
    body = [writer.dumps(v) for v in (MAGIC, 1001, {"little_endian": True}, root)]
    body.append(writer.dumps(list(writer.storages)))
    for base in writer.storages.values():
        body.append(struct.pack("<q", base.size) + base.tobytes())
    return b"".join(body)


def safetensors_bytes(arrays, codes=None, **changes):
    header, position = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        code = (codes or {}).get(name, {"f4": "F32", "u2": "U16", "f8": "F64"}[array.dtype.str[1:]])
        entry = {"dtype": code, "shape": array.shape}
        header[name] = {**entry, "data_offsets": [position, position + array.nbytes], **changes}
        position += array.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values())


@pytest.fixture
def read(tmp_path):
    """Content -> arrays; errors must be one line that starts with the path."""

    def call(content, name="x.pth", **options):
        path = tmp_path / name
        path.write_bytes(content)
        try:
            return read_checkpoint(path, **options)
        except ModelFileError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
            assert str(error).isprintable()
            assert len(str(error)) < len(str(path)) + 400
            raise

    return call


WEIGHTS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(4, 3, 2),
    "bn.bias": np.array([1.5, -2.0], np.float64),
}
TENSORS = {name: View(array) for name, array in WEIGHTS.items()}


def same(got, want):
    assert list(got) == list(want)
    for name, array in want.items():
        assert type(got[name]) is np.ndarray
        assert got[name].dtype == array.dtype and got[name].dtype.isnative
        assert got[name].flags.c_contiguous and got[name].flags.writeable
        np.testing.assert_array_equal(got[name], array, strict=True)


# Formats


@pytest.mark.parametrize("write", [zip_bytes, legacy_bytes])
def test_types_and_views(read, write):
    base = np.arange(60, dtype=np.float32)
    views = {
        "transposed": View(base, 0, (5, 12), (1, 5)),
        "offset": View(base, 7, (3, 2), (10, 2), key="shared"),
        "same storage": View(base, 0, (60,), (1,), key="shared"),
        "expanded": View(np.float32([3, 4]), 1, (2, 3), (0, 0)),
        "scalar": View(base, 59, (), ()),
        "none": View(base, 0, (0, 4), (4, 1)),
        "half": View(np.float16([1.5, -2])),
        "long": View(np.int64([-(1 << 40)])),
        "byte": View(np.uint8([200])),
        "bool": View(np.array([True, False])),
        "old": View(base, 3, (2,), (1,), function="_rebuild_tensor"),
    }
    want = {
        "transposed": base.reshape(12, 5).T,
        "offset": np.float32([[7, 9], [17, 19], [27, 29]]),
        "same storage": base,
        "expanded": np.full((2, 3), 4, np.float32),
        "scalar": np.float32(59).reshape(()),
        "none": np.zeros((0, 4), np.float32),
        "half": np.float16([1.5, -2]),
        "long": np.int64([-(1 << 40)]),
        "byte": np.uint8([200]),
        "bool": np.array([True, False]),
        "old": np.float32([3, 4]),
    }
    same(read(write(views)), want)


@pytest.mark.parametrize("write", [zip_bytes, legacy_bytes])
def test_bfloat16_becomes_float32(read, write):
    upper = np.array([0x3FC0, 0xC000, 0x7F80, 0x0001], np.uint16)
    views = {"w": View(upper, 0, (2, 2), (1, 2), kind="BFloat16Storage")}
    want = np.array([[1.5, np.inf], [-2, np.uint32(1 << 16).view(np.float32)]], np.float32)
    same(read(write(views)), {"w": want})


def test_big_endian(read):
    views = {
        name: View(array.astype(array.dtype.newbyteorder(">"))) for name, array in WEIGHTS.items()
    }
    views["b"] = View(np.array([0x3FC0], ">u2"), kind="BFloat16Storage")
    same(read(zip_bytes(views, order="big")), {**WEIGHTS, "b": np.float32([1.5])})
    with pytest.raises(ModelFileError, match="unknown byte order"):
        read(zip_bytes(TENSORS, order="middle"))


def test_compressed_again_and_without_byte_order(read):
    same(read(zip_bytes(TENSORS, compression=zipfile.ZIP_DEFLATED, drop=("byteorder",))), WEIGHTS)


def test_parameters_and_subclasses(read):
    tensor = View(WEIGHTS["bn.bias"])
    hooks = Call(ORDERED)
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    writer = Writer()
    args = writer.tensor(tensor).args
    root = {
        "p": Call(Global("torch._utils", "_rebuild_parameter"), (tensor, True, hooks)),
        "s": Call(
            Global("torch._utils", "_rebuild_parameter_with_state"), (tensor, True, hooks, {"a": 1})
        ),
        "t": Call(
            Global("torch._tensor", "_rebuild_from_type_v2"),
            (rebuild, Global("torch", "Tensor"), args, {"tag": "x"}),
        ),
    }
    content = zip_bytes(root, extra={"data/0": tensor.base.tobytes()})
    same(read(content), dict.fromkeys("pst", tensor.base))


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_arrays(read, protocol):
    arrays = {
        **WEIGHTS,
        "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "big": np.arange(6, dtype=">f4").reshape(2, 3),
        "sliced": np.arange(20.0).reshape(4, 5)[::2, 1:],
        "none": np.zeros((0, 3), np.float32),
        "scalar": np.array(2.5, np.float16),
        "bytes": np.arange(256, dtype=np.uint8),
    }
    root = {
        **arrays,
        "tied": arrays["fortran"],
        "StructuredToParameterName@@": {"conv.weight": "conv2d_0.w_0"},
    }
    want = {**arrays, "tied": arrays["fortran"]}
    want = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in want.items()}
    same(read(pickle.dumps(root, protocol), "x.pdparams"), want)
    ordered = collections.OrderedDict(root)
    same(read(pickle.dumps(ordered, protocol), "x.pkl"), want)


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_arrays_of_either_numpy(read, core):
    content = pickle.dumps(WEIGHTS, 2)
    found = b"numpy._core" if b"numpy._core" in content else b"numpy.core"
    same(read(content.replace(found, core.encode())), WEIGHTS)


def test_paddle_tuples(read):
    name, array = "conv2d_0.w_0", WEIGHTS["conv.weight"]
    same(read(pickle.dumps({"a": (name, array)}, 4), "x.pdparams"), {"a": array})

    class Tensor:
        def __reduce__(self):
            return tuple, ((name, array),)

    same(read(pickle.dumps({"a": Tensor()}, 2), "x.pdparams"), {"a": array})


def test_safetensors(read):
    arrays = {k: WEIGHTS[k] for k in sorted(WEIGHTS)}
    same(read(safetensors_bytes(arrays), "x.safetensors"), arrays)
    brain = {"module.w": np.array([[0x3FC0]], np.uint16)}
    content = safetensors_bytes(brain, {"module.w": "BF16"})
    same(read(content), {"w": np.float32([[1.5]])})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_offsets": [0, 10**9]}, "outside"),
        ({"data_offsets": [8, 0]}, "outside"),
        ({"data_offsets": [0, 3]}, "shape \\(2,\\) has 3 bytes"),
        ({"data_offsets": [0, 4]}, "shape \\(2,\\) has 4 bytes"),
        ({"shape": [1 << 40, 1 << 40]}, "has 8 bytes"),
        ({"shape": [-1]}, "out of range"),
        ({"dtype": "F8_E4M3"}, "cannot be read"),
        ({"shape": "no"}, "not a sequence"),
    ],
)
def test_damaged_safetensors(read, change, words):
    with pytest.raises(ModelFileError, match=words):
        read(safetensors_bytes({"w": np.float32([1, 2])}, **change))


def test_deep_json(read):
    text = b'{"a":' + b"[" * 200_000
    with pytest.raises(ModelFileError, match="its header: not valid JSON"):
        read(struct.pack("<Q", len(text)) + text)


# Where the weights are


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: {"epoch": 3, "state_dict": w, "best": View(np.float32([1]))},
        lambda w: {"model_state_dict": w},
        lambda w: {
            "model": {"state_dict": w},
            "optimizer": {"state": {0: {"m": View(WEIGHTS["bn.bias"])}}},
        },
        lambda w: {"state_dict": {f"module.{n}": t for n, t in w.items()}},
        lambda w: {"net": {f"module._orig_mod.module.{n}": t for n, t in w.items()}},
        lambda w: {"state_dict": {f"model._orig_mod.{n}": t for n, t in w.items()}},
        lambda w: {**w, "bn.num_batches_tracked": View(np.int64([3]), 0, (), ()), "version": 2},
        lambda w: {"params": Call(ORDERED, ([[n, t] for n, t in w.items()],), {"_metadata": {}})},
    ],
)
@pytest.mark.parametrize("write", [zip_bytes, legacy_bytes])
def test_wrappers(read, wrap, write):
    same(read(write(wrap(TENSORS))), WEIGHTS)


def test_prefix_that_not_all_share_stays(read):
    arrays = {"module.a": WEIGHTS["bn.bias"], "b": WEIGHTS["bn.bias"]}
    same(read(pickle.dumps(arrays)), arrays)
    same(read(pickle.dumps({"module.": WEIGHTS["bn.bias"]})), {"module.": WEIGHTS["bn.bias"]})


def test_averaged_weights(read):
    array = WEIGHTS["bn.bias"]
    averaged = {
        "steps": np.array(7),
        "module.w": array + 1,
        "module.bn.num_batches_tracked": np.array(1),
    }
    both = {"state_dict": {"w": array}, "ema_state_dict": averaged}
    same(read(pickle.dumps(both)), {"w": array})
    same(read(pickle.dumps(both), ema=True), {"w": array + 1})
    nested = {"model": {"w": array}, "ema": {"module": {"w": array + 2}, "updates": 3}}
    same(read(pickle.dumps(nested)), {"w": array})
    same(read(pickle.dumps(nested), ema=True), {"w": array + 2})
    for plain in ({"w": array}, {"state_dict": {"w": array}, "ema_state_dict": None}):
        with pytest.raises(ModelFileError, match=r"no averaged \(EMA\) weights"):
            read(pickle.dumps(plain), ema=True)
    with pytest.raises(ModelFileError, match="only averaged"):
        read(pickle.dumps({"params_ema": {"w": array}}))


def test_training_state_is_ignored(read):
    """What mmengine, Lightning and argparse leave in checkpoints, and torch's own odd objects."""
    history = Call(
        Global("copyreg", "_reconstructor"),
        (
            Global("mmengine.logging.history_buffer", "HistoryBuffer"),
            Global("builtins", "object"),
            None,
        ),
        {
            "_log_history": pickle_of(np.arange(5.0)),
            "_set_default_statistics": Call(Global("x", "y")),
        },
    )
    root = {
        "meta": {"cfg": "model = dict()", "seed": 1 << 70, "dataset_meta": {"classes": ("road",)}},
        "message_hub": {
            "log_scalars": Call(ORDERED, (), [1]),
            "h": history,
        },
        "args": Raw(b"cargparse\nNamespace\n)\x81}U\x02lrK\x01sb"),
        "path": Call(Global("pathlib", "PosixPath"), ("/", "x")),
        "set": Call(Global("__builtin__", "set"), ([1, 2],)),
        "objects": pickle_of(np.array([None, {}], dtype=object)),
        "number": pickle_of(np.float64(3)),
        "dtype": Global("torch", "float32"),
        "device": Call(Global("torch", "device"), ("cuda", 0)),
        "sparse": Call(Global("torch._utils", "_rebuild_sparse_tensor"), (1, 2)),
        "old instance": Raw(b"(imine\nOld\n(K\x01cmine\nNew\no0"),
        "keywords": Raw(b"cmine\nNew\n)}U\x01aK\x01s\x92"),
        "state_dict": TENSORS,
        "optimizer": {"state": {0: {"step": View(np.float32([3]))}, (1, 2): 3}, "param_groups": []},
    }
    same(read(zip_bytes(root)), WEIGHTS)


def pickle_of(value):
    """A pickle's opcodes without PROTO, memo and STOP."""
    return Raw(pickle.dumps(value, 2)[2:-1])


def test_only_text_counts_as_name(read):
    array = WEIGHTS["bn.bias"]
    root = {1: array, b"b": array, ("t",): array, None: array, "w": array, "x" * 2000: array}
    same(read(pickle.dumps(root)), {"w": array})


# Refusals


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nothing of the kind", "not a checkpoint of PyTorch, .* or ONNX"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "truncated or damaged HDF5 file"),
        (b"PK\x03\x04" + bytes(100), "damaged, or not a PyTorch checkpoint"),
        (b"\x80\x02}q", "truncated or damaged checkpoint"),
        (legacy_bytes(TENSORS)[:-1], "truncated or damaged PyTorch checkpoint .*'1' is cut off"),
        (legacy_bytes(TENSORS)[:60], "truncated or damaged PyTorch checkpoint"),
        (zip_bytes(TENSORS)[:-30], "damaged, or not a PyTorch checkpoint"),
        (zip_bytes(TENSORS, drop=("data.pkl",)), "a zip archive without data.pkl"),
        (zip_bytes(TENSORS, drop=("data/1",)), "truncated or damaged .*data/1"),
        (zip_bytes(TENSORS, extra={"data/0": bytes(95)}), "95 bytes instead of 96"),
        (zip_bytes(TENSORS, extra={"constants.pkl": b"", "code/x.py": b""}), "TorchScript archive"),
        (zip_bytes({"model_x": 1, "b\n": 2}), r"top-level keys are 'model_x', 'b\\n'$"),
        (zip_bytes({}), "empty mapping"),
        (zip_bytes([1]), "no weights"),
        (zip_bytes(TENSORS["bn.bias"]), "no weights"),
        (zip_bytes(Call(Global("my", "Class\x1b[31m"))), "it holds"),
        (zip_bytes({"a\nb": TENSORS["bn.bias"]}), "not printable"),
        (zip_bytes({"w": Call(Global("torch._utils", "_rebuild_qtensor"), (1,))}), "quantized"),
        (zip_bytes({"w": View(np.uint8([1]), kind="NewStorage")}), "cannot be read"),
        (zip_bytes({"w": View(np.float32([1]), metadata={"neg": True})}), "cannot be read"),
        (pickle.dumps({"w": np.array([None])}), "cannot be read"),
        (pickle.dumps({"w": np.array(["text"])}), "cannot be read"),
    ],
)
def test_refused(read, content, words):
    with pytest.raises(ModelFileError, match=words):
        read(content)


def test_missing(tmp_path):
    for path, said in ((tmp_path / "x.pth", "no such checkpoint"), (tmp_path, "a folder")):
        with pytest.raises(ModelFileError, match=said):
            read_checkpoint(path)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"model": m}, lambda m: {"ema": m}])
@pytest.mark.parametrize("legacy", [False, True])
def test_whole_model(read, wrap, legacy):
    kind = Global("my.net", "Net")
    made = Pid(("module", kind, "net.py", "class Net: ...")) if legacy else kind
    state = {"training": True, "_parameters": {}, "_modules": {}}
    model = Raw(Writer().emit(made) + b")\x81" + Writer().emit(state) + b"b")
    root = wrap(model)
    with pytest.raises(ModelFileError, match="whole pickled model, not its weights"):
        read(
            (legacy_bytes if legacy else zip_bytes)(root),
            ema="ema" in root if root is not model else False,
        )


@pytest.mark.parametrize(
    "view",
    [
        View(np.zeros(4, np.float32), 0, (5,), (1,)),
        View(np.zeros(4, np.float32), 4, (1,), (1,)),
        View(np.zeros(4, np.float32), 1 << 47, (), ()),
        View(np.zeros(4, np.float32), 0, (2, 2), (3, 1)),
        View(np.zeros(4, np.float32), 0, (2,), (1 << 47,)),
        View(np.zeros(4, np.float32), 0, (1 << 47,), (0,)),
        View(np.zeros(4, np.float32), 0, (1 << 47, 1 << 47, 0), (0, 0, 0)),
        View(np.zeros(4, np.float32), 0, (1 << 60,), (0,)),
        View(np.zeros(4, np.float32), 0, (-1,), (1,)),
        View(np.zeros(4, np.float32), -1, (1,), (1,)),
        View(np.zeros(4, np.float32), 3, (2,), (-1,)),
        View(np.zeros(4, np.float32), 0, (2.0,), (1,)),
        View(np.zeros(4, np.float32), 0, (2, 2), (1,)),
        View(np.zeros(4, np.float32), 0, (1,) * 9, (1,) * 9),
        View(np.zeros(4, np.float32), 0, None, 3),
        View(np.zeros(4, np.float32), size=5),
        View(np.zeros(4, np.float32), size=-1),
        View(np.zeros(4, np.float32), size=1 << 100),
    ],
)
@pytest.mark.parametrize("write", [zip_bytes, legacy_bytes])
def test_views_beyond_their_storage(read, view, write):
    with pytest.raises(ModelFileError):
        read(write({"w": view}))


def test_storage_of_two_sizes(read):
    views = {"a": View(np.zeros(4), key="k", size=4), "b": View(np.zeros(4), key="k", size=2)}
    with pytest.raises(ModelFileError, match="two types or sizes"):
        read(zip_bytes(views))


def test_array_of_other_size_than_its_bytes(read):
    content = pickle.dumps({"w": np.zeros((3, 5), np.float32)}, 2)
    assert content.count(b"K\x03K\x05") == 1
    with pytest.raises(ModelFileError, match=r"of shape .* bytes"):
        read(content.replace(b"K\x03K\x05", b"K\x03K\x06"))


def test_zip_bomb(read):
    big = bytes(100 << 20)
    for name in ("data/0", "data.pkl", "unused"):
        content = zip_bytes(TENSORS, extra={name: big}, compression=zipfile.ZIP_DEFLATED)
        with pytest.raises(ModelFileError, match=r"bytes unpacked, at most [\d,]+ are read"):
            read(content)


def test_repeated_elements_are_limited(read):
    views = {"w": View(np.zeros(1, np.float32), 0, (1 << 25,), (0,))}
    with pytest.raises(ModelFileError, match="MiB of weights"):
        read(zip_bytes(views))


@pytest.mark.parametrize(
    "opcodes",
    [
        b"N" + b"\x85" * 300_000,  # deep tuples
        b"]" * 300_000 + b"a" * 299_999,
        b"}" + b"N" + b"\x85" * 300_000 + b"Ns",  # as a key
        b"(" + b"N" + b"\x85" * 300_000 + b"\x91",  # in a frozenset
        b"(" * 300_000,
        b"]q\0" + b"".join(b"](" + b"h\0" * 50 + b"eq\0" for _ in range(5000)),  # laughs
        b"}q\0(" + b"".join(b"U" + bytes([len(k)]) + k + b"h\0" for k in (b"model", b"net")) + b"u",
        b"Nr\xff\xff\xff\xff",  # a memo index that reserves memory
        b"\x8e" + b"\xff" * 7 + b"\x0f",  # bytes that reserve memory
        b"\x96" + bytes(5) + b"\x01\0\0",
        b"\x8b" + struct.pack("<i", -1),
        b"I" + b"9" * 5000 + b"\n",
        b"\x82\x01",  # EXT1
        b"\x97",  # NEXT_BUFFER
        b"N" * 200_000 + b"." * 3,
        b"0",
        b"R",
        b"\x86",
        b"h\x05",
        b"cno_name\n",
        b"U\x02\\xS'\\q'\n",
    ],
)
def test_pathological_pickles(read, opcodes, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MAX_STEPS", 650_000)
    with pytest.raises(ModelFileError):
        read(b"\x80\x02" + opcodes + b".")


def test_too_many_steps(read, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MAX_STEPS", 10_000)
    pairs = b"](" + b"U\x01aN\x86" * 1000 + b"e\x85q\0ccollections\nOrderedDict\nq\1"
    for opcodes in (b"N" * 20_000, pairs + b"h\1h\0R" * 100):
        with pytest.raises(ModelFileError, match="more than 10000 steps"):
            read(b"\x80\x02" + opcodes + b".")


# Hostile pickles


def hostile(marker):
    """Name -> a pickled object that creates the marker file when a real unpickler reads it."""
    command = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w').close()"
    emit = Writer().emit
    trap = Global("trap_for_unpicklers", "Trap")
    return {
        "system": Call(Global("os", "system"), (command,)),
        "posix": Call(Global("posix", "system"), (command,)),
        "python 2": Call(Global("__builtin__", "eval"), (code,)),
        "eval": Call(Global("builtins", "eval"), (code,)),
        "exec": Call(Global("builtins", "exec"), (code,)),
        "subprocess": Call(Global("subprocess", "check_call"), (["touch", str(marker)],)),
        "mkdir": Call(Global("os", "mkdir"), (str(marker),)),
        "getattr": Call(
            Call(Global("builtins", "getattr"), (Global("os", "system"), "__call__")), (command,)
        ),
        "partial": Call(
            Call(Global("functools", "partial"), (Global("os", "system"), command)), ()
        ),
        "map": Call(
            ORDERED,
            (Call(Global("builtins", "map"), (Global("os", "system"), [command])),),
        ),
        "import": trap,
        "NEWOBJ": Raw(emit(trap) + b")\x81"),
        "NEWOBJ_EX": Raw(emit(trap) + b")}\x92"),
        "OBJ": Raw(b"(" + emit(Global("os", "system")) + emit(command) + b"o"),
        "INST": Raw(b"(" + emit(command) + b"ios\nsystem\n"),
        "STACK_GLOBAL": Raw(emit("os") + emit("system") + b"\x93" + emit((command,)) + b"R"),
        "BUILD": Raw(emit(trap) + b")\x81" + emit({"a": 1}) + b"b"),
        "BUILD slots": Raw(emit(trap) + b")\x81" + emit((None, {"a": 1})) + b"b"),
        "in a dtype": Call(
            Global("numpy", "dtype"), (Call(Global("os", "system"), (command,)), False, True)
        ),
        "as a key": Raw(b"}" + emit(Call(Global("os", "system"), (command,))) + b"Ns"),
        "as a storage": Pid(("storage", Call(Global("os", "system"), (command,)), "0", "cpu", 1)),
    }


HOSTILE = list(hostile("x"))


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """The marker file, and on the path a module that creates it when it is imported."""
    marker = tmp_path / "executed"
    code = f"open({str(marker)!r}, 'w').close()\nclass Trap: pass\n"
    (tmp_path / "trap_for_unpicklers.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trap_for_unpicklers", raising=False)
    return marker


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_executed(read, trap, name):
    payload = hostile(trap)[name]
    modules = set(sys.modules)
    for root in (
        {"state_dict": TENSORS, "meta": payload},
        {"meta": payload, **TENSORS},
        {"state_dict": {**TENSORS, "extra": payload}},
    ):
        for write in (zip_bytes, legacy_bytes):
            same(read(write(root)), WEIGHTS)
    for content in (
        zip_bytes(payload),
        Writer().dumps(payload),
        Writer().dumps({"model": payload}),
    ):
        with pytest.raises(ModelFileError):
            read(content)
    assert not trap.exists()
    assert set(sys.modules) == modules


@pytest.mark.parametrize("name", HOSTILE[:-1])
def test_those_pickles_are_live(trap, name):
    """The control of the test above: the standard unpickler falls for each."""
    with contextlib.suppress(TypeError, AttributeError):  # what the call returned is of no use
        pickle.loads(Writer().dumps(hostile(trap)[name]))
    sys.modules.pop("trap_for_unpicklers", None)
    assert trap.exists()


def test_state_reaches_no_shared_object(read):
    """BUILD on a global or on a container must not change what later reads rely on."""
    before = dict(pickled_tensors.MAKERS)
    emit = Writer().emit
    changes = [
        Raw(emit(Global(module, name)) + emit(state) + b"b")
        for module, name in (("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"))
        for state in ({"name": "os.system"}, (None, {"name": "os.system"}))
    ]
    same(read(zip_bytes({"x": changes, "state_dict": TENSORS})), WEIGHTS)
    same(read(zip_bytes({"state_dict": TENSORS})), WEIGHTS)
    assert before == pickled_tensors.MAKERS


# Damage at random places


def samples():
    small = {"state_dict": TENSORS, "meta": {"a": [1, 2.5, "x"], "o": Call(Global("a", "b"))}}
    return {
        "zip": zip_bytes(small),
        "legacy": legacy_bytes(small),
        "paddle": pickle.dumps({**WEIGHTS, "StructuredToParameterName@@": {}}, 4),
        "old arrays": pickle.dumps(WEIGHTS, 2),
        "safetensors": safetensors_bytes(WEIGHTS),
        "stored pickle": small,
    }


def damaged(content, rng, start=0):
    """The content with some bytes changed, removed or added."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(start, len(content))) if len(content) > start else 0
        match rng.integers(5):
            case 0:
                del content[place:]
            case 1:
                content[place : place + 1] = bytes([rng.integers(256)])
            case 2:
                content[place : place + 4] = struct.pack("<i", rng.integers(-5, 1 << 31))
            case 3:
                del content[place : place + int(rng.integers(1, 20))]
            case _:
                content[place:place] = bytes(rng.integers(0, 256, 3, dtype=np.uint8))
    return bytes(content)


@pytest.mark.parametrize("kind", samples())
def test_random_damage(read, kind):
    rng, content = np.random.default_rng(0), samples()[kind]
    outcomes = collections.Counter()
    for _ in range(100):
        if kind == "stored pickle":  # below the zip's checksum
            pickled = Writer().dumps(content)
            changed = zip_bytes(content, extra={"data.pkl": damaged(pickled, rng)})
        else:
            changed = damaged(content, rng)
        try:
            arrays = read(changed)
        except ModelFileError:
            outcomes["refused"] += 1
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
            outcomes["read"] += 1
    assert outcomes["refused"] > 20


# Real files


GOLDEN = {"tramac.pth": 231, "mmseg.pth": 236, "zh320.pth": 204, "paddleseg.pdparams": 246}


@pytest.mark.parametrize("name", GOLDEN)
def test_real_checkpoints(golden_dir, name):
    arrays = read_checkpoint(golden_dir / name)
    assert len(arrays) == GOLDEN[name]
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert all(array.min() > 0 for key, array in arrays.items() if key.endswith("running_var"))
    first = next(iter(arrays))
    assert "learning_to_downsample" in first and arrays[first].shape == (32, 3, 3, 3)


@pytest.mark.parametrize("name", GOLDEN)
def test_real_checkpoints_cut_off(golden_dir, read, name):
    content, rng = (golden_dir / name).read_bytes(), np.random.default_rng(0)
    for length in rng.integers(0, len(content), 10):
        with pytest.raises(ModelFileError):
            read(content[:length])
