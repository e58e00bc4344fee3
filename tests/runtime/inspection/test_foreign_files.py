"""Files from elsewhere: fed and read as their makers meant, or refused with a reason."""

import logging
import os
import random
import re
from pathlib import Path

import numpy as np
import pytest
from foreign_models import IMAGENET, SIZE, ForeignModel
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, InputError, ModelFileError
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.runtime.native import interpreter
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.flatbuffer_reader import DamagedFile
from fastscnn_tf.tflite.foreign_options import foreign_options
from fastscnn_tf.tflite.parser import parse_tflite
from fastscnn_tf.tflite.ports import ports_of

IMAGE = np.random.default_rng(7).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
UNIT = {"mean": 0, "std": 255}
SYMMETRIC = {"mean": 127.5, "std": 127.5}


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    """What stands here was made here: no trial in a process of its own."""
    monkeypatch.setenv("FASTSCNN_TRUSTED", "1")


@pytest.fixture
def written(tmp_path):
    def write(model, files=None):
        path = tmp_path / "other.tflite"
        path.write_bytes(model if isinstance(model, bytes) else model.pack(files))
        return path

    return write


def classes(model, mean, std, image=IMAGE):
    return model.scores(image, mean, std).argmax(-1)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


# --- the four kinds ---------------------------------------------------------------------------


def test_mediapipe_one_sigmoid_channel_by_its_normalization_options(written):
    model = ForeignModel(1, end="LOGISTIC")
    model.says([0.0], [255.0], activation=0)
    found = Segmenter(written(model))
    assert found.labels.names == ("background", "foreground")
    probability = sigmoid(model.scores(IMAGE, 0, 255))[..., 0]
    np.testing.assert_array_equal(found.predict(IMAGE), probability > 0.5)
    labels, sure = found.predict(IMAGE, confidence=True)
    np.testing.assert_allclose(sure, np.where(labels == 1, probability, 1 - probability), atol=1e-5)
    assert "its NormalizationOptions say" in found.ports.told
    assert "LOGISTIC" in found.ports.told


def test_deeplab_logits_with_its_labels(written):
    names = ["background", "aeroplane", "bicycle", "bird", "boat"]
    model = ForeignModel(5, range=(-1, 1))
    model.says([127.5], [127.5], names)
    found = Segmenter(written(model, {"labelmap.txt": "\n".join(names)}))
    assert found.labels.names == tuple(names)
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, 127.5, 127.5))


@pytest.mark.parametrize(("input", "scale"), [("float32", None), ("int8", ((1 / 255,), (-128,)))])
def test_ultralytics_semantic_by_its_json(input, scale, written):
    model = ForeignModel(4, (input, scale), planes=(True, True))
    about = {"task": "semantic", "stride": 32, "names": {0: "road", 1: "sky", 2: "car", 3: "tree"}}
    found = Segmenter(written(model, {"metadata.json": about}))
    assert found.labels.names == ("road", "sky", "car", "tree")
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, 0, 255))
    old = Segmenter(written(model, {"temp_meta.txt": str(about)}))
    assert old.labels.names == found.labels.names


def test_onnx2tf_int8_with_imagenets_range(written):
    scale, zero = (2.64 + 2.1179) / 255, -14
    model = ForeignModel(6, ("int8", ((scale,), (zero,))), range=(-2.1, 2.6))
    found = Segmenter(written(model))
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, *IMAGENET))
    assert "ImageNet, as its quantization tells" in found.ports.told


# --- the input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "scale", "zero", "normalisation"),
    [
        ("uint8", 1 / 255, 0, (0, 255)),
        ("int8", 1 / 255, -128, (0, 255)),
        ("uint8", 1 / 127.5, 128, (127.5, 127.5)),
        ("int8", 1 / 128, 0, (128, 128)),
        ("int8", 1.0, -128, (0, 1)),
        ("uint8", 0.9999, 0, (0, 1)),
        ("int16", 2.64 / 32767, 0, IMAGENET),
        ("int16", 255 / 32767, 0, (0, 1)),
    ],
)
def test_a_known_range_tells(dtype, scale, zero, normalisation, written):
    ends = [(np.asarray(x) - normalisation[0]) / normalisation[1] for x in (0, 255)]
    span = float(np.min(ends[0])), float(np.max(ends[1]))
    model = ForeignModel(4, (dtype, ((scale,), (zero,))), range=span)
    found = Segmenter(written(model))
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, *normalisation))


