"""Raspberry Pi 3, 4 and 5, emulated: the built wheel without TensorFlow computes what x86 computes.

The label maps of the int8 file are equal byte by byte; logits of the float files are within 1e-5 of
their range, since sums are taken in another order. What is measured here says nothing about a Pi's
speed.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from built_wheel import build_wheel, install_wheel
from golden import LOGITS_OF, digest, read_golden
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.images.image_file import read_image
from fastscnn_tf.core.labels import CAMVID
from fastscnn_tf.data.datasets.toy_streets import draw_scene

ROOT = Path(__file__).parents[2]
PI3, PI4, PI5 = CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")
FLOATS = ("float32", "float16")
SCRIPT = ROOT / "tflite" / "raspberry_pi" / "segment.py"
# CamVid's classes among the drawn ones: what they are called there, and their number here.
DRAWN = {"Road": 0, "Pavement": 1, "Building": 2, "Tree": 3, "Sky": 4, "Car": 5}
DRAWN |= {"Pedestrian": 6, "Pole": 7, "SignSymbol": 8}
LOGITS = """
import sys
import numpy as np
from fastscnn_tf import Segmenter
from fastscnn_tf.core.images.image_file import read_image
image = read_image(sys.argv[1])
runs = {p.rsplit("/")[-1].split(".")[0]: Segmenter(p, threads=1).run(image) for p in sys.argv[3:]}
np.savez(sys.argv[2], **runs)
assert not {"tensorflow", "keras", "tf_keras"} & set(sys.modules)
"""
COMPILED = """
import sys
import numpy as np
from fastscnn_tf import DeviceSettings, Segmenter
from fastscnn_tf.runtime import engine
if sys.argv[3:]:
    engine.check_atomics = lambda: None
segmenter = Segmenter(sys.argv[1], threads=1, settings=DeviceSettings(api="compiled_model"))
np.save(sys.argv[2], segmenter.run(np.full((*segmenter.input_size, 3), 99, np.uint8)))
"""


@pytest.fixture(scope="module")
def tools(target_tools) -> Path:
    return target_tools("arm64")


@pytest.fixture(scope="module")
def package(tools, tmp_path_factory) -> Path:
    """What pip makes of the wheel that it builds from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    package = install_wheel(build_wheel(folder), folder / "package")
    compileall.compile_dir(package, quiet=1)  # before each emulated program does
    return package


class Device:
    """Runs Python as a CPU, with the wheel and its dependencies alone."""

    def __init__(self, tools: Path, package: Path, home: Path):
        self._tools, self._package, self._home = tools, package, home
        self.command = package / "bin" / "fastscnn"

    def python(self, cpu: str, *arguments, trusted: bool = True) -> subprocess.CompletedProcess:
        """One run, however it ends; trying each file out first would double its emulated time."""
        paths = f"{self._package}:{self._tools / 'site'}"
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self._home), "PYTHONPATH": paths}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        environment["FASTSCNN_TRUSTED"] = str(int(trusted))
        command = [self._tools / "cpus" / cpu / "python", "-s", *arguments]
        return subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            env=environment,
            cwd=self._home,
            stdin=subprocess.DEVNULL,
        )

    def run(self, cpu: str, *arguments) -> str:
        """What a run that ends well says."""
        done = self.python(cpu, *arguments)
        assert done.returncode == 0, f"{cpu} {arguments}: {done.stderr}"
        return done.stdout

    def fastscnn(self, cpu: str, *arguments) -> str:
        """The installed command."""
        return self.run(cpu, self.command, *arguments)


@pytest.fixture(scope="module")
def labelled(street_files, tmp_path_factory) -> Path:
    """The drawn streets with their label maps in CamVid's classes, as own data."""
    root = tmp_path_factory.mktemp("labelled")
    (root / "labels").mkdir()
    for seed, (name, path) in enumerate(street_files.items()):
        height, width, _ = read_image(path).shape
        labels = draw_scene((2026, seed), (height, width))[1]
        Image.fromarray(labels).save(root / "labels" / f"{name}.png")
    images = next(iter(street_files.values())).parent
    classes = "".join(
        f"  - {{name: {name}, value: {DRAWN.get(name, 100 + i)}}}\n"
        for i, name in enumerate(CAMVID.names)
    )
    for kind, folder in (("images", images), ("labels", root / "labels")):
        (root / "one" / kind).mkdir(parents=True)
        shutil.copy(folder / f"{LOGITS_OF}.png", root / "one" / kind)
    splits = f"splits:\n  val: {{images: {images}, labels: labels}}\n"
    splits += "  one: {images: one/images, labels: one/labels}\n"
    (root / "dataset.yaml").write_text(f"name: own\nclasses:\n{classes}{splits}")
    return root


