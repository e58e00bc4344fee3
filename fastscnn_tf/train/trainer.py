"""`run_training`: a run folder with checkpoints, logs and configuration, that can be resumed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from ..core.config import FastSCNNConfig
from ..core.files import check_output_folder, read_json
from ..core.labels import LabelSpace
from ..core.sizes import Size
from ..data.augment import augmentation
from ..data.dataset import ConcatDataset, SegmentationDataset
from ..data.numpy_pipeline import numpy_batches
from ..data.pair_check import Progress
from ..data.pipeline import batches, check_batches
from ..data.usable import open_usable
from ..keras_api import keras3, on_tensorflow, tensorflow
from ..model.fast_scnn import fast_scnn, inference_model
from ..model.initialise import Start, initialise, read_start
from ..model.io import load_keras, save_keras
from .callbacks import STATE, callbacks_for
from .losses import register, segmentation_losses
from .predictor import KerasPredictor
from .run_folder import LOG, check_resumable, run_folder, write_run
from .settings import TrainSettings

BEST, LAST = "best.keras", "last.keras"


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """A finished run.

    Attributes:
        folder: the run folder.
        best: the checkpoint with the best validation mIoU, without auxiliary heads.
        miou: that mIoU, 0..1.
        epochs: epochs trained in all.
    """

    folder: Path
    best: Path
    miou: float
    epochs: int


def run_training(
    settings: TrainSettings,
    folder: str | os.PathLike[str],
    resume: bool = False,
    force: bool = False,
    verbose: int | str = "auto",
    progress: Progress = iter,
) -> TrainResult:
    """Trains Fast-SCNN from scratch or other weights, or goes on with an interrupted run.

    Works on every backend of Keras 3; the batches come from tf.data on TensorFlow and from NumPy
    elsewhere, where TensorFlow is not needed. Before the first step every pair is read that was
    not found good before (`data.usable`).

    Args:
        settings: the run; on resuming they must be those it was started with.
        folder: gets `best.keras`, `last.keras`, `run.json`, `state.json`, `log.csv` and, on
            TensorFlow, TensorBoard files.
        resume: continue after the last finished epoch.
        force: start anew in a folder that is not empty.
        verbose: as in `model.fit`.
        progress: wraps the indices of the pairs that are checked, to show a progress bar.

    Raises:
        DataError: a pair cannot be used and the settings do not say `skip_bad`.
        OutputError: the folder is in use, or cannot be written.
        ConfigError: resumed with other settings.
        TrainingDiverged: the loss became NaN or infinite.
        KeyboardInterrupt: passed on; the last checkpoint is whole.
    """
    folder = Path(folder)
    if resume:
        state = check_resumable(folder, settings.to_dict(), LAST)
    else:
        check_output_folder(folder, force)
    start = read_start(settings.init_from) if settings.init_from and not resume else None
    training = training_data(settings, progress)
    validation = usable_split(settings, "val", settings.size, progress)
    config = _config(settings, training.labels, start)
    check_batches(training, config, settings.batch_size, training=True)
    if resume:
        model, done = load_compiled(folder / LAST), state["epochs_done"]
        restore_dropout(model, state.get("dropout", {}))
    else:
        model, done = _compiled(settings, config, len(training)), 0
        if start:
            report = initialise(model, start)
            if verbose:
                print(report)
    with run_folder(folder, resume):
        if not resume:
            write_run(folder, settings.to_dict(), config)
        if done < settings.epochs:
            callbacks = _callbacks(settings, folder, model, validation)
            fit_epochs(model, settings, training, done, callbacks, verbose)
    state = read_json(folder / STATE)
    return TrainResult(folder, folder / BEST, state["best"], state["epochs_done"])


def usable_split(
    settings: Any, split: str, size: Size, progress: Progress = iter
) -> SegmentationDataset:
    """A split of the data set that training or fine-tuning settings name, every pair checked."""
    source = settings.dataset, settings.data_dir, split, size
    return open_usable(*source, settings.skip_bad, progress)


def training_data(settings: TrainSettings, progress: Progress = iter) -> SegmentationDataset:
    """The training split of a run, with the extra data set where there is one."""
    data = usable_split(settings, "train", settings.size, progress)
    if settings.extra_dataset is None:
        return data
    folder = settings.extra_data_dir or settings.data_dir
    source = settings.extra_dataset, folder, settings.extra_split, settings.size
    return ConcatDataset([data, open_usable(*source, settings.skip_bad, progress)])


def _config(settings: TrainSettings, labels: LabelSpace, start: Start | None) -> FastSCNNConfig:
    """The network of a run: the preset's wiring, or that of the starting weights."""
    if start:
        config = start.config
    else:
        config = FastSCNNConfig.preset(settings.preset or "paper", width=settings.width or 1.0)
    heads = bool(config.aux_layout) if settings.aux_heads is None else settings.aux_heads
    momentum = settings.bn_momentum
    return config.replace(
        num_classes=len(labels.names),
        class_names=labels.names,
        class_colors=labels.colors,
        input_size=settings.size,
        pad=False,
        aux_heads=heads,
        bn_momentum=config.bn_momentum if momentum is None else momentum,
    )


