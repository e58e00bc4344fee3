"""The package as a whole: imports stay light and point one way, examples in docstrings run."""

import ast
import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastscnn_tf

ROOT = Path(fastscnn_tf.__file__).parent
MODULES = sorted(
    m.name for m in pkgutil.walk_packages([str(ROOT)], "fastscnn_tf.") if "__main__" not in m.name
)
# A package may import what stands left of it; `data` is split: file lists need no TensorFlow.
ORDER = ["core", "keras_api", "data", "runtime", "model", "train", "quantize", "export", "cli"]


def test_import_brings_no_heavy_package():
    code = (
        "import sys, fastscnn_tf, fastscnn_tf.cli.commands;"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'numpy', 'PIL', 'ai_edge_litert'};"
        "sys.exit(' '.join(heavy & set(sys.modules) - {'numpy', 'PIL'}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", fastscnn_tf.__all__)
def test_public_names_exist_and_are_documented(name):
    value = getattr(fastscnn_tf, name)
    assert name == "__version__" or value.__doc__


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such"):
        _ = fastscnn_tf.no_such


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_left(path):
    """Top-level modules (evaluation, demo, ...) stand right of the packages they join."""
    parts = path.relative_to(ROOT).parts
    if len(parts) == 1 and parts[0] != "keras_api.py":
        return
    own = parts[0].removesuffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == len(parts):
            target = (node.module or "").split(".")[0]
            if target in ORDER and own != "cli":
                # `model.folded` -> `train` only to register the loss for Keras' loader.
                allowed = ORDER.index(target) <= ORDER.index(own) or (own, target) == (
                    "model",
                    "train",
                )
                assert allowed, f"{path.name} imports {target}"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    with np.printoptions(legacy=False):
        failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0
