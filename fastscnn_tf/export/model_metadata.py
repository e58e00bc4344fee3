"""Writing TFLite metadata and the files behind a .tflite, for MediaPipe and Android tools."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.keras_api import KerasModel
from ..core.sizes import parse_size
from ..tflite.embedded_metadata import (
    COLORS,
    IDENTIFIER,
    LABELS,
    SCHEMA,
    SEGMENTER,
    SEGMENTER_IDENTIFIER,
)
from ..tflite.flat_tables import SchemaTable, write_table

# metadata_schema.fbs: the version that added CustomMetadata, the newest of what is used here.
MIN_PARSER_VERSION = "1.5.0"
# AssociatedFileType
DESCRIPTIONS, AXIS_LABELS, VALUE_LABELS = 1, 2, 3
RGB, GRAYSCALE = 1, 2  # ColorSpaceType
NONE, SOFTMAX = 0, 2  # Activation
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever a model is exported


def model_metadata(model: KerasModel, metadata: Mapping[str, Any]) -> bytes:
    """The content of `TFLITE_METADATA`.

    Args:
        model: the `ModelT` of the file, for its input's quantization.
        metadata: our JSON: `class_names`, `input_size`, `input`, `outputs`, `mean` and `std`;
            `name`, `description`, `version`, `author` and `license` where they are known.
    """
    root: SchemaTable = {
        "name": metadata.get("name") or "Fast-SCNN",
        "description": metadata.get("description") or _description(metadata),
        "version": metadata.get("version"),
        "author": metadata.get("author"),
        "license": metadata.get("license"),
        "subgraph_metadata": [
            {
                "input_tensor_metadata": [_input(model, metadata)],
                "output_tensor_metadata": [_output(metadata)],
                "custom_metadata": [{"name": SEGMENTER, "data": _segmenter(metadata)}],
            }
        ],
        "associated_files": [
            {"name": COLORS, "description": "RGB colour of each class.", "type": DESCRIPTIONS}
        ],
        "min_parser_version": MIN_PARSER_VERSION,
    }
    return write_table(SCHEMA, "ModelMetadata", root, IDENTIFIER)


def _description(metadata: Mapping[str, Any]) -> str:
    run = metadata.get("run") or {}
    trained = f", trained on {run['dataset']}" if "dataset" in run else ""
    return (
        f"Street-scene segmentation into {len(metadata['class_names'])} classes by Fast-SCNN"
        f"{trained}; {metadata['recipe']}."
    )


def _input(model: KerasModel, metadata: Mapping[str, Any]) -> SchemaTable:
    mean, std = input_normalisation(model, metadata)
    height, width = parse_size(metadata["input_size"], pad=True)
    return {
        "name": "image",
        "description": f"Picture: {metadata['input']}.",
        "content": {
            "content_properties": {
                "type": "ImageProperties",
                "color_space": RGB,
                "default_size": {"width": width, "height": height},
            }
        },
        "process_units": [{"options": {"type": "NormalizationOptions", "mean": mean, "std": std}}],
        "stats": {
            "max": [(255 - m) / s for m, s in zip(mean, std, strict=True)],
            "min": [(0 - m) / s for m, s in zip(mean, std, strict=True)],
        },
    }


def input_normalisation(
    model: KerasModel, metadata: Mapping[str, Any]
) -> tuple[list[float], list[float]]:
    """Mean and std by which a reader gets from bytes 0..255 to the input's real values.

    An input of bytes has a scale and zero point of its own, whatever the network's mean and std
    are: a reader that normalises and then quantizes gets the bytes back only by these. Other
    inputs take (byte - mean) / std.
    """
    from ai_edge_litert.schema_py_generated import TensorType

    graph = model.subgraphs[0]
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.type not in (TensorType.UINT8, TensorType.INT8):
        return [float(v) for v in metadata["mean"]], [float(v) for v in metadata["std"]]
    zero, scale = float(tensor.quantization.zeroPoint[0]), float(tensor.quantization.scale[0])
    shift = 128 if tensor.type == TensorType.INT8 else 0  # bytes ^ 0x80 are byte - 128
    return [zero + shift], [1 / scale]


def _output(metadata: Mapping[str, Any]) -> SchemaTable:
    labels = metadata["outputs"].startswith("labels")
    text = "Class index of each pixel." if labels else "Score of each class for each pixel."
    return {
        "name": "segmentation_masks",
        "description": text,
        "content": {
            "content_properties": {"type": "ImageProperties", "color_space": GRAYSCALE},
            "range": {"min": 1, "max": 2},  # dimensions 1 and 2 are the image's
        },
        "associated_files": [
            {
                "name": LABELS,
                "description": "Names of the classes.",
                "type": VALUE_LABELS if labels else AXIS_LABELS,
            }
        ],
    }


def _segmenter(metadata: Mapping[str, Any]) -> bytes:
    scores = metadata["outputs"].startswith("logits")
    value = {"activation": SOFTMAX if scores else NONE, "min_parser_version": "1.0.0"}
    return write_table(SCHEMA, "ImageSegmenterOptions", value, SEGMENTER_IDENTIFIER)


def label_files(metadata: Mapping[str, Any]) -> dict[str, bytes]:
    """`labels.txt`, one class on each line, and `colors.csv`."""
    names: Sequence[str] = [" ".join(name.split()) for name in metadata["class_names"]]
    rows = [f"{i},{r},{g},{b}" for i, (r, g, b) in enumerate(metadata["class_colors"])]
    return {
        LABELS: "\n".join(names).encode(),
        COLORS: "\n".join(["index,red,green,blue", *rows]).encode(),
    }


def append_files(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """A .tflite with files behind it, as a zip archive without compression."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return buffer.getvalue()