@pytest.mark.parametrize(
    ("dtype", "scale", "zero"),
    [("int8", 0.013, -3), ("uint8", 0.7, 12), ("int16", 1 / 32767, 0), ("float32", None, 0)],
)
def test_what_nothing_tells_is_not_guessed(dtype, scale, zero, written):
    quantization = None if scale is None else ((scale,), (zero,))
    path = written(ForeignModel(4, (dtype, quantization)))
    with pytest.raises(ConfigError, match="nothing in the file says how") as caught:
        Segmenter(path)
    said = str(caught.value)
    assert "\n" not in said
    assert all(part in said for part in ("0..1", "0..255", "-1..1", "ImageNet", "--scale 255"))


@pytest.mark.parametrize(
    ("given", "normalisation"),
    [
        ({"mean": IMAGENET[0], "std": IMAGENET[1]}, IMAGENET),
        ({"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "scale": 255}, IMAGENET),
        ({"scale": 255}, (0, 255)),
        ({"scale": 1}, (0, 1)),
        ({"std": 255}, (0, 255)),
        (SYMMETRIC, (127.5, 127.5)),
    ],
)
def test_what_is_given_holds(given, normalisation, written):
    model = ForeignModel(4, range=(-1, 1))
    found = Segmenter(written(model), **given)
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, *normalisation))
    np.testing.assert_allclose(found.mean_color, np.broadcast_to(normalisation[0], 3))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"mean": (0.4, 0.4, 0.4), "std": (0.2, 0.2, 0.2)}, "in 0..255 units.*multiply both"),
        ({"mean": 128}, "mean needs std"),
        ({"mean": 0, "std": 0}, "above 0"),
        ({"std": (1, 2)}, "a number or three"),
        ({"mean": object(), "std": 1}, "a number or three"),
        ({"std": float("nan")}, "a number or three"),
        ({"threshold": 1.5}, "above 0 and below 1"),
        ({"threshold": 0.4, "scale": 1}, "a threshold is for one channel"),
        ({"output_tensor": "none", "scale": 1}, "no output 'none': it has t"),
        ({"means": 1}, "unknown option 'means'"),
    ],
)
def test_options_of_no_use_are_refused(given, reason, written):
    with pytest.raises(ConfigError, match=reason):
        Segmenter(written(ForeignModel(4)), **given)


def test_a_contradiction_is_refused(written):
    """-1..1 for an input that is quantized for 0..1 would leave the brighter half."""
    model = ForeignModel(4, ("uint8", ((1 / 255,), (0,))))
    with pytest.raises(ConfigError, match=r"128 of 256 grey levels|contradicts"):
        Segmenter(written(model), mean=127.5, std=64)
    model.says([0.0], [1.0])
    with pytest.raises(ConfigError, match="contradicts its input, which is quantized"):
        Segmenter(written(model))


@pytest.mark.parametrize(
    ("scale", "zero", "given", "said"),
    [
        (1 / 255, -128, SYMMETRIC, "as given although its quantization tells 0..1: 129 of 256"),
        (2 / 255, 0, {"scale": 255}, "as given although its quantization tells -1..1: 12[89] of"),
        (1 / 128, 0, SYMMETRIC, "/ 127.5, as given;"),
        (1 / 255, -128, {"scale": 255}, "x / 255, as given;"),
        (1.0, -128, {"scale": 1}, "fed with x, as given;"),
    ],
)
def test_options_beside_what_the_quantization_tells(scale, zero, given, said, written):
    found = Segmenter(written(ForeignModel(4, ("int8", ((scale,), (zero,))))), **given)
    assert re.search(said, found.ports.told), found.ports.told