@pytest.fixture(scope="module")
def jobs(tools, package, model_files, street_files, labelled, tmp_path_factory):
    """name -> a run on an emulated CPU, on its way; one for each core at a time."""
    home = tmp_path_factory.mktemp("pi")
    device = Device(tools, package, home)
    own, folder = street_files[LOGITS_OF], street_files[LOGITS_OF].parent
    data = ("--dataset", "folder", "--data-dir", labelled)
    int8 = model_files["int8"]

    def fastscnn(cpu, *arguments):
        return lambda: device.fastscnn(cpu, *arguments)

    def predict(cpu, kind, *paths):
        output = ("--output", home / f"{cpu}_{kind}", "--threads", "1")
        return fastscnn(cpu, "predict", model_files[kind], *paths, *output)

    def evaluate(cpu, kind, split="val"):
        output = ("--split", split, "--json", home / f"{cpu}_{kind}.json", "--threads", "1")
        return fastscnn(cpu, "evaluate", model_files[kind], *data, *output)

    def tried():
        script = "import sys, fastscnn_tf as fs; print(fs.Segmenter(sys.argv[1]).trial_seconds > 0)"
        return device.python(PI4, "-c", script, int8, trusted=False)

    def compiled(cpu, *force):
        output = home / f"{cpu}_compiled.npy"
        return lambda: device.python(cpu, "-c", COMPILED, int8, output, *force)

    def logits(cpu):
        files = (own, home / f"{cpu}.npz", *model_files.values())
        return lambda: device.run(cpu, "-c", LOGITS, *files)

    wanted = {}
    for cpu in CPUS:
        wanted[f"logits {cpu}"] = logits(cpu)
        wanted[f"predict {cpu}"] = predict(cpu, "int8", folder)
        wanted[f"evaluate {cpu}"] = evaluate(cpu, "int8")
    for kind in FLOATS:
        wanted[f"predict {kind}"] = predict(PI4, kind, own)
        wanted[f"evaluate {kind}"] = evaluate(PI5, kind, "one")
    wanted["tried"] = tried
    wanted["refused"] = compiled(PI4)
    wanted["compiled a72"] = compiled(PI4, "all the same")
    wanted["compiled a76"] = compiled(PI5)
    wanted["inspect"] = fastscnn(PI3, "inspect", int8)
    shutil.copy(int8, home / "m.tflite")
    wanted["settings"] = fastscnn(PI3, "settings", "m.tflite", "--for", "pi4")
    wanted["card"] = fastscnn(PI3, "card", int8, "--output", home / "card.md")
    wanted["script"] = lambda: device.run(
        PI3, SCRIPT, folder, int8, "--output", home / "script", "--threads", "1"
    )
    wanted["benchmark"] = fastscnn(
        PI5, "benchmark", int8, "--runs", "1", "--warmup", "0", "--json", home / "b.json"
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = {name: pool.submit(job) for name, job in wanted.items()}
        yield home, lambda name: started[name].result()
        for future in started.values():
            future.cancel()


def test_the_device_has_the_pinned_versions_and_no_tensorflow(tools, package):
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M))
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned.items()}
    found = {
        re.sub(r"[-_.]+", "-", each.name).lower(): each.version
        for each in importlib.metadata.distributions(path=[str(tools / "site")])
    }
    assert {
        "numpy",
        "pillow",
        "ai-edge-litert",
        "flatbuffers",
        "click",
        "pyyaml",
        "msgspec",
    } <= set(found)
    again = "the tools are of other versions: rm -r .targets/arm64, then `make test-targets`"
    assert found == {name: pinned[name] for name in found}, again
    assert not {"tensorflow", "keras", "tf-keras"} & set(found)
    assert (package / "fastscnn_tf" / "runtime" / "segmenter.py").is_file()


@pytest.mark.parametrize("cpu", CPUS)
def test_int8_label_maps_are_those_of_x86_and_golden(
    jobs, cpu, model_files, street_files, label_maps
):
    home, job = jobs
    said = job(f"predict {cpu}")
    assert said.endswith("label map and overlay of 3 images\n")
    golden = read_golden(model_files["int8"], street_files)
    for name, expected in label_maps["int8"].items():
        found = np.asarray(Image.open(home / f"{cpu}_int8" / f"{name}_labels.png"))
        assert digest(found) == digest(expected) == golden["labels"][name], name


@pytest.fixture(scope="module")
def logits(model_files, street_files) -> dict[str, np.ndarray]:
    """kind -> this machine's logits."""
    image = read_image(street_files[LOGITS_OF])
    return {kind: fs.Segmenter(path, 1).run(image) for kind, path in model_files.items()}