def fit_epochs(model, settings, training, done: int, callbacks, verbose) -> None:
    """Trains or fine-tunes from epoch `done` to the last one of the settings."""
    keras, preset = keras3(), augmentation(settings.augment)
    source = training, model.config, preset, settings.batch_size, settings.seed
    if on_tensorflow(keras):
        stream = batches(*source, range(done, settings.epochs), cache=settings.cache)
    else:
        stream = numpy_batches(*source, cache=settings.cache)
        at_epoch = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(stream, "epoch", epoch)
        )
        callbacks = [at_epoch, *callbacks]
    model.fit(
        stream,
        initial_epoch=done,
        epochs=settings.epochs,
        steps_per_epoch=epoch_steps(settings, len(training)),
        shuffle=False,  # order is the stream's own
        callbacks=callbacks,
        verbose=verbose,
    )


def epoch_steps(settings: Any, images: int) -> int:
    """Batches in an epoch: full ones only with augmentation, else all (see `load_dataset`)."""
    full = images // settings.batch_size
    return full if augmentation(settings.augment) else -(-images // settings.batch_size)


def _compiled(settings: TrainSettings, config: FastSCNNConfig, images: int) -> Any:
    keras = keras3()
    if on_tensorflow(keras):
        tensorflow()  # before Keras asks for it, so that it starts quietly
    register()
    keras.utils.set_random_seed(settings.seed)
    model = fast_scnn(config)
    steps = epoch_steps(settings, images) * settings.epochs
    model.compile(
        optimizer=poly_sgd(keras, settings, steps),
        **segmentation_losses(config.aux_heads, config.aux_layout),
    )
    return model


def poly_sgd(keras: Any, settings: Any, steps: int) -> Any:
    """SGD whose learning rate falls to 0 over all steps, by the settings' power."""
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings.learning_rate, steps, end_learning_rate=0.0, power=settings.power
    )
    return keras.optimizers.SGD(schedule, momentum=settings.momentum)


def load_compiled(path: Path) -> Any:
    """A model with its optimizer and losses, saved on this backend or another one.

    Raises:
        ModelFileError: as `load_keras`.
    """
    model = load_keras(path, compile=True)
    if not on_tensorflow(keras3()):  # the file says what suited the backend that wrote it
        model.jit_compile = keras3().backend.backend() == "jax"
    return model


def _callbacks(
    settings: TrainSettings, folder: Path, model: Any, validation: SegmentationDataset
) -> list[Any]:
    keras = keras3()
    own = callbacks_for(keras)
    callbacks = [
        own.StopOnBrokenLoss(),
        own.Validate(KerasPredictor, validation, settings.validate_every, settings.epochs),
        own.Checkpoint(
            folder,
            lambda: save_keras(model, folder / LAST),
            lambda: save_keras(inference_model(model), folder / BEST, optimizer=False),
            lambda: {"dropout": dropout_state(model)},
        ),
        own.EpochLog(folder / LOG),
    ]
    if on_tensorflow(keras):  # whose file writer it uses
        board = keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False)
        callbacks.append(board)
    return callbacks


def dropout_state(model: Any) -> dict[str, list[int]]:
    """Where each dropout layer's random stream stands; Keras does not save it with the model."""
    layers = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    value = keras3().ops.convert_to_numpy
    return {x.name: [int(v) for v in value(x.seed_generator.state)] for x in layers}


def restore_dropout(model: Any, state: dict[str, list[int]]) -> None:
    """Puts the random streams of `dropout_state` back."""
    for name, values in state.items():
        variable = model.get_layer(name).seed_generator.state
        variable.assign(keras3().ops.convert_to_tensor(values, variable.dtype))
