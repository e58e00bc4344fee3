"""What a user hands in by mistake gets one line that says what was expected."""

from __future__ import annotations

import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError

CONFIG = "expected a FastSCNNConfig or a Fast-SCNN model, got "
MISTAKES = {
    "summary of a path": (lambda: fs.summary("RUN"), f"{CONFIG}str 'RUN'"),
    "complexity of nothing": (lambda: fs.complexity(None), f"{CONFIG}NoneType None"),
    "network of a number": (lambda: fs.fast_scnn(5), f"{CONFIG}int 5"),
    "pipeline": (lambda: fs.load_dataset("toy", config=None), f"{CONFIG}NoneType None"),
    "NumPy's": (lambda: fs.load_pydataset("toy", config="c"), f"{CONFIG}str 'c'"),
    "training": (lambda: fs.run_training("x", "y"), r"expected TrainSettings .*, got 'x'"),
    "threads": (lambda: fs.Segmenter("camvid", threads="two"), r"threads must be .*, got 'two'"),
    "evaluation": (
        lambda: fs.evaluate("camvid", "toy", flipp=True),
        "unknown option 'flipp': expected one of scales, flip, window, stride, fit",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_line_says_what_was_expected(mistake):
    call, said = MISTAKES[mistake]
    with pytest.raises(ConfigError, match=said):
        call()


def test_a_models_configuration_is_taken_from_the_model():
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    model = fs.fast_scnn(fs.FastSCNNConfig(num_classes=3, input_size=(32, 64), **few))
    assert fs.complexity(model) == fs.complexity(model.config)
    assert fs.summary(model) == fs.summary(model.config)
