"""`compare_runtimes`: one network in every runtime that is installed here, in turns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ..core.aliases import StrPath
from ..core.errors import ConfigError, FastSCNNError
from ..core.extras import pip_install
from ..core.foreign_text import one_line, printable
from ..core.images.image_file import read_image
from ..core.named_weights import ONNX
from ..core.sizes import Size, format_size
from ..core.text_table import counted, percent, text_table
from ..data.datasets.toy_streets import draw_scene
from ..tflite.foreign_options import ForeignOptions
from .benchmark import FRAME, check_runs, loaded, noise_for, timed, timed_frames
from .device_report import cpu_name
from .other_runtime import EXTRAS, installed, runtimes_of, version_of
from .segmenter import Segmenter, model_file

TURN = 5  # timed runs in a row, after one that is not timed
SCENES = 4  # drawn streets on which label maps are compared
# Of the pixels. LiteRT's own int8 kernels, XNNPACK's and the reference, differ in 0.1 % of those of
# images like the ones that a network was trained on, and in 1.8 % of drawn streets.
LEAST_AGREEMENT = 0.95
FASTEST, WRONG = "<- fastest", "differs"


@dataclasses.dataclass(frozen=True)
class RuntimeRow:
    """One runtime.

    Attributes:
        model: the file.
        runtime: its name and version.
        network_ms: median milliseconds of the network.
        frame_ms: median milliseconds from an image to its label map at the image's size.
        load_ms: milliseconds to open the file.
        agreement: share of pixels, 0..1, to which it gives the first row's class.
    """

    model: str
    runtime: str
    network_ms: float
    frame_ms: float
    load_ms: float
    agreement: float


@dataclasses.dataclass(frozen=True)
class RuntimeTable:
    """Runtimes side by side, measured in turns.

    Attributes:
        input_size: (height, width).
        frame: (height, width) of the image.
        threads: CPU threads.
        pictures: what the label maps that were compared are of.
        cpu: the processor.
        rows: LiteRT first, where a .tflite is among the files.
        fastest: index of the row with the least `frame_ms` of those that agree.
        absent: what was not measured, and why.
    """

    input_size: Size
    frame: Size
    threads: int
    pictures: str
    cpu: str
    rows: tuple[RuntimeRow, ...]
    fastest: int
    absent: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        sizes = {name: format_size(getattr(self, name)) for name in ("input_size", "frame")}
        return dataclasses.asdict(self) | sizes

    def text(self) -> str:
        """A table for people."""
        first = self.rows[0].runtime.split()[0]
        times = ("network, ms", "frame, ms", "load, ms")
        cells = [["model", "runtime", *times, f"agrees with {first}, %", ""]]
        for i, row in enumerate(self.rows):
            mark = (
                FASTEST if i == self.fastest else WRONG if row.agreement < LEAST_AGREEMENT else ""
            )
            shown = [f"{ms:.2f}" for ms in (row.network_ms, row.frame_ms, row.load_ms)]
            cells.append([row.model, row.runtime, *shown, percent(row.agreement), mark])
        return "\n".join(
            [
                f"{format_size(self.input_size)}, {counted(self.threads, 'thread')}, "
                f"frames of {format_size(self.frame)}, in turns on {printable(self.cpu)}",
                text_table(cells, range(2, 6)),
                f"agreement on {self.pictures}; below {LEAST_AGREEMENT:.0%} none is the fastest",
                *map(printable, self.absent),
            ]
        )

    __str__ = text


def compare_runtimes(
    models: StrPath | Sequence[StrPath],
    threads: int | None = None,
    runs: int = 50,
    warmup: int = 5,
    image: StrPath | None = None,
    trust_settings: bool = False,
    foreign: ForeignOptions | None = None,
) -> RuntimeTable:
    """Times a network in every runtime that is installed, and compares their label maps.

    They take turns, so that whatever slows the machine slows all of them.

    Args:
        models: a .tflite or .onnx file, or several that hold the same network.
        threads: CPU threads; by default those of the file's settings, else 2.
        runs: timed runs of the network and of whole frames, of each runtime.
        warmup: runs before, not counted.
        image: the image of the frames, on which the label maps are compared; by default drawn
            streets.
        trust_settings: as for `Segmenter`.
        foreign: what a file from elsewhere leaves open, as for `Segmenter`.

    Raises:
        ConfigError: `runs` below 1, no file, or files of different sizes or classes.
        InputError: the first runtime that takes the first file is not installed.
        ModelFileError: not a usable model; what another runtime refuses is listed.
        DataError: the image cannot be read.
    """
    check_runs(runs, warmup)
    if image is None:
        pictures = [draw_scene((i,), FRAME)[0] for i in range(SCENES)]
    else:
        pictures = [read_image(image)]
    options = {"trust_settings": trust_settings, **(foreign or {})}
    files = [models] if isinstance(models, str | os.PathLike) else list(models)
    if not files:
        raise ConfigError("expected at least one model, got none")
    opened, absent = _opened(files, threads, options)
    segmenters = [each for each, _ in opened]
    usual = segmenters[0]
    for each in segmenters[1:]:
        if (each.input_size, each.num_classes) != (usual.input_size, usual.num_classes):
            raise ConfigError(
                f"{each.path} is not another form of {usual.path}: {each!r} beside {usual!r}"
            )
    network, frames = _in_turns(segmenters, pictures[0], runs, warmup)
    maps = [np.stack([s.predict(p, s.input_size) for p in pictures]) for s in segmenters]
    rows = tuple(
        RuntimeRow(
            str(segmenter.path),
            version_of(segmenter.runtime),
            float(np.median(network[i]) * 1000),
            float(np.median(frames[i]) * 1000),
            load_ms,
            float((maps[i] == maps[0]).mean()),
        )
        for i, (segmenter, load_ms) in enumerate(opened)
    )
    return RuntimeTable(
        usual.input_size,
        cast(Size, pictures[0].shape[:2]),
        usual.threads,
        f"{SCENES} drawn streets" if image is None else str(image),
        cpu_name(),
        rows,
        fastest_of(rows),
        tuple(absent),
    )


def _opened(
    files: Sequence[StrPath], threads: int | None, options: Mapping[str, Any]
) -> tuple[list[tuple[Segmenter, float]], list[str]]:
    """Each file in each runtime, and what could not be opened; a .tflite in LiteRT comes first."""
    found: list[tuple[Segmenter, float]] = []
    absent: list[str] = []
    for path in sorted(map(model_file, files), key=lambda path: path.suffix == ONNX):
        for name in runtimes_of(path):
            if found and not installed(name):
                absent.append(f"{name} is not installed: {pip_install(EXTRAS[name])}")
                continue
            try:
                found.append(loaded(path, threads, name, options))
            except FastSCNNError as error:
                if not found:
                    raise
                absent.append(f"{name}: {one_line(error)}")
    return found, list(dict.fromkeys(absent))


def fastest_of(rows: Sequence[RuntimeRow]) -> int:
    """The row with the least `frame_ms` of those whose label maps agree with the first one's."""
    right = [i for i, row in enumerate(rows) if row.agreement >= LEAST_AGREEMENT]
    return min(right, key=lambda i: rows[i].frame_ms)


def _in_turns(
    segmenters: list[Segmenter], picture: np.ndarray, runs: int, warmup: int
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the network, and of whole frames: (segmenters, runs) each."""
    noise = noise_for(segmenters[0])
    for segmenter in segmenters:
        timed(segmenter.run, noise, warmup)
    network: list[list[float]] = [[] for _ in segmenters]
    frames: list[list[float]] = [[] for _ in segmenters]
    for turn in range(-(-runs // TURN)):
        count = min(TURN, runs - turn * TURN)
        for i in map(int, np.roll(np.arange(len(segmenters)), turn)):
            network[i] += timed(segmenters[i].run, noise, 1 + count)[1:]
            steps = timed_frames(segmenters[i], picture, 1 + count)[1:]
            frames[i] += np.sum(steps, axis=1).tolist()
    return np.asarray(network), np.asarray(frames)
