"""Callbacks: protocol validation, atomic checkpoints, and the stop on a broken loss.

Made per Keras namespace, so that Keras 3 training and tf_keras fine-tuning share them.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..core.errors import NonFiniteLogits, TrainingDiverged
from ..core.files import read_json, write_json
from ..data.dataset import SegmentationDataset
from ..runtime.evaluate import Predictor, evaluate_predictor

STATE = "state.json"
SCORE = "val_miou"
LOGGED = ("loss", SCORE, "val_pixel_accuracy")


@functools.cache
def callbacks_for(keras: Any) -> SimpleNamespace:
    """`Validate`, `Checkpoint`, `EpochLog` and `StopOnBrokenLoss` for one Keras."""
    base: Any = keras.callbacks.Callback

    class Validate(base):
        """Scores the validation split as `evaluate` does and adds `val_miou` to the logs.

        Args:
            make_predictor: from the model in training to what `evaluate_predictor` takes.
            dataset: the validation split.
            every: epochs between validations.
            epochs: the last one always validates.
        """

        def __init__(
            self,
            make_predictor: Callable[[Any], Predictor],
            dataset: SegmentationDataset,
            every: int = 1,
            epochs: int = 1,
        ):
            super().__init__()
            self.make_predictor, self.dataset = make_predictor, dataset
            self.every, self.epochs = every, epochs
            self.predictor: Predictor | None = None

        def on_epoch_end(self, epoch, logs=None):
            if (epoch + 1) % self.every and epoch + 1 != self.epochs:
                return
            self.score(logs)

        def score(self, logs: dict[str, Any]):
            """Puts the scores of the model as it is into `logs`."""
            self.predictor = self.predictor or self.make_predictor(self.model)
            try:
                result = evaluate_predictor(self.predictor, self.dataset)
            except NonFiniteLogits:
                what = "the logits of a validation image became NaN or infinite"
                raise _diverged(self.model, what) from None
            logs[SCORE] = result.miou
            logs["val_pixel_accuracy"] = result.pixel_accuracy

    class Checkpoint(base):
        """Keeps the last and the best state, each written whole or not at all.

        Args:
            folder: where `state.json` goes.
            save_last: writes the state to go on from.
            save_best: writes the weights with the best score so far.
            extra: more to keep in `state.json`.
            score: name in the logs of what makes an epoch the best.
        """

        def __init__(
            self,
            folder: Path,
            save_last: Callable[[], None],
            save_best: Callable[[], None],
            extra: Callable[[], dict[str, Any]] = dict,
            score: str = SCORE,
        ):
            super().__init__()
            self.extra, self.score = extra, score
            self.folder, self.save_last, self.save_best = folder, save_last, save_best
            path = folder / STATE
            self.state = read_json(path) if path.exists() else {"epochs_done": 0, "best": None}

        def on_train_begin(self, logs=None):
            if not (self.folder / STATE).exists():
                self.keep(0, {})

        def on_epoch_end(self, epoch, logs=None):
            self.keep(epoch + 1, logs or {})

        def keep(self, epochs_done: int, logs: dict[str, float]):
            """Saves the state after `epochs_done` epochs, and the best weights if these are."""
            score = logs.get(self.score)
            best = self.state["best"]
            if score is not None and (best is None or score > best):
                self.state["best"], self.state["best_epoch"] = score, epochs_done
                self.state["scores"] = {k: v for k, v in logs.items() if k.startswith("val_")}
                self.save_best()
            self.save_last()
            self.state.update(self.extra(), epochs_done=epochs_done)
            write_json(self.folder / STATE, self.state)

    class StopOnBrokenLoss(base):
        """Stops at the first non-finite loss, with step and learning rate.

        Raises:
            TrainingDiverged: the loss is NaN or infinite.
        """

        def on_train_batch_end(self, batch, logs=None):
            loss = float((logs or {}).get("loss", 0.0))
            if not math.isfinite(loss):
                raise _diverged(self.model, f"the loss became {loss}")

        def on_epoch_end(self, epoch, logs=None):
            """The last step may have broken the weights after a finite loss."""
            if not all(np.isfinite(w).all() for w in self.model.get_weights()):
                raise _diverged(self.model, "the weights became non-finite")

    class EpochLog(base):
        """Appends a row per epoch to a CSV file; empty cells where there was no validation.

        Keras' CSVLogger fixes its columns at the first epoch and keeps the file open when
        training is interrupted.
        """

        def __init__(self, path: Path, columns: tuple[str, ...] = LOGGED):
            super().__init__()
            self.path, self.columns = path, columns

        def on_epoch_end(self, epoch, logs=None):
            row = {"epoch": epoch + 1, **{name: (logs or {}).get(name) for name in self.columns}}
            new = not self.path.exists()
            with self.path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(row))
                if new:
                    writer.writeheader()
                writer.writerow(row)

    return SimpleNamespace(
        Validate=Validate,
        Checkpoint=Checkpoint,
        EpochLog=EpochLog,
        StopOnBrokenLoss=StopOnBrokenLoss,
    )


def _diverged(model: Any, what: str) -> TrainingDiverged:
    rate, step = float(model.optimizer.learning_rate), int(model.optimizer.iterations)
    return TrainingDiverged(
        f"{what} at step {step} with learning rate {rate:.4g}: lower --learning-rate "
        "(finished epochs are kept)"
    )