def test_plain_bytes_go_in_as_they_are(written):
    model = ForeignModel(4, ("uint8", None), range=(0, 255))
    found = Segmenter(written(model))
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, 0, 1))
    with pytest.raises(ConfigError, match="takes bytes as they are"):
        Segmenter(written(model), **UNIT)


def test_normalization_options_of_other_units_are_not_believed(written):
    model = ForeignModel(4, range=(-2, 2))
    model.says([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with pytest.raises(ModelFileError, match=r"have the std 0\.229, which is none of 0\.\.255"):
        Segmenter(written(model))
    found = Segmenter(written(model), mean=np.float32(IMAGENET[0]), std=IMAGENET[1])
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, *IMAGENET))


def test_damaged_normalization_options(written):
    model = ForeignModel(4)
    model.says([1.0, 2.0], [1.0, 1.0])
    with pytest.raises(
        ModelFileError, match="NormalizationOptions: mean must be a number or three"
    ):
        Segmenter(written(model))


# --- the output -------------------------------------------------------------------------------


@pytest.mark.parametrize("planes", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("end", [None, "SOFTMAX"])
def test_planes_are_transposed(planes, end, written):
    model = ForeignModel(4, end=end, planes=planes)
    found = Segmenter(written(model), **UNIT)
    assert found.run(IMAGE).shape == (*SIZE, 4)
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, 0, 255))
    assert found.outputs == ("prob" if end else "logits-full")


@pytest.mark.parametrize("threshold", [0.5, 0.2, 0.9])
@pytest.mark.parametrize("end", [None, "LOGISTIC"])
@pytest.mark.parametrize("planes", [False, True])
def test_one_channel_is_two_classes(threshold, end, planes, written):
    model = ForeignModel(1, end=end, planes=(False, planes))
    found = Segmenter(written(model), threshold=threshold, **UNIT)
    probability = sigmoid(model.scores(IMAGE, 0, 255))[..., 0]
    labels, sure = found.predict(IMAGE, confidence=True)
    np.testing.assert_array_equal(labels, probability > threshold)
    assert 0 < labels.mean() < 1
    np.testing.assert_allclose(sure, np.where(labels == 1, probability, 1 - probability), atol=1e-5)
    assert found.num_classes == 2


def test_one_quantized_channel_is_read_by_its_own_scale(written):
    model = ForeignModel(1, end="LOGISTIC", output=("uint8", ((1 / 256,), (0,))))
    found = Segmenter(written(model), threshold=0.3, **UNIT)
    steps = np.rint(sigmoid(model.scores(IMAGE, 0, 255))[..., 0] * 256).clip(0, 255)
    np.testing.assert_array_equal(found.predict(IMAGE), steps / 256 > 0.3)


def test_quantized_probabilities_are_read_by_their_own_scale(written):
    model = ForeignModel(4, end="SOFTMAX", output=("int8", ((1 / 256,), (-128,))))
    found = Segmenter(written(model), **UNIT)
    scores = np.exp(model.scores(IMAGE, 0, 255))
    expected = (scores / scores.sum(-1, keepdims=True)).max(-1)
    _, sure = found.predict(IMAGE, confidence=True)
    np.testing.assert_allclose(sure, expected, atol=1 / 256)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("shape", [None, (1, *SIZE, 1), (1, 1, *SIZE)])
def test_label_maps(dtype, shape, written):
    model = ForeignModel(4, end="ARG_MAX", output=(dtype, None))
    if shape:
        model.reshaped(shape, dtype)
    found = Segmenter(written(model), **UNIT)
    assert found.outputs == "labels"
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, 0, 255))
    with pytest.raises(ConfigError, match="confidence needs logits"):
        found.predict(IMAGE, confidence=True)


def test_the_only_one_of_several_outputs_that_segments_is_taken(written):
    model = ForeignModel(4)
    model.model.graph.outputs = []
    summary = model.model.tensor((1, 4))
    axes = model.model.tensor((2,), "int32", np.asarray([1, 2]))
    model.model.op("MEAN", [model.logits, axes], [summary], "ReducerOptions", keepDims=False)
    model.outputs = [summary, model.logits]
    found = Segmenter(written(model), **UNIT)
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, 0, 255))


