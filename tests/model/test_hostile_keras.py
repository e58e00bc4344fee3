"""`.keras` and `.npz` files of strangers: bombs, links, made-up networks; one line for each."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ModelFileError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.model.checkpoints.keras_archive import read_about, read_hdf5
from fastscnn_tf.model.checkpoints.weights_file import export_weights, import_weights
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.folded import fold, load_folded, save_folded
from fastscnn_tf.model.io import load_keras, read_config, save_keras
from fastscnn_tf.train.distill.teacher import load_teacher
from fastscnn_tf.train.training_state import ARRAYS, STATE_MEMBER, read_checkpoint

WEIGHTS = "model.weights.h5"


@pytest.fixture(scope="session")
def small():
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    return fast_scnn(FastSCNNConfig(num_classes=3, input_size=(32, 32), **few))


@pytest.fixture(scope="session")
def small_file(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.keras"
    save_keras(small, path, about={"name": "small", "license": "mine"})
    return path


@pytest.fixture
def changed(small_file, tmp_path):
    """Writes the small model's archive with other members."""

    def write(name="m.keras", compression=zipfile.ZIP_STORED, **members):
        with zipfile.ZipFile(small_file) as archive:
            content = {each: archive.read(each) for each in archive.namelist()}
        content.update(members)
        with zipfile.ZipFile(tmp_path / name, "w", compression) as archive:
            for each, value in content.items():
                if value is not None:
                    archive.writestr(each, value)
        return tmp_path / name

    return write


@pytest.fixture
def config_of(small_file):
    with zipfile.ZipFile(small_file) as archive:
        return json.loads(archive.read("config.json"))


def hdf5(write):
    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        write(file)
    return stored.getvalue()


# Archives


@pytest.mark.parametrize("member", [WEIGHTS, "config.json", "unused"])
def test_a_member_packed_a_hundredfold_is_refused_before(changed, member):
    path = changed(compression=zipfile.ZIP_DEFLATED, **{member: bytes(20 << 20)})
    for read in (load_keras, load_teacher, read_about, read_config):
        with pytest.raises(ModelFileError, match=r"claims 20,971,520 bytes out of"):
            read(path)


def test_weights_have_the_room_that_their_network_needs(changed):
    path = changed(**{WEIGHTS: np.random.default_rng(0).bytes(40 << 20)})
    with pytest.raises(ModelFileError, match=r"h5' has 41,943,040 bytes, at most [\d,]+ are read"):
        load_keras(path)


def test_a_checkpoint_has_no_more_room(changed):
    state = json.dumps({"epochs_done": 1, "history": []})
    packed = io.BytesIO()
    np.savez_compressed(packed, x=np.zeros(30 << 20, np.uint8))
    path = changed(**{STATE_MEMBER: state, ARRAYS: packed.getvalue()})
    with pytest.raises(ModelFileError, match=r"training\.npz: .* bytes out of|bytes unpacked"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"epochs_done": -1, "history": []}, "epochs_done: expected int >= 0"),
        ({"epochs_done": 1, "history": [1]}, r"history\[0\]: expected object, got int"),
        ({"epochs_done": 1, "history": [], "best": "x"}, "best: expected float"),
        ({"epochs_done": 1, "history": [], "dropout": {"a": ["b"]}}, "dropout"),
        (
            {"epochs_done": 1, "history": [], "within": {"step": 0}},
            r"within\.step: expected int >= 1",
        ),
        ({"epochs_done": 1, "history": [], "within": {"step": 1}}, "within"),
        ([], "expected object, got array"),
    ],
)
def test_the_state_of_a_checkpoint_has_a_schema(changed, state, said):
    packed = io.BytesIO()
    np.savez(packed, x=np.zeros(1))
    path = changed(**{STATE_MEMBER: json.dumps(state), ARRAYS: packed.getvalue()})
    with pytest.raises(ModelFileError, match=said):
        read_checkpoint(path)


def test_lzma_is_refused_for_its_dictionary(changed):
    with pytest.raises(ModelFileError, match="is packed as nothing that we read is"):
        load_keras(changed(compression=zipfile.ZIP_LZMA))


