"""What `inspect` finds in a .tflite, as plain values."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..core.arguments import check_name
from ..core.files.json_text import plain
from .probe import Probe
from .scale_changes import ScaleChange
from .verdict import Verdict


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output of the graph.

    Attributes:
        name: as in the file.
        shape: sizes; -1 where the file fixes none.
        dtype: such as `uint8`.
        scales, zero_points: of its quantization; empty without.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class OpCost:
    """One operation.

    Attributes:
        index: in the order of execution.
        kind: its name.
        output: shape of its first output.
        dtype: of that.
        macs: multiply-accumulates, taps on the padding included.
        padding_macs: those on the padding.
        filling_macs: those with weights that only fill a kernel up (see `macs`).
    """

    index: int
    kind: str
    output: tuple[int, ...]
    dtype: str
    macs: int
    padding_macs: int
    filling_macs: int


@dataclasses.dataclass(frozen=True)
class Findings:
    """What `inspect` found, as values; `Inspection` shows it.

    Attributes:
        path: the file.
        size_bytes: its size.
        sha256: its digest.
        description: the file's own.
        graphs: how many; everything below is about the first, which runs.
        inputs, outputs: of the graph.
        metadata_entries: names of the metadata in the file.
        metadata: this package's entry; empty in files from elsewhere.
        signatures: names.
        read_as: how `Segmenter` feeds and reads a file from elsewhere, or why it does not.
        custom_ops: custom operation -> what runs it.
        ops: name -> count.
        costs: operation by operation.
        tensors: how many.
        float_tensors: of them float32 and float16, weights included.
        constants: tensors whose values stand in the file.
        unaligned: of them those that do not begin at a multiple of 16 bytes, as the schema wants.
        scale_changes: each QUANTIZE and DEQUANTIZE with its reason.
        arena_lower_bound: bytes of the tensors alive together at the worst moment.
        micro_arena: bytes that TFLite Micro needs for about; 0 where it has no kernels.
        measured: what the interpreter answered, in a process of its own.
        verdicts: delegate by delegate.
    """

    path: str
    size_bytes: int
    sha256: str
    description: str
    graphs: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata_entries: tuple[str, ...]
    metadata: dict[str, Any]
    signatures: tuple[str, ...]
    read_as: str
    custom_ops: dict[str, str]
    ops: dict[str, int]
    costs: tuple[OpCost, ...]
    tensors: int
    float_tensors: int
    constants: int
    unaligned: int
    scale_changes: tuple[ScaleChange, ...]
    arena_lower_bound: int
    micro_arena: int
    measured: Probe
    verdicts: tuple[Verdict, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run, taps on the padding included."""
        return sum(cost.macs for cost in self.costs)

    @property
    def padding_macs(self) -> int:
        """Those of `macs` that meet the padding."""
        return sum(cost.padding_macs for cost in self.costs)

    @property
    def filling_macs(self) -> int:
        """Those of `macs` on the zeros of a rearranged kernel: without them the network's own."""
        return sum(cost.filling_macs for cost in self.costs)

    @property
    def micro_bytes(self) -> int:
        """Of TFLite Micro's arena: measured where it is installed, else estimated."""
        measured = self.measured.micro_arena_bytes
        return self.micro_arena if measured is None else measured

    def verdict(self, target: str) -> Verdict:
        """One of the verdicts.

        Raises:
            ConfigError: no such target.
        """
        found = {verdict.target: verdict for verdict in self.verdicts}
        return found[check_name("target", target, found)]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a scale that is not a finite number becomes None."""
        counts = {name: getattr(self, name) for name in ("macs", "padding_macs", "filling_macs")}
        verdicts = [verdict.to_dict() for verdict in self.verdicts]
        return plain({**dataclasses.asdict(self), **counts, "verdicts": verdicts})
