"""int8 interpolations as convolutions, for NPUs that have RESIZE_BILINEAR only in special cases.

An interpolation of an axis is a linear map: with that axis last it is a convolution of 1x1 by the
interpolation matrix. The weights' scale is chosen for each place that is read, so that they add up
to 1 and are exact in the usual sizes. Each axis rounds once: results are off the exact value by a
step at most, and by 1.4 with TFLite's reference kernels, whose RESIZE_BILINEAR is off by 1.9.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.images.interpolation import ALIGNED, HALF_PIXEL, interpolation_matrix
from ..core.sizes import Size
from .edits import Editor

LARGEST = 127  # weight

Keeps = Callable[[Size, Size, bool], bool]  # (from, to, half-pixel centres)


def _single_place(source: Size, target: Size, half_pixel: bool) -> bool:
    return source == (1, 1)


def _powers_of_two(source: Size, target: Size, half_pixel: bool) -> bool:
    """Of half-pixel centres. By Vela 5.2's estimate the network is 1.5 % faster with its own."""
    factors = [b // a if b % a == 0 else 0 for a, b in zip(source, target, strict=True)]
    return half_pixel and all(factor and not factor & (factor - 1) for factor in factors)


# device -> what it interpolates by itself. Vela 5.2 (--supported-ops-report): a U55 or U65 copies a
# single place; Coral's list: "depending on input/output size" a resize may not be mapped.
NATIVE: dict[str, tuple[Keeps, ...]] = {
    "ethos-u55": (_single_place,),
    "ethos-u65": (_single_place,),
    "ethos-u85": (_single_place, _powers_of_two),
    "coral": (),
}


def resizes_to_convolutions(edit: Editor, device: str) -> None:
    """Turns the int8 RESIZE_BILINEAR that a device lacks into TRANSPOSE and CONV_2D.

    A QUANTIZE behind one (of the ReLU) goes into the last convolution.

    Args:
        edit: the file.
        device: a name of `NATIVE`; others keep their file as it is.
    """
    native = NATIVE.get(device)
    if native is None:
        return
    for op in list(edit.graph.operators):
        if edit.kind(op) != "RESIZE_BILINEAR":
            continue
        tensors = [edit.graph.tensors[index] for index in (op.inputs[0], op.outputs[0])]
        source, target = ((int(t.shape[1]), int(t.shape[2])) for t in tensors)
        half_pixel = bool(op.builtinOptions.halfPixelCenters)
        int8 = all(tensor.type == edit.schema.TensorType.INT8 for tensor in tensors)
        if int8 and not any(keeps(source, target, half_pixel) for keeps in native):
            _Rewrite(edit, op).run(source, target, half_pixel)


class _Rewrite:
    """The operations that take the place of one."""

    def __init__(self, edit: Editor, op: Any) -> None:
        self.edit, self.op, self.last = edit, op, op
        behind = edit.consumers(op.outputs[0])
        if len(behind) == 1 and edit.kind(behind[0]) == "QUANTIZE":
            int8 = edit.graph.tensors[behind[0].outputs[0]].type == edit.schema.TensorType.INT8
            self.last = behind[0] if int8 else op
        self.result = self.last.outputs[0]
        self.name = edit.graph.tensors[op.outputs[0]].name
        self.made: list[Any] = []

    def run(self, source: Size, target: Size, half_pixel: bool) -> None:
        """Puts them there."""
        sampling = HALF_PIXEL if half_pixel else ALIGNED
        pairs = zip(source, target, strict=True)
        rows, columns = (interpolation_matrix(a, b, sampling) for a, b in pairs)
        x = self._interpolate(self._transpose(self.op.inputs[0], (0, 2, 3, 1)), rows)
        x = self._interpolate(self._transpose(x, (0, 3, 2, 1)), columns, last=True)
        self._transpose(x, (0, 1, 3, 2), last=True)
        operators = self.edit.graph.operators
        place = next(i for i, op in enumerate(operators) if op is self.op)
        kept = [op for op in operators if op is not self.op and op is not self.last]
        self.edit.graph.operators = [*kept[:place], *self.made, *kept[place:]]
        unused = {int(self.op.inputs[1]), int(self.op.outputs[0])} - {int(self.result)}
        self.edit.drop_unused(unused)

    def _interpolate(self, x: int, matrix: np.ndarray, last: bool = False) -> int:
        """The last axis of a tensor by a matrix (target, source)."""
        edit = self.edit
        integers, scales = integer_rows(matrix)
        step = float(edit.graph.tensors[x].quantization.scale[0])
        weights = integers[:, None, None]
        name = f"{self.name.decode()}.weights{len(self.made)}"
        inputs = [x, edit.constant(name, weights, scales, axis=0)]
        zeros = np.zeros(len(matrix), np.int32)
        inputs.append(edit.constant(f"{name}.zeros", zeros, scales * step, axis=0))
        shape = [*edit.graph.tensors[x].shape[:-1], len(matrix)]
        grid = self.result if last else x
        options = edit.step_by_step(edit.schema.Conv2DOptionsT())
        return self._put("CONV_2D", 3, inputs, self._tensor(shape, grid), options)

    def _transpose(self, x: int, order: Sequence[int], last: bool = False) -> int:
        shape = [self.edit.graph.tensors[x].shape[axis] for axis in order]
        y = self.result if last else self._tensor(shape, x)
        name = f"{self.name.decode()}.axes{len(self.made)}"
        axes = self.edit.constant(name, np.asarray(order, np.int32))
        return self._put("TRANSPOSE", 2, [x, axes], y)

    def _put(
        self, kind: str, version: int, inputs: list[int], result: int, options: Any = None
    ) -> int:
        self.made.append(self.edit.operation(kind, version, inputs, result, options))
        return result

    def _tensor(self, shape: Sequence[int], grid: int) -> int:
        """A tensor on the grid of another."""
        tensor = copy.deepcopy(self.edit.graph.tensors[grid])
        tensor.name, tensor.shape = self.name + b".%d" % len(self.made), list(map(int, shape))
        tensor.shapeSignature = None
        return self.edit.add(tensor)


def integer_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights of an interpolation, and the scale 1 / n of each row for which they fit best.

    Args:
        matrix: (target, source) float; its rows are not negative and add up to 1.

    Returns:
        (target, source) int8 and (target,) float32. Rows add up to 1 once more where any n allows.

    Example:
        >>> integer_rows(np.array([[0.75, 0.25], [0.0, 1.0]]))
        (array([[3, 1],
               [0, 1]], dtype=int8), array([0.25, 1.  ], dtype=float32))
    """
    exact = matrix.astype(np.float64)
    best = np.full(len(exact), np.inf)
    integers, counts = np.zeros(exact.shape, np.int8), np.ones(len(exact))
    largest = exact.max(1)
    for count in range(1, int(LARGEST / largest.min()) + 1):
        rounded = np.rint(exact * count)
        error = np.abs(rounded / count - exact).max(1) + np.abs(rounded.sum(1) / count - 1)
        better = (error < best - 1e-9) & (rounded.max(1) <= LARGEST)
        best[better], counts[better] = error[better], count
        integers[better] = rounded[better]
    return integers, (1 / counts).astype(np.float32)
