"""`evaluate`: scores a .tflite or a trained model on a data set, by one protocol."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeGuard, Unpack

from ..core.aliases import Progress, StrPath
from ..core.errors import ConfigError, FastSCNNError, ModelFileError
from ..core.files.addresses import is_url
from ..core.files.folder_lock import one_call
from ..core.files.journal import Journal
from ..core.files.reading import local, read_bytes
from ..core.files.writing import check_plain
from ..core.keras_api import KerasModel
from ..core.named_weights import KERAS, RUN_HERE, TFLITE, named_weights, no_such_model
from ..core.sizes import STRIDE, Size, format_size
from ..data.check.usable import open_usable
from ..data.datasets.dataset import SegmentationDataset
from ..data.datasets.objects import Classes, Normalisation, Source, as_dataset
from ..data.datasets.registry import find_pairs, open_dataset
from ..delegates.kernels import using_kernels, wanted_kernels
from ..delegates.trust import text_of
from ..runs.about import licence_of, seen_in_training, trained_on
from ..runtime.fleet import Fleet
from ..runtime.other_runtime import check_run_here, using_runtime, version_of
from ..runtime.segmenter import Segmenter
from ..scoring.averaged_views import AveragedViews, SlidingWindows
from ..scoring.class_mapping import label_space_of
from ..scoring.evaluation_result import Evaluation
from ..scoring.protocol import evaluate_predictor
from ..scoring.views import AnyModel, Inference, Predictor, ViewOptions, Views, WholeImage
from ..tflite.foreign_options import current_options


def load_model(path: StrPath, num_classes: int | None = None) -> KerasModel:
    """Reads a model this project wrote, in any process.

    Args:
        path: a `.keras` file (Keras 3), a quantization-aware `.npz`, a run folder (its best
            checkpoint), or the name of weights that come with the package: `camvid`.
        num_classes: for other classes: all weights but those of the logits, which start anew. A
            checkpoint of another implementation will do, too.

    Returns:
        A Keras 3 model, or a quantization-aware tf_keras model. Its `licence` is that of its
        weights, as far as the file says one: what is exported of it says so, too.

    Raises:
        ModelFileError: missing, damaged or of another kind.
        ConfigError: no such number of classes.

    Example:
        model = load_model("camvid", num_classes=5)
    """
    from ..model.io import checkpoint_in, load_keras

    path = checkpoint_in(path)
    if num_classes is not None:
        from ..model.initialise import for_classes, read_start

        model = for_classes(read_start(path), num_classes)
    elif path.suffix == ".keras":
        model = load_keras(path)
    elif path.suffix == ".npz":
        from ..quantize.qat_checkpoint import load_qat

        model = load_qat(path)
    elif not path.exists():
        raise no_such_model(path)
    else:
        raise ModelFileError(f"{path}: expected a .keras or .npz file or a run folder")
    model.licence = licence_of(path)
    return model


def is_path(model: object) -> TypeGuard[StrPath]:
    """Whether a model is given as a file or a run folder, not in memory."""
    return isinstance(model, str | os.PathLike)


def is_run_here(model: object) -> TypeGuard[StrPath]:
    """Whether a model is given as a file that a `Segmenter` runs."""
    return is_path(model) and Path(model).suffix in RUN_HERE


def name_of(model: Any) -> str:
    """A model's path, or the name of its class."""
    return str(model) if is_path(model) else type(model).__name__


def loaded(model: Any) -> Any:
    """The Keras model of a path; one in memory as it is."""
    return load_model(model) if is_path(model) else model


