"""What makes a QDQ graph round as the int8 kernels of a .tflite do, to the bit where it can.

One step in an early layer is enough: what follows multiplies it until every third logit differs.
Convolutions round alike by themselves. XNNPACK's ADD has factors of 21 bits, and its interpolation
weights of 11; both round halves up, where ONNX rounds them to even.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.images.interpolation import interpolation_matrix
from ..core.sizes import Size
from ..tflite.graph import Tensor

WEIGHT_UNIT = 2048.0  # of an interpolation's weights
NEAR = 2e-3  # of a half: sums that the last bits of a scale decide
REACH, TRIES = 3e-6, 61  # how far scales are moved, and in how many places they are tried


def adding_scales(first: Tensor, second: Tensor, result: Tensor) -> tuple[float, float]:
    """Scales of two int8 summands by which float32 sums of any two integers round as XNNPACK's.

    They are those of the tensors but for the last bits: of all within 3e-6 of these, the pair that
    keeps the sums which come nearest to a half farthest from it.

    Source: XNNPACK, src/microparams-init.c, `xnn_init_qs8_add_minmax_scalar_params`.
    """
    step = np.float32(result.scales[0])
    exact = [float(np.float32(t.scales[0]) / step) for t in (first, second)]
    unit = 2.0 ** (20 - np.floor(np.log2(max(exact))))
    factors = [np.rint(factor * unit) / unit for factor in exact]
    integers = np.arange(-128.0, 128.0)
    x, y = (integers - t.zero_points[0] for t in (first, second))
    sums = x[:, None] * factors[0] + y * factors[1]
    close = np.abs(sums - np.floor(sums) - 0.5) < NEAR
    low = -128 - result.zero_points[0]
    rounded = np.floor(sums + 0.5)
    rows, columns = np.nonzero(close & (rounded >= low) & (rounded <= low + 255))
    wanted = rounded[rows, columns]
    moves = np.linspace(-REACH, REACH, TRIES) + 1
    parts = (np.outer(moves * factors[0], x[rows]), np.outer(moves * factors[1], y[columns]))
    off = np.abs(parts[0][:, None] + parts[1][None] - wanted)
    worst = off.max(-1) if len(wanted) else np.zeros((TRIES, TRIES))
    i, j = np.unravel_index(int(worst.argmin()), worst.shape)
    return float(moves[i] * factors[0] * step), float(moves[j] * factors[1] * step)


def interpolation(
    source: Sequence[int], size: Size, sampling: str
) -> tuple[tuple[np.ndarray, np.ndarray] | None, float]:
    """An int8 interpolation's weights, and what to add before rounding so that halves go up.

    Returns:
        (new height, height) and (new width, width), or None where they are the exact ones; steps,
        0 where values are only copied.
    """
    rows, columns = (
        interpolation_matrix(n, m, sampling) for n, m in zip(source, size, strict=True)
    )
    small = [np.rint(matrix * WEIGHT_UNIT) / WEIGHT_UNIT for matrix in (rows, columns)]
    if all(map(np.array_equal, small, (rows, columns))):
        copied = all(np.isin(matrix, (0, 1)).all() for matrix in small)
        return None, 0.0 if copied else 2.0**-12
    # Sums of multiples of 1/2048**2 come nearer to a half than float32 keeps them apart.
    return (small[0], small[1]), 2.0**-16
