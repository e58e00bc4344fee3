"""`size_table`: what a network costs and scores at several input sizes and widths, side by side."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.errors import ConfigError
from ..core.files.writing import check_output_folder, make_folder
from ..core.named_weights import ONNX, RUN_HERE
from ..core.sizes import Size, format_size
from ..inspection.inspect_tflite import inspect
from ..runtime.benchmark import timed
from ..runtime.segmenter import Segmenter
from .evaluate import evaluate, load_model
from .size_comparison_result import SizeRow, SizeTable, best_at

ROUNDS, RUNS = 7, 5


@dataclasses.dataclass(frozen=True)
class _Exporter:
    """Writes Keras models as .tflite files of several sizes."""

    folder: Path
    recipe: str | None
    dataset: str | None
    data_dir: Any
    images: int
    skip_bad: bool

    def __call__(self, model: Any, number: int, size: Size | None) -> Path:
        """The file of a model; its number keeps names apart."""
        from ..export.export_tflite import export_tflite
        from ..export.representative import training_images
        from ..model.fast_scnn import resized_config
        from ..quantize.quantize_aware import is_qat

        usual = "int8-qat" if is_qat(model) else "int8" if self.dataset else "float16"
        recipe, size = self.recipe or usual, size or model.config.input_size
        calibration = None
        if recipe == "int8" and self.dataset:
            config = resized_config(model.config, size)
            source = self.dataset, self.data_dir, self.images, self.skip_bad
            calibration = training_images(config, *source)
        path = self.folder / f"{number:02}_{format_size(size)}_{recipe}.tflite"
        export_tflite(model, path, recipe, size=size, calibration=calibration, force=True)
        return path


def size_table(
    models: Sequence[StrPath],
    sizes: Sequence[Size] = (),
    dataset: str | None = None,
    data_dir: StrPath | None = None,
    split: str = "val",
    *,
    recipe: str | None = None,
    calibration_images: int = 100,
    frame: Size | None = None,
    fps: float | None = None,
    threads: int = 2,
    rounds: int = ROUNDS,
    output: StrPath | None = None,
    force: bool = False,
    skip_bad: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> SizeTable:
    """Measures files in turns, so that whatever slows the machine slows all of them.

    Args:
        models: .tflite and .onnx files, which need no TensorFlow, and Keras models (.keras, .npz,
            run folders), which are exported at every size; of several widths, if wanted.
        sizes: (height, width) for the Keras models; by default their own.
        dataset: scores every file on it, as `evaluate` does; also calibrates recipe `int8`.
        data_dir: where it lies.
        split: that is scored.
        recipe: of the exported files; by default `int8` with a data set, `float16` without, and
            `int8-qat` for a quantization-aware model.
        calibration_images: of its `train` split, for recipe `int8`.
        frame: (height, width) of the images that are timed; by default each model's input size.
        fps: mark the best file that gives so many frames per second; with an .onnx, whose
            multiply-accumulates are not counted, only with a data set.
        threads: CPU threads.
        rounds: how often each is timed; medians are taken.
        output: a folder for the exported files; by default they are removed again.
        force: write into a folder that is not empty.
        skip_bad: leave out pairs that are incomplete or cannot be read; `say` gets a counted
            warning.
        say: gets a line before each export and each scoring.

    Raises:
        ConfigError: no model, options of exports without a Keras model, a data set's without one,
            or numbers out of range.
        ModelFileError, DataError: a model or the data cannot be used.
        OutputError: the folder is in use, or cannot be written.
    """
    _check(models, fps, rounds, dataset)
    given = {"--sizes": sizes, "--recipe": recipe, "--output": output}
    if all(Path(model).suffix in RUN_HERE for model in models):
        does_nothing = "would do nothing: a .tflite or .onnx is measured as it is"
        _refuse(given, f"{does_nothing}; pass Keras models, or one file for each size")
    if not dataset:
        of_data = {"--data-dir": data_dir, "--skip-bad": skip_bad}
        _refuse(of_data, "would do nothing without --dataset")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if output is not None:
            folder = make_folder(check_output_folder(output, force))
        export = _Exporter(folder, recipe, dataset, data_dir, calibration_images, skip_bad)
        files = _files(map(Path, models), sizes or (None,), export, say)
        costs = [_costs(path) for _, path in files]
        segmenters = [Segmenter(path, threads) for _, path in files]
        times = _measure(segmenters, frame, rounds)
        scores: list[float | None] = [None] * len(files)
        for i, (name, path) in enumerate(files if dataset else ()):
            say(f"scoring {name} ({i + 1} of {len(files)})")
            found_scores = evaluate(path, str(dataset), data_dir, split, threads, skip_bad=skip_bad)
            if warning := found_scores.skip_warning():
                say(f"fastscnn: {warning}")
            scores[i] = found_scores.miou
    network, whole = (np.median(values, axis=0) * 1000 for values in times)
    ratios = np.median(times[1] / times[1][:, :1], axis=0)
    rows = tuple(
        SizeRow(
            model=name,
            input_size=segmenters[i].input_size,
            network_ms=float(network[i]),
            frame_ms=float(whole[i]),
            ratio=float(ratios[i]),
            miou=scores[i],
            **cost,
        )
        for i, ((name, _), cost) in enumerate(zip(files, costs, strict=True))
    )
    return SizeTable(rows, threads, frame, fps, best_at(rows, fps))


def _files(
    models: Iterable[Path],
    sizes: Sequence[Size | None],
    export: _Exporter,
    say: Callable[[str], None],
) -> list[tuple[str, Path]]:
    """(name, file) of each: as it is, or exported at every size."""
    files: list[tuple[str, Path]] = []
    for model in models:
        if model.suffix in RUN_HERE:
            files.append((str(model), model))
            continue
        keras_model = load_model(model)
        for size in sizes:
            say(f"exporting {model} at {format_size(size) if size else 'its own size'}")
            files.append((str(model), export(keras_model, len(files), size)))
    return files


def _costs(path: Path) -> dict[str, Any]:
    """Operations and memory of a file, those of a `SizeRow`; of an .onnx they are not counted."""
    if path.suffix == ONNX:
        return {"macs": None, "arena_bytes": None}
    found = inspect(path)
    return {
        "macs": found.macs - found.filling_macs,
        "arena_bytes": found.measured.arena_bytes or found.arena_lower_bound,
        "micro_bytes": found.micro_bytes,
        "micro_measured": found.measured.micro_arena_bytes is not None,
    }


def _check(models: Sequence[Any], fps: float | None, rounds: int, dataset: str | None) -> None:
    if not models:
        raise ConfigError("expected at least one model, got none")
    if rounds < 1 or (fps is not None and not fps > 0):
        raise ConfigError(f"rounds must be at least 1 and fps above 0, got {rounds} and {fps}")
    if fps is not None and not dataset and any(Path(model).suffix == ONNX for model in models):
        raise ConfigError(
            "--fps marks the most multiply-accumulates where nothing is scored, and those of an "
            ".onnx are not counted: pass --dataset, or leave --fps out"
        )


def _refuse(options: dict[str, Any], reason: str) -> None:
    """Refuses options that would have no effect."""
    if given := [name for name, value in options.items() if value]:
        raise ConfigError(f"{' and '.join(given)} {reason}")


def _measure(
    segmenters: Sequence[Segmenter], frame: Size | None, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of the network, and from an image to its label map: (rounds, files) each."""
    rng = np.random.default_rng(0)
    shapes = [(*(frame or s.input_size), 3) for s in segmenters]
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    inputs = [rng.integers(0, 256, (*s.input_size, 3), dtype=np.uint8) for s in segmenters]
    network, whole = np.zeros((2, rounds, len(segmenters)))
    for i in range(rounds):
        for j in map(int, np.roll(np.arange(len(segmenters)), i)):
            segmenter = segmenters[j]
            network[i, j] = _median(segmenter.run, inputs[j])
            whole[i, j] = _median(segmenter.predict, images[j])
    return network, whole


def _median(function: Callable[[Any], Any], argument: Any) -> float:
    """Seconds of a call, after one that is not timed."""
    return float(np.median(timed(function, argument, 1 + RUNS)[1:]))