def load_predictor(
    model: AnyModel,
    threads: int | None = None,
    full: bool = False,
    size: Size | None = None,
    pad: bool = False,
    trust_settings: bool = False,
) -> Predictor:
    """What segments images by a model of any kind; a .tflite or .onnx needs no TensorFlow.

    Args:
        model: path of a .tflite, .onnx, `.keras`, `.npz` or run folder, name of weights that come
            with the package, a Keras model, or a predictor (see `scoring.views.Predictor`), which
            is returned.
        threads: CPU threads of a .tflite; by default those of its settings, else 2.
        full: take a Keras model's logits at full resolution, as its graph upsamples them.
        size: run a Keras model at another (height, width).
        pad: take any `size`: the image is padded to multiples of 32, and the result is cropped.
        trust_settings: as for `Segmenter`.

    Returns:
        A `Segmenter`, or what does the same with a Keras model: `predict`, `stream`, `overlay`.

    Raises:
        ModelFileError: the file is missing, damaged or of another kind.
        ConfigError: no valid size, one for a .tflite, or `pad` without one.
    """
    model = _file_of(model, size is not None)
    if wanted_kernels() and not is_run_here(model):
        raise ConfigError(f"{name_of(model)}: --kernels is for a .tflite: export it first")
    if _has_one_size(model) and (size is not None or pad):
        with_it = "--size HxW --pad" if pad else "--size"
        raise ConfigError(
            f"{name_of(model)}: such a file has one size: export it with {with_it} instead"
        )
    if pad and size is None:
        raise ConfigError("--pad is for a size that is not a multiple of 32: pass --size HxW, too")
    if is_run_here(model):
        return Segmenter(model, threads, trust_settings=trust_settings)
    if _is_predictor(model):
        return model
    if not is_path(model):
        from ..train.predictor import predictor_of

        return predictor_of(_at_size(model, size, pad), full)
    path = Path(model)
    if not path.exists():
        raise no_such_model(path)
    if not path.is_dir() and path.suffix not in (".keras", ".npz"):
        raise ModelFileError(
            f"{path}: expected a .tflite, .onnx, .keras or .npz file or a run folder"
        )
    return load_predictor(load_model(path), full=full, size=size, pad=pad)


def _file_of(model: AnyModel, resized: bool) -> AnyModel:
    """The file of weights by name: what fits, Keras' where the size is to change."""
    return named_weights(model, KERAS if resized else TFLITE) if is_path(model) else model


def _at_size(model: Any, size: Size | None, pad: bool) -> KerasModel:
    if size is None:
        return model
    from ..model.fast_scnn import resize_model
    from ..quantize.quantize_aware import is_qat, resized

    return resized(model, size, pad) if is_qat(model) else resize_model(model, size, pad)


