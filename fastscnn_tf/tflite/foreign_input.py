"""How the image goes into a .tflite from elsewhere: as its maker says, or as is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import ConfigError, ModelFileError
from .checks import SMALLEST
from .foreign_options import ONES, ZEROS, Three, Told
from .graph import Tensor

RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
SLACK = 1.5  # steps of the quantization by which the ends of a known range may be missed
SYMMETRIC_SLACK = 0.005  # of the largest magnitude, which alone shows in int16
LEAST_LEVELS = 100  # of 256 grey levels that must stay apart in the input
SAME_LEVEL = 2  # grey levels by which two ways to write one normalisation may differ

# What networks are fed with: mean and std in 0..255, and the options that say so.
CHOICES: dict[str, tuple[Three, Three, str]] = {
    "0..1": (ZEROS, (255.0,) * 3, "--scale 255"),
    "0..255": (ZEROS, ONES, "--scale 1"),
    "-1..1": ((127.5,) * 3, (127.5,) * 3, "--mean 127.5 --std 127.5"),
    "ImageNet": (
        (123.675, 116.28, 103.53),
        (58.395, 57.12, 57.375),
        "--mean 123.675,116.28,103.53 --std 58.395,57.12,57.375",
    ),
}
_KNOWN: dict[str, tuple[Three, Three]] = {
    **{name: (mean, std) for name, (mean, std, _) in CHOICES.items()},
    "-1..1 in steps of 1/128": ((128.0,) * 3, (128.0,) * 3),
}


class Fed(NamedTuple):
    """How bytes of RGB become an input.

    Attributes:
        mean, std: (x - mean) / std are the input's real values.
        table: (256, 3) of the input's dtype, what each byte becomes; None for floats, and where
            the bytes go in as they are (into int8 as `^ 0x80`).
        told: in words, and by what it was told.
    """

    mean: Three
    std: Three
    table: np.ndarray | None
    told: str = ""


def fed(path: Path, tensor: Tensor, told: Told, given: Mapping[str, Any]) -> Fed:
    """How a file from elsewhere is fed.

    Args:
        path: for messages.
        tensor: the input.
        told: the file's metadata.
        given: checked options.

    Raises:
        ModelFileError: an input of another type.
        ConfigError: nothing says how it is normalised, or what says so contradicts the input's
            quantization.
    """
    if tensor.dtype == "uint8" and not tensor.scales:
        if "mean" in given:
            raise ConfigError(
                f"{path}: its input takes bytes as they are: leave mean, std and scale out"
            )
        return Fed(ZEROS, ONES, None, "fed with bytes as they are (uint8 without a scale)")
    if not (tensor.is_float or (one_scale(tensor) and SMALLEST <= tensor.scales[0] < math.inf)):
        raise ModelFileError(
            f"{path}: expected an input of floats, of plain uint8, or of uint8, int8 or int16 with "
            f"one scale, got {tensor.dtype} with {len(tensor.scales)}"
        )
    mean, std, why = _normalisation(path, tensor, told, given)
    text, other = f"fed with {_shown(mean, std)}, {why}", _contradicted(tensor, mean, std)
    if tensor.is_float:
        return Fed(mean, std, None, text)
    table = quantized_bytes(tensor, mean, std)
    levels = min(len(np.unique(column)) for column in table.T)
    if levels < LEAST_LEVELS:
        low, high = ends(tensor)
        raise ConfigError(
            f"{path}: {text}, contradicts its input, which is quantized for {low:.4g}..{high:.4g}: "
            f"{levels} of 256 grey levels would be left. {_choices()}"
        )
    if other:
        text += f" although its quantization tells {other}: {levels} of 256 grey levels stay apart"
    as_bytes = np.arange(256)[:, None] + RANGES[tensor.dtype][0]
    return Fed(mean, std, None if (table == as_bytes).all() else table, text)


def quantized_bytes(
    tensor: Tensor, mean: Three, std: Three, precision: type = np.float64
) -> np.ndarray:
    """(256, 3): what each byte becomes in a quantized input.

    In single precision values half-way between two steps would fall to either side, as all do
    where (x - 127.5) / 127.5 is quantized in steps of 1 / 127.5.
    """
    levels: np.ndarray = np.arange(256, dtype=precision)[:, None]
    values = (levels - np.asarray(mean, precision)) / np.asarray(std, precision)
    steps = np.rint(values / tensor.scales[0]) + tensor.zero_points[0]
    return np.clip(steps, *RANGES[tensor.dtype]).astype(tensor.dtype)


def _normalisation(
    path: Path, tensor: Tensor, told: Told, given: Mapping[str, Any]
) -> tuple[Three, Three, str]:
    if "mean" in given:
        return given["mean"], given["std"], "as given"
    if found := told.normalisation:
        return *found, "as its NormalizationOptions say"
    if told.ultralytics:
        return *_KNOWN["0..1"], "as Ultralytics does, whose metadata it has"
    if name := _told_by_range(tensor):
        return *_KNOWN[name], f"{name}, as its quantization tells"
    raise ConfigError(
        f"{path}: nothing in the file says how its {tensor.dtype} input is normalised. {_choices()}"
    )


def one_scale(tensor: Tensor) -> bool:
    """Whether a tensor is quantized as a whole, in a type that is read here."""
    return tensor.dtype in RANGES and len(tensor.scales) == len(tensor.zero_points) == 1


def ends(tensor: Tensor) -> tuple[float, float]:
    """The range of a quantized tensor with one scale."""
    low, high = ((n - tensor.zero_points[0]) * tensor.scales[0] for n in RANGES[tensor.dtype])
    return low, high


def _told_by_range(tensor: Tensor) -> str:
    """The known normalisation whose range a quantization is; empty where none or several are."""
    if not one_scale(tensor):
        return ""
    (low, high), misses = ends(tensor), {}
    for name, (mean, std) in _KNOWN.items():
        dark = min(-m / s for m, s in zip(mean, std, strict=True))
        bright = max((255 - m) / s for m, s in zip(mean, std, strict=True))
        if tensor.dtype == "int16":
            misses[name] = abs(max(-dark, bright) / high - 1) / SYMMETRIC_SLACK
        else:
            misses[name] = max(abs(low - dark), abs(high - bright)) / tensor.scales[0] / SLACK
    near = {name: miss for name, miss in misses.items() if miss <= 1}
    unsure = tensor.dtype == "int16" and len(near) > 1
    return "" if unsure or not near else min(near, key=lambda name: near[name])


def _contradicted(tensor: Tensor, mean: Three, std: Three) -> str:
    """The known normalisation that a quantization tells, if it takes grey levels for others."""
    if not (name := _told_by_range(tensor)):
        return ""
    other_mean, other_std = map(np.asarray, _KNOWN[name])
    levels = np.array([[0.0], [255.0]])
    taken = (levels - np.asarray(mean)) / np.asarray(std) * other_std + other_mean
    return name if np.abs(taken - levels).max() > SAME_LEVEL else ""


def _shown(mean: Three, std: Three) -> str:
    """`(x - 128) / 128`, or `x / 255`, or `x`."""
    less, by = (
        f"{v[0]:g}" if len(set(v)) == 1 else f"({', '.join(f'{n:g}' for n in v)})"
        for v in (mean, std)
    )
    text = f"x - {less}" if any(mean) else "x"
    return text if std == ONES else f"({text}) / {by}" if any(mean) else f"x / {by}"


def _choices() -> str:
    options = [f"{name} ({flags})" for name, (_, _, flags) in CHOICES.items()]
    return f"Say which: {', '.join(options)}; in Python Segmenter(mean=, std=), in 0..255"
