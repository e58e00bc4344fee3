"""`run_pretraining`: the trunk as an image classifier on folders of images, such as ImageNet."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig
from ..core.keras_api import KerasModel, callback_of, keras3, tensorflow
from ..data.classification import check_images, classification_batches
from ..data.datasets.image_folders import ImageFolders
from ..data.reader import named_data_errors
from ..model.classifier import fast_scnn_classifier
from ..model.io import read_config, save_keras
from ..runs.run_folder import open_run
from .build import fitting_momentum
from .callbacks import Validate, callbacks_for
from .optimizers import optimizer
from .schedules import schedule
from .settings import PretrainSettings as PretrainSettings
from .settings import seconds_of
from .trainer import BEST, LAST, fit_stream
from .training_state import restore_checkpoint, save_checkpoint

TOP = 5
SCORE, SCORE_TOP = "val_top1", f"val_top{TOP}"


@dataclasses.dataclass(frozen=True)
class PretrainResult:
    """A finished pre-training run.

    Attributes:
        folder: the run folder.
        best: the checkpoint with the best top-1 accuracy, for `train --init-from`.
        top1: that accuracy on `val`, 0..1.
        top5: the top-5 accuracy of the same epoch, 0..1.
        epochs: epochs trained in all.
    """

    folder: Path
    best: Path
    top1: float
    top5: float
    epochs: int


def run_pretraining(
    settings: PretrainSettings,
    folder: StrPath,
    resume: bool = False,
    force: bool = False,
    verbose: int | str = "auto",
) -> PretrainResult:
    """Trains the classifier, or goes on with an interrupted run.

    Args:
        settings: the run; on resuming they must be those it was started with.
        folder: gets `best.keras`, `last.keras`, `run.json`, `state.json`, `log.csv`.
        resume: continue after the last checkpoint.
        force: start anew in a folder that is not empty.
        verbose: as for `run_training`.

    Raises:
        DataError: the folders are not as expected, or an image cannot be read.
        OutputError, ConfigError, TrainingDiverged: as for `run_training`.
    """
    training = ImageFolders(settings.data_dir, "train")
    validation = ImageFolders(settings.data_dir, "val")
    check_images(training, settings.size, settings.batch_size, training=True)
    run = open_run(folder, settings.to_dict(), LAST, resume, force)
    model = _compiled(settings, training, run.last)
    state = restore_checkpoint(model, model, run.last) if run.last else {}
    found = run.train(
        model.config,
        state,
        lambda: _fit(model, settings, run.folder, training, validation, state, verbose),
    )
    top1 = run.required(found.best, "scores")
    top5 = run.required(found.scores.get(SCORE_TOP), "scores")
    return PretrainResult(run.folder, run.folder / BEST, top1, top5, found.epochs_done)


def _compiled(settings: PretrainSettings, training: ImageFolders, last: Path | None) -> KerasModel:
    keras = keras3()
    tensorflow()  # before Keras asks for it, so that it starts quietly
    keras.utils.set_random_seed(settings.seed)
    steps = len(training) // settings.batch_size * settings.epochs
    config = FastSCNNConfig.preset(settings.preset, input_size=settings.size, width=settings.width)
    momentum = settings.bn_momentum
    if momentum is None:
        momentum = fitting_momentum(steps, config.bn_momentum)
    if last:
        momentum = read_config(last).bn_momentum
    model = fast_scnn_classifier(config.replace(bn_momentum=momentum), len(training.class_names))
    rate = schedule(keras, "poly", settings.learning_rate, steps, power=settings.power)
    model.compile(
        optimizer(keras, "sgd", rate, settings.momentum),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def _fit(model, settings, folder: Path, training, validation, state, verbose) -> None:
    config = model.config
    stream = functools.partial(
        classification_batches,
        size=settings.size,
        mean=config.mean,
        std=config.std,
        batch_size=settings.batch_size,
    )
    own = callbacks_for(keras3())
    validate = callback_of(keras3(), ValidateTop)(
        None, stream(validation, training=False), settings.validate_every, settings.epochs
    )
    checkpoint = own.Checkpoint(
        folder,
        lambda state: save_checkpoint(model, model, folder / LAST, state),
        lambda: save_keras(model, folder / BEST, optimizer=False),
        state,
        score=SCORE,
        columns=("loss", SCORE, SCORE_TOP),
        every=seconds_of(settings.save_every),
    )
    lines = own.EpochLines(checkpoint, settings.epochs, verbose)
    begin = own.GoOnWithin(state)
    callbacks = [begin, own.StopOnBrokenLoss(), validate, checkpoint, lines]
    with named_data_errors():
        steps = len(training) // settings.batch_size
        fit_stream(
            model,
            lambda *at: stream(training, seed=settings.seed, epochs=at[0], first_step=at[1]),
            settings,
            state,
            steps,
            callbacks,
        )


class ValidateTop(Validate):
    """Adds top-1 and top-5 accuracy over the batches of the validation split to the logs."""

    def score(self, logs: dict[str, Any]) -> None:
        """Puts both of the model as it is into `logs`."""
        logs[SCORE], logs[SCORE_TOP] = top_accuracy(self.model, self.dataset)


def top_accuracy(model: KerasModel, batches: Any) -> tuple[float, float]:
    """Top-1 and top-5 accuracy, 0..1.

    Args:
        model: images (B, H, W, 3) -> logits (B, labels).
        batches: (images, classes) pairs.
    """
    first = within = total = 0
    for images, labels in batches:
        logits = np.asarray(model.predict_on_batch(images))
        ranks = logits.argsort(-1)[:, ::-1]
        hits = ranks == np.asarray(labels)[:, None]
        first += int(hits[:, :1].sum())
        within += int(hits[:, :TOP].sum())
        total += len(ranks)
    return first / total, within / total
