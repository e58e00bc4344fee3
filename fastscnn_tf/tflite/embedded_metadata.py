"""TFLite metadata (`TFLITE_METADATA`) inside a .tflite: what MediaPipe and Android tools read.

The tables are those of metadata_schema.fbs 1.5.0 and image_segmenter_metadata_schema.fbs 1.0.0 as
MediaPipe 1.2.2 ships them. Associated files (labels, colours) stand behind the flatbuffer as a zip
archive, uncompressed, so that the whole is a .tflite to one reader and a .zip to another.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from ..core.errors import ModelFileError, retold
from ..core.files.zip_archive import open_zip
from .flat_tables import SchemaTable, read_table, schema_of
from .graph import ModelGraphs
from .parser import parse_tflite

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
SEGMENTER = "SEGMENTER_METADATA"  # of the custom metadata that ImageSegmenter looks for
SEGMENTER_IDENTIFIER = b"V001"
LARGEST = 1 << 24  # bytes of the files behind a model; labels take some hundred
LABELS, COLORS = "labels.txt", "colors.csv"
ACTIVATIONS = ("NONE", "SIGMOID", "SOFTMAX")

# The tables in the schemas' own words: fields in the order of their slots.
_TABLES = """
ModelMetadata name:string description:string version:string subgraph_metadata:[SubGraphMetadata]
    author:string license:string associated_files:[AssociatedFile] min_parser_version:string
SubGraphMetadata name:string description:string input_tensor_metadata:[TensorMetadata]
    output_tensor_metadata:[TensorMetadata] associated_files:[AssociatedFile]
    input_process_units:[ProcessUnit] output_process_units:[ProcessUnit]
    input_tensor_groups:[TensorGroup] output_tensor_groups:[TensorGroup]
    custom_metadata:[CustomMetadata]
TensorMetadata name:string description:string dimension_names:[string] content:Content
    process_units:[ProcessUnit] stats:Stats associated_files:[AssociatedFile]
AssociatedFile name:string description:string type:byte locale:string version:string
Content content_properties:ContentProperties range:ValueRange
ValueRange min:int max:int
FeatureProperties
ImageProperties color_space:byte default_size:ImageSize
ImageSize width:uint height:uint
ProcessUnit options:ProcessUnitOptions
NormalizationOptions mean:[float] std:[float]
Stats max:[float] min:[float]
TensorGroup name:string tensor_names:[string]
CustomMetadata name:string data:[ubyte]
ImageSegmenterOptions activation:byte min_parser_version:string
"""
_UNIONS = {
    "ContentProperties": (
        "FeatureProperties|ImageProperties|BoundingBoxProperties|AudioProperties"
    ),
    "ProcessUnitOptions": (
        "NormalizationOptions|ScoreCalibrationOptions|ScoreThresholdingOptions|"
        "BertTokenizerOptions|SentencePieceTokenizerOptions|RegexTokenizerOptions"
    ),
}
SCHEMA = schema_of(_TABLES, _UNIONS)


def read_model_metadata(content: bytes) -> SchemaTable:
    """The TFLite metadata of a file as plain values; empty without any.

    Raises:
        ModelFileError: damaged.
    """
    with retold(ModelFileError, "TFLite metadata: ", of=ValueError):
        return metadata_of(parse_tflite(content))


def metadata_of(graphs: ModelGraphs) -> SchemaTable:
    """The TFLite metadata among a file's, as `read_model_metadata` gives them.

    Raises:
        ValueError: damaged.
    """
    data = graphs.metadata.get(NAME)
    return {} if data is None else read_table(SCHEMA, "ModelMetadata", bytes(data), IDENTIFIER)


def normalisations(described: SchemaTable) -> list[SchemaTable]:
    """The NormalizationOptions of the first input of a graph that the metadata describe."""
    image: SchemaTable = next(iter(described.get("input_tensor_metadata", ())), {})
    units = (unit.get("options", {}) for unit in image.get("process_units", ()))
    return [each for each in units if each.get("type") == "NormalizationOptions"]


def segmenter_options(custom: Mapping[str, Any]) -> SchemaTable:
    """What an entry `SEGMENTER_METADATA` of the custom metadata says."""
    return read_table(SCHEMA, "ImageSegmenterOptions", custom["data"], SEGMENTER_IDENTIFIER)


def associated_files(content: bytes) -> dict[str, bytes]:
    """The files behind a .tflite, by name; empty without any.

    Raises:
        ModelFileError: the archive is damaged.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    where = "the files behind the model"
    with open_zip(content, where, largest=LARGEST, error=ModelFileError) as archive:
        return {name: archive.read(name) for name in archive.sizes}
