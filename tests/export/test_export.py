"""What is inside the .tflite files: operations, types, quantization, metadata, agreement."""

import json

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError, ExportError, OutputError
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.evaluation.agreement import argmax_agreement
from fastscnn_tf.export.converter import check_runs
from fastscnn_tf.export.export_tflite import ExportOptions, export_tflite
from fastscnn_tf.export.model_metadata import append_files
from fastscnn_tf.export.pack import pack
from fastscnn_tf.export.quantization_recipes import OUTPUTS, RECIPES, check_graph
from fastscnn_tf.inspection.inspect_tflite import inspect
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.quantize.quantize_aware import folded_of, qat_model
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.embedded_metadata import associated_files
from fastscnn_tf.tflite.file import GraphSummary, graph_summary, operation, read_metadata, unpack
from fastscnn_tf.train.predictor import KerasPredictor

CELLS = {  # of 96x160 -> 3x5 at 1/32; pooling 1, then rows and columns of bins 2, 3 and 6
    "CONV_2D": 21,
    "DEPTHWISE_CONV_2D": 9,
    "ADD": 2,
    "RESIZE_BILINEAR": 5,
}
INT8_MEANS = 8  # of two rows or columns: depthwise convolutions in int8


@pytest.fixture(scope="module")
def scenes(trained):
    class Few(ToyStreets):
        def __len__(self):
            return 20

    return Few("val", trained.config.input_size)


SHAPES = {
    "logits": (12, 20, 9),
    "logits-full": (96, 160, 9),
    "prob": (96, 160, 9),
    "labels": (96, 160),
    "labels-8": (12, 20),
}
FILES = [  # each output of a float and of an int8 recipe, and one of every recipe
    *(("float32", outputs) for outputs in OUTPUTS),
    *(("int8-qat", outputs) for outputs in OUTPUTS),
    *((recipe, "logits") for recipe in ("float16", "dynamic", "int8")),
    *(("int16x8", outputs) for outputs in ("logits", "prob")),
]


@pytest.mark.convert
@pytest.mark.parametrize("recipe", ["float32", "int8-qat"])
def test_what_was_exported_is_known_and_not_tried_again(tflite_files, recipe):
    assert Segmenter(tflite_files[recipe, "logits"]).trial_seconds == 0


def test_what_a_strangers_weights_would_abort_at_is_not_run(tflite_files, tmp_path):
    """LiteRT aborts at an ADD that brings a range to one a million times smaller."""
    model = unpack(tflite_files["int8-qat", "logits"].read_bytes())
    graph = model.subgraphs[0]
    add = next(op for op in graph.operators if operation(model, op) == "ADD")
    graph.tensors[add.outputs[0]].quantization.scale = np.float32([1e-9])
    with pytest.raises(ExportError, match="which it cannot"):
        check_runs(tmp_path / "m.tflite", pack(model, 1 << 20))


def test_options_as_a_group_are_the_keywords(trained, tflite_files, tmp_path):
    options = ExportOptions("float32", "labels")
    written = export_tflite(trained, tmp_path / "m.tflite", options=options).path
    assert written.read_bytes() == tflite_files["float32", "labels"].read_bytes()


@pytest.mark.convert
@pytest.mark.parametrize(("recipe", "outputs"), FILES)
def test_operations_are_those_of_the_table(tflite_files, recipe, outputs):
    summary = graph_summary(tflite_files[recipe, outputs].read_bytes())
    at_eighth = outputs in ("logits", "labels-8")
    expected = {**CELLS, "RESIZE_BILINEAR": 5 + (not at_eighth)}
    expected["DEPTHWISE_CONV_2D"] += INT8_MEANS * recipe.startswith("int8")
    assert {name: summary.ops[name] for name in CELLS} == expected
    is_labels = outputs.startswith("labels")
    assert summary.ops.get("ARG_MAX", 0) == summary.ops.get("CAST", 0) == is_labels
    assert summary.ops.get("RESHAPE", 0) == recipe.startswith("int8")  # pairs of pixels
    if recipe.startswith("int8"):
        assert summary.float_tensors == 0
        assert "RELU" not in summary.ops
        # bytes to int8, the clamp after the fusion's resize, and int8 logits to bytes
        assert summary.ops["QUANTIZE"] == (2 if is_labels else 3)
    elif recipe == "int16x8":
        assert summary.float_tensors == 2  # the image and the result
        assert summary.ops["DEQUANTIZE"] == 1
    else:
        assert not {"SUB", "MUL"} & set(summary.ops)
        if recipe != "float16":
            assert summary.ops["DEQUANTIZE"] == 1  # of the bytes
    assert (summary.float_kernels == 0) == ("int" in recipe or recipe == "dynamic")


