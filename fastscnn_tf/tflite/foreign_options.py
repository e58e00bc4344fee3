"""What a .tflite from elsewhere may leave open, and what its maker's metadata say of that."""

from __future__ import annotations

import ast
import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypedDict

from ..core.arguments import check_name
from ..core.errors import ConfigError, InputError, ModelFileError, retold
from ..core.files.json_text import decode_json
from ..core.labels import MAX_CLASSES
from .embedded_metadata import (
    NAME,
    SEGMENTER,
    associated_files,
    metadata_of,
    normalisations,
    segmenter_options,
)
from .flat_tables import SchemaTable
from .graph import ModelGraphs

Three = tuple[float, float, float]
SMALLEST, LARGEST = 1e-6, 1e6  # beyond, float32 overflows
ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


class ForeignOptions(TypedDict, total=False):
    """Of files that do not say it themselves; those of this package do."""

    mean: float | Sequence[float] | None
    std: float | Sequence[float] | None
    scale: float | None
    output_tensor: str | None
    threshold: float | None


_current: dict[str, Any] = {}


@contextlib.contextmanager
def foreign_options(**options: Any) -> Iterator[None]:
    """Options for all files from elsewhere that are opened meanwhile, in worker processes, too."""
    before = current_options()
    _current.update(options)
    try:
        yield
    finally:
        _current.clear()
        _current.update(before)


def current_options() -> dict[str, Any]:
    """Those that hold now, for processes that are started."""
    return {**_current}


def adopt_options(options: Mapping[str, Any]) -> None:
    """Takes over what holds in the process that started this one."""
    _current.update(options)


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are given, here or meanwhile; mean and std as three numbers in 0..255.

    Raises:
        ConfigError: one of them is not an option, or of no use.
    """
    for name in options:
        check_name("option", name, ForeignOptions.__annotations__)
    both = {**_current, **options}
    found = {name: value for name, value in both.items() if value is not None}
    threshold = found.get("threshold", 0.5)
    if not isinstance(threshold, Real) or not 0 < float(threshold) < 1:
        raise ConfigError(f"threshold must be above 0 and below 1, got {threshold!r}")
    if {"mean", "std", "scale"} & set(found):
        found |= _normalisation(found)
        found.pop("scale", None)
    return found


def _normalisation(found: Mapping[str, Any]) -> dict[str, Three]:
    if "mean" in found and not {"std", "scale"} & set(found):
        raise ConfigError("mean needs std, too: 1 if nothing is divided by it")
    mean, std, scale = (
        three(name, found.get(name, usual))
        for name, usual in (("mean", 0), ("std", 1), ("scale", 1))
    )
    if min(*std, *scale) < SMALLEST:
        raise ConfigError(f"std and scale must be above 0, got {min(*std, *scale):g}")
    if "scale" not in found and max(std) < 1:
        raise ConfigError(
            f"mean and std are in 0..255 units, got std {found['std']}: multiply both by 255, or "
            "say scale 255 (--scale 255), too"
        )
    of_bytes = [tuple(v * s for v, s in zip(part, scale, strict=True)) for part in (mean, std)]
    return {"mean": three("mean", of_bytes[0]), "std": three("std", of_bytes[1])}


def three(name: str, value: Any) -> Three:
    """A number for each colour.

    Raises:
        ConfigError: neither one nor three numbers, or such as no colours give.
    """
    numbers = list(value) if isinstance(value, Iterable) else [value]
    fine = all(isinstance(n, Real) and abs(float(n)) <= LARGEST for n in numbers)
    if not fine or len(numbers) not in (1, 3):
        raise ConfigError(f"{name} must be a number or three, of R, G and B, got {value!r}")
    red, green, blue = map(float, numbers * (3 // len(numbers)))
    return red, green, blue


class Told:
    """What the metadata of others in a file say.

    Args:
        path: for messages.
        content: of the file.
        graphs: in it.

    Raises:
        ModelFileError: (of its members) they are damaged.
    """

    def __init__(self, path: Path, content: bytes, graphs: ModelGraphs):
        self._path, self._content, self._graphs = path, content, graphs

    @functools.cached_property
    def _standard(self) -> SchemaTable:
        """TFLite's metadata of the main graph."""
        with retold(ModelFileError, f"{self._path}: its {NAME}: ", of=ValueError):
            return next(iter(metadata_of(self._graphs).get("subgraph_metadata", ())), {})

    @functools.cached_property
    def _files(self) -> dict[str, bytes]:
        with retold(ModelFileError, f"{self._path}: ", of=ModelFileError):
            return associated_files(self._content)

    @functools.cached_property
    def ultralytics(self) -> Mapping[str, Any]:
        """What Ultralytics writes behind its exports: JSON, formerly a Python dictionary."""
        found: Any = None
        with contextlib.suppress(InputError, ValueError, SyntaxError, MemoryError, RecursionError):
            if "metadata.json" in self._files:
                found = decode_json(self._files["metadata.json"], "", dict[str, Any])
            else:
                found = ast.literal_eval(self._files.get("temp_meta.txt", b"")[: 1 << 16].decode())
        known = isinstance(found, dict) and {"task", "stride", "names"} <= set(found)
        return found if known else {}

    @property
    def normalisation(self) -> tuple[Three, Three] | None:
        """Mean and std of the image, by its NormalizationOptions."""
        if not (found := normalisations(self._standard)):
            return None
        where = f"{self._path}: its NormalizationOptions"
        with retold(ModelFileError, f"{where}: ", of=ConfigError):
            mean = three("mean", found[0].get("mean") or 0.0)
            std = three("std", found[0].get("std") or 1.0)
        if max(std) < 1 or min(std) < SMALLEST:
            raise ModelFileError(
                f"{where} have the std {std[0]:g}, which is none of 0..255: say what is right by "
                "--mean and --std (Segmenter(mean=, std=))"
            )
        return mean, std

    @property
    def activation(self) -> int | None:
        """Of MediaPipe's ImageSegmenterOptions: what is left to do with the scores."""
        for entry in self._standard.get("custom_metadata", ()):
            if entry.get("name") == SEGMENTER:
                with contextlib.suppress(ValueError, KeyError):
                    return int(segmenter_options(entry).get("activation", 0))
        return None

    def names(self, place: int, count: int | None) -> tuple[str, ...]:
        """Class names of an output, where there are as many as classes, each another.

        Args:
            place: of the output.
            count: of the classes; None: unknown.
        """
        known = self.ultralytics.get("names")
        names = list(map(str, known.values())) if isinstance(known, dict) else []
        outputs = self._standard.get("output_tensor_metadata", ())
        for entry in outputs[place].get("associated_files", ()) if place < len(outputs) else ():
            text = self._files.get(entry.get("name", ""), b"").decode(errors="replace")
            names = names or [line.strip() for line in text.splitlines() if line.strip()]
        fine = len(set(names)) == len(names) and all(0 < len(name) <= 200 for name in names)
        right = 2 <= len(names) <= MAX_CLASSES if count is None else len(names) == count
        return tuple(names) if fine and right else ()
