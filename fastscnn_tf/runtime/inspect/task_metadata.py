"""The TFLite metadata of a file, as MediaPipe's tasks read it.

Field numbers are those of metadata_schema.fbs (tflite-support).
"""

from __future__ import annotations

import dataclasses

from ..flatbuffer_reader import DamagedFile, FlatBuffer, Table
from ..tflite_graph import ModelGraphs

NAME = "TFLITE_METADATA"  # of the entry
_NORMALIZATION, _LABELS = 1, 2  # ProcessUnitOptions, AssociatedFileType


@dataclasses.dataclass(frozen=True)
class TaskMetadata:
    """What a client needs of it.

    Attributes:
        inputs, outputs: tensors that are described.
        normalized: whether the first input has NormalizationOptions.
        per_channel: whether these differ from channel to channel.
        labels: name of the label file of the last output, empty without.
    """

    inputs: int
    outputs: int
    normalized: bool
    per_channel: bool
    labels: str


def task_metadata(graphs: ModelGraphs) -> TaskMetadata | None:
    """Reads it; None where the file has none.

    Raises:
        DamagedFile: it is there and cannot be read.
    """
    content = graphs.metadata.get(NAME)
    if content is None:
        return None
    model = FlatBuffer(bytes(content)).root()
    described = model.tables(3)
    if not described:
        raise DamagedFile("its TFLITE_METADATA describes no graph")
    sources, results = described[0].tables(2), described[0].tables(3)
    options = _normalization(sources)
    return TaskMetadata(
        len(sources),
        len(results),
        bool(options),
        any(len(set(table.numbers(slot, "<f4"))) > 1 for table in options for slot in (0, 1)),
        next((file.text(0) for file in _files(results) if file.integer(2, "b") == _LABELS), ""),
    )


def _normalization(tensors: list[Table]) -> list[Table]:
    """The NormalizationOptions of the first tensor: mean and std."""
    units = tensors[0].tables(4) if tensors else []
    options = [unit.table(1) for unit in units if unit.integer(0, "B") == _NORMALIZATION]
    return [table for table in options if table is not None]


def _files(tensors: list[Table]) -> list[Table]:
    return tensors[-1].tables(6) if tensors else []
