"""`run_quantization`: a resumable run of quantization-aware fine-tuning."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.aliases import Progress, StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import OutputError
from ..core.keras_api import KerasModel, tf_keras, tfmot
from ..data.datasets.dataset import in_classes_of
from ..data.pipeline import check_batches
from ..model.fast_scnn import resize_model
from ..model.io import checkpoint_in, load_keras
from ..runs.run_folder import open_run
from ..train.build import BuiltNetwork, epoch_steps, prepare_backend
from ..train.callbacks import callbacks_for
from ..train.losses.segmentation_loss import segmentation_loss
from ..train.optimizers import optimizer
from ..train.predictor import predictor_of
from ..train.schedules import schedule
from ..train.settings import seconds_of
from ..train.trainer import TrainResult, find_data, fit_epochs, training_data, usable_split
from .freeze_ranges import freeze_ranges
from .qat_checkpoint import load_qat, restore_run, save_qat
from .quantize_aware import CALIBRATION_IMAGES, quantize_aware
from .run_settings import QuantizeSettings as QuantizeSettings

BEST, LAST = "best.npz", "last.npz"


class QuantizeResult(TrainResult):
    """A finished fine-tuning run; epoch 0 of `best` is calibration alone."""

    miou: float


def run_quantization(
    settings: QuantizeSettings,
    folder: StrPath,
    resume: bool = False,
    force: bool = False,
    verbose: int | str = "auto",
    progress: Progress = iter,
) -> QuantizeResult:
    """Fine-tunes a trained model with quantization in the loop.

    Every activation range is first set from a float pass over training images. The result of
    that calibration alone takes part in the choice of the best checkpoint.

    Args:
        settings: the run; on resuming they must be those it was started with.
        folder: gets `best.npz`, `last.npz`, `run.json`, `state.json` and `log.csv`.
        resume: continue after the last checkpoint.
        force: start anew in a folder that is not empty.
        verbose: as for `run_training`.
        progress: as for `run_training`.

    Raises:
        DataError, OutputError, ConfigError, ModelFileError, TrainingDiverged: as for
            `run_training`.
    """
    source = checkpoint_in(settings.model)
    values = {**settings.to_dict(), "model": str(source)}
    if os.path.realpath(folder) == os.path.realpath(source.parent):
        raise OutputError(f"{folder} holds the model itself: choose another output folder")
    run = open_run(folder, values, LAST, resume, force)
    find_data(settings, settings.size)
    prepare_backend(settings.deterministic)
    model = load_qat(run.last) if run.last else None
    float_model = _float_model(source, model, settings)
    config: FastSCNNConfig = (model or float_model).config
    splits = [
        training_data(settings, config.input_size, progress),
        usable_split(settings, "val", config.input_size, progress),
    ]
    run = run.with_classes(splits[0].labels.names)
    matching = settings.match, settings.class_map
    training, validation = (in_classes_of(config.labels, data, *matching) for data in splits)
    check_batches(training, config, settings.batch_size, training=True)
    if model is None:
        tfmot()
        model = quantize_aware(float_model, training[:CALIBRATION_IMAGES])
    if settings.distill_weight:
        model.teach(float_model, settings.distill_weight)
    _compile(model, settings, len(training))
    state = restore_run(model, run.last) if run.last else {}
    found = run.train(
        config,
        state,
        lambda: _fit(model, settings, run.folder, training, validation, state, verbose),
    )
    best = run.required(found.best)
    return QuantizeResult(run.folder, run.folder / BEST, best, found.epochs_done)


def _float_model(source: Path, model: KerasModel | None, settings: QuantizeSettings) -> KerasModel:
    """The trained model at the size of the run, where it begins or is taught; else None."""
    if model and not settings.distill_weight:
        return None
    found = load_keras(source)
    size = model.config.input_size if model else settings.size
    return resize_model(found, size or found.config.input_size)


def _compile(model: KerasModel, settings: QuantizeSettings, images: int) -> None:
    keras = tf_keras()
    steps = epoch_steps(settings, images) * settings.epochs
    rate = schedule(keras, "poly", settings.learning_rate, steps)
    model.compile(optimizer(keras, "sgd", rate, momentum=0.9), loss=segmentation_loss)


def _fit(model, settings, folder: Path, training, validation, state, verbose) -> None:
    own = callbacks_for(tf_keras())
    validate = own.Validate(
        lambda: predictor_of(model), validation, settings.validate_every, settings.epochs
    )
    checkpoint = own.Checkpoint(
        folder,
        lambda state: save_qat(model, folder / LAST, state),
        lambda: save_qat(model, folder / BEST),
        state,
        details=validate.details,
        every=seconds_of(settings.save_every),
    )
    if not state:
        model.optimizer.build(model.trainable_variables)
        for callback in (validate, checkpoint):
            callback.set_model(model)
        calibrated: dict[str, float] = {}
        validate.score(calibrated)
        checkpoint.keep(0, calibrated)
    freeze = freeze_ranges(settings.freeze_ranges)
    lines = own.EpochLines(checkpoint, settings.epochs, verbose)
    begin = own.GoOnWithin(state)
    callbacks = [begin, freeze, own.StopOnBrokenLoss(), validate, checkpoint, lines]
    fit_epochs(BuiltNetwork(model, model), settings, training, state, callbacks)
