import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.sizes import parse_size


def test_round_trip_through_json_types():
    config = FastSCNNConfig.for_labels("camvid", input_size=(352, 480), aux_heads=True)
    assert FastSCNNConfig.from_dict(config.to_dict()) == config
    assert config.num_classes == 11
    assert config.labels.names[3] == "Road"


@pytest.mark.parametrize(
    ("size", "hint"),
    [
        ((360, 480), "352 or 384"),
        ((352, 481), "480 or 512"),
        ((0, 32), "at least 1 pixel, got 0"),
        ((20, 32), "32"),
    ],
)
def test_size_names_the_nearest_valid_value(size, hint):
    with pytest.raises(ConfigError, match=hint):
        FastSCNNConfig(input_size=size)


@pytest.mark.parametrize("text", ["352", "352*480", "axb", "-32x32", ""])
def test_size_text_is_checked(text):
    with pytest.raises(ConfigError, match="HEIGHTxWIDTH"):
        parse_size(text)


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 1},
        {"num_classes": 255},  # the largest index would be a mark
        {"num_classes": 2.5},
        {"dropout": 1.5},
        {"pyramid_bins": ()},
        {"std": (0, 1, 1)},
        {"class_names": ("a",)},
        {"num_classes": 2, "class_names": ("a", "a")},
        {"num_classes": 2, "class_colors": ((0, 0, 0), (0, 0, 256))},
        {"num_classes": 2, "class_colors": ((0, 0, 0), (0, 0))},
        {"mean": 5},
        {"mean": (float("nan"), 1, 1)},
        {"pyramid_bins": 3},
        {"input_size": (64.5, 64)},
        {"input_size": (320_000, 64)},
    ],
)
def test_values_out_of_range_are_refused(change):
    with pytest.raises(ConfigError):
        FastSCNNConfig(**change)


def test_fields_of_a_newer_version_are_refused():
    with pytest.raises(ConfigError, match="newer"):
        FastSCNNConfig.from_dict({"attention": 2})
