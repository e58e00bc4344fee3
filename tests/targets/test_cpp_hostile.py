"""`tflite/cpp`: damaged and hostile models end with a line of text, never with a crash."""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from cpp_tools import NATIVE, ROOT, succeed
from PIL import Image

from fastscnn_tf.tflite.file import unpack

sys.path.insert(0, str(ROOT / "benchmarks"))
import fuzz_cpp

MUTANTS = 300


def test_mutants_are_refused_or_run(programs, small_files, tmp_path):
    """Of the file that ships and of a small one, whose tree of tables is changed, too."""
    sound = [small_files / "bytes.tflite"] * 5 + [fuzz_cpp.SHIPPED[0]]
    tally = fuzz_cpp.campaign(programs.folder / "segment", sound, MUTANTS, 1, 1, tmp_path / "bad")
    counts = sum(tally.values(), start=type(tally[sound[0].name])())
    assert counts["ran"] + counts["refused"] == MUTANTS, (counts, tmp_path / "bad")
    assert counts["ran"] > 10
    assert counts["refused"] > 100


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_mutants_of_pictures_are_refused_or_read(programs, street_files, tmp_path, suffix):
    from fuzzing.images import mutate_jpeg, mutate_png

    mutate, path = {"png": mutate_png, "jpg": mutate_jpeg}[suffix], tmp_path / f"p.{suffix}"
    Image.open(street_files["street_upright"]).resize((40, 30)).save(path)
    sound = path.read_bytes()
    codes = []
    for index in range(MUTANTS // 2):
        path.write_bytes(mutate(random.Random(index), sound))
        done = programs(NATIVE, "check", "picture", path, tmp_path / "rgb")
        assert done.returncode == 0 or len(done.stderr.splitlines()) == 1, (index, done.stderr)
        codes.append(done.returncode)
    assert set(codes) == {0, 2}


def changed(source: Path, target: Path, change) -> Path:
    model = unpack(source.read_bytes())
    change(model.subgraphs[0], model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(builder.Output())
    return target


def first(graph, options: str):
    return next(o for o in graph.operators if type(o.builtinOptions).__name__ == f"{options}T")


def grow(graph, model):
    for tensor in graph.tensors:
        if len(tensor.shape) == 4 and model.buffers[tensor.buffer].data is None:
            tensor.shape = [1, 40_000, 40_000, 300]


def forget_scales(graph, model):
    graph.tensors[graph.inputs[0]].quantization.scale = np.zeros(1, np.float32)


def zero_stride(graph, model):
    first(graph, "Conv2DOptions").builtinOptions.strideH = 0


def far_dilation(graph, model):
    first(graph, "Conv2DOptions").builtinOptions.dilationWFactor = 1 << 30


def read_later(graph, model):
    graph.operators.reverse()


def two_graphs(graph, model):
    model.subgraphs.append(graph)


def vary(graph, model):
    graph.tensors[graph.operators[0].outputs[0]].isVariable = True


def big_resize(graph, model):
    op = first(graph, "ResizeBilinearOptions")
    size = model.buffers[graph.tensors[op.inputs[1]].buffer]
    size.data = np.array([1 << 30, 1 << 30], np.int32).view(np.uint8)


def other_kernel(graph, model):
    op = first(graph, "Conv2DOptions")
    op.inputs = [op.inputs[0], op.inputs[0], op.inputs[2]]


def call_itself(graph, model):
    model.operatorCodes[0].builtinCode = 119  # WHILE
    model.operatorCodes[0].deprecatedBuiltinCode = 119


def open_batch(graph, model):
    for tensor in graph.tensors:
        tensor.shapeSignature = [-1, *tensor.shape[1:]]


def second_shape(graph, model):
    graph.tensors[graph.inputs[0]].shapeSignature = [1, 65, 96, 3]


def compiled(graph, model):
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = 32  # CUSTOM
    code.customCode = b"ethos-u"


def transposed(*order):
    """The input's axes in an order, in the place of the first operation."""

    def transpose(graph, model):
        code, axes = copy.deepcopy(model.operatorCodes[0]), copy.deepcopy(graph.tensors[0])
        code.builtinCode = code.deprecatedBuiltinCode = 39
        model.operatorCodes.append(code)
        model.buffers.append(copy.deepcopy(model.buffers[0]))
        model.buffers[-1].data = np.array(order, np.int32).view(np.uint8)
        axes.shape, axes.shapeSignature, axes.type = [len(order)], None, 2
        axes.buffer, axes.quantization = len(model.buffers) - 1, None
        graph.tensors.append(axes)
        op = graph.operators[0]
        op.opcodeIndex = len(model.operatorCodes) - 1
        op.inputs = [graph.inputs[0], len(graph.tensors) - 1]
        op.builtinOptions, op.builtinOptionsType = None, 0
        graph.tensors[op.outputs[0]].type = graph.tensors[graph.inputs[0]].type

    transpose.__name__ = "transpose" + "".join(map(str, order))
    return transpose


CHANGES = {
    grow: "impossible shape",
    forget_scales: "scale that is not above 0",
    zero_stride: "has the step 0",
    far_dilation: "has the step 1073741824",
    read_later: "reads what nothing has made",
    big_resize: "gives (1x1073741824x1073741824x",
    other_kernel: "has a bias of another length",
    second_shape: "has two shapes",
    transposed(0, 2, 1): "turns other dimensions than there are",
    transposed(0, 1, 1, 3): "has no such axis, or has it twice",
    transposed(0, 1, 2, 4): "has no such axis, or has it twice",
    transposed(0, 2, 1, 3): "(TRANSPOSE) gives (1x96x64x3), its output is",
}
# Files that may be whole.
UNSUPPORTED = {
    two_graphs: "2 graphs, expected one",
    vary: "variable or sparse",
    call_itself: "is of kind 119, which no Fast-SCNN is exported with",
    open_batch: "tensor 0 has the open shape (-1x",
    compiled: "it was compiled for an NPU (operation ethos-u): take the .tflite",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_litert_would_not_notice_is_named(
    programs, small_files, street_files, tmp_path, change
):
    model = changed(small_files / "bytes.tflite", tmp_path / "m.tflite", change)
    out = tmp_path / "l.pgm"
    done = programs(NATIVE, "segment", model, street_files["street_small"], out)
    assert done.returncode == 2
    assert f"segment: {model}: damaged .tflite file (" in done.stderr
    assert CHANGES[change] in done.stderr
    assert "it was not run here" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("change", UNSUPPORTED, ids=lambda change: change.__name__)
def test_what_is_not_supported_is_not_called_damaged(
    programs, small_files, street_files, tmp_path, change
):
    model = changed(small_files / "bytes.tflite", tmp_path / "m.tflite", change)
    out = tmp_path / "l.pgm"
    done = programs(NATIVE, "segment", model, street_files["street_small"], out)
    assert done.returncode == 2
    assert f"segment: {model}: not supported here: " in done.stderr
    assert UNSUPPORTED[change] in done.stderr
    assert not out.exists()


@pytest.mark.skipif("FASTSCNN_CASES" not in os.environ, reason="FASTSCNN_CASES is not set")
def test_what_aborts_the_interpreter_is_refused(programs, street_files, tmp_path):
    model = Path(os.environ["FASTSCNN_CASES"]) / "hostile" / "aborts_the_interpreter.tflite"
    done = programs(NATIVE, "segment", model, street_files["street_small"], tmp_path / "l.pgm")
    assert done.returncode == 2
    assert "scale that is not above 0" in done.stderr


CRASH = "#include <stdlib.h>\nint LiteRtRunCompiledModel(void) { %s; }\n"
ENDS = {
    "abort()": "damaged or hostile: LiteRT crashes (signal 6); it was not run here",
    "*(volatile int*)8 = 1; return 0": "damaged or hostile: LiteRT crashes (signal 11); it was",
    "return 7": "it fails (LiteRT's status 7)",
}


@pytest.mark.parametrize("body", ENDS)
def test_what_checks_cannot_know_is_tried_out(
    programs, small_files, street_files, tmp_path, monkeypatch, body
):
    """A LiteRT that ends in some way stands for a file that makes it do so."""
    (tmp_path / "crash.c").write_text(CRASH % body)
    library = tmp_path / "crash.so"
    succeed("gcc", "-shared", "-fPIC", "-o", library, tmp_path / "crash.c")
    monkeypatch.setenv("LD_PRELOAD", str(library))
    model, out = small_files / "bytes.tflite", tmp_path / "l.pgm"
    arguments = (model, street_files["street_small"], out)
    done = programs(NATIVE, "segment", *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"segment: {model}: {ENDS[body]}")
    if body != "return 7":  # so the crash is real: a trusted file meets it in the program itself
        assert programs(NATIVE, "segment", *arguments, "--trusted").returncode < 0
    assert not out.exists()


def test_a_pipe_does_not_block(programs, small_files, street_files, tmp_path):
    os.mkfifo(tmp_path / "m.tflite")
    done = subprocess.run(
        [
            programs.folder / "segment",
            tmp_path / "m.tflite",
            street_files["street_small"],
            tmp_path / "l.pgm",
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 2
    assert "not a regular file, expected a model file" in done.stderr
