"""`run_training`: a run folder with checkpoints, logs and configuration, that can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.aliases import Progress, StrPath
from ..core.arguments import called, spelled
from ..core.class_maps import check_same_order, match_classes
from ..core.config import FastSCNNConfig
from ..core.console import echo
from ..core.errors import ConfigError, DataError, InputError
from ..core.keras_api import KerasModel, keras3, on_tensorflow, tf_keras
from ..core.sizes import Size
from ..data.check.usable import open_usable
from ..data.datasets.dataset import ALIKE, ConcatDataset, SegmentationDataset
from ..data.datasets.held_out import TRAIN, VAL, HeldOut
from ..data.datasets.registry import find_splits, open_dataset
from ..data.numpy_pipeline import numpy_batches
from ..data.pipeline import batches, check_batches
from ..data.reader import pair_reader
from ..model.fast_scnn import copy_weights
from ..model.initialise import initialise, read_start
from ..model.io import read_config, save_keras
from ..runs.run_files import RECIPE
from ..runs.run_folder import OpenRun, open_run
from .board import board_for
from .build import (
    BuiltNetwork,
    build,
    epoch_steps,
    fitting_momentum,
    inference_copy,
    run_config,
)
from .callbacks import callbacks_for
from .distill.saved_logits import logits_batches
from .distributed.strategy import (
    check_shares,
    check_strategy,
    devices_of,
    on_all_devices,
    on_one_device,
)
from .predictor import KerasPredictor
from .recipes import describe, write_recipe
from .settings import TrainSettings, seconds_of
from .training_state import restore_checkpoint, save_checkpoint

BEST, LAST = "best.keras", "last.keras"
FEW = 200  # pairs, below which the paper's way is not for them


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Attributes:
        folder: the run folder.
        best: the checkpoint with the best validation mIoU, without auxiliary heads; the last
            weights of a run without validation.
        miou: that mIoU, 0..1; None without validation.
        epochs: epochs trained in all.
    """

    folder: Path
    best: Path
    miou: float | None
    epochs: int


def run_training(
    settings: TrainSettings,
    folder: StrPath,
    resume: bool = False,
    force: bool = False,
    verbose: int | str = "auto",
    progress: Progress = iter,
    extra_callbacks: Sequence[Any] = (),
) -> TrainResult:
    """Trains Fast-SCNN from scratch or other weights, or goes on with an interrupted run.

    Works on every backend of Keras 3; the batches come from tf.data on TensorFlow and from NumPy
    elsewhere, where TensorFlow is not needed. Before the first step every pair is read that was
    not found good before (`data.check.usable`).

    Args:
        settings: the run; on resuming they must be those it was started with.
        folder: gets `best.keras`, `last.keras`, `run.json`, `recipe.json`, `state.json`, `log.csv`
            and, on TensorFlow, TensorBoard files.
        resume: continue after the last checkpoint, of an epoch's end or within one; a run that
            was stopped before its first one starts from the beginning.
        force: start anew in a folder that is not empty.
        verbose: 0 for silence; else a line for each epoch.
        progress: wraps the indices of the pairs that are checked, to show a progress bar.
        extra_callbacks: further Keras callbacks, called last.

    Raises:
        DataError: a pair cannot be used and the settings do not say `skip_bad`.
        OutputError: the folder is in use, or cannot be written.
        ConfigError: resumed with other settings.
        TrainingDiverged: the loss became NaN or infinite.
        KeyboardInterrupt: passed on, after the running step and a checkpoint; the second at once.
    """
    if not isinstance(settings, TrainSettings):
        raise ConfigError(f"expected TrainSettings (see train_settings), got {settings!r:.60}")
    run = open_run(folder, settings.to_dict(), LAST, resume, force)
    ready = prepare(settings, run.last, verbose, progress)

    def fit(callbacks: list[Any]) -> None:
        fit_ready(settings, ready, [*callbacks, *extra_callbacks])

    return finish(run, settings, ready, fit, verbose)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """All that a run needs before it holds its folder.

    Attributes:
        training: the training split.
        validation: the validation split; None where nothing validates.
        config: of the network at its own size.
        built: the network and what trains it, as far as it was trained before.
        state: of the checkpoint that it goes on from; empty where it begins.
    """

    training: SegmentationDataset
    validation: SegmentationDataset | None
    config: FastSCNNConfig
    built: BuiltNetwork
    state: dict[str, Any]


