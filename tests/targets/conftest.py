"""What the targets share: pictures, models, label maps of this machine's interpreter.

`make targets` prepares each target's tools in `.targets/NAME` (`NAME/setup.sh`). These tests are
collected where FASTSCNN_TARGETS is set, as `make test-targets` sets it. A target that could not be
prepared is skipped with what is missing, or fails with FASTSCNN_TARGETS=required (`.ci/run`).
"""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from browser_page import browser, browser_tools, page_address, playwright, visit  # noqa: F401
from cpp_tools import programs  # noqa: F401
from PIL import Image

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".targets"
KINDS = ("float32", "float16", "int8")
# Heights and widths: the models' own size, CamVid's, and a picture that is upright and odd.
STREETS = {"street_own": (448, 608), "street_small": (360, 480), "street_upright": (333, 201)}

collect_ignore_glob = [] if os.environ.get("FASTSCNN_TARGETS") else ["test_*.py"]


@pytest.fixture(scope="session")
def target_tools():
    """NAME -> the folder with that target's tools; skips (or fails) where they are missing."""

    def folder(name: str) -> Path:
        made = TOOLS / name
        if (made / ".done").exists():
            return made
        missing = made / "missing"
        reason = missing.read_text().strip() if missing.exists() else "`make test-targets` makes it"
        message = f"target {name} was not prepared: {reason}"
        if os.environ["FASTSCNN_TARGETS"] == "required":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)

    return folder


@pytest.fixture(scope="session")
def street_files(tmp_path_factory) -> dict[str, Path]:
    """Drawn streets as PNG files, the same everywhere."""
    from fastscnn_tf.data.datasets.toy_streets import draw_scene

    folder = tmp_path_factory.mktemp("streets")
    files = {}
    for seed, (name, size) in enumerate(STREETS.items()):
        files[name] = folder / f"{name}.png"
        Image.fromarray(draw_scene((2026, seed), size)[0]).save(files[name])
    return files


@pytest.fixture(scope="session")
def model_files(made_once) -> dict[str, Path]:
    """The shipped network as float32, float16 and int8: uint8 pictures in, logits at 1/8 out."""
    folder = made_once("target-models", _make_models)
    return {kind: folder / f"{kind}.tflite" for kind in KINDS}


def _make_models(folder: Path) -> None:
    import fastscnn_tf as fs

    folder.mkdir()
    for kind in ("float16", "int8"):
        source = ROOT / "tflite" / f"fastscnn_camvid_{kind}.tflite"
        shutil.copy(source, folder / f"{kind}.tflite")
    model = fs.resize_model(fs.load_model(ROOT / "tflite" / "fastscnn_camvid.keras"), (448, 608))
    fs.export_tflite(model, folder / "float32.tflite", recipe="float32")


@pytest.fixture(scope="session")
def label_maps(model_files, street_files) -> dict[str, dict[str, np.ndarray]]:
    """kind -> picture -> (H, W) uint8 label map at the picture's size, by this machine."""
    import fastscnn_tf as fs

    maps = {}
    for kind, model in model_files.items():
        segmenter = fs.Segmenter(model, threads=1)
        maps[kind] = {name: segmenter.predict(path) for name, path in street_files.items()}
    return maps


@pytest.fixture
def ask(target_tools):
    """Requests -> the answers of Kotlin."""
    from jvm_tools import asked

    return functools.partial(asked, target_tools("jvm"))


@pytest.fixture(scope="session")
def small_files(made_once) -> Path:
    """A folder with files of two classes, 64x96: `bytes`, `floats` and `finished` .tflite."""
    from jvm_tools import export_small

    return made_once("target-small", export_small)
