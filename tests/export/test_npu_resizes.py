"""int8 resizes become 1x1 convolutions that are off the exact value by a step."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tiny_models import TinyModel

from fastscnn_tf.core.images.interpolation import ALIGNED, HALF_PIXEL, interpolation_matrix
from fastscnn_tf.delegates.device import COMPILED
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.export.edits import Editor
from fastscnn_tf.export.export_tflite import export_tflite
from fastscnn_tf.export.npu_resizes import NATIVE, integer_rows, resizes_to_convolutions
from fastscnn_tf.export.pack import pack
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.file import graph_summary, unpack
from fastscnn_tf.tflite.parser import parse_tflite

GRID = ((0.07,), (-5,))
CHANNELS = 3
# Half a step for each axis, by which XNNPACK rounds almost exactly, and the reference less so.
KERNELS = {OpResolverType.AUTO: 1.05, OpResolverType.BUILTIN_REF: 1.4}


def resize(source, target, sampling=HALF_PIXEL, dtype="int8", relu=None):
    """A file of one RESIZE_BILINEAR; behind it, as a ReLU, a QUANTIZE to `relu`."""
    m = TinyModel()
    grid = None if dtype == "float32" else GRID
    x = m.tensor((1, *source, CHANNELS), dtype, quantization=grid)
    y = m.tensor((1, *target, CHANNELS), dtype, quantization=grid)
    options = {"halfPixelCenters": sampling == HALF_PIXEL, "alignCorners": sampling == ALIGNED}
    where = m.tensor((2,), "int32", np.array(target))
    m.op("RESIZE_BILINEAR", [x, where], [y], "ResizeBilinearOptions", 3, **options)
    if relu is None:
        return m.pack([x], [y])
    z = m.tensor((1, *target, CHANNELS), "int8", quantization=relu)
    m.op("QUANTIZE", [y], [z], "QuantizeOptions", 2)
    return m.pack([x], [z])


def edited(content, device="ethos-u55"):
    model = unpack(content)
    edit = Editor(model)
    resizes_to_convolutions(edit, device)
    return [edit.kind(op) for op in edit.graph.operators], pack(model, len(content))


def run(content, x, kernels):
    interpreter = Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=kernels
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def exact(x, target, sampling=HALF_PIXEL):
    """What lies between the places of a map, in steps of its grid."""
    rows, columns = (
        interpolation_matrix(a, b, sampling).astype(float)
        for a, b in zip(x.shape[1:3], target, strict=True)
    )
    return np.einsum("ih,jw,bhwc->bijc", rows, columns, x.astype(float))


def pixels(source):
    values = np.random.default_rng(0).integers(-128, 128, (1, *source, CHANNELS))
    return values.astype(np.int8)


BY_AXES = ["TRANSPOSE", "CONV_2D", "TRANSPOSE", "CONV_2D", "TRANSPOSE"]


@pytest.mark.parametrize("sampling", [HALF_PIXEL, ALIGNED])
@pytest.mark.parametrize(
    ("source", "target"), [((2, 2), (14, 19)), ((6, 6), (7, 10)), ((9, 11), (36, 44))]
)
def test_results_are_off_by_a_step(source, target, sampling):
    x = pixels(source)
    found, content = edited(resize(source, target, sampling))
    assert found == BY_AXES
    wanted = exact(x, target, sampling)
    for kernels in KERNELS:
        error = run(content, x, kernels) - wanted
        assert np.abs(error).max() < KERNELS[kernels]
        assert abs(error.mean()) < 0.2  # ties are many, and the reference rounds them up
        corner = error[:, :: target[0] - 1, :: target[1] - 1]
        assert np.abs(corner).max() < 1e-4  # which are copied


def test_one_value_everywhere_stays():
    for source in ((6, 6), (9, 11)):
        _, content = edited(resize(source, (23, 37)))
        x = np.full((1, *source, CHANNELS), -77, np.int8)
        assert all((run(content, x, kernels) == -77).all() for kernels in KERNELS)


def test_a_relu_behind_goes_into_the_last_convolution():
    x = pixels((9, 11))
    relu = ((0.07 / 2,), (-128,))
    kinds, content = edited(resize((9, 11), (36, 44), relu=relu))
    assert kinds == BY_AXES
    real = exact(x, (36, 44)) - GRID[1][0]
    wanted = np.clip(2 * real, 0, 255) - 128
    for kernels in KERNELS:
        assert np.abs(run(content, x, kernels) - wanted).max() < 2.01


@pytest.mark.parametrize(
    ("device", "source", "target", "sampling", "kept"),
    [
        ("ethos-u55", (1, 1), (14, 19), HALF_PIXEL, True),
        ("ethos-u65", (14, 19), (56, 76), HALF_PIXEL, False),
        ("ethos-u85", (14, 19), (56, 76), HALF_PIXEL, True),
        ("ethos-u85", (14, 19), (56, 76), ALIGNED, False),
        ("ethos-u85", (3, 3), (14, 19), HALF_PIXEL, False),
        ("ethos-u85", (3, 3), (9, 9), HALF_PIXEL, False),
        ("coral", (1, 1), (14, 19), HALF_PIXEL, False),
        ("pi5", (3, 3), (14, 19), HALF_PIXEL, True),
        ("", (3, 3), (14, 19), HALF_PIXEL, True),
    ],
)
def test_what_a_device_has_stays(device, source, target, sampling, kept):
    content = resize(source, target, sampling)
    kinds, changed = edited(content, device)
    assert ("RESIZE_BILINEAR" in kinds) == kept
    x = pixels(source)
    error = run(changed, x, OpResolverType.AUTO) - exact(x, target, sampling)
    assert np.abs(error).max() < KERNELS[OpResolverType.AUTO]


def test_floats_and_uint8_stay():
    for dtype in ("float32", "uint8"):
        kinds, _ = edited(resize((3, 3), (14, 19), dtype=dtype))
        assert kinds == ["RESIZE_BILINEAR"]


def test_every_npu_of_the_decision_table_is_known():
    assert tuple(NATIVE) == COMPILED


@pytest.mark.parametrize(("source", "target"), [(19, 76), (6, 32), (32, 128), (3, 64), (9, 5)])
def test_weights_of_one_axis_are_exact(source, target):
    """Half-pixel weights are multiples of 1 / (2 target), or less."""
    matrix = interpolation_matrix(source, target)
    integers, scales = integer_rows(matrix)
    if 2 * target // np.gcd(source, 2 * target) <= 127:
        assert np.abs(integers * scales[:, None] - matrix).max() < 1e-6
    assert np.abs(integers.sum(1) * scales - 1).max() < 1e-6
    assert integers.min() >= 0


@pytest.mark.convert
def test_an_export_for_an_npu(config, randomise, noise, tmp_path):
    """Only the resizes differ, and layers give their names to what Vela's estimate is about."""
    model = randomise(fast_scnn(config.replace(repeats=(1, 1, 1))))
    images = [noise(config.input_size)]
    plain, npu = (tmp_path / f"{device}.tflite" for device in ("edge-cpu", "ethos-u55"))
    for path in (plain, npu):
        settings = TARGETS[path.stem].settings
        export_tflite(model, path, "int8", calibration=images, settings=settings)
    ops, npu_ops = (graph_summary(path.read_bytes()).ops for path in (plain, npu))
    assert ops["RESIZE_BILINEAR"] == 5 and "TRANSPOSE" not in ops
    assert npu_ops["RESIZE_BILINEAR"] == 1 and npu_ops["TRANSPOSE"] == 4 * 3
    names = {tensor.name for tensor in parse_tflite(npu.read_bytes()).main.tensors}
    assert any(name.startswith("pyramid.resize6/") for name in names)
    image = np.random.default_rng(1).integers(0, 256, (1, *config.input_size, 3)).astype(np.uint8)
    found = [
        run(path.read_bytes(), image, OpResolverType.AUTO).astype(int) for path in (plain, npu)
    ]
    assert np.abs(found[1] - found[0]).max() <= 6
    assert Segmenter(npu).predict(image[0]).shape == config.input_size
