"""From a flatbuffer's object tree back to the bytes of a .tflite."""

from __future__ import annotations

from typing import Any

import flatbuffers

from ..core.keras_api import KerasModel
from ..tflite.graph import WEIGHT_ALIGNMENT


class _AlignedBuilder(flatbuffers.Builder):
    """A builder that begins every vector of bytes where `WEIGHT_ALIGNMENT` divides its place.

    The generated `BufferT.Pack` knows nothing of `force_align`: numpy's alignment of bytes is 1.
    """

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # noqa: N802, N803
        """Begins a vector, as the generated code does."""
        bytes_align = WEIGHT_ALIGNMENT if elemSize == 1 else alignment
        return super().StartVector(elemSize, numElems, bytes_align)


def pack(model: KerasModel, size: int) -> bytes:
    """The .tflite of an object tree (`ModelT`) of about `size` bytes, its weights aligned."""
    builder = _AlignedBuilder(size)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
