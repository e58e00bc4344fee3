"""`run_quantization`: a resumable run of quantization-aware fine-tuning."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from ..core.aliases import Progress, StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import OutputError
from ..core.files import check_output_folder
from ..core.sizes import Size
from ..data.pipeline import batches, check_batches
from ..keras_api import KerasModel, tf_keras, tfmot
from ..model.fast_scnn import resize_model
from ..model.io import checkpoint_in, load_keras
from ..train.build import Training, epoch_steps, prepare_backend
from ..train.callbacks import STATE, callbacks_for
from ..train.losses import segmentation_loss
from ..train.optimizers import optimizer
from ..train.predictor import KerasPredictor
from ..train.run_folder import check_resumable, read_state, run_folder, write_run
from ..train.schedules import schedule
from ..train.settings import check_settings
from ..train.trainer import fit_epochs, usable_split
from .checkpoint import load_qat, restore_run, save_qat
from .freeze_ranges import freeze_ranges, frozen_epochs
from .quantize_aware import CALIBRATION_IMAGES, quantize_aware

BEST, LAST = "best.npz", "last.npz"


@dataclasses.dataclass(frozen=True)
class QuantizeSettings:
    """A fine-tuning run.

    Args:
        model: the trained `.keras` file, or its run folder.
        dataset: its name, as for `open_dataset`.
        data_dir: where it lies.
        size: (height, width); the model's own by default.
        epochs: passes over the training split.
        batch_size: pairs per step.
        learning_rate: start of the polynomial schedule. A converged model needs a small one: on
            CamVid 0.001 cost 1 to 3 points of mIoU within 5 epochs, 0.0001 at most 0.7 within 2.
        freeze_ranges: how many of the last epochs keep the activation ranges, see
            `freeze_ranges`; None: a third of the epochs.
        augment: augmentation preset.
        seed: order and augmentation.
        validate_every: epochs between validations; the last epoch always validates.
        skip_bad: go on without pairs that cannot be used, with a counted warning.
        cache: where decoded pairs are kept, as in `TrainSettings`.
        deterministic: only operations that give the same bits each time.
    """

    model: str
    dataset: str
    data_dir: str | None
    size: Size | None = None
    epochs: int = 5
    batch_size: int = 12
    learning_rate: float = 0.0001
    freeze_ranges: int | None = None
    augment: str = "gentle"
    seed: int = 0
    validate_every: int = 1
    skip_bad: bool = False
    cache: str = "auto"
    deterministic: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        frozen_epochs(self.epochs, self.freeze_ranges)


@dataclasses.dataclass(frozen=True)
class QuantizeResult:
    """A finished fine-tuning run.

    Attributes:
        folder: the run folder.
        best: the checkpoint with the best validation mIoU; epoch 0 is calibration alone.
        miou: that mIoU, 0..1.
        epochs: epochs trained in all.
    """

    folder: Path
    best: Path
    miou: float
    epochs: int


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
        resume: continue after the last finished epoch.
        force: start anew in a folder that is not empty.
        verbose: as in `model.fit`.
        progress: as for `run_training`.

    Raises:
        DataError, OutputError, ConfigError, ModelFileError, TrainingDiverged: as for
            `run_training`.
    """
    folder, source = Path(folder), checkpoint_in(settings.model)
    values = {**dataclasses.asdict(settings), "model": str(source)}
    if os.path.realpath(folder) == os.path.realpath(source.parent):
        raise OutputError(f"{folder} holds the model itself: choose another output folder")
    prepare_backend(settings.deterministic)
    last = check_resumable(folder, values, LAST) if resume else None
    if not resume:
        check_output_folder(folder, force)
    if last:
        model = load_qat(last)
    else:
        float_model = load_keras(source)
        float_model = resize_model(float_model, settings.size or float_model.config.input_size)
    config: FastSCNNConfig = model.config if last else float_model.config
    training = usable_split(settings, "train", config.input_size, progress)
    validation = usable_split(settings, "val", config.input_size, progress)
    check_batches(training, config, settings.batch_size, training=True)
    if not last:
        calibration = batches(training, config, batch_size=4)
        tfmot()
        model = quantize_aware(float_model, calibration.take(-(-CALIBRATION_IMAGES // 4)))
    _compile(model, settings, len(training))
    state = restore_run(model, last) if last else {}
    with run_folder(folder, resume):
        if not last:
            write_run(folder, values, config)
        if state.get("epochs_done", 0) < settings.epochs:
            _fit(model, settings, folder, training, validation, state, verbose)
    found = read_state(folder)
    if found.best is None:
        raise OutputError(f"{folder / STATE}: damaged, it does not say the best score")
    return QuantizeResult(folder, folder / BEST, found.best, found.epochs_done)


def _compile(model: KerasModel, settings: QuantizeSettings, images: int) -> None:
    keras = tf_keras()
    steps = epoch_steps(settings, images) * settings.epochs
    rate = schedule(keras, "poly", settings.learning_rate, steps)
    model.compile(optimizer(keras, "sgd", rate, momentum=0.9), loss=segmentation_loss)


def _fit(model, settings, folder: Path, training, validation, state, verbose) -> None:
    own = callbacks_for(tf_keras())
    validate = own.Validate(
        lambda: KerasPredictor(model), validation, settings.validate_every, settings.epochs
    )
    checkpoint = own.Checkpoint(
        folder,
        lambda state: save_qat(model, folder / LAST, state),
        lambda: save_qat(model, folder / BEST),
        state,
        details=validate.details,
    )
    if not state:
        model.optimizer.build(model.trainable_variables)
        for callback in (validate, checkpoint):
            callback.set_model(model)
        calibrated: dict[str, float] = {}
        validate.score(calibrated)
        checkpoint.keep(0, calibrated)
    freeze = freeze_ranges(settings.freeze_ranges)
    callbacks = [freeze, own.StopOnBrokenLoss(), validate, checkpoint]
    done = state.get("epochs_done", 0)
    fit_epochs(Training(model, model), settings, training, done, callbacks, verbose)
