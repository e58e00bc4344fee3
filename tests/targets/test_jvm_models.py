"""The Android app's core against Python: what models and their settings say, and bad ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from jvm_tools import opened, without_metadata

import fastscnn_tf as fs
from fastscnn_tf.core.labels.space import generated_palette
from fastscnn_tf.delegates.options import Settings
from fastscnn_tf.delegates.settings_file import settings_path, write_settings
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.export.pack import pack
from fastscnn_tf.tflite.file import unpack


def test_models_say_the_same_as_to_python(ask, model_files):
    requests = [{"op": "model", "model": str(path)} for path in model_files.values()]
    for path, answer in zip(model_files.values(), ask(*requests), strict=True):
        segmenter = opened(path)
        assert answer["input"] == [1, 448, 608, 3]
        assert answer["output"] == [1, 56, 76, 11]
        assert answer["types"] == ["UINT8", "UINT8" if path.stem == "int8" else "FLOAT32"]
        assert answer["names"] == list(segmenter.labels.names)
        colors = [r << 16 | g << 8 | b for r, g, b in segmenter.labels.colors]
        assert answer["colors"] == colors
        assert answer["mean"] == answer["std"] == [128.0] * 3
        assert answer["sampling"] == "half_pixel"
        assert answer["source"] == "inside the file"
        assert answer["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_models_from_elsewhere(ask, small_files, tmp_path):
    content = (small_files / "bytes.tflite").read_bytes()
    labelled, bare = tmp_path / "labelled.tflite", tmp_path / "bare.tflite"
    labelled.write_bytes(without_metadata(content, b"road\nsky\n"))
    bare.write_bytes(without_metadata(content))
    sidecar = json.loads((small_files / "bytes.tflite.json").read_text())
    sidecar["sha256"] = hashlib.sha256(bare.read_bytes()).hexdigest()
    sidecar |= {"class_names": ["a", "b"], "class_colors": [], "mean": [1, 2, 3]}
    beside = tmp_path / "bare.tflite.json"
    beside.write_text(json.dumps(sidecar))
    requests = [{"op": "model", "model": str(path)} for path in (labelled, bare, bare)]
    requests[2]["sidecar"] = str(beside)
    first, second, third = ask(*requests)
    assert first["names"] == ["road", "sky"]
    assert first["colors"] == [0x010203, 0xFF0009]
    assert first["source"] == "labels in the file"
    assert second["failure"] == (
        "bare.tflite says nothing about its classes: put bare.tflite.json beside it "
        "(fastscnn export writes both)"
    )
    assert third["names"] == ["a", "b"]
    assert third["mean"] == [1, 2, 3]
    assert third["colors"] == [r << 16 | g << 8 | b for r, g, b in generated_palette(2)]
    assert third["source"] == "bare.tflite.json"


def test_models_that_cannot_be_used_are_one_line(ask, small_files, tmp_path):
    floats = (small_files / "floats.tflite").read_bytes()
    (tmp_path / "floats.tflite").write_bytes(without_metadata(floats, b"road\nsky\n"))
    (tmp_path / "three.tflite").write_bytes(without_metadata(floats, b"road\nsky\nsea\n"))
    (tmp_path / "text.tflite").write_text("no model at all")
    model = unpack(floats)
    model.subgraphs[0].outputs = [*model.subgraphs[0].outputs] * 2
    (tmp_path / "two.tflite").write_bytes(pack(model, len(floats)))
    model = unpack(floats)
    graph = model.subgraphs[0]
    graph.tensors[graph.outputs[0]].shape = [1, 8, 12, 999]
    (tmp_path / "wide.tflite").write_bytes(pack(model, len(floats)))
    names = ("floats", "text", "two", "wide")
    requests = [{"op": "model", "model": str(tmp_path / f"{name}.tflite")} for name in names]
    requests.append({"op": "model", "model": str(small_files / "finished.tflite")})
    foreign = {"model": str(tmp_path / "floats.tflite")}
    foreign["sidecar"] = str(small_files / "bytes.tflite.json")
    requests.append({"op": "model"} | foreign)
    failures = [answer["failure"] for answer in ask(*requests)]
    assert failures[0] == (
        "floats.tflite takes float32 pictures, and nothing says their mean and std: put "
        "floats.tflite.json beside it, or export it with --input uint8"
    )
    assert failures[1] == "text.tflite: not a .tflite file (no TFL3 mark at byte 4)"
    assert failures[2] == "two.tflite: expected one input and one output, got [1, 2]"
    assert failures[3] == "wide.tflite: 999 classes, a label map has room for 254"
    assert failures[4] == (
        "finished.tflite: it gives finished labels [1, 64, 96], this app takes logits: export it "
        "with --outputs logits"
    )
    assert failures[5].startswith("floats.tflite.json belongs to another model: it names SHA-256")


def test_damaged_models_fail_in_one_line_or_are_read(ask, small_files, tmp_path):
    whole = (small_files / "bytes.tflite").read_bytes()
    foreign = without_metadata(whole, b"road\nsky\n")  # what is behind it is read, too
    draw = np.random.default_rng(11)
    requests = []
    for i in range(120):
        content = foreign if i % 3 == 0 else whole
        damaged = bytearray(content)
        if i % 2:
            del damaged[int(draw.integers(8, len(content))) :]
        else:  # the tables lie at both ends
            for at in draw.integers(0, 400, 4):
                damaged[at if i % 4 else -int(at) - 1] = draw.integers(256)
        path = tmp_path / f"{i}.tflite"
        path.write_bytes(damaged)
        requests.append({"op": "model", "model": str(path)})
    answers = ask(*requests)
    failures = [answer["failure"] for answer in answers if "failure" in answer]
    assert len(answers) == 120
    assert len(failures) >= 20
    assert all("\n" not in failure and ".tflite" in failure for failure in failures)


@pytest.mark.parametrize("name", ["bytes", "floats"])
def test_inputs_are_pythons(ask, small_files, tmp_path, name):
    path = small_files / f"{name}.tflite"
    rgb = np.random.default_rng(5).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    (tmp_path / "rgb").write_bytes(rgb.tobytes())
    request = {"op": "input", "model": str(path), "rgb": str(tmp_path / "rgb")}
    ask(request | {"output": str(tmp_path / "input")})
    if name == "bytes":
        assert (tmp_path / "input").read_bytes() == rgb.tobytes()
        return
    found = np.fromfile(tmp_path / "input", np.float32).reshape(rgb.shape)
    mean, std = np.float32((120, 110, 100)), np.float32((60, 50, 40))
    np.testing.assert_array_equal(found, (rgb - mean) / std)


# device -> the build that has it, what is tried, how many threads.
PLANS = {
    "pi4": ("classic", ["CPU"], 4),
    "edge-cpu": ("classic", ["CPU"], None),
    "android-gpu": ("compiled", ["GPU"], None),
    "android-nnapi": ("classic", ["NNAPI", "CPU"], None),
    "android-npu": ("compiled", ["NPU", "NPU+CPU", "CPU"], None),
}


def written_settings(folder, model, settings):
    copy = folder / model.name
    copy.write_bytes(model.read_bytes())
    write_settings(copy, settings, force=True)
    return {"op": "plan", "model": str(copy), "settings": str(settings_path(copy))}


@pytest.mark.parametrize("device", PLANS)
def test_settings_that_were_written_here_decide_what_runs(ask, small_files, tmp_path, device):
    build, attempts, threads = PLANS[device]
    settings = TARGETS[device].settings
    request = written_settings(tmp_path, small_files / "bytes.tflite", settings)
    (answer,) = ask(request | {"build": build})
    assert answer["attempts"] == attempts
    assert answer["runs"] == attempts[0]
    assert f"threads {threads or 'null'}" in answer["notes"]
    # What no place was found for is said: here all but the threads, which were asked for.
    given = getattr(settings, settings.accelerator)
    values = given.to_dict() if isinstance(given, Settings) else {}
    values.pop("num_threads", None)
    left = [
        f"{settings.accelerator}.{k}={json.dumps(v)}".replace('"', "") for k, v in values.items()
    ]
    assert [note for note in answer["notes"] if "=" in note and " " not in note] == left


def test_what_a_phone_refuses_falls_to_the_next_attempt(ask, small_files, tmp_path):
    model = small_files / "bytes.tflite"
    request = {"op": "plan", "model": str(model), "build": "compiled"}
    npu = written_settings(tmp_path, model, TARGETS["android-npu"].settings)
    gpu = TARGETS["android-gpu"].settings
    (tmp_path / "gpu").mkdir()
    alone = written_settings(tmp_path / "gpu", model, gpu)
    first, second, third, fourth = ask(
        request,
        request | {"refused": "GPU"},
        npu | {"build": "compiled", "refused": "NPU,NPU+CPU"},
        alone | {"build": "compiled", "refused": "GPU"},
    )
    assert first["runs"] == "GPU"  # a float model without settings
    assert second["runs"] == "CPU"
    assert second["notes"][0] == "GPU refuses bytes.tflite: no such device"
    assert third["runs"] == "CPU"
    assert third["notes"][1] == "NPU and CPU refuses bytes.tflite: no such device"
    assert fourth["failure"] == (
        "GPU refuses bytes.tflite: no such device; choose other settings (fastscnn settings "
        "bytes.tflite --for DEVICE)"
    )


def test_an_int8_model_without_settings_runs_on_the_cpu(ask, model_files):
    (answer,) = ask({"op": "plan", "model": str(model_files["int8"]), "build": "classic"})
    assert answer["attempts"] == ["CPU"]


def test_settings_that_cannot_hold_are_one_line(ask, small_files, tmp_path):
    model = small_files / "bytes.tflite"
    request = written_settings(tmp_path, model, TARGETS["android-npu"].settings)
    path = Path(request["settings"])
    whole = json.loads(path.read_text())
    inner = whole["settings"]
    changes = [
        {"sha256": "0" * 64},
        {"format": 2},
        {"settings": inner | {"speed": 1}},
        {"settings": inner | {"accelerator": "tpu"}},
        {"settings": inner | {"cpu_fallback": "yes"}},
        {"settings": inner | {"cpu": 4}},
        {"settings": inner | {"api": "litert_js", "accelerator": "cpu"}},
    ]
    requests = [request | {"build": "classic"}]
    for i, change in enumerate(changes):
        made = tmp_path / f"{i}.json"
        made.write_text(json.dumps(whole | change))
        requests.append(request | {"build": "compiled", "settings": str(made)})
    broken = tmp_path / "broken.json"
    broken.write_text(path.read_text()[:-9])
    requests.append(request | {"build": "compiled", "settings": str(broken)})
    found = [answer["failure"] for answer in ask(*requests)]
    name = "bytes.tflite.settings.json"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()[:12]
    assert found[0] == (
        f"{name}: accelerator=npu needs the compiled build of this app, this is the classic one"
    )
    assert found[1] == (
        f"{name} belongs to another model: it names SHA-256 000000000000..., bytes.tflite has "
        f"{digest}...: write it anew with fastscnn settings bytes.tflite --for DEVICE --force, or "
        "delete it"
    )
    assert found[2].startswith(f"{name}: settings of format 2, this app reads 1")
    assert found[3].startswith(f"{name}: unknown option 'speed': expected one of cpu, gpu,")
    assert found[4] == f"{name}: accelerator must be cpu, gpu, nnapi, npu, got tpu"
    assert found[5] == 'settings: settings.cpu_fallback must be true or false, got "yes"'
    assert found[6] == f"{name}: cpu: expected named values"
    assert found[7].startswith(f"{name}: settings for a browser")
    assert found[8].startswith(f"{name}: no valid JSON")


def test_settings_inside_the_file_are_read(ask, tmp_path):
    model = fs.fast_scnn(fs.FastSCNNConfig(2, (32, 32), width=0.25))
    path = tmp_path / "inside.tflite"
    settings = TARGETS["android-gpu"].settings
    fs.export_tflite(model, path, recipe="float16", settings=settings)
    (answer,) = ask({"op": "plan", "model": str(path), "build": "compiled"})
    assert answer["attempts"] == ["GPU"]


@pytest.mark.parametrize(
    "text", ['{"a": [1, -2.5e3, true, null, "\\u00e9\\n\\"\\\\/"], "b": {}}', "[]", '" x "', "0"]
)
def test_json_is_pythons(ask, text):
    assert ask({"op": "json", "text": text}) == [json.loads(text)]


@pytest.mark.parametrize("text", ["", "{", '{"a" 1}', "[1,]", "01", "tru", '"\\x"', '"a', "1 2"])
def test_what_is_no_json_is_refused(ask, text):
    (answer,) = ask({"op": "json", "text": text})
    assert answer["failure"].startswith("text: no valid JSON (")


def test_paths_that_came_with_a_model_do_not_count(ask, small_files, tmp_path, monkeypatch):
    """The same options as in Python, in the same words."""
    monkeypatch.setenv("FASTSCNN_CONFIG", str(tmp_path / "config"))
    model = small_files / "bytes.tflite"
    request = written_settings(tmp_path, model, TARGETS["android-npu"].settings)
    path = Path(request["settings"])
    whole = json.loads(path.read_text())
    guarded = {n: o for n, o in fs.DeviceSettings.all_options().items() if o.guarded}
    asked = []
    for name, option in guarded.items():
        value = ["CACHE_DIR=/x"] if option.kind == "texts" else "/x"
        for part in reversed(name.split(".")):
            value = {part: value}
        made = tmp_path / f"{name}.json"
        inner = whole["settings"] | {"cpu": {"num_threads": 3}, **value}
        made.write_text(json.dumps(whole | {"settings": inner}))
        asked.append(request | {"build": "compiled", "settings": str(made)})
    answers = ask(*asked, *(one | {"trusted": True} for one in asked))
    said = "ignored, since it came with the file and makes the runtime load or write files: "
    for name, answer in zip(guarded, answers, strict=False):
        (note,) = [note for note in answer["notes"] if note.startswith(said)]
        assert note.removeprefix(said).startswith(f"{name}=")
        assert note.endswith("/x; DeviceSettings.of(trusted = true) allows it")
    for answer in answers[len(guarded) :]:
        assert not [note for note in answer["notes"] if note.startswith(said)]
    assert any("npu.dispatch_library_dir=/x" in note for a in answers for note in a["notes"])


def test_ignored_paths_are_not_among_the_options(ask, small_files, tmp_path):
    model = small_files / "bytes.tflite"
    request = written_settings(tmp_path, model, TARGETS["android-gpu"].settings)
    path = Path(request["settings"])
    whole = json.loads(path.read_text())
    whole["settings"]["gpu"] = {
        "serialization_dir": "\u202e../files" + "x" * 90,
        "serialize_program_cache": True,
        "model_token": "../../databases/x",
        "precision_loss_allowed": True,
        "wait_type": "active",
    }
    path.write_text(json.dumps(whole))
    ignoring, trusting = ask(
        request | {"build": "compiled"}, request | {"build": "compiled", "trusted": True}
    )
    assert "?../files" in ignoring["notes"][0]
    assert len(ignoring["notes"][0]) < 400
    assert "gpu.serialize_program_cache=true" in ignoring["notes"][0]
    left = [note for note in ignoring["notes"][1:] if note.startswith("gpu.")]
    assert left == ["gpu.precision_loss_allowed=true", "gpu.wait_type=active"]
    assert len([note for note in trusting["notes"] if note.startswith("gpu.")]) == 5