def test_of_several_that_might_one_is_named(written):
    model = ForeignModel(4)
    model.output_of("SOFTMAX", (1, *SIZE, 4))
    path = written(model)
    with pytest.raises(ConfigError, match=r"several outputs: .*--output-tensor NAME.*: t1 \(1, 24"):
        Segmenter(path, **UNIT)
    with pytest.raises(ConfigError, match=r"4\) by CONV_2D, t\d+ \(1, 24, 32, 4\) by SOFTMAX$"):
        Segmenter(path, **UNIT)
    name = model.model.graph.tensors[model.outputs[1]].name
    with pytest.raises(ConfigError, match="several outputs need api=interpreter"):
        Segmenter(path, None, DeviceSettings(api="compiled_model"), output_tensor=name, **UNIT)
    found = Segmenter(path, output_tensor=name, **UNIT)
    assert found.outputs == "prob"
    np.testing.assert_array_equal(found.predict(IMAGE), classes(model, 0, 255))


def test_boxes_beside_prototypes_are_no_segmentation(written):
    model = ForeignModel(32)
    model.boxes()
    with pytest.raises(ConfigError, match="several outputs"):
        Segmenter(written(model), **UNIT)
    about = {"task": "segment", "stride": 32, "names": {0: "person"}}
    with pytest.raises(ModelFileError, match="Ultralytics' task 'segment'"):
        Segmenter(written(model, {"metadata.json": about}))


def test_compiled_model_reads_them_alike(written):
    model = ForeignModel(1, ("int8", ((1 / 255,), (-128,))), "LOGISTIC", (True, True))
    found = Segmenter(written(model), settings=DeviceSettings(api="compiled_model"))
    probability = sigmoid(model.scores(IMAGE, 0, 255))[..., 0]
    np.testing.assert_array_equal(found.predict(IMAGE), probability > 0.5)


def test_a_coarser_grid_lies_over_the_image_as_a_whole(written):
    """257 pixels at 1/8 are 33 cells, not the 36 of our padding to 288."""
    from tiny_models import TinyModel

    m = TinyModel()
    x, y = m.tensor((1, 257, 257, 3)), m.tensor((1, 33, 33, 2))
    size = m.tensor((2,), "int32", np.asarray([33, 33]))
    small = m.tensor((1, 33, 33, 3))
    m.op("RESIZE_BILINEAR", [x, size], [small], "ResizeBilinearOptions", 3, halfPixelCenters=True)
    kernel = m.tensor(
        (2, 1, 1, 3), "float32", np.asarray([[0, 0, 0], [1, 0, 0]]).reshape(2, 1, 1, 3)
    )
    bias = m.tensor((2,), "float32", np.asarray([0.5, 0]))
    steps = dict.fromkeys(("strideH", "strideW", "dilationHFactor", "dilationWFactor"), 1)
    m.op("CONV_2D", [small, kernel, bias], [y], "Conv2DOptions", **steps)
    found = Segmenter(written(m.pack([x], [y])), scale=255)
    image = np.zeros((257, 257, 3), np.uint8)
    image[:, 128:] = 255  # its border lies in the middle, and stays there
    labels = found.predict(image)
    assert (labels[:, :124] == 0).all()
    assert (labels[:, 133:] == 1).all()