def test_a_directory_of_a_million_members_is_not_read(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(20_000):
            archive.writestr(f"{index:0200d}", b"")
    with pytest.raises(ModelFileError, match="more members than are read"):
        load_keras(path)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (b'{"license": "', "not valid JSON"),
        (b"[1]", "expected object"),
        (b'{"license": 5}', "license: expected str"),
        (b'{"run": "a"}', "run: expected object"),
    ],
)
def test_what_a_file_says_of_itself_is_not_lost_silently(changed, about, said):
    with pytest.raises(ModelFileError, match=said):
        read_about(changed(**{"fastscnn_tf.json": about}))


def test_the_file_is_opened_once(small_file):
    opened = []

    def note(event, arguments):
        if event == "open" and str(arguments[0]) == str(small_file):
            opened.append(event)

    sys.addaudithook(note)
    load_keras(small_file)
    assert len(opened) == 1


# Configurations


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("input_size", [10**9, 32], "too large"),
        ("input_size", "big", "input_size: expected array, got str"),
        ("repeats", [3, 3, 10**6], "repeats must be 3 numbers"),
        ("width", 1e9, "width must be between"),
        ("width", None, "width: expected float, got null"),
        ("std", [0, 1, 1], "std above 0"),
        ("class_names", [1, 2, 3], r"class_names\[0\]: expected str"),
        ("conv_bias", ["*nothing*"], "matches no convolution"),
        ("num_classes", 3.5, "num_classes: expected int"),
        ("surprise", 1, "unknown configuration fields surprise"),
    ],
)
def test_the_network_is_what_its_fields_say(changed, config_of, field, value, said):
    config_of["config"]["fast_scnn"][field] = value
    path = changed(**{"config.json": json.dumps(config_of)})
    with pytest.raises(ModelFileError, match=f"config.json: .*{said}") as caught:
        load_keras(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "[" * 100_000,
        '{"registered_name": "fastscnn_tf>FastSCNN"}',
        '{"registered_name": "fastscnn_tf>FastSCNN", "config": {"fast_scnn": []}}',
        '{"registered_name": "x>FastSCNN", "config": {"fast_scnn": {}}}',
        '{"registered_name": 5}',
    ],
)
def test_configurations_that_are_none(changed, text):
    with pytest.raises(ModelFileError):
        load_keras(changed(**{"config.json": text}))


def test_only_the_fields_of_the_network_reach_keras(changed, config_of, tmp_path):
    """What a configuration may ask Keras to call is left out."""
    trap = {"module": "keras.layers", "class_name": "Nothing", "config": {}}
    config_of |= {"build_config": trap, "compile_config": trap, "module": "os", "extra": trap}
    model = load_keras(changed(**{"config.json": json.dumps(config_of), "assets/x": b"y"}))
    assert model.config.num_classes == 3
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        load_keras(tmp_path / "m.keras", compile=True)


# HDF5


def gzip_bomb(file):
    file.create_dataset("a", (1 << 30,), "f4", chunks=(1 << 20,), compression="gzip")


def never_written(file):
    file.create_dataset("a", (1 << 40, 1 << 20), "f8", chunks=(1, 1 << 10))


def external_link(file):
    file["a"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file):
    file["a"] = h5py.SoftLink("/b")


def external_values(file):
    file.create_dataset("a", (16,), "u1", external=[("/etc/passwd", 0, 16)])


def virtual(file):
    layout = h5py.VirtualLayout((16,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (16,))
    file.create_virtual_dataset("a", layout)


def deep(file):
    for _ in range(100):
        file = file.create_group("g")


def loop(file):
    file.create_group("g")["up"] = file["/"]


def two_names(file):
    file["a"] = np.zeros(3, np.float32)
    file["b"] = file["a"]


def texts(file):
    file["a"] = ["x", "y"]


def named_type(file):
    file["a"] = np.dtype("f4")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (gzip_bomb, "more than 1,000,000 bytes of arrays"),
        (never_written, "more than 1,000,000 bytes of arrays"),
        (external_link, "a is a link to elsewhere"),
        (soft_link, "a is a link to elsewhere"),
        (external_values, "a: its values lie elsewhere"),
        (virtual, "a: its values lie elsewhere"),
        (deep, "more or deeper groups than a model has"),
        (loop, "g/up is there under two names"),
        (two_names, "is there under two names"),
        (texts, "a holds object, expected numbers"),
        (named_type, "a is not an array"),
    ],
)
def test_hdf5_of_every_hostile_kind(write, said):
    with pytest.raises(ModelFileError, match=f"x: .*{said}"):
        read_hdf5(hdf5(write), "x", 1_000_000)


