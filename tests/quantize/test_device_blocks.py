"""The layers of the report are those of the device: the same integers, one exchangeable."""

import numpy as np
import pytest

from fastscnn_tf.core.keras_api import tensorflow
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.pipeline import load_dataset
from fastscnn_tf.model.folded import fold, on_bytes
from fastscnn_tf.model.tf_blocks import logits_of
from fastscnn_tf.quantize.calibrate import calibrate
from fastscnn_tf.quantize.device_blocks import DeviceBlocks, FloatBlocks, OwnErrors
from fastscnn_tf.quantize.quantize_aware import folded_of
from fastscnn_tf.tflite.file import operation, unpack

KINDS = {"conv": "CONV_2D", "depthwise": "DEPTHWISE_CONV_2D", "add": "ADD"}
KINDS["resize"] = "RESIZE_BILINEAR"


@pytest.fixture(scope="module")
def networks(trained, quantized):
    images = load_dataset("toy", split="train", config=trained.config, batch_size=4).take(8)
    return {"int8": calibrate(fold(trained), images), "int8-qat": folded_of(quantized)}


@pytest.fixture(scope="module")
def picture(trained):
    return ToyStreets("val", trained.config.input_size).read_image(3)


def normalised(picture, network):
    config = network.config
    image = (picture - np.float32(config.mean)) / np.float32(config.std)
    return tensorflow().constant(image[None].astype(np.float32))


def inner_tensors(path, picture):
    """(operation, shape, scale, zero point) -> int8 values of every such tensor on the device.

    They are made outputs of the graph: XNNPACK, which is what runs on a device, keeps no others.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    model = unpack(path.read_bytes())
    graph = model.subgraphs[0]
    wanted = {op.outputs[0]: operation(model, op) for op in graph.operators}
    wanted = {t: kind for t, kind in wanted.items() if kind in KINDS.values()}
    graph.outputs = [*graph.outputs, *(t for t in wanted if t not in graph.outputs)]
    model.signatureDefs = None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=2)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
    interpreter.invoke()
    found: dict = {}
    for tensor, kind in wanted.items():
        quantization = graph.tensors[tensor].quantization
        assert graph.tensors[tensor].type == schema.TensorType.INT8
        key = kind, tuple(graph.tensors[tensor].shape), np.float32(quantization.scale[0])
        values = interpreter.get_tensor(tensor).astype(int) - quantization.zeroPoint[0]
        found.setdefault(key, []).append(values)
    return found


@pytest.mark.parametrize("recipe", ["int8", "int8-qat"])
def test_every_layer_has_the_integers_of_the_tflite(networks, tflite_files, picture, recipe):
    device = DeviceBlocks(networks[recipe])
    device.run(normalised(picture, networks[recipe]))
    tensors = inner_tensors(tflite_files[recipe, "logits"], picture)
    seen = 0
    for name, signal in device.signals.items():
        kind = KINDS.get(device.layers[name].kind)
        if kind is None:
            continue
        levels = np.rint(signal.x.numpy() / np.float32(signal.grid.step))
        candidates = tensors[kind, levels.shape, np.float32(signal.grid.step)]
        assert any(np.array_equal(levels, values) for values in candidates), name
        seen += 1
    assert seen == 37  # 21 convolutions, 9 depthwise ones, 2 sums, 5 resizes


def test_all_layers_in_float_are_the_float_network(networks, picture):
    network = networks["int8"]
    image = normalised(picture, network)
    real = FloatBlocks(network)
    logits = real.run(image)
    expected = logits_of(on_bytes(network).replace(ranges={}), image).numpy()
    assert np.abs(logits.x.numpy() - expected).max() < 1e-5 * expected.std()
    every = DeviceBlocks(network, real.layers).run(image)
    assert np.array_equal(every.x.numpy(), logits.x.numpy())
    assert every.grid is None


@pytest.mark.parametrize(
    "name",
    ["learning_to_downsample.conv", "pyramid.pool2", "pyramid.bin3", "pyramid.resize6",
     "fusion.relu", "fusion.add", "classifier.logits"],
)  # fmt: skip
def test_what_is_known_is_not_computed_again(networks, picture, name):
    network = networks["int8"]
    image = normalised(picture, network)
    whole = DeviceBlocks(network)
    whole.run(image)
    slow, fast = DeviceBlocks(network, (name,)), DeviceBlocks(network, (name,), whole.signals)
    expected, got = slow.run(image), fast.run(image)
    assert np.array_equal(got.x.numpy(), expected.x.numpy())
    assert not np.array_equal(got.x.numpy(), whole.signals["classifier.logits"].x.numpy())
    assert fast.signals[name].grid is None
    reused = [n for n in whole.signals if fast.signals[n].x is whole.signals[n].x]
    assert name not in reused
    assert len(reused) == len([s for s in fast.signals.values() if not s.changed])
    assert ("learning_to_downsample.ds2_pointwise" in reused) == (name != next(iter(slow.layers)))


def test_own_errors_leave_out_those_of_earlier_layers(networks, picture):
    network = networks["int8"]
    image = normalised(picture, network)
    real = FloatBlocks(network)
    real.run(image)
    own = OwnErrors(network, real.signals)
    own.run(image)
    name = "classifier.ds2_pointwise"
    source = own.grid_of("classifier.ds2_depthwise")
    step = np.float32(source.step)
    levels = np.rint(real.signals["classifier.ds2_depthwise"].x.numpy() / step)
    rounded = np.clip(levels, source.low, source.high) * step
    kernel, bias = network.weights[name]
    expected = np.maximum(rounded @ kernel[0, 0] + bias, 0)
    assert np.allclose(own.expected[name].numpy(), expected, atol=1e-4)
    live = expected > 0
    error = np.abs(own.signals[name].x.numpy() - expected)[live] / own.grid_of(name).step
    assert 0.25 < error.mean() < 0.5  # a quarter of a step by rounding the output; the kernel's