@pytest.mark.parametrize(
    ("end", "join", "other", "kind", "expected"),
    [
        ("LOGISTIC", "SUB", 1.0, "one probability (SUB, its range)", lambda p: 1 - p),
        ("LOGISTIC", "MUL", "itself", "one probability (MUL, its range)", lambda p: p * p),
        (None, "ADD", -0.5, "one logit (ADD)", lambda p: sigmoid(np.log(p / (1 - p)) - 0.5)),
        (None, "MUL", 2.0, "one logit (MUL)", lambda p: sigmoid(np.log(p / (1 - p)) * 2)),
        ("LOGISTIC", "ADD", "itself", "", None),
        ("LOGISTIC", "ADD", "its logits", "", None),
        ("LOGISTIC", "MUL", 255.0, "", None),
        ("LOGISTIC", "ADD", -0.5, "", None),
        (None, "MUL", "itself", "", None),
        (None, "SUB", "the image", "", None),
    ],
)
def test_one_channel_behind_arithmetic(end, join, other, kind, expected, written):
    """Through a resize; what is neither a logit nor within 0..1 is not taken for one."""
    model = ForeignModel(1, end=end)
    model.joined(join, other)
    path = written(model)
    if not kind:
        with pytest.raises(ModelFileError, match=f"made by {join}: whether it is a probability or"):
            Segmenter(path, **UNIT)
        return
    found = Segmenter(path, **UNIT)
    assert f"read as {kind}" in found.ports.told
    probability = expected(sigmoid(model.scores(IMAGE, 0, 255))[..., 0])
    labels, sure = found.predict(IMAGE, confidence=True)
    np.testing.assert_array_equal(labels, probability > 0.5)
    np.testing.assert_allclose(sure, np.where(labels == 1, probability, 1 - probability), atol=1e-5)


def test_the_mean_of_two_softmaxes_is_no_logits(written):
    model = ForeignModel(4, end="SOFTMAX")
    model.joined("MUL", 0.5)
    model.joined("ADD", "itself")
    assert Segmenter(written(model), **UNIT).outputs == "prob"


def test_a_channel_that_nothing_explains_is_refused(written):
    model = ForeignModel(1)
    model.model.op("TANH", [model.logits], [model.model.tensor((1, *SIZE, 1))])
    model.outputs = [len(model.model.graph.tensors) - 1]
    with pytest.raises(
        ModelFileError, match="made by TANH: whether it is a probability or a logit"
    ):
        Segmenter(written(model), **UNIT)


def test_labels_that_are_no_class_indices(written):
    from tiny_models import TinyModel

    m = TinyModel()
    x, y = m.tensor((1, *SIZE, 3)), m.tensor((1, *SIZE), "int32")
    summed = m.tensor((1, *SIZE))
    axes = m.tensor((1,), "int32", np.asarray([3]))
    m.op("SUM", [x, axes], [summed], "ReducerOptions", keepDims=False)
    m.op("CAST", [summed], [y], "CastOptions")
    found = Segmenter(written(m.pack([x], [y])), scale=1)
    with pytest.raises(ModelFileError, match=r"its label map holds \d+\.\.\d+, expected class ind"):
        found.predict(IMAGE)


@pytest.mark.parametrize(
    ("shape", "output"),
    [((1, 24, 32, 4), (1, 24, 32, 4)), ((1, 24, 32, 3), (1, 1000)), ((1, 24, 32, 3), (1, 1, 1, 9))],
)
def test_what_is_no_segmentation_is_refused(shape, output, written):
    from tiny_models import unary

    path = written(unary("RELU", input=shape, output=output))
    with pytest.raises(ModelFileError, match=r"expected an image \(1, H, W, 3\) or \(1, 3, H, W\)"):
        Segmenter(path, **UNIT)


@pytest.mark.parametrize("options", [{}, {"scale": 255}])
def test_damage_is_told_or_read(options):
    """Changed at random: no other exception, no warning."""
    model = ForeignModel(1, ("int8", ((1 / 255,), (-128,))), "LOGISTIC", (True, True))
    model.says(names=["a", "b"], activation=1)
    rng, whole, told = random.Random(11), model.pack(), {"read": 0, "refused": 0}
    for _ in range(400):
        changed = bytearray(whole)
        for _ in range(rng.choice((1, 2, 4))):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        content = bytes(changed)
        try:
            graphs = parse_tflite(content)
            ports_of(Path("m.tflite"), content, graphs, {}, options)
            told["read"] += 1
        except (DamagedFile, InputError):
            told["refused"] += 1
    assert min(told.values()) > 0


