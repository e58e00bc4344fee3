"""The built wheel with nothing but its declared dependencies: every command a device needs."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from built_wheel import build_wheel, install_wheel, without_trials
from PIL import Image

from fastscnn_tf.core.labels import CAMVID

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "tflite" / "fastscnn_camvid_int8.tflite"
FLOAT = ROOT / "tflite" / "fastscnn_camvid_float16.tflite"
BLOCKED = ("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "matplotlib")
DRIVER = f"""
import sys
class Blocked:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in {BLOCKED}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from fastscnn_tf.cli.main import main
try:
    main()
finally:
    assert not set({BLOCKED}) & set(sys.modules)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the wheel's content and links to what it declares to need, all the way down."""
    folder = tmp_path_factory.mktemp("wheel")
    target = install_wheel(build_wheel(folder), folder / "site")
    (metadata,) = target.glob("fastscnn_tf-*.dist-info/METADATA")
    for name in _needed(importlib.metadata.PathDistribution(metadata.parent)):
        _link(importlib.metadata.distribution(name), target)
    return target


def test_the_wheel_declares_the_licences_of_the_code_and_of_the_weights(site):
    (metadata,) = site.glob("fastscnn_tf-*.dist-info/METADATA")
    declared = importlib.metadata.PathDistribution(metadata.parent).metadata
    assert declared["License-Expression"] == "Apache-2.0 AND CC-BY-NC-4.0"
    for name in declared.get_all("License-File"):
        assert (metadata.parent / "licenses" / name).is_file()
    assert len(declared.get_all("License-File")) == 2


def _needed(distribution) -> set[str]:
    """Names of what a distribution needs without extras, and what those need."""
    found, waiting = set(), [distribution]
    while waiting:
        for line in waiting.pop().requires or ():
            name = re.match(r"[\w.-]+", line)[0].lower()
            conditional = ";" in line  # extras, other systems, older Pythons
            if name in found or (conditional and not _installed(name)) or "extra ==" in line:
                continue
            found.add(name)
            waiting.append(importlib.metadata.distribution(name))
    return found


def _installed(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _link(distribution, target: Path) -> None:
    tops = {file.parts[0] for file in distribution.files if ".." not in file.parts}
    for top in tops - {"__pycache__"}:
        if not (target / top).exists():
            (target / top).symlink_to(distribution.locate_file(top))


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    """Own data in CamVid's classes: three small images with label maps."""
    root = tmp_path_factory.mktemp("streets")
    for kind in ("images", "labels"):
        (root / kind).mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        blocks = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(blocks.repeat(12, axis=0).repeat(12, axis=1))
        image.save(root / "images" / f"{i}.png")
        labels = rng.integers(0, 11, (6, 8), dtype=np.uint8).repeat(12, axis=0).repeat(12, axis=1)
        Image.fromarray(labels).save(root / "labels" / f"{i}.png")
    classes = "".join(f"  - {{name: {name}}}\n" for name in CAMVID.names)
    splits = "".join(f"  {s}: {{images: images, labels: labels}}\n" for s in ("train", "val"))
    (root / "dataset.yaml").write_text(f"name: own\nclasses:\n{classes}splits:\n{splits}")
    return root


@pytest.fixture(scope="module")
def device(site, tmp_path_factory):
    """Runs a command as a device would: no site-packages, no user's folder, none of this tree."""
    folder = tmp_path_factory.mktemp("device")

    def call(*arguments, says=""):
        environment = {"PYTHONPATH": str(site), "PATH": "", "HOME": str(folder)}
        environment["FASTSCNN_CACHE"] = str(folder / "cache")
        environment["FASTSCNN_CONFIG"] = str(folder / "config")
        command = [sys.executable, "-S", "-s", "-W", "error", "-c", DRIVER, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
        assert done.returncode == 0, done.stderr
        assert without_trials(done.stderr) == says
        return done.stdout

    return call


def test_the_wheel_holds_the_package_and_its_command(site):
    assert (site / "fastscnn_tf" / "runtime" / "segmenter.py").is_file()
    weights = {path.name: path.read_bytes() for path in (site / "fastscnn_tf/weights").iterdir()}
    assert weights[MODEL.name] == MODEL.read_bytes()
    assert {"fastscnn_camvid.keras", "fastscnn_camvid.md", "LICENSE-camvid-weights.txt"} < {
        *weights
    }
    assert (site / "fastscnn_tf" / "py.typed").is_file()  # without it mypy skips the package
    assert not (site / "tests").exists()
    assert not any((site / name).exists() for name in BLOCKED)
    (entry,) = site.glob("fastscnn_tf-*.dist-info/entry_points.txt")
    assert "fastscnn = fastscnn_tf.cli.main:main" in entry.read_text()


def test_models_run(device, streets, tmp_path):
    data = ("--dataset", "folder", "--data-dir", streets)
    device("evaluate", MODEL, *data, "--json", tmp_path / "e.json", "--flip")
    assert json.loads((tmp_path / "e.json").read_text())["images"] == 3
    said = device("predict", MODEL, streets / "images", "--output", tmp_path / "p")
    assert said.endswith("label map and overlay of 3 images\n")
    device("predict", MODEL, streets / "images", "--output", tmp_path / "p2", "--processes", "2")
    for path in (tmp_path / "p").iterdir():
        assert path.read_bytes() == (tmp_path / "p2" / path.name).read_bytes()
    assert "median" in device("benchmark", MODEL, "--runs", "2")
    assert "% of the pixels agree" in device("agreement", FLOAT, MODEL, *data)
    said = device("compare", FLOAT, MODEL, *data, "--output", tmp_path / "c")
    assert "% of the pixels of 3 images agree" in said
    assert (tmp_path / "c" / "report.html").exists()
    assert "frames/s" in device("size-table", FLOAT, MODEL, "--rounds", "1")
    device("inspect", MODEL)
    terms = "fastscnn: camvid: weights trained on CamVid, for research only (CC BY-NC 4.0)\n"
    device("predict", "camvid", streets / "images", "--output", tmp_path / "n", says=terms)
    for path in (tmp_path / "n").iterdir():
        assert path.read_bytes() == (tmp_path / "p" / path.name).read_bytes()
    said = device("watch", streets / "images", MODEL, "--output", tmp_path / "w")
    assert said.startswith("3 frames, ")


def test_data_is_looked_at(device, streets, tmp_path):
    data = ("--dataset", "folder", "--data-dir", streets)
    device("data", "check", *data, "--split", "val")
    device("data", "show", *data, "--output", tmp_path / "s.png", "--count", "2")
    device("data", "pack", *data, "--split", "val", "--output", tmp_path / "rec")
    device("evaluate", MODEL, "--dataset", "records", "--data-dir", tmp_path / "rec")
    assert "--sort" in device("runs", "list", "--help")
    assert "1.11" in device("summary") or "1,114" in device("summary")