@pytest.mark.parametrize("cpu", CPUS)
def test_logits_are_those_of_x86(jobs, cpu, logits, model_files, street_files):
    home, job = jobs
    job(f"logits {cpu}")
    found = np.load(home / f"{cpu}.npz")
    golden = read_golden(model_files["int8"], street_files)
    assert digest(found["int8"]) == digest(logits["int8"]) == golden["logits"]
    for kind in FLOATS:
        expected = logits[kind]
        assert np.abs(found[kind] - expected).max() <= 1e-5 * np.ptp(expected), kind
        assert np.mean(found[kind].argmax(-1) == expected.argmax(-1)) >= 0.9999, kind


@pytest.mark.parametrize("kind", FLOATS)
def test_float_label_maps_are_those_of_x86(jobs, kind, label_maps):
    home, job = jobs
    job(f"predict {kind}")
    found = np.asarray(Image.open(home / f"{PI4}_{kind}" / f"{LOGITS_OF}_labels.png"))
    assert np.mean(found == label_maps[kind][LOGITS_OF]) >= 0.9999


@pytest.fixture(scope="module")
def scores(model_files, labelled) -> dict[str, dict]:
    """kind -> this machine's scores."""
    splits = {"int8": "val"} | dict.fromkeys(FLOATS, "one")
    return {
        kind: fs.evaluate(model_files[kind], "folder", labelled, split, threads=1).to_dict()
        for kind, split in splits.items()
    }


@pytest.mark.parametrize("cpu", CPUS)
def test_int8_scores_are_those_of_x86_to_the_last_bit(jobs, cpu, scores):
    home, job = jobs
    assert "mean IoU" in job(f"evaluate {cpu}")
    found = json.loads((home / f"{cpu}_int8.json").read_text())
    assert found["images"] == 3
    assert 0.1 < found["miou"] < 0.9
    for key in ("miou", "class_iou", "pixel_accuracy", "confusion_matrix"):
        assert found[key] == scores["int8"][key], key


@pytest.mark.parametrize("kind", FLOATS)
def test_float_scores_are_those_of_x86(jobs, kind, scores):
    home, job = jobs
    job(f"evaluate {kind}")
    found = json.loads((home / f"{PI5}_{kind}.json").read_text())
    assert found["miou"] == pytest.approx(scores[kind]["miou"], abs=1e-4)


def test_compiled_model_dies_on_a_pi_4_and_is_refused_before(jobs):
    """Its GPU library needs LSE atomics, which a Cortex-A72 lacks."""
    home, job = jobs
    refused = job("refused")
    assert refused.returncode == 1
    assert "ConfigError: api=compiled_model kills Python on this CPU" in refused.stderr
    killed = job("compiled a72")
    # The emulator dies by the signal itself; the shell around it may say 128 more.
    assert killed.returncode in (-signal.SIGILL, 128 + signal.SIGILL), killed.stderr
    assert not (home / f"{PI4}_compiled.npy").exists()


def test_compiled_model_runs_on_a_pi_5(jobs, model_files):
    home, job = jobs
    done = job("compiled a76")
    assert done.returncode == 0, done.stderr
    segmenter = fs.Segmenter(model_files["int8"], 1)
    expected = segmenter.run(np.full((*segmenter.input_size, 3), 99, np.uint8))
    assert np.array_equal(np.load(home / f"{PI5}_compiled.npy"), expected)


def test_the_script_for_the_pi_gives_predicts_label_maps(jobs, label_maps):
    home, job = jobs
    lines = [json.loads(line) for line in job("script").splitlines()]
    assert [line["frame"] for line in lines] == sorted(label_maps["int8"])
    for line in lines:
        expected = label_maps["int8"][line["frame"]]
        found = np.asarray(Image.open(home / "script" / f"{line['frame']}_labels.png"))
        assert np.array_equal(found, expected)
        road = np.mean(expected[len(expected) // 2 :] == CAMVID.names.index("Road"))
        assert line["lower_half"]["Road"] == pytest.approx(road, abs=1e-3)
        assert set(line["ms"]) == {"capture", "convert", "segment"}


def test_other_commands_run(jobs):
    home, job = jobs
    said = job("inspect")
    assert re.search(r"XNNPACK, measured: 11\d/\d+ nodes delegated, 1 partition", said)
    job("settings")
    written = json.loads((home / "m.tflite.settings.json").read_text())
    assert written["settings"]["device"] == "pi4"
    job("card")
    assert (home / "card.md").read_text().startswith("# ")
    assert "per second" in job("benchmark")
    measured = json.loads((home / "b.json").read_text())
    assert measured["device"]["machine"] == "aarch64"
    assert measured["device"]["model"] is None  # nobody takes these times for a Pi's


def test_a_new_file_is_tried_out_first(jobs):
    done = jobs[1]("tried")
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
