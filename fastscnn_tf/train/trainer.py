"""`run_training`: a run folder with checkpoints, logs and configuration, that can be resumed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.files import check_output_folder, read_json
from ..data.augment import augmentation
from ..data.dataset import SegmentationDataset
from ..data.pipeline import batches, check_batches
from ..data.registry import open_dataset
from ..keras_api import keras3, tensorflow
from ..model.fast_scnn import fast_scnn, inference_model
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
) -> TrainResult:
    """Trains Fast-SCNN from scratch, or goes on with an interrupted run.

    Args:
        settings: the run; on resuming they must be those it was started with.
        folder: gets `best.keras`, `last.keras`, `run.json`, `state.json`, `log.csv` and
            TensorBoard files.
        resume: continue after the last finished epoch.
        force: start anew in a folder that is not empty.
        verbose: as in `model.fit`.

    Raises:
        OutputError: the folder is in use, or cannot be written.
        ConfigError: resumed with other settings.
        TrainingDiverged: the loss became NaN or infinite.
        KeyboardInterrupt: passed on; the last checkpoint is whole.
    """
    folder = Path(folder)
    training = open_dataset(settings.dataset, settings.data_dir, "train", settings.size)
    validation = open_dataset(settings.dataset, settings.data_dir, "val", settings.size)
    config = FastSCNNConfig.for_labels(
        training.labels,
        input_size=settings.size,
        aux_heads=settings.aux_heads,
        bn_momentum=settings.bn_momentum,
    )
    check_samples(training, validation)
    check_batches(training, config, settings.batch_size, training=True)
    if resume:
        state = check_resumable(folder, settings.to_dict(), LAST)
        model = load_keras(folder / LAST, compile=True)
        done = state["epochs_done"]
        _restore_dropout(model, state.get("dropout", {}))
    else:
        check_output_folder(folder, force)
        model, done = _compiled(settings, config, len(training)), 0
    with run_folder(folder, resume):
        if not resume:
            write_run(folder, settings.to_dict(), config)
        if done < settings.epochs:
            callbacks = _callbacks(settings, folder, model, validation)
            fit_epochs(model, settings, training, done, callbacks, verbose)
    state = read_json(folder / STATE)
    return TrainResult(folder, folder / BEST, state["best"], state["epochs_done"])


def fit_epochs(model, settings, training, done: int, callbacks, verbose) -> None:
    """Trains or fine-tunes from epoch `done` to the last one of the settings."""
    stream = batches(
        training,
        model.config,
        augmentation(settings.augment),
        settings.batch_size,
        settings.seed,
        range(done, settings.epochs),
    )
    model.fit(
        stream,
        initial_epoch=done,
        epochs=settings.epochs,
        steps_per_epoch=len(training) // settings.batch_size,
        callbacks=callbacks,
        verbose=verbose,
    )


def _compiled(settings: TrainSettings, config: FastSCNNConfig, images: int) -> Any:
    keras = keras3()
    tensorflow()  # before Keras asks for it, so that it starts quietly
    register()
    keras.utils.set_random_seed(settings.seed)
    model = fast_scnn(config)
    steps = max(1, images // settings.batch_size) * settings.epochs
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings.learning_rate, steps, end_learning_rate=0.0, power=settings.power
    )
    optimizer = keras.optimizers.SGD(schedule, momentum=settings.momentum)
    model.compile(optimizer=optimizer, **segmentation_losses(config.aux_heads))
    return model


def _callbacks(
    settings: TrainSettings, folder: Path, model: Any, validation: SegmentationDataset
) -> list[Any]:
    keras = keras3()
    own = callbacks_for(keras)
    return [
        own.StopOnBrokenLoss(),
        own.Validate(KerasPredictor, validation, settings.validate_every, settings.epochs),
        own.Checkpoint(
            folder,
            lambda: save_keras(model, folder / LAST),
            lambda: save_keras(inference_model(model), folder / BEST, optimizer=False),
            lambda: {"dropout": _dropout_state(model)},
        ),
        own.EpochLog(folder / LOG),
        keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False),
    ]


def _dropout_state(model: Any) -> dict[str, list[int]]:
    """Where each dropout layer's random stream stands; Keras does not save it with the model."""
    layers = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    return {x.name: [int(v) for v in np.asarray(x.seed_generator.state)] for x in layers}


def _restore_dropout(model: Any, state: dict[str, list[int]]) -> None:
    for name, values in state.items():
        variable = model.get_layer(name).seed_generator.state
        variable.assign(np.asarray(values, np.asarray(variable).dtype))


def check_samples(*datasets: SegmentationDataset) -> None:
    """Reads the first pair of each split, so that a wrong data set fails before the first step."""
    for dataset in datasets:
        dataset.read(0)