@pytest.mark.parametrize("names", [5, ["a"], {"0": ["a"]}, {0: ""}, None])
def test_odd_metadata_of_others_name_no_classes(names, written):
    about = {"task": "semantic", "stride": 32, "names": names}
    found = Segmenter(written(ForeignModel(4), {"metadata.json": about}))
    assert found.labels.names == ("class_0", "class_1", "class_2", "class_3")


@pytest.mark.skipif("FASTSCNN_CASES" not in os.environ, reason="FASTSCNN_CASES is not set")
@pytest.mark.parametrize("name", ["foreign", "foreign_sigmoid"])
def test_files_that_keras_made(name):
    """0..255 in, the rescaling inside: nothing in them says it."""
    path = Path(os.environ["FASTSCNN_CASES"]) / "foreign-tflite" / f"{name}.tflite"
    with pytest.raises(ConfigError, match="nothing in the file says"):
        Segmenter(path)
    found = Segmenter(path, scale=1)
    image = np.asarray(Image.open(path.with_name("a.jpg")).convert("RGB").resize((128, 96)))
    engine = interpreter(path.read_bytes(), 1, {})
    (source,), (target,) = engine.get_input_details(), engine.get_output_details()
    engine.set_tensor(source["index"], image[None].astype(np.float32))
    engine.invoke()
    scores = engine.get_tensor(target["index"])[0]
    expected = scores.argmax(-1) if name == "foreign" else scores[..., 0] > 0.5
    np.testing.assert_array_equal(found.predict(image), expected)


# --- other hardware, other ways in ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("ethos-u", "Arm's Ethos-U NPUs"),
        ("edgetpu-custom-op", "Google's Coral Edge TPU"),
        ("FlexConv3D", "TensorFlow's Flex delegate"),
    ],
)
def test_custom_operations_are_named_with_who_runs_them(name, who, written, run):
    path = written(ForeignModel(4, custom=name))
    with pytest.raises(ModelFileError, match=f"its operation {name} is run by {who}.*not here"):
        Segmenter(path)
    code, out, _ = run("inspect", path)
    assert code == 0
    assert f"  {name} is run by {who}" in out
    code, _, err = run("benchmark", path)
    assert (code, len(err.splitlines())) == (2, 1)


def test_inspect_says_how_it_is_read(written):
    found = fs.inspect(written(ForeignModel(1, ("uint8", ((1 / 255,), (0,))))), load=False)
    assert "fed with x / 255, 0..1, as its quantization tells" in found.read_as
    assert "one logit (CONV_2D), foreground above 0.5" in found.text()
    assert "not run by Segmenter as it is: nothing in the file says" in str(
        fs.inspect(written(ForeignModel(3)), load=False)
    )


def test_one_line_says_what_was_told(written, caplog):
    path = written(ForeignModel(4, ("uint8", ((1 / 255,), (0,)))))
    with caplog.at_level(logging.WARNING, "fastscnn_tf"):
        Segmenter(path)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{path}: from elsewhere: fed with x / 255, 0..1")


def test_a_file_of_this_package_needs_nothing(caplog):
    own = fs.Segmenter("camvid")
    with caplog.at_level(logging.WARNING, "fastscnn_tf"):
        again = fs.Segmenter("camvid", mean=0, std=255)
    assert "mean, std left out: its own metadata say it" in caplog.text
    assert again.ports.fed == own.ports.fed
    image = np.random.default_rng(0).integers(0, 256, (*own.input_size, 3), dtype=np.uint8)
    np.testing.assert_array_equal(again.run(image), own.run(image))
    fed = interpreter(own.path.read_bytes(), 2, {})
    (taken,), (made,) = fed.get_input_details(), fed.get_output_details()
    expected = image if taken["dtype"] == np.uint8 else (image ^ np.uint8(0x80)).view(np.int8)
    fed.set_tensor(taken["index"], expected[None])
    fed.invoke()
    np.testing.assert_array_equal(own.run(image), fed.get_tensor(made["index"])[0])


