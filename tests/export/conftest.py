"""Files of a few operations are made by the helper that the inspection's tests use."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "runtime" / "inspection"))


@pytest.fixture
def input_of():
    """What LiteRT says of a file's input."""
    from ai_edge_litert.interpreter import Interpreter

    return lambda path: Interpreter(str(path)).get_input_details()[0]