def evaluate(
    model: AnyModel,
    dataset: str | Source,
    data_dir: StrPath | None = None,
    split: str = "val",
    threads: int | None = None,
    progress: Progress = iter,
    size: Size | None = None,
    pad: bool = False,
    *,
    views: Views | None = None,
    boundary: bool = False,
    instances: bool = False,
    skip_bad: bool = False,
    trust_settings: bool = False,
    match: str = "name",
    class_map: StrPath | None = None,
    classes: Classes | None = None,
    kernels: str | None = None,
    runtime: str | None = None,
    processes: int | Fleet = 1,
    resume: StrPath | None = None,
    **ways: Unpack[ViewOptions],
) -> Evaluation:
    """Scores a model on every image of a split; by default in one look at the whole image.

    Args:
        model: as for `load_predictor`.
        dataset: its name, as for `open_dataset`. Its classes are matched with the model's by name,
            or by a known class map (a Cityscapes model on the 13 classes of DensePASS). Or the
            pairs themselves, as for `load_dataset`; also what can be gone through once only.
        data_dir: where the data set lies.
        split: which split.
        threads: CPU threads of a .tflite; by default those of its settings, else 2.
        progress: wraps the image indices, to show a progress bar.
        size: run a Keras model at another (height, width).
        pad: take any `size`, padding the image to multiples of 32.
        views: how it looks at an image.
        boundary: boundary F-scores, too.
        instances: iIoU, too; for data sets with Cityscapes' instance ids.
        skip_bad: leave out pairs that are incomplete or cannot be read, and count them. By
            default all pairs are read before the first is scored, unless they were found good
            before, and a bad one is an error.
        trust_settings: as for `Segmenter`.
        match: `name`, or `index`: the same index is the same class, whatever the names.
        class_map: YAML file of `model's class: data set's class`, where the names differ; nothing
            instead of the second: none, a miss wherever predicted.
        classes: of pairs that are no data set of ours: their names in the order of the label
            values; by default the model's.
        kernels: of a .tflite, instead of its settings': `xnnpack`, `builtin`, `reference` or
            `micro` (see `CpuSettings.kernel_mode`).
        runtime: of a .tflite or .onnx: `litert`, `onnxruntime` or `openvino`; by default
            FASTSCNN_RUNTIME in the environment, else LiteRT and ONNX Runtime.
        processes: share the pairs among so many processes, each with an interpreter of its own
            (and `threads` threads), or among those of a `Fleet`; then `model` is a path. The
            scores stay the same to the last bit.
        resume: a file in which is noted what was counted in each pair; pairs that an earlier call
            with the same options noted there are not scored again, unless their files have
            changed. The scores stay the same to the last bit; model and data set are named.
        ways: `scales`, `flip`, `window`, `stride` and `fit`: fields of `views` by themselves.

    Returns:
        The scores and how they were measured; see `Evaluation`.

    Raises:
        ModelFileError, DataError, ConfigError: model, data or options cannot be used, or are others
            than those of the call that is resumed.
        OutputError: the file of `resume` is none of ours, damaged, or cannot be written.
        InputError: what is to run the model is not installed.
    """
    views = Views.of(views, ways)
    model = _file_of(model, size is not None or not views.one_size)
    if runtime is not None:
        check_run_here(name_of(model))
    fleet = Fleet.of(processes)
    check_shareable(model, fleet)
    if resume is not None and not (is_path(resume) and os.fspath(resume)):
        raise ConfigError(f"resume: expected the path of a file, got {resume!r}")
    if resume is not None and not (is_path(model) and isinstance(dataset, str)):
        raise ConfigError("resume needs the path of a model and the name of a data set")
    given = {"views": views, "trust_settings": trust_settings}
    opening = functools.partial(_opened, kernels, runtime, model, threads, size, pad, **given)
    with one_call(None if resume is None else check_plain(resume)):
        inference, predictor = opening()
        opened, missing = _pairs(predictor, dataset, data_dir, split, classes, skip_bad)
        journal = None
        if resume is not None:
            scored = {"boundary": boundary, "instances": instances, "classes": opened.labels.names}
            matched = {"match": match, "class_map": fingerprint(class_map).get("sha256")}
            decides = deciding(model, predictor, size, pad, views) | scored | matched
            journal = Journal(Path(resume), decides | _named(dataset, data_dir, split))
        result = evaluate_predictor(
            predictor,
            opened,
            progress,
            inference=inference,
            boundary=boundary,
            instances=instances,
            skip_bad=skip_bad,
            missing=[f"{path}: no such file" for path in missing],
            match=match,
            class_map=class_map,
            fleet=fleet,
            reopen=functools.partial(_first, opening),
            journal=journal,
        )
    return _described(result, model, predictor, dataset, split)


def _described(
    result: Evaluation, model: AnyModel, predictor: Predictor, dataset: str | Source, split: str
) -> Evaluation:
    """Scores with what was scored, and whether it was trained on that."""
    ran = _how_it_ran(predictor)
    details = {"model": name_of(model), **fingerprint(model), **ran, **result.details}
    remark = training_remark(model, dataset, split) if isinstance(dataset, str) else ""
    return dataclasses.replace(result, details=details, remark=remark)


def _named(dataset: Any, data_dir: StrPath | None, split: str) -> dict[str, Any]:
    """A data set as a journal names it."""
    if data_dir is not None and not is_url(data_dir):
        data_dir = os.path.abspath(data_dir)  # noqa: PTH100 - links stay
    return {"dataset": dataset, "data_dir": data_dir, "split": split}