def prepare(
    settings: TrainSettings,
    last: Path | None,
    verbose: int | str = 0,
    progress: Progress = iter,
    validates: bool = True,
    agree: Callable[[SegmentationDataset, FastSCNNConfig], None] = lambda *found: None,
) -> Prepared:
    """Reads the data and builds the network of a run.

    Args:
        settings, verbose, progress: as for `run_training`.
        last: the checkpoint to go on from; None where the run begins.
        validates: whether this process validates, if the settings do.
        agree: called with the training split and the configuration before the network is built.
    """
    validates = validates and settings.validate_every > 0
    find_data(settings, settings.size, validates)
    check_strategy(settings.strategy)
    start = read_start(settings.init_from) if settings.init_from and not last else None
    training = training_data(settings, settings.size, progress)
    split = usable_split(settings, "val", settings.size, progress) if validates else None
    if last:
        config = read_config(last)
        check_same_order(config.labels, training.labels)
    else:
        config = run_config(settings, training.labels, start, len(training))
    config = config.replace(input_size=settings.size)
    augmented = settings.augmentation is not None
    replicas = devices_of(settings.strategy)
    check_shares(settings.batch_size, replicas, len(training), augmented)
    check_batches(training, config, settings.batch_size, training=True)
    agree(training, config)
    if verbose:
        echo(describe(settings))
        say_more(settings, config, (training, split))
    built, state = build(settings, config, training, progress), {}
    if last:
        state = restore_checkpoint(built.network, built.fitted, last, built.ema)
    elif start:
        report = initialise(built.network, start, settings.match, settings.class_map)
        if verbose:
            echo(report)
    return Prepared(training, split, config, built, state)


def say_more(settings: TrainSettings, config: FastSCNNConfig, ready: Sequence[Any]) -> None:
    """What was decided by the data, and what would be better."""
    for data in ready:
        if isinstance(data, HeldOut) and data.split == VAL:
            echo(data.note)
    training = ready[0]
    steps = epoch_steps(settings, len(training)) * settings.epochs
    if settings.bn_momentum is None and config.bn_momentum == fitting_momentum(steps, 1.0):
        echo(
            f"batch normalisation: momentum {config.bn_momentum:.3g}, so that its statistics are "
            f"those of the last of {steps} steps ({called('bn_momentum')})"
        )
    if settings.recipe == "paper" and not settings.init_from and len(training) < FEW:
        echo(
            f"{len(training)} pairs are few to learn from scratch: {called('recipe')} finetune and "
            f"{called('init_from')} camvid begin with weights of street scenes (for research only, "
            "CC BY-NC 4.0)"
        )


def finish(
    run: OpenRun,
    settings: TrainSettings,
    ready: Prepared,
    fit: Callable[[list[Any]], None],
    verbose: int | str,
) -> TrainResult:
    """Trains what is left of a run in its folder; `fit` takes the callbacks. Its result."""
    found = run.train(
        ready.config,
        ready.state,
        fit=lambda: fit(run_callbacks(settings, run.folder, ready, verbose)),
        begin=lambda: write_recipe(run.folder / RECIPE, settings),
    )
    return TrainResult(run.folder, run.folder / BEST, found.best, found.epochs_done)


