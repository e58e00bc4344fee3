"""TFLite metadata of exported files, read back (by MediaPipe: `tests/targets`)."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from fastscnn_tf.core.errors import ModelFileError, OutputError
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.settings_file import settings_path
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.export.export_tflite import export_tflite
from fastscnn_tf.export.model_metadata import input_normalisation
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.embedded_metadata import (
    associated_files,
    read_model_metadata,
    segmenter_options,
)
from fastscnn_tf.tflite.file import read_metadata, unpack

ABOUT = {
    "name": "Streets",
    "author": "Ada",
    "license": "CC BY-NC 4.0",
    "version": "7",
    "description": "Drawn streets.",
    "run": {"dataset": "toy", "epochs": 3},
}
SETTINGS = TARGETS["pi5"].settings
# (recipe, outputs, input) -> mean, std and activation in the metadata
KINDS = {
    ("float32", "logits-full", "float32"): ([128, 128, 128], [128, 128, 128], 2),
    ("int8", "logits-full", "uint8"): ([128], [128], 2),
    ("int8", "labels", "int8"): ([128], [128], 0),
    ("float32", "prob", "uint8"): ([128], [1], 0),
}


@pytest.fixture(scope="module")
def model(config, randomise):
    from fastscnn_tf.model.fast_scnn import fast_scnn

    return randomise(fast_scnn(config))


@pytest.fixture(scope="module")
def files(model, noise, tmp_path_factory):
    folder, written = tmp_path_factory.mktemp("metadata"), {}
    for kind in KINDS:
        recipe, outputs, input = kind
        path = folder / f"{recipe}_{outputs}_{input}.tflite"
        images = [noise(model.config.input_size)] if recipe == "int8" else None
        export_tflite(
            model, path, recipe, outputs, None, images, input=input, settings=SETTINGS, about=ABOUT
        )
        written[kind] = path
    return written


def tensor(path, side):
    (graph,) = read_model_metadata(path.read_bytes())["subgraph_metadata"]
    (found,) = graph[f"{side}_tensor_metadata"]
    return found


@pytest.mark.convert
def test_the_model_says_what_it_is(files):
    found = read_model_metadata(files["int8", "logits-full", "uint8"].read_bytes())
    assert {name: found[name] for name in ("name", "author", "license", "version")} == {
        name: ABOUT[name] for name in ("name", "author", "license", "version")
    }
    assert found["description"] == "Drawn streets."
    assert found["min_parser_version"] == "1.5.0"
    assert [file["name"] for file in found["associated_files"]] == ["colors.csv"]


@pytest.mark.parametrize("kind", KINDS)
def test_input_and_output(files, kind):
    mean, std, activation = KINDS[kind]
    image, masks = (tensor(files[kind], side) for side in ("input", "output"))
    assert image["content"]["content_properties"] == {
        "type": "ImageProperties",
        "color_space": 1,
        "default_size": {"width": 160, "height": 96},
    }
    (unit,) = image["process_units"]
    assert unit["options"] == {"type": "NormalizationOptions", "mean": mean, "std": std}
    expected = [(255 - m) / s for m, s in zip(mean, std, strict=True)]
    np.testing.assert_allclose(image["stats"]["max"], expected)
    (labels,) = masks["associated_files"]
    assert (labels["name"], labels["type"]) == ("labels.txt", 3 if kind[1] == "labels" else 2)
    (graph,) = read_model_metadata(files[kind].read_bytes())["subgraph_metadata"]
    (custom,) = graph["custom_metadata"]
    assert custom["name"] == "SEGMENTER_METADATA"
    assert segmenter_options(custom).get("activation", 0) == activation


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[2] != "float32"])
def test_a_reader_that_normalises_and_quantizes_gets_the_bytes(files, kind):
    model = unpack(files[kind].read_bytes())
    quantization = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].quantization
    (mean,), (std,) = input_normalisation(model, read_metadata(files[kind].read_bytes()))
    given = np.arange(256)
    values = np.rint((given - mean) / std / quantization.scale[0]) + quantization.zeroPoint[0]
    np.testing.assert_array_equal(values, given - (128 if kind[2] == "int8" else 0))


def test_labels_and_colors_stand_behind_the_model_as_a_zip(files, config):
    path = files["int8", "logits-full", "uint8"]
    found = associated_files(path.read_bytes())
    assert found["labels.txt"].decode().split("\n") == list(config.labels.names)
    rows = found["colors.csv"].decode().split("\n")
    assert rows[0] == "index,red,green,blue"
    assert rows[1:] == [f"{i},{r},{g},{b}" for i, (r, g, b) in enumerate(config.labels.colors)]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_archives_that_unpack_to_gigabytes_are_refused():
    buffer = io.BytesIO(b"model")
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", bytes(1 << 25))
    assert len(buffer.getvalue()) < 1 << 16
    with pytest.raises(ModelFileError, match="behind the model: 33,554,432 bytes unpacked"):
        associated_files(buffer.getvalue())
    assert associated_files(b"no archive") == {}


def test_exporting_twice_gives_the_same_bytes(files, model, tmp_path):
    again = tmp_path / "again.tflite"
    kind = ("float32", "prob", "uint8")
    export_tflite(model, again, *kind[:2], input=kind[2], settings=SETTINGS, about=ABOUT)
    assert again.read_bytes() == files[kind].read_bytes()


def test_settings_and_run_travel_inside_and_beside(files):
    path = files["int8", "labels", "int8"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    inside = read_metadata(path.read_bytes())
    assert inside["run"] == ABOUT["run"] and inside["author"] == "Ada"
    assert DeviceSettings.from_dict(inside["settings"]) == SETTINGS
    beside = json.loads(settings_path(path).read_text())
    assert (beside["sha256"], beside["settings"]) == (digest, inside["settings"])
    sidecar = json.loads(path.with_name(f"{path.name}.json").read_text())
    assert sidecar["sha256"] == digest and sidecar["settings"] == inside["settings"]
    settings_path(path).rename(path.with_name("moved.json"))
    try:
        assert Segmenter(path).settings == SETTINGS  # from inside
    finally:
        path.with_name("moved.json").rename(settings_path(path))


def test_settings_of_a_replaced_file_do_not_stay(model, tmp_path):
    path = tmp_path / "m.tflite"
    export_tflite(model, path, settings=SETTINGS)
    path.unlink()
    path.with_name("m.tflite.json").unlink()
    with pytest.raises(OutputError, match=r"m.tflite.settings.json exists"):
        export_tflite(model, path)
    export_tflite(model, path, force=True)
    assert not settings_path(path).exists()
    assert "run" not in read_metadata(path.read_bytes())
    description = read_model_metadata(path.read_bytes())["description"]
    assert description == "Street-scene segmentation into 9 classes by Fast-SCNN; float32."
