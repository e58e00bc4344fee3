"""What the decision table chooses, and what is given instead."""

import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.delegates.device import COMPILED
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.export.choice import choose


@pytest.mark.parametrize("device", TARGETS)
def test_the_table_as_it_is(device):
    found = choose(device)
    table = TARGETS[device]
    assert (found.recipe, found.outputs, found.input) == (table.recipe, table.outputs, table.input)
    assert found.settings == table.settings
    assert found.lines[0].startswith(f"for {device} ({table.title}): recipe {table.recipe}, ")
    assert found.lines[1:] == tuple(f"  - {reason}" for reason in table.reasons)


def test_a_quantization_aware_model_needs_no_images():
    found = choose("pi5", quantization_aware=True, calibration=False)
    assert (found.recipe, len(found.lines)) == ("int8-qat", 1 + len(TARGETS["pi5"].reasons))


@pytest.mark.parametrize("device", ["pi4", "pi5", "edge-cpu", "browser", "android-npu"])
def test_int8_without_images_says_what_is_missing(device):
    with pytest.raises(ConfigError, match=rf"--for {device} chooses recipe int8.*pass --dataset"):
        choose(device, calibration=False)


def test_what_is_given_counts():
    found = choose("pi5", recipe="float32", outputs="labels", calibration=False)
    assert (found.recipe, found.outputs, found.input) == ("float32", "labels", "uint8")
    assert found.lines[-2:] == (
        "  - recipe float32 is not the table's, int8: not all of this need hold",
        "  - outputs labels is not the table's, logits: not all of this need hold",
    )
    assert choose("android-gpu", recipe="int8").input == "uint8"
    assert choose("android-gpu", recipe="float32").input == "float32"
    assert choose("pi5", recipe="int16x8").input == "float32"  # it takes no bytes
    assert choose("pi5", input="int8").input == "int8"


@pytest.mark.parametrize("device", COMPILED)
def test_an_npu_gets_no_floats(device):
    for given in ({"recipe": "float32"}, {"recipe": "int16x8"}, {"input": "float32"}):
        with pytest.raises(ConfigError, match=f"computes with integers, .* --for {device} chooses"):
            choose(device, **given)
    assert choose(device, input="int8").input == "int8"
    with pytest.raises(ConfigError, match="with integers alone: leave --keep-float out"):
        choose(device, keep_float=("classifier.*",))


def test_unknown_names():
    with pytest.raises(ConfigError, match="did you mean 'android-gpu'"):
        choose("android_gpu")
    with pytest.raises(ConfigError, match="unknown recipe"):
        choose("pi5", recipe="int9")
