"""`SizeTable`: files side by side, as a table and as JSON, and which of them is fast enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ..core.sizes import Size, format_size
from ..core.text_table import decimal, percent, text_table

MARK = "<-"


@dataclasses.dataclass(frozen=True)
class SizeRow:
    """One .tflite or .onnx.

    Attributes:
        model: the file, or the model it was exported from.
        input_size: (height, width).
        macs: multiply-accumulates of one run, zeros that fill up a kernel left out;
            None for an .onnx, of which they are not counted.
        arena_bytes: memory that its tensors share in the interpreter without a delegate, scratch
            included; a lower bound where the interpreter cannot be asked; None for an .onnx.
        network_ms: median milliseconds of the network alone.
        frame_ms: median milliseconds from an image to its label map at the image's own size.
        ratio: median over the rounds of its `frame_ms` to the first row's of the same round.
        miou: on the data set, 0..1, where one is given.
        micro_bytes: arena of TFLite Micro; 0 where it has no kernels for the file.
        micro_measured: by its own interpreter; else planned from the tensors' lifetimes.
    """

    model: str
    input_size: Size
    macs: int | None
    arena_bytes: int | None
    network_ms: float
    frame_ms: float
    ratio: float
    miou: float | None = None
    micro_bytes: int = 0
    micro_measured: bool = False

    @property
    def micro_text(self) -> str:
        """Megabytes of TFLite Micro's arena, estimates with a ~."""
        sign = "" if self.micro_measured else "~"
        return f"{sign}{self.micro_bytes / 1e6:.2f}" if self.micro_bytes else "-"

    @property
    def fps(self) -> float:
        """Frames per second of `frame_ms`."""
        return 1000 / self.frame_ms


@dataclasses.dataclass(frozen=True)
class SizeTable:
    """Files side by side, measured in turns.

    Attributes:
        rows: in the order given.
        threads: CPU threads.
        frame: (height, width) of the images; None: each model's own input size.
        wanted_fps: frames per second that were asked for.
        chosen: index of the row that gives them: the one of the greatest mIoU, without a data set
            of the most multiply-accumulates; None where none does, or nothing was asked.
    """

    rows: tuple[SizeRow, ...]
    threads: int
    frame: Size | None
    wanted_fps: float | None
    chosen: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        rows = [
            {**dataclasses.asdict(r), "input_size": format_size(r.input_size), "fps": r.fps}
            for r in self.rows
        ]
        frame = self.frame and format_size(self.frame)
        return {**dataclasses.asdict(self), "frame": frame, "rows": rows}

    def text(self) -> str:
        """A table for people."""
        head = ["model", "size", "mIoU", "MMAC", "arena, MB", "micro, MB", "network, ms"]
        cells = [[*head, "frame, ms", "ratio", "frames/s", ""]]
        for i, row in enumerate(self.rows):
            numbers = (
                percent(row.miou),
                decimal(row.macs, 0, 1e6),
                decimal(row.arena_bytes, 2, 1e6),
                row.micro_text,
                *(f"{value:.2f}" for value in (row.network_ms, row.frame_ms, row.ratio)),
                f"{row.fps:.1f}",
            )
            mark = MARK if i == self.chosen else ""
            cells.append([row.model, format_size(row.input_size), *numbers, mark])
        said = ""
        if self.wanted_fps is not None and self.chosen is None:
            said = f"\nnone gives {self.wanted_fps:g} frames/s here"
        elif self.chosen is not None:
            said = f"\n{MARK} the best that gives {self.wanted_fps:g} frames/s here"
        return text_table(cells, range(2, 10)) + said

    __str__ = text


def best_at(rows: Sequence[SizeRow], fps: float | None) -> int | None:
    """The row of greatest mIoU, or of the most multiply-accumulates, that gives so many frames.

    Of equal ones the fastest.

    Args:
        rows: all with an mIoU, or none.
        fps: frames per second; None asks for nothing.
    """
    fast = [i for i, row in enumerate(rows) if fps is not None and row.fps >= fps]
    value = [(row.miou or 0, row.macs or 0, row.fps) for row in rows]
    return max(fast, key=lambda i: value[i], default=None)