def _pairs(
    predictor: Predictor,
    dataset: str | Source,
    data_dir: StrPath | None,
    split: str,
    classes: Classes | None,
    skip_bad: bool,
) -> tuple[SegmentationDataset, Sequence[Path]]:
    """The pairs to score, and files that are missing, which `skip_bad` leaves out."""
    if not isinstance(dataset, str):
        if data_dir is not None:
            raise ConfigError("data_dir is for data sets by name: leave it out")
        space = label_space_of(predictor)
        return as_dataset(dataset, space, classes, split, _normalisation(predictor)), ()
    if classes is not None:
        raise ConfigError(f"data set {dataset!r} has its own classes: leave classes out")
    place = dataset, data_dir, split
    if skip_bad:
        missing = find_pairs(*place).missing
        return open_dataset(*place, predictor.input_size, missing="skip"), missing
    return open_usable(*place, predictor.input_size), ()  # a bad pair is named now


def _how_it_ran(predictor: Predictor) -> dict[str, str]:
    """Kernels and runtime of a file that is run here, and what was told of one from elsewhere."""
    ran = {}
    if isinstance(predictor, Segmenter):
        ran = {"kernels": predictor.kernels} if predictor.kernels else {}
        ran["runtime"] = version_of(predictor.runtime)
    told = getattr(getattr(predictor, "ports", None), "told", "")
    return ran | ({"read_as": told} if told else {})


def _opened(
    kernels: str | None, runtime: str | None, *arguments: Any, **options: Any
) -> tuple[Inference, Predictor]:
    with using_kernels(kernels), using_runtime(runtime):
        return open_inference(*arguments, **options)


def _first(call: Callable[[], tuple[Inference, Predictor]]) -> Inference:
    return call()[0]


def check_shareable(model: AnyModel, fleet: Fleet) -> None:
    """Makes sure that each process can open a model by itself.

    Raises:
        ConfigError: there are several processes, and the model is none of a path.
    """
    if not fleet.alone and not is_path(model):
        raise ConfigError("several processes need the path of a model, got one in memory")


def _normalisation(predictor: Any) -> Normalisation | None:
    """Mean and std of a predictor's input, as far as it says them."""
    if (config := getattr(predictor, "config", None)) is not None:
        return config.mean, config.std
    known = getattr(predictor, "metadata", {})
    return (known["mean"], known["std"]) if "mean" in known and "std" in known else None


def training_remark(model: object, dataset: str, split: str) -> str:
    """Whether the model was trained on the split, as far as it or its run says."""
    seen: set[tuple[str, str]] = set()
    with contextlib.suppress(FastSCNNError):  # a run beside the model may be damaged
        seen = trained_on(model) if is_path(model) else seen
    if (dataset, split) not in seen:
        return ""
    doubt = ", if it was this data set" if dataset in ("folder", "records") else ""
    return seen_in_training([f"{split} of {dataset}"], doubt)


def deciding(
    model: AnyModel, predictor: Predictor, size: Size | None, pad: bool, views: Views
) -> dict[str, Any]:
    """What of a model, and of how it looks at images, decides the results; as JSON has it."""
    file = _file_of(model, size is not None or not views.one_size)
    if is_path(file) and Path(file).is_dir():
        from ..model.io import checkpoint_in

        file = checkpoint_in(file)
    decides = {"model": name_of(model), **fingerprint(file), "size": size, "pad": pad}
    decides |= dataclasses.asdict(views)
    if isinstance(predictor, Segmenter):
        settings = {name: text_of(value) for name, value in predictor.settings.flat().items()}
        settings.pop("cpu.num_threads", None)  # on which no result depends
        told = {} if predictor.ports.own else current_options()
        decides |= {"runtime": predictor.runtime, **settings, **told}
    return decides


