"""The package as a whole: imports stay light, examples in docstrings run."""

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


def test_import_brings_no_heavy_package():
    """The options of a command may bring numpy and Pillow, those of others come with theirs."""
    code = (
        "import sys, fastscnn_tf; from fastscnn_tf.cli.commands import cli;"
        "heavy = {'tensorflow', 'keras', 'tf_keras', 'numpy', 'PIL', 'ai_edge_litert'};"
        "cli.commands['settings'];"
        "found = heavy & set(sys.modules);"
        "list(cli.commands.values());"
        "found |= heavy & set(sys.modules) - {'numpy', 'PIL'};"
        "sys.exit(' '.join(found) or 0)"
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


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    with np.printoptions(legacy=False):
        failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0