@pytest.mark.parametrize(("recipe", "outputs"), FILES)
def test_weights_begin_at_multiples_of_16_bytes(tflite_files, recipe, outputs):
    """By the generated accessors, metadata included: the schema's `force_align` of Buffer.data."""
    from ai_edge_litert.schema_py_generated import Model

    content = tflite_files[recipe, outputs].read_bytes()
    model = Model.GetRootAs(content)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    filled = [buffer._tab for buffer in buffers if buffer.DataLength()]
    places = [table.Vector(table.Offset(4)) for table in filled]
    assert len(places) > 60
    assert {place % 16 for place in places} == {0}
    assert inspect(tflite_files[recipe, outputs], load=False).unaligned == 0


def test_packing_again_changes_nothing(tflite_files):
    content = tflite_files["int8-qat", "logits"].read_bytes()
    again = append_files(pack(unpack(content), len(content)), associated_files(content))
    assert again == content


@pytest.mark.parametrize(("recipe", "outputs"), FILES)
def test_inputs_and_outputs(tflite_files, input_of, recipe, outputs):
    segmenter = Segmenter(tflite_files[recipe, outputs])
    assert segmenter.outputs == outputs
    result = segmenter.run(np.zeros((96, 160, 3), np.uint8))
    assert result.shape == SHAPES[outputs]
    is_bytes = recipe.startswith("int8") or outputs.startswith("labels")
    assert result.dtype == (np.uint8 if is_bytes else np.float32)
    if outputs == "prob":
        shares = result.astype(float) / (256 if is_bytes else 1)
        assert np.abs(shares.sum(-1) - 1).max() < 0.02
    taken = np.float32 if recipe == "int16x8" else np.uint8
    assert input_of(tflite_files[recipe, outputs])["dtype"] == taken


def test_labels_at_an_eighth_are_the_argmax_of_the_logits(tflite_files, scenes):
    for recipe in ("float32", "int8-qat"):
        logits = Segmenter(tflite_files[recipe, "logits"])
        labels = Segmenter(tflite_files[recipe, "labels-8"])
        for index in range(len(scenes)):
            image = scenes.read_image(index)
            expected = logits.run(image).argmax(-1)  # ties: the lowest index in both
            np.testing.assert_array_equal(labels.run(image), expected)
        upsampled = expected.repeat(8, 0).repeat(8, 1)
        np.testing.assert_array_equal(labels.predict(image), upsampled)


def test_int8_weights_alone_stay_close_to_float(trained, tflite_files, scenes):
    assert argmax_agreement(trained, tflite_files["int16x8", "logits"], scenes) >= 0.98
    assert argmax_agreement(trained, tflite_files["dynamic", "logits"], scenes) >= 0.98


def test_int16_input_is_the_float_input_in_steps(trained, tflite_files, noise, tmp_path, input_of):
    images = [noise(trained.config.input_size)]
    for input in ("int16", "float32"):
        path = tmp_path / f"{input}.tflite"
        export_tflite(trained, path, "int16x8", input=input, calibration=images)
    wide, plain = (Segmenter(tmp_path / f"{name}.tflite") for name in ("int16", "float32"))
    # The range is that of all bytes, -1 to 127/128, whatever the images hold.
    assert input_of(wide.path)["quantization"] == (pytest.approx(1 / 32767), 0)
    image = ToyStreets("val", trained.config.input_size).read_image(0)
    levels = wide.run(image)
    assert levels.dtype == np.int16
    assert np.abs(levels * wide.logit_scale - plain.run(image)).max() <= wide.logit_scale / 2


def test_float_input_of_an_int8_graph_is_the_same_grid(trained, tmp_path, noise, input_of):
    """Also where mean and std are not those of the grid: the file's own say what to do."""
    config = trained.config.replace(mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))
    model = fast_scnn(config)
    for input in ("uint8", "float32"):
        export_tflite(
            model,
            tmp_path / f"{input}.tflite",
            "int8",
            input=input,
            calibration=[noise(config.input_size)],
        )
    first, second = (Segmenter(tmp_path / f"{name}.tflite") for name in ("uint8", "float32"))
    assert input_of(second.path)["dtype"] == np.float32
    assert second.metadata["mean"] == [128.0] * 3
    assert first.metadata["mean"] == list(config.mean)
    image = ToyStreets("val", config.input_size).read_image(0)
    np.testing.assert_array_equal(first.run(image), second.run(image))