@pytest.mark.parametrize("name", ["camvid", "camvid-float16"])
def test_our_files_under_anothers_key_are_read_alike_by_the_standard_metadata(name, written):
    own = fs.Segmenter(name)
    stripped = own.path.read_bytes().replace(b"\x0b\0\0\0fastscnn_tf\0", b"\x0b\0\0\0other_tools\0")
    other = Segmenter(written(stripped))
    assert not other.metadata
    assert other.labels.names == own.labels.names
    image = np.random.default_rng(0).integers(0, 256, (*own.input_size, 3), dtype=np.uint8)
    np.testing.assert_array_equal(other.predict(image, (50, 70)), own.predict(image, (50, 70)))


def test_options_hold_while_a_command_runs(written):
    path = written(ForeignModel(4))
    with foreign_options(scale=255):
        assert Segmenter(path).ports.fed.std == (255.0,) * 3
    with pytest.raises(ConfigError):
        Segmenter(path)


@pytest.fixture
def street(tmp_path):
    path = tmp_path / "street.png"
    Image.fromarray(IMAGE).save(path)
    return path


def test_predict_and_its_processes(written, street, tmp_path, run):
    model = ForeignModel(4)
    path = written(model)
    code, _, err = run("predict", path, street, "--output", tmp_path / "none")
    assert code == 2
    assert "nothing in the file says how its float32 input is normalised" in err
    Image.fromarray(IMAGE).save(tmp_path / "other.png")
    pictures = [street, tmp_path / "other.png"]
    for extra in ([], ["--processes", "2"]):
        out = tmp_path / f"out{len(extra)}"
        flags = ["--output", out, "--format", "index", "--scale", "255", *extra]
        code, _, err = run("predict", path, *pictures, *flags)
        assert code == 0, err
        for name in ("street", "other"):
            got = np.asarray(Image.open(out / f"{name}_labels.png"))
            np.testing.assert_array_equal(got, classes(model, 0, 255))


def test_benchmark_and_watch(written, street, tmp_path, run):
    path = written(ForeignModel(4))
    options = ["--mean", "127.5", "--std", "127.5,127.5,127.5"]
    options_there = {"mean": 127.5, "std": 127.5}
    assert fs.benchmark(path, runs=1, warmup=0, foreign=options_there)["outputs"] == "logits-full"
    assert fs.watch(str(street), path, tmp_path / "by_api", foreign=options_there).frames == 1
    code, _, err = run("benchmark", path, "--runs", "1", "--warmup", "0", *options)
    assert code == 0, err
    assert "(x - 127.5) / 127.5, as given" in err
    code, _, err = run("watch", street, path, "--output", tmp_path / "seen", *options)
    assert code == 0, err
    assert run("watch", street, path, "--output", tmp_path / "none")[0] == 2


def test_evaluate_compare_and_save_logits(written, tmp_path, run):
    """Toy streets have nine classes with names, the file nine without."""
    path = written(ForeignModel(9))
    data = ["--dataset", "toy", "--scale", "255"]
    scores = tmp_path / "scores.json"
    code, out, err = run("evaluate", path, *data, "--json", scores)
    assert code == 0, err
    assert "matched by index" in out + err
    assert "fed with x / 255, as given" in scores.read_text()
    assert run("evaluate", path, *data, "--match", "index")[0] == 0
    mapping = tmp_path / "map.yaml"
    mapping.write_text("\n".join(f"class_{i}: sky" for i in range(9)))
    code, _, err = run("evaluate", path, *data, "--class-map", mapping)
    assert code == 0, err
    code, _, err = run("compare", path, path, *data)
    assert code == 0, err
    assert err.count("from elsewhere") == 1
    assert run("compare", path, path, "--dataset", "toy")[0] == 2
    code, _, err = run("save-logits", path, *data, "--split", "val", "--output", tmp_path / "t")
    assert code == 0, err
    softmax = written(ForeignModel(9, end="SOFTMAX"))
    code, _, err = run("save-logits", softmax, *data, "--split", "val", "--output", tmp_path / "u")
    assert code == 2
    assert "the teacher gives prob, expected logits" in err