def test_hdf5_gives_the_exact_arrays():
    values = {
        "layers/a/vars/0": np.float32([[1, np.nan], [np.inf, -0.0]]),
        "half": np.float16([1.5]),
        "seed": np.uint32([1 << 31, 2]),
        "scalar": np.int64(-7),
        "empty": np.zeros((0, 3), np.float32),
    }

    def write(file):
        for name, value in values.items():
            file[name] = value

    found = read_hdf5(hdf5(write), "x", 1000)
    assert found.keys() == values.keys()
    for name, value in values.items():
        assert found[name].dtype == value.dtype
        assert found[name].tobytes() == value.tobytes()


def test_bfloat16_of_keras_comes_as_float32(tmp_path):
    keras = keras3()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, dtype="bfloat16")])
    model.layers[0].kernel.assign([[1.5, -2], [0.25, 3]])
    model.save(tmp_path / "m.keras")
    loaded = load_teacher(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        np.asarray(loaded.layers[0].kernel, np.float32), [[1.5, -2], [0.25, 3]]
    )


def test_random_damage_of_hdf5_ends(small_file):
    """Of 800 mutants one had the library run for ever."""
    with zipfile.ZipFile(small_file) as archive:
        content = archive.read(WEIGHTS)
    rng = np.random.default_rng(5)
    for _ in range(6):
        mutant = bytearray(content)
        for place in rng.integers(0, min(len(content), 4096), 6):
            mutant[place] = rng.integers(256)
        try:
            read_hdf5(bytes(mutant), "x", 1 << 24)
        except ModelFileError as error:
            assert "\n" not in str(error)


def test_weights_of_another_network(changed):
    for content in (b"", b"\x89HDF\r\n\x1a\n" + bytes(500), hdf5(lambda file: None)):
        with pytest.raises(ModelFileError):
            load_keras(changed(**{WEIGHTS: content}))
    with pytest.raises(ModelFileError, match=r"damaged, model\.weights\.h5 is missing"):
        load_keras(changed(**{WEIGHTS: None}))


# Teachers


@pytest.fixture
def teacher(tmp_path):
    """Writes a small model of anybody, its configuration changed."""
    keras = keras3()
    image = keras.Input((32, 32, 3))
    out = keras.layers.Conv2D(8, 1, activation="relu", name="conv")(image)
    keras.Model(image, out).save(tmp_path / "t.keras")

    def write(*replacements):
        with zipfile.ZipFile(tmp_path / "t.keras") as archive:
            content = {each: archive.read(each) for each in archive.namelist()}
        text = content["config.json"].decode()
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
            for name, value in {**content, "config.json": text}.items():
                archive.writestr(name, value)
        return tmp_path / "x.keras"

    return write


def test_a_teacher_that_is_honest(teacher):
    assert load_teacher(teacher()).count_params() == 32


def test_weights_of_a_teacher_have_to_be_in_the_file(teacher):
    with pytest.raises(ModelFileError, match=r"takes 16,000,000,000 bytes of weights.*holds 128"):
        load_teacher(teacher(('"filters": 8', '"filters": 1000000000')))


@pytest.mark.parametrize(
    "function",
    [
        {"module": "keras.datasets.mnist", "config": "load_data"},
        {"module": "keras.applications", "config": "ResNet50"},
        {"module": "keras.utils", "config": "get_file"},
        {"module": "keras.saving", "config": "load_model"},
    ],
)
def test_a_teacher_names_parts_of_networks_only(teacher, function):
    value = {"class_name": "function", "registered_name": None, **function}
    with pytest.raises(ModelFileError, match="is not part of a network"):
        load_teacher(teacher(('"activation": "relu"', f'"activation": {json.dumps(value)}')))


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Lambda", {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}}),
        ("TFSMLayer", {"filepath": "/tmp/anything"}),
        ("StringLookup", {"vocabulary": "/etc/passwd"}),
    ],
)
def test_a_teacher_runs_no_code_and_opens_no_file(teacher, name, config):
    layer = {"module": "keras.layers", "class_name": name, "config": config}
    whole = {"module": "keras", "class_name": "Sequential", "registered_name": "Sequential"}
    whole["config"] = {"name": "s", "layers": [layer]}
    path = teacher()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(whole))
        archive.writestr(WEIGHTS, hdf5(lambda file: None))
    with pytest.raises(ModelFileError, match="cannot be loaded") as caught:
        load_teacher(path)
    assert "\n" not in str(caught.value)


