"""Our JSON inside a .tflite of anybody: every key that is read has a type, and fits the graph."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image
from tiny_models import TinyModel

from fastscnn_tf import model_card
from fastscnn_tf.core.errors import ModelFileError
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.tflite.embedded_metadata import SCHEMA, associated_files, read_model_metadata
from fastscnn_tf.tflite.file import own_metadata, read_model
from fastscnn_tf.tflite.flat_tables import read_table, write_table
from fastscnn_tf.tflite.flatbuffer_reader import DamagedFile

GOOD = {
    "format": 1,
    "producer": "fastscnn_tf 0.1.0",
    "recipe": "float32",
    "outputs": "logits",
    "input_size": "32x64",
    "input": "raw RGB bytes (uint8), normalisation inside",
    "mean": [128.0, 128, 128.0],
    "std": [128.0, 128.0, 128.0],
    "class_names": ["a", "b"],
    "class_colors": [[0, 0, 0], [255, 1, 2]],
    "config": {"align_corners": ["logits"], "of a newer version": {}},
    "run": {"dataset": "x"},
    "license": None,
    "of a newer version": [1],
}


@pytest.fixture
def written(tmp_path):
    """Writes a model that takes 32x64 and gives two channels at 1/8, with metadata."""

    def write(metadata, result=(1, 4, 8, 2)):
        model = TinyModel()
        x, y = model.tensor((1, 32, 64, 3)), model.tensor(result)
        model.op("RESIZE_BILINEAR", [x], [y])
        text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
        model.metadata("fastscnn_tf", text)
        path = tmp_path / "m.tflite"
        path.write_bytes(model.pack([x], [y]))
        return path

    return write


def test_colours_that_are_left_out_are_made_up(written):
    assert len(set(LabelSpace.make("x", 0, ("a", "b")).colors)) == 2
    assert "| b | " in model_card(written({**GOOD, "class_colors": []}))
    with pytest.raises(ModelFileError, match="lacks class_names"):
        model_card(written({**GOOD, "class_names": []}))


def test_ours_are_read_as_they_are(written):
    _, graphs = read_model(written(GOOD))
    assert own_metadata(graphs) == GOOD
    assert own_metadata(read_model(written({"recipe": "int8"}))[1]) == {"recipe": "int8"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("class_names", "road", "class_names: expected array, got str"),
        ("class_names", ["a", 5], r"class_names\[1\]: expected str, got int"),
        ("class_names", ["a", "b", "c"], "class_colors: 2 colours of 3 class names"),
        ("class_names", ["a", "a"], "class_names: two classes of one name"),
        ("class_names", ["a", ""], r"class_names\[1\]: expected str of length >= 1"),
        ("class_names", ["a", "b" * 1000], r"class_names\[1\]: expected str of length <= 200"),
        (
            "class_names",
            [str(i) for i in range(300)],
            "class_names: expected array of length <= 254",
        ),
        ("class_colors", [[0, 0, 0]], "class_colors: 1 colours of 2 class names"),
        ("class_colors", [[0, 0, 0], [0, 0]], r"class_colors\[1\]: expected array of length 3"),
        ("class_colors", [[0, 0, 0], [0, 0, 256]], r"class_colors\[1\]\[2\]: expected int <= 255"),
        ("class_colors", 3, "class_colors: expected array, got int"),
        ("mean", [1, 2], "mean: expected array of length 3"),
        ("mean", ["x", 1, 2], r"mean\[0\]: expected float, got str"),
        ("mean", None, "mean: expected array, got null"),
        ("mean", [1e39, 1, 1], r"mean\[0\]: expected float <= 1000000"),
        ("std", [1, 0, 1], r"std\[1\]: expected float >= 1e-06"),
        ("input_size", "64x64", "input_size: '64x64', but the graph takes 32x64"),
        ("input_size", [32, 64], "input_size: expected str, got array"),
        ("outputs", "labels", "outputs: 'labels', but the graph gives"),
        ("outputs", "everything", "outputs: invalid enum value 'everything'"),
        ("outputs", 5, "outputs: expected str"),
        ("config", [], "config: expected object, got array"),
        ("config", {"align_corners": 1}, "config.align_corners: expected array, got int"),
        ("recipe", {}, "recipe: expected str, got object"),
        ("producer", None, "producer: expected str, got null"),
        ("settings", "all", "settings: expected object, got str"),
        ("run", "camvid", "run: expected object"),
        ("license", ["MIT"], "license: expected str"),
        ("name", 7, "name: expected str"),
        ("description", "x" * 20_000, "description: expected str of length <= 10000"),
        ("float_layers", "a", "float_layers: expected array, got str"),
    ],
)
def test_wrong_types_and_contradictions_are_one_line(written, key, value, said):
    with pytest.raises(ModelFileError, match=f"its fastscnn_tf metadata: {said}") as caught:
        read_model(written({**GOOD, key: value}))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_names_are_counted_against_the_channels(written):
    with pytest.raises(ModelFileError, match="class_names: 2 names, but the graph gives 3 chan"):
        read_model(written(GOOD, result=(1, 4, 8, 3)))


def test_labels_have_no_channels(written):
    read_model(written({**GOOD, "outputs": "labels-8"}, result=(1, 4, 8)))
    with pytest.raises(ModelFileError, match=r"outputs: 'logits', but the graph gives \(1, 4, 8\)"):
        read_model(written(GOOD, result=(1, 4, 8)))


@pytest.mark.parametrize(
    "text",
    [b"", b"[" * 100_000, b'{"mean": [NaN, 1, 1]}', b'{"a": 1e999}', b"\xff", b"x" * (2 << 20)],
)
def test_json_that_is_none(written, text):
    with pytest.raises(ModelFileError, match="its fastscnn_tf metadata: "):
        read_model(written(text))


COMMANDS = (
    *("predict FILE a.png --output o", "evaluate FILE --dataset toy", "benchmark FILE"),
    *("inspect FILE", "card FILE --output c.md", "settings FILE --for pi5", "watch a.png FILE"),
    *("compare FILE FILE --dataset toy --output o", "agreement FILE FILE --dataset toy"),
    "save-logits FILE --dataset toy --output o",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_the_field(written, run, monkeypatch, command):
    path = written({**GOOD, "class_names": [["a"], "b"]})
    monkeypatch.chdir(path.parent)
    Image.new("RGB", (64, 32)).save("a.png")
    code, out, error = run(*command.replace("FILE", path.name).split())
    assert code == 2, (out, error)
    assert "its fastscnn_tf metadata: class_names[0]: expected str, got array" in error
    assert error.count("\n") == 1


def not_there(kind, path):
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"a device": "/dev/zero", "a loop of links": path.name}[kind])


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a loop of links"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_what_is_no_file(run, tmp_path, monkeypatch, command, kind):
    not_there(kind, tmp_path / "m.tflite")
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 32)).save("a.png")
    code, out, error = run(*command.replace("FILE", "m.tflite").split())
    assert code == 2, (out, error)
    assert error.count("\n") == 1
    assert f"m.tflite: {kind}" in error or "m.tflite: no such model file" in error


# What other programs read: TFLITE_METADATA and the files behind the model


def test_texts_that_many_tables_share_are_counted():
    """A million names that are one text of a megabyte would be a terabyte."""
    schema = {"Root": {"bytes": "[ubyte]", "names": "[string]"}}
    value = {"bytes": bytes(1 << 16), "names": [f"{i:04d}" for i in range(1000)]}
    content = bytearray(write_table(schema, "Root", value, b"TEST"))
    assert read_table(schema, "Root", bytes(content), b"TEST") == value
    vector, text = (content.index(n.to_bytes(4, "little")) for n in (1000, 1 << 16))
    for place in range(vector + 4, vector + 4 + 4000, 4):
        content[place : place + 4] = (text - place).to_bytes(4, "little")
    with pytest.raises(DamagedFile, match="more elements than its size has room for"):
        read_table(schema, "Root", bytes(content), b"TEST")


def test_random_damage_of_the_metadata_is_one_line_or_read():
    value = {"name": "n", "description": "d" * 50, "associated_files": [{"name": "labels.txt"}]}
    content = write_table(SCHEMA, "ModelMetadata", value, b"M001")
    rng = np.random.default_rng(3)
    for _ in range(300):
        mutant = bytearray(content)
        for place in rng.integers(8, len(content), int(rng.integers(1, 5))):
            mutant[place] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])
        model = TinyModel()
        model.tensor((1,))
        model.metadata("TFLITE_METADATA", bytes(mutant))
        try:
            read_model_metadata(model.pack())
        except ModelFileError as error:
            assert "\n" not in str(error)


def test_damage_of_the_files_behind_a_model_is_one_line():
    buffer = io.BytesIO(b"model")
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("labels.txt", "a\nb")
        archive.writestr("colors.csv", "index")
    content = buffer.getvalue()
    rng = np.random.default_rng(4)
    for _ in range(300):
        mutant = bytearray(content)
        for place in rng.integers(5, len(content), int(rng.integers(1, 4))):
            mutant[place] = rng.integers(256)
        try:
            associated_files(bytes(mutant))
        except ModelFileError as error:
            assert "\n" not in str(error)
