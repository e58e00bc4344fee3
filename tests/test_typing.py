"""What a type checker knows of the package: real types of every public name, mistakes found."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import fastscnn_tf

ROOT = Path(fastscnn_tf.__file__).parents[1]

GOOD = """\
import numpy as np
import fastscnn_tf as fs

config = fs.FastSCNNConfig(num_classes=19, input_size=(64, 128))
model = fs.fast_scnn(config)
images = fs.load_dataset("camvid", "CamVid", config=config, batch_size=2)
written = fs.export_tflite(model, "m.tflite", recipe="int8", calibration=images)
path: str = str(written.path)
segmenter = fs.Segmenter("m.tflite", threads=2)
names: tuple[str, ...] = segmenter.labels.names
labels: np.ndarray = segmenter.predict(np.zeros((64, 128, 3), np.uint8))
score: float | None = fs.evaluate("m.tflite", "camvid", "CamVid", split="test").miou
settings = fs.train_settings("strong", epochs=2)
classes: int = fs.complexity(config).layers[-1].output[2]
"""
WRONG = """\
import fastscnn_tf as fs

fs.fast_scnn()
fs.fast_scnn("paper")
fs.FastSCNNConfig(num_classes="nineteen")
fs.load_dataset("camvid", "CamVid")
fs.load_dataset("camvid", config=fs.FastSCNNConfig(), batch_size="two")
fs.Segmenter("m.tflite", thread=2)
fs.Segmenter("m.tflite").labels.colours
fs.evaluate("m.tflite", 3)
fs.evaluate("m.tflite", "camvid").mean_iou
fs.export_tflite("RUN", "m.tflite", recipe=8)
fs.run_training("strong", "RUN")
fs.segmentor
"""


def _imports(block: Iterable[ast.stmt]) -> dict[str, str]:
    """Public name -> module, as written in import statements."""
    imports = [node for node in block if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)
    return {alias.name: f"{node.module}" for node in imports for alias in node.names}


def test_a_type_checker_and_python_import_the_same_names():
    names = _imports(ast.parse(Path(fastscnn_tf.__file__).with_suffix(".pyi").read_text()).body)
    assert sorted(names) == fastscnn_tf.__all__
    for name, module in names.items():
        loaded = getattr(fastscnn_tf, name)
        assert loaded is getattr(sys.modules[f"fastscnn_tf.{module}"], name)


@pytest.fixture(scope="module")
def checked(tmp_path_factory) -> dict[str, list[str]]:
    """What a user's `mypy --strict` says of some programs: name -> its lines."""
    folder = tmp_path_factory.mktemp("user")
    every = [f"reveal_type(fs.{name})" for name in fastscnn_tf.__all__]
    (folder / "good.py").write_text(GOOD)
    (folder / "wrong.py").write_text(WRONG)
    (folder / "every.py").write_text("\n".join(["import fastscnn_tf as fs", *every]))
    # Silent as for an installed package: what is wrong in there is not the user's to mend.
    # What it found out of the package is kept: the next time the test takes a quarter.
    kept = f"--cache-dir={ROOT / '.mypy_cache' / 'user'}"
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file="]
    said = subprocess.run(
        [*mypy, kept, "--no-pretty", "good.py", "wrong.py", "every.py"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
    )
    assert said.stderr == ""
    lines = said.stdout.splitlines()
    return {n: [x for x in lines if x.startswith(f"{n}.py:")] for n in ("good", "wrong", "every")}


@pytest.mark.process
def test_right_uses_pass(checked):
    assert checked["good"] == []


def test_wrong_uses_are_found(checked):
    found = {int(line.split(":")[1]) for line in checked["wrong"] if ": error: " in line}
    expected = {n for n, line in enumerate(WRONG.splitlines(), 1) if line.startswith("fs.")}
    assert found == expected, "\n".join(checked["wrong"])


def test_every_public_name_has_a_type(checked):
    revealed = [re.search(r'Revealed type is "(.*)"$', line) for line in checked["every"]]
    kinds = dict(zip(fastscnn_tf.__all__, (found and found[1] for found in revealed), strict=True))
    assert [name for name, kind in kinds.items() if kind in (None, "Any")] == []
    assert "config: fastscnn_tf.core.config.FastSCNNConfig" in kinds["fast_scnn"]
    assert kinds["export_tflite"].endswith("-> fastscnn_tf.export.export_tflite.ExportResult")
    assert kinds["Segmenter"].endswith("-> fastscnn_tf.runtime.segmenter.Segmenter")
    assert "Evaluation" in kinds["evaluate"].split("->")[-1]