# .npz


def test_npz_bombs_are_refused_before(small, tmp_path):
    export_weights(small, tmp_path / "w.npz")
    save_folded(fold(small), tmp_path / "q.npz")
    for name, read in (("w.npz", import_weights), ("q.npz", load_folded)):
        read(tmp_path / name)
        with np.load(tmp_path / name) as arrays:
            values = dict(arrays)
        np.savez_compressed(tmp_path / "bomb.npz", **values, extra=np.zeros(1 << 24, np.uint8))
        assert (tmp_path / "bomb.npz").stat().st_size < 2 << 20
        with pytest.raises(ModelFileError, match=r"claims 16,777,[\d]+ bytes out of"):
            read(tmp_path / "bomb.npz")
        noise = np.frombuffer(np.random.default_rng(0).bytes(40 << 20), np.uint8)
        np.savez(tmp_path / "large.npz", **values, extra=noise)
        with pytest.raises(ModelFileError, match="bytes of arrays, but this network has room for"):
            read(tmp_path / "large.npz")


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "expected object"),
        (b'{"format": 3, "config": {}}', "format: expected str"),
        (b'{"format": "other", "config": {}}', "format 'other', expected"),
        (b'{"format": "fastscnn_tf.folded/2", "config": {}}', "missing required field fine_tuned"),
    ],
)
def test_the_description_in_an_npz_has_a_schema(small, tmp_path, meta, said):
    np.savez(tmp_path / "q.npz", meta=np.frombuffer(meta, np.uint8))
    with pytest.raises(ModelFileError, match=said):
        load_folded(tmp_path / "q.npz")


def test_arrays_of_other_kinds(small, tmp_path):
    network = fold(small)
    name = next(iter(network.weights))
    kernel, bias = network.weights[name]
    for wrong in (kernel.astype(np.int32), kernel.astype("U3"), kernel[..., :1], bias):
        save_folded(
            network.replace(weights={**network.weights, name: (wrong, bias)}), tmp_path / "q.npz"
        )
        with pytest.raises(ModelFileError, match=f"weights/{name}/kernel is .*expected floats of"):
            load_folded(tmp_path / "q.npz")
    save_folded(network.replace(ranges={"x": (1.0, 2.0, 3.0)}), tmp_path / "q.npz")
    with pytest.raises(ModelFileError, match="ranges/x is float32 of shape"):
        load_folded(tmp_path / "q.npz")


# Mutants


@pytest.mark.process
def test_mutants_are_read_or_refused_in_one_line(small, tmp_path):
    """Within 1 GB and 120 s each; `model_file_mutants.py` says what is changed."""
    save_keras(small, tmp_path / "m.keras", about={"name": "small", "run": {"epochs": 3}})
    export_weights(small, tmp_path / "w.npz")
    save_folded(fold(small).replace(ranges={"x": (0.0, 1.0)}), tmp_path / "q.npz")
    save_keras(small, tmp_path / "last.keras")
    packed = io.BytesIO()
    np.savez(packed, **{f"optimizer/{i:04d}": np.zeros(i, np.float32) for i in range(5)})
    with zipfile.ZipFile(tmp_path / "last.keras", "a") as archive:
        archive.writestr(ARRAYS, packed.getvalue())
        archive.writestr(STATE_MEMBER, json.dumps({"epochs_done": 1, "history": [{"loss": 1.0}]}))
    script = Path(__file__).with_name("model_file_mutants.py")
    command = [sys.executable, "-W", "error", str(script), str(tmp_path), "1", "120"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["read"] > 20
    assert found["refused"] > 60