def find_data(settings: Any, size: Size | None, validates: bool = True) -> None:
    """Makes sure that the data of training or fine-tuning are there; no pair is read.

    Args:
        settings: name them.
        size: as for `open_dataset`.
        validates: whether pairs to validate are needed.

    Raises:
        DataError: a data set or a split of it is missing.
        ConfigError: `val_split` where there is a `val`, or an extra data set of other classes.
    """
    place, share = (settings.dataset, settings.data_dir), settings.val_split
    named, has_val = settings.data_dir or settings.dataset, VAL in find_splits(*place)
    option = called("val_split")
    if validates and share is None and not has_val:
        raise DataError(
            f"{named}: there is no split {VAL!r}: {option} 0.2 holds a fifth of train out for it"
        )
    if share is not None and has_val:
        raise ConfigError(f"{named} has a split {VAL!r}: leave {option} out")
    training = open_dataset(*place, TRAIN, size, missing="skip")
    if validates and has_val:
        open_dataset(*place, VAL, size, missing="skip")
    if settings.extra_dataset is not None:
        _find_extra(settings, size, training)


def _find_extra(settings: Any, size: Size | None, training: SegmentationDataset) -> None:
    source = _extra_source(settings)
    options = {name: called(f"extra_{name}") for name in ("dataset", "data_dir", "split")}
    try:
        with spelled(lambda name: options.get(name, name)):  # what tells it here
            extra = open_dataset(*source, size, missing="skip")
            match_classes(training.labels, extra.labels, hint=ALIKE)
    except InputError as error:
        which = f"{options['dataset']} {source[0]}, {options['split']} {source[2]}"
        raise type(error)(f"{which}: {error}") from None


def _extra_source(settings: Any) -> tuple[str, str | None, str]:
    folder = settings.extra_data_dir or settings.data_dir
    return settings.extra_dataset, folder, settings.extra_split


def usable_split(
    settings: Any, split: str, size: Size, progress: Progress = iter
) -> SegmentationDataset:
    """A split of the data set that training or fine-tuning settings name, every pair checked."""
    place = settings.dataset, settings.data_dir, split, size
    return open_usable(*place, settings.skip_bad, progress, settings.val_split)


def training_data(settings: Any, size: Size, progress: Progress = iter) -> SegmentationDataset:
    """The training split of a run, with the extra data set where there is one."""
    data = usable_split(settings, "train", size, progress)
    if settings.extra_dataset is None:
        return data
    extra = open_usable(*_extra_source(settings), size, settings.skip_bad, progress)
    return ConcatDataset([data, extra])


def fit_ready(
    settings: TrainSettings, ready: Prepared, callbacks: list[Any], share: tuple[int, int] = (0, 1)
) -> None:
    """Trains what is left of a run, with this process' share of every batch."""
    source = ready.built, settings, ready.training, ready.state
    with on_all_devices(settings.strategy, ready.built.variables) as own:
        fit_epochs(*source, [*callbacks, *own], share)


def fit_epochs(
    built: BuiltNetwork,
    settings: Any,
    training: SegmentationDataset,
    state: dict[str, Any],
    callbacks: list[Any],
    share: tuple[int, int] = (0, 1),
) -> None:
    """Trains or fine-tunes from where a run stands to the last epoch of the settings.

    Args:
        built: with the compiled model, `fitted`, and the `network` that the batches are for.
        settings: of training or fine-tuning.
        training: the training split.
        state: of the run that goes on; empty where it begins.
        callbacks: as in `model.fit`.
        share: of this process, as for `numpy_batches`; on TensorFlow there is one process.
    """
    keras, config = keras3(), built.network.config
    pairs = settings.augmentation, settings.batch_size, settings.seed
    stream_of: Callable[[range, int], Any]
    if on_tensorflow(keras) and not built.logits:
        augmented = settings.augmentation is not None
        reader = pair_reader(training, config, augmented, settings.cache)  # of all parts fitted
        stream_of = functools.partial(batches, training, config, *pairs, cache=reader)
    else:
        given = {"cache": settings.cache, "share": share}
        if built.logits:
            stream = logits_batches(training, config, built.logits, *pairs, **given)
        else:
            stream = numpy_batches(training, config, *pairs, **given)

        def stream_of(epochs: range, first: int) -> Any:
            return stream.at(epochs.start, first)

        at_epoch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(stream, "epoch", epoch)
        )
        callbacks = [at_epoch, *callbacks]
    steps = epoch_steps(settings, len(training))
    fit_stream(built.fitted, stream_of, settings, state, steps, callbacks)