def test_logits_become_bytes_before_they_are_upsampled(tflite_files):
    """The QUANTIZE runs outside XNNPACK: at 1/8 it has 64 times less to do."""
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(tflite_files["int8-qat", "logits-full"].read_bytes())
    graph = model.subgraphs[0]
    last = graph.operators[-1]
    code = model.operatorCodes[last.opcodeIndex].builtinCode
    assert code == schema.BuiltinOperator.RESIZE_BILINEAR
    assert {graph.tensors[t].type for t in (last.inputs[0], last.outputs[0])} == {
        schema.TensorType.UINT8
    }


@pytest.mark.parametrize("outputs", ["logits", "logits-full", "labels"])
def test_bytes_as_int8_give_the_same(quantized, tflite_files, outputs, tmp_path, input_of):
    export_tflite(quantized, tmp_path / "m.tflite", "int8-qat", outputs, input="int8")
    first, second = Segmenter(tmp_path / "m.tflite"), Segmenter(tflite_files["int8-qat", outputs])
    assert input_of(first.path)["dtype"] == np.int8
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    assert np.array_equal(first.run(image), second.run(image))


@pytest.mark.parametrize("recipe", ["int8", "int8-qat"])
def test_input_quantization_is_exact_for_bytes(tflite_files, input_of, recipe):
    assert input_of(tflite_files[recipe, "logits"])["quantization"] == (1 / 128, 128)


@pytest.mark.parametrize("recipe", ["int8", "int8-qat"])
def test_kernels_have_one_scale_per_channel(tflite_files, recipe):
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(tflite_files[recipe, "logits"].read_bytes())
    graph = model.subgraphs[0]
    kinds = {schema.BuiltinOperator.CONV_2D: 0, schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3}
    seen = 0
    for op in graph.operators:
        axis = kinds.get(model.operatorCodes[op.opcodeIndex].builtinCode)
        if axis is not None:
            kernel = graph.tensors[op.inputs[1]]
            assert len(kernel.quantization.scale) == kernel.shape[axis]
            seen += 1
    assert seen == 21 + 9 + INT8_MEANS


def test_whole_int8_graph_is_one_xnnpack_partition(tflite_files):
    """Nothing splits the graph: every node of the int8 logits graph is delegated."""
    segmenter = Segmenter(tflite_files["int8-qat", "logits"])
    ops = [op["op_name"] for op in segmenter._interpreter._get_ops_details()]
    assert ops.count("DELEGATE") == 1


def test_float_keras_and_float32_tflite_agree(trained, tflite_files, scenes):
    assert argmax_agreement(trained, tflite_files["float32", "logits"], scenes) >= 0.9999
    assert argmax_agreement(trained, tflite_files["float32", "labels"], scenes) >= 0.9999
    assert argmax_agreement(trained, tflite_files["float16", "logits"], scenes) >= 0.998


def test_qat_keras_computes_the_integers_of_the_tflite(quantized, tflite_files, scenes):
    """Not only the argmax: every logit, on every image, is the same int8 number."""
    keras, tflite = KerasPredictor(quantized), Segmenter(tflite_files["int8-qat", "logits"])
    zero_point = tflite._output["quantization"][1]
    for index in range(len(scenes)):
        image = scenes.read_image(index)
        assert np.array_equal(keras.run(image), tflite.run(image).astype(int) - zero_point)


def test_a_bias_that_is_the_same_in_every_channel(quantized, scenes, tmp_path):
    """The converter would quantize it with the first channel's scale."""
    network, name = folded_of(quantized), "learning_to_downsample.ds1_depthwise"
    kernel, bias = network.weights[name]
    weights = {**network.weights, name: (kernel, np.full_like(bias, 0.1))}
    model = qat_model(network.replace(weights=weights))
    export_tflite(model, tmp_path / "m.tflite", "int8-qat")
    segmenter, image = Segmenter(tmp_path / "m.tflite"), scenes.read_image(0)
    expected = KerasPredictor(model).run(image)
    levels = segmenter.run(image).astype(int) - segmenter._output["quantization"][1]
    assert np.array_equal(levels, expected)


def test_full_resolution_logits_are_what_the_runtime_interpolates(quantized, tflite_files, scenes):
    segmenter = Segmenter(tflite_files["int8-qat", "logits"])
    images = np.stack([scenes.read_image(index) for index in range(len(scenes))])
    logits = quantized(((images - 128.0) / 128.0).astype("float32")).numpy()
    labels = np.stack([segmenter.predict(image) for image in images])
    assert np.mean(logits.argmax(-1) == labels) >= 0.999


@pytest.mark.convert
@pytest.mark.parametrize("outputs", OUTPUTS)
def test_qat_keras_and_qat_tflite_agree(quantized, tflite_files, scenes, outputs):
    assert argmax_agreement(quantized, tflite_files["int8-qat", outputs], scenes) >= 0.999


