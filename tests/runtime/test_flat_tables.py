"""Flatbuffers by declaration: what is written is read again; damage is an error, no crash."""

import numpy as np
import pytest

from fastscnn_tf.tflite.embedded_metadata import SCHEMA
from fastscnn_tf.tflite.flat_tables import read_table, write_table

VALUE = {
    "name": "a model",
    "description": "Straßen",
    "license": "none",
    "min_parser_version": "1.5.0",
    "subgraph_metadata": [
        {
            "input_tensor_metadata": [
                {
                    "name": "image",
                    "dimension_names": ["b", "h", "w", "c"],
                    "content": {
                        "content_properties": {
                            "type": "ImageProperties",
                            "color_space": 1,
                            "default_size": {"width": 480, "height": 352},
                        },
                        "range": {"min": -1, "max": 2},
                    },
                    "process_units": [
                        {"options": {"type": "NormalizationOptions", "mean": [1.5, 2], "std": [4]}}
                    ],
                }
            ],
            "custom_metadata": [{"name": "X", "data": bytes(range(21))}],
        },
        {"name": "second"},
    ],
}  # fmt: skip


def test_round_trip():
    content = write_table(SCHEMA, "ModelMetadata", VALUE, b"M001")
    assert content[4:8] == b"M001"
    assert read_table(SCHEMA, "ModelMetadata", content, b"M001") == VALUE


def test_bytes_inside_are_aligned_to_16():
    content = write_table(SCHEMA, "ModelMetadata", VALUE, b"M001")
    place = content.index(bytes(range(21)))
    assert place % 16 == 0 and content[place - 4 : place] == b"\x15\0\0\0"


def test_what_is_empty_is_left_out():
    content = write_table(SCHEMA, "ModelMetadata", {"name": "", "version": None}, b"M001")
    assert read_table(SCHEMA, "ModelMetadata", content, b"M001") == {}


def test_another_identifier_is_refused():
    content = write_table(SCHEMA, "ModelMetadata", VALUE, b"M001")
    with pytest.raises(ValueError, match="expected b'V001'"):
        read_table(SCHEMA, "ModelMetadata", content, b"V001")


def test_damage_is_a_value_error_or_other_values():
    content = write_table(SCHEMA, "ModelMetadata", VALUE, b"M001")
    rng, refused = np.random.default_rng(0), 0
    for _ in range(400):
        bad = bytearray(content[: rng.integers(8, len(content) + 1)])
        for place in rng.integers(0, len(bad), 3):
            bad[place] = rng.integers(0, 256) if place not in range(4, 8) else bad[place]
        try:
            read_table(SCHEMA, "ModelMetadata", bytes(bad), b"M001")
        except ValueError:
            refused += 1
    assert refused > 100