def fit_stream(
    fitted: KerasModel,
    stream_of: Callable[[range, int], Any],
    settings: Any,
    state: dict[str, Any],
    steps: int,
    callbacks: list[Any],
) -> None:
    """`model.fit` of what is left: the rest of an epoch that goes on, and whole ones.

    Args:
        fitted: the compiled model.
        stream_of: makes the batches of epochs, from a step of the first one on.
        settings: say how many epochs there are.
        state: of the run that goes on; empty where it begins.
        steps: of an epoch.
        callbacks: as in `model.fit`.

    Raises:
        DataError: an epoch has fewer steps than were done in the one that goes on.
        KeyboardInterrupt: Ctrl-C, after the running step and its checkpoint (`StopOnSignal`).
    """
    done, first = state.get("epochs_done", 0), (state.get("within") or {}).get("step", 0)
    if first >= steps:
        raise DataError(
            f"the run goes on after step {first} of an epoch, but the data give {steps}: they have "
            "changed; give it those it began with"
        )
    keras = keras3() if isinstance(fitted, keras3().Model) else tf_keras()
    parts = [(range(done, done + 1), first)] if first else []
    with callbacks_for(keras).StopOnSignal() as stop:
        callbacks = [stop, *callbacks]
        for epochs, first in (*parts, (range(done + len(parts), settings.epochs), 0)):
            if not epochs:
                break
            stream = stream_of(epochs, first)
            # Made here, it tells the callbacks of the whole run, not of the part that is fitted.
            told = {"verbose": 0, "epochs": settings.epochs, "steps": steps - first, "stop": stop}
            fitted.fit(
                stream,
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                # Told a number, TensorFlow asks a PyDataset for its next epoch too early.
                steps_per_epoch=None if hasattr(stream, "at") else steps - first,
                shuffle=False,
                callbacks=keras.callbacks.CallbackList(callbacks, True, model=fitted, **told),
                verbose=0,
            )
            if fitted.stop_training:
                break


def run_callbacks(
    settings: TrainSettings, folder: Path, ready: Prepared, verbose: int | str
) -> list[Any]:
    """Validation, checkpoints, logs and the moving average of a run, in their order."""
    keras, built = keras3(), ready.built
    own, ema = callbacks_for(keras), built.ema
    scored = inference_copy(built)
    predictor = KerasPredictor(scored)

    @contextlib.contextmanager
    def averaged() -> Iterator[None]:
        with on_one_device(), ema.applied() if ema else contextlib.nullcontext():
            yield

    def as_it_is() -> KerasPredictor:
        copy_weights(built.network, scored)
        return predictor

    def save_best() -> None:
        with averaged():
            copy_weights(built.network, scored)
        save_keras(scored, folder / BEST, optimizer=False)

    validate = own.Validate(
        as_it_is,
        ready.validation,
        settings.validate_every,
        settings.epochs,
        averaged,
    )
    checkpoint = own.Checkpoint(
        folder,
        lambda state: save_checkpoint(built.network, built.fitted, folder / LAST, state, ema),
        save_best,
        ready.state,
        details=validate.details,
        epochs=settings.epochs,
        patience=settings.early_stopping,
        every=seconds_of(settings.save_every),
    )
    lines = own.EpochLines(checkpoint, settings.epochs, verbose)
    callbacks = [*every_worker(ready), validate, checkpoint, lines]
    if on_tensorflow(keras):  # whose file writer it uses
        board = board_for(keras)(folder / "tensorboard", validate)
        callbacks.append(board)
    return callbacks


def every_worker(ready: Prepared) -> list[Any]:
    """The callbacks of a run that each of its processes needs."""
    own, ema = callbacks_for(keras3()), ready.built.ema
    return [own.GoOnWithin(ready.state), *([ema] if ema else []), own.StopOnBrokenLoss()]