def test_int8_stays_close_to_float(trained, tflite_files, scenes):
    assert argmax_agreement(trained, tflite_files["int8", "logits"], scenes) >= 0.95


def test_metadata_travels_inside_and_beside(tflite_files):
    path = tflite_files["int8-qat", "labels"]
    inside = read_metadata(path.read_bytes())
    beside = json.loads(path.with_name(path.name + ".json").read_text())
    assert inside["class_names"][:2] == ["road", "pavement"]
    assert inside["recipe"] == "int8-qat"
    assert {key: beside[key] for key in inside} == inside
    assert len(beside["sha256"]) == 64


def test_another_size(trained, quantized, tmp_path):
    for model, recipe in ((trained, "float32"), (quantized, "int8-qat")):
        result = export_tflite(model, tmp_path / f"{recipe}.tflite", recipe, size=(64, 224))
        assert Segmenter(result.path).input_size == (64, 224)


def test_per_channel_normalisation_in_float(tmp_path):
    mean, std = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
    few = {"repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    model = fast_scnn(FastSCNNConfig(4, (64, 96), **few, mean=mean, std=std))
    export_tflite(model, tmp_path / "m.tflite", "float32", "logits-full")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    expected = np.asarray(model(((image - mean) / std).astype(np.float32)[None]))[0]
    got = Segmenter(tmp_path / "m.tflite").run(image)
    assert np.abs(got - expected).max() < 1e-4 * expected.std()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "int4"}, "unknown recipe 'int4': expected one of float32"),
        ({"recipe": "float32", "outputs": "probs"}, "unknown output"),
        ({"recipe": "int16x8", "outputs": "labels"}, "no int16 ARG_MAX; use output logits or"),
        ({"recipe": "int16x8", "input": "uint8"}, "takes input float32 or int16: not uint8"),
        ({"recipe": "dynamic", "input": "int8"}, "takes input uint8 or float32: not int8"),
        ({"recipe": "int8", "input": "int4"}, "unknown input 'int4': expected one of uint8"),
        ({"recipe": "int8-qat"}, "needs a quantization-aware model"),
        ({"recipe": "int8"}, "recipe int8 needs calibration images"),
        ({"recipe": "int16x8"}, "recipe int16x8 needs calibration images"),
        ({"recipe": "float32", "size": (100, 160)}, "96 or 128"),
    ],
)
def test_wrong_requests(trained, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        export_tflite(trained, tmp_path / "m.tflite", **arguments)
    assert not list(tmp_path.iterdir())


def test_existing_file_is_kept(trained, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_text("precious")
    with pytest.raises(OutputError, match="exists"):
        export_tflite(trained, path)
    assert path.read_text() == "precious"
    (tmp_path / "n.tflite.json").write_text("precious")
    with pytest.raises(OutputError, match=r"n\.tflite\.json exists"):
        export_tflite(trained, tmp_path / "n.tflite")
    export_tflite(trained, path, force=True)
    assert Segmenter(path).num_classes == 9


def test_quantization_aware_models_export_as_such(quantized, tmp_path):
    with pytest.raises(ConfigError, match="exports as int8-qat"):
        export_tflite(quantized, tmp_path / "m.tflite", "float32")


def test_a_graph_that_breaks_its_recipe_is_not_written():
    with pytest.raises(ExportError, match="GATHER_ND"):
        check_graph(GraphSummary({"GATHER_ND": 1}, 0, 3), RECIPES["float32"], "logits")
    with pytest.raises(ExportError, match="2 float tensors"):
        check_graph(GraphSummary({"CONV_2D": 1}, 2, 3), RECIPES["int8"], "logits")
    with pytest.raises(ExportError, match="1 float tensors"):
        check_graph(GraphSummary({"CONV_2D": 1}, 2, 3), RECIPES["int8"], "logits", "float32")
    with pytest.raises(ExportError, match="1 float kernels"):
        check_graph(GraphSummary({"CONV_2D": 1}, 9, 9, 1), RECIPES["dynamic"], "logits")


@pytest.mark.parametrize(
    ("images", "message"),
    [([], "at least one image"), ([np.full((1, 64, 96, 3), -0.5)], "the network takes 96x160")],
)
def test_calibration_images_of_int16_are_the_inputs_size(trained, tmp_path, images, message):
    with pytest.raises(DataError, match=message):
        export_tflite(trained, tmp_path / "m.tflite", "int16x8", calibration=images)
    assert not list(tmp_path.iterdir())


def test_open_dataset_draws_at_the_models_size(trained):
    data = open_dataset("toy", split="val", size=trained.config.input_size)
    assert data.read(0)[0].shape == (96, 160, 3)