def fingerprint(model: object) -> dict[str, str]:
    """SHA-256 of a model file, so that scores cannot be taken for another one's of that name."""
    if not is_path(model) or not (path := local(model)).is_file():
        return {}
    return {"sha256": hashlib.sha256(read_bytes(path)).hexdigest()}


def open_inference(
    model: AnyModel,
    threads: int | None = None,
    size: Size | None = None,
    pad: bool = False,
    *,
    views: Views | None = None,
    trust_settings: bool = False,
    **ways: Unpack[ViewOptions],
) -> tuple[Inference, Predictor]:
    """A model and the way it looks at images; the arguments are those of `evaluate`.

    Raises:
        ModelFileError: the file is missing, damaged or of another kind.
        ConfigError: options that contradict each other or the model.
    """
    way = Views.of(views, ways)
    model = _file_of(model, size is not None or not way.one_size)
    if way.window is not None:
        if size is not None or not way.one_scale:
            raise ConfigError("choose one of --window and --size or --scales")
        predictor = _windowed(model, threads, way.window, pad, trust_settings)
        half = (max(1, way.window[0] // 2), max(1, way.window[1] // 2))
        return SlidingWindows(predictor, way.stride or half, way.flip), predictor
    # The size of the scales alone may need the padding.
    own = pad and size is None and not way.one_scale and not _has_one_size(model)
    padded = pad and not own
    predictor = load_predictor(model, threads, size=size, pad=padded, trust_settings=trust_settings)
    if way.one_scale and not way.flip:
        return WholeImage(predictor, way.fit), predictor
    sizes = _scaled_sizes(model, predictor.input_size, way.scales, pad)
    if sizes == [predictor.input_size]:
        return AveragedViews([predictor], way.flip), predictor
    keras_model = loaded(model)
    predictors = [load_predictor(keras_model, size=each, pad=pad) for each in sizes]
    return AveragedViews(predictors, way.flip), predictor


def _windowed(
    model: Any, threads: int | None, window: Size, pad: bool, trust_settings: bool
) -> Predictor:
    if not _has_one_size(model):
        return load_predictor(model, threads, size=window, pad=pad)
    # `pad` is named as what a .tflite has not.
    predictor = load_predictor(model, threads, pad=pad, trust_settings=trust_settings)
    if predictor.input_size != tuple(window):
        raise ConfigError(
            f"the window of a .tflite is its input size {format_size(predictor.input_size)}, got "
            f"{format_size(window)}"
        )
    return predictor


def _scaled_sizes(model: Any, size: Size, scales: Sequence[float], pad: bool) -> list[Size]:
    """Each multiple of a model's size, in steps of 32 unless it pads."""
    if not scales or any(not 0 < scale < math.inf for scale in scales):
        raise ConfigError(f"scales must be positive numbers, got {', '.join(map(str, scales))}")
    if _has_one_size(model) and set(scales) != {1.0}:
        raise ConfigError(
            "a .tflite has one size and cannot run at other scales: score the Keras model, or "
            "leave --scales out (--flip and --window work)"
        )
    if set(scales) == {1.0}:
        return [size]
    return scaled_sizes(size, scales, pad)


def scaled_sizes(size: Size, scales: Sequence[float], pad: bool) -> list[Size]:
    """Multiples of a size, each once, rounded to multiples of 32 unless it pads."""
    unit = 1 if pad else STRIDE
    height, width = (
        [max(1, round(side * scale / unit)) * unit for scale in scales] for side in size
    )
    return list(dict.fromkeys(zip(height, width, strict=True)))


def _is_predictor(model: object) -> TypeGuard[Predictor]:
    return hasattr(model, "run") and hasattr(model, "input_size")


def _has_one_size(model: object) -> bool:
    """Whether a model is a .tflite, an .onnx or an opened predictor, not Keras'."""
    return is_run_here(model) or _is_predictor(model)
