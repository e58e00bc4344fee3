"""`run_pretraining`: the trunk as an image classifier on folders of pictures, such as ImageNet."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import OutputError
from ..core.files import check_output_folder
from ..core.sizes import Size, check_size
from ..data.classification import check_pictures, classification_batches
from ..data.image_folders import ImageFolders
from ..data.reader import named_data_errors
from ..keras_api import KerasModel, keras3, tensorflow
from ..model.classifier import fast_scnn_classifier
from ..model.io import save_keras
from .callbacks import STATE, callbacks_for
from .checkpoint import restore_checkpoint, save_checkpoint
from .optimizers import optimizer
from .run_folder import check_resumable, read_state, run_folder, write_run
from .schedules import schedule
from .settings import check_common
from .trainer import BEST, LAST

TOP = 5
SCORE, SCORE_TOP = "val_top1", f"val_top{TOP}"


@dataclasses.dataclass(frozen=True)
class PretrainSettings:
    """A pre-training run. The paper names the data (ImageNet) but no recipe; this is a usual one.

    Args:
        data_dir: folder with `train/<class>/` and `val/<class>/`.
        size: (height, width) of the pictures.
        epochs: passes over `train`.
        batch_size: pictures per step.
        learning_rate: start of the polynomial schedule, which steps every batch.
        power: its exponent.
        momentum: of SGD.
        preset: wiring, see `FastSCNNConfig.preset`.
        width: factor of all channel counts.
        bn_momentum: of batch normalisation, None for the wiring's own; a run of less than a few
            hundred steps needs a lower one for its statistics to follow.
        seed: weights, order and augmentation.
        validate_every: epochs between validations; the last epoch always validates.
    """

    data_dir: str
    size: Size = (224, 224)
    epochs: int = 90
    batch_size: int = 64
    learning_rate: float = 0.045
    power: float = 0.9
    momentum: float = 0.9
    preset: str = "paper"
    width: float = 1.0
    bn_momentum: float | None = None
    seed: int = 0
    validate_every: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size(self.size))
        check_common(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)


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
        resume: continue after the last finished epoch.
        force: start anew in a folder that is not empty.
        verbose: as in `model.fit`.

    Raises:
        DataError: the folders are not as expected, or a picture cannot be read.
        OutputError, ConfigError, TrainingDiverged: as for `run_training`.
    """
    folder = Path(folder)
    training = ImageFolders(settings.data_dir, "train")
    validation = ImageFolders(settings.data_dir, "val")
    check_pictures(training, settings.size, settings.batch_size, training=True)
    last = check_resumable(folder, settings.to_dict(), LAST) if resume else None
    if not resume:
        check_output_folder(folder, force)
    model = _compiled(settings, training)
    state = restore_checkpoint(model, model, last) if last else {}
    with run_folder(folder, resume):
        if not last:
            write_run(folder, settings.to_dict(), model.config)
        if state.get("epochs_done", 0) < settings.epochs:
            _fit(model, settings, folder, training, validation, state, verbose)
    found = read_state(folder)
    top5 = found.scores.get(SCORE_TOP)
    if found.best is None or top5 is None:
        raise OutputError(f"{folder / STATE}: damaged, it does not say the best scores")
    return PretrainResult(folder, folder / BEST, found.best, top5, found.epochs_done)


def _compiled(settings: PretrainSettings, training: ImageFolders) -> KerasModel:
    keras = keras3()
    tensorflow()  # before Keras asks for it, so that it starts quietly
    keras.utils.set_random_seed(settings.seed)
    changes = {} if settings.bn_momentum is None else {"bn_momentum": settings.bn_momentum}
    config = FastSCNNConfig.preset(
        settings.preset, input_size=settings.size, width=settings.width, **changes
    )
    model = fast_scnn_classifier(config, len(training.class_names))
    steps = len(training) // settings.batch_size * settings.epochs
    rate = schedule(keras, "poly", settings.learning_rate, steps, settings.power)
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
    callbacks = [
        own.StopOnBrokenLoss(),
        _validate_class()(stream(validation, training=False), settings),
        own.Checkpoint(
            folder,
            lambda state: save_checkpoint(model, model, folder / LAST, state),
            lambda: save_keras(model, folder / BEST, optimizer=False),
            state,
            score=SCORE,
            columns=("loss", SCORE, SCORE_TOP),
        ),
    ]
    done = state.get("epochs_done", 0)
    with named_data_errors():
        model.fit(
            stream(training, seed=settings.seed, epochs=range(done, settings.epochs)),
            initial_epoch=done,
            epochs=settings.epochs,
            steps_per_epoch=len(training) // settings.batch_size,
            shuffle=False,
            callbacks=callbacks,
            verbose=verbose,
        )


@functools.cache
def _validate_class() -> Any:
    base: Any = keras3().callbacks.Callback

    class ValidateTop(base):
        """Adds top-1 and top-5 accuracy over the whole validation split to the logs."""

        def __init__(self, batches: Any, settings: PretrainSettings):
            super().__init__()
            self.batches, self.settings = batches, settings

        def on_epoch_end(self, epoch, logs=None):
            last = epoch + 1 == self.settings.epochs
            if (epoch + 1) % self.settings.validate_every == 0 or last:
                logs[SCORE], logs[SCORE_TOP] = top_accuracy(self.model, self.batches)

    return ValidateTop


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
