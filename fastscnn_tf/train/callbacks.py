"""Callbacks: protocol validation, atomic checkpoints, and the stop on a broken loss.

They know neither Keras: `callbacks_for` makes them callbacks of Keras 3, for training, and of
tf_keras, for fine-tuning.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from ..core.arguments import called
from ..core.errors import ModelFileError, NonFiniteLogits, TrainingDiverged
from ..core.files.remote_outputs import uploaded
from ..core.files.writing import write_bytes, write_json
from ..core.keras_api import Callback, KerasModel, callback_of, keras3
from ..data.datasets.dataset import SegmentationDataset
from ..runs.run_files import LOG, SCORE, STATE
from ..scoring.evaluation_result import Evaluation
from ..scoring.protocol import Predictor, evaluate_predictor
from .ema import in_variables
from .epoch_lines import EpochLines
from .stop_on_signal import StopOnSignal

LOGGED = ("loss", "learning_rate", SCORE, "val_pixel_accuracy", "seconds")
Averaged = Callable[[], AbstractContextManager[None]]
START: dict[str, Any] = {"epochs_done": 0, "best": None, "history": [], "within": None}


class Validate(Callback):
    """Scores the validation split as `evaluate` does and adds `val_miou` to the logs.

    Args:
        make_predictor: makes what `evaluate_predictor` takes of the weights as they are.
        dataset: the validation split.
        every: epochs between validations; 0: none.
        epochs: the last one always validates.
        averaged: puts averaged weights into the model for as long as it is entered.

    Attributes:
        predictor: what scored last.
        result: its result; None before the first validation.
    """

    def __init__(
        self,
        make_predictor: Callable[[], Predictor],
        dataset: SegmentationDataset,
        every: int = 1,
        epochs: int = 1,
        averaged: Averaged = contextlib.nullcontext,
    ):
        super().__init__()
        self.make_predictor, self.dataset = make_predictor, dataset
        self.every, self.epochs, self.averaged = every, epochs, averaged
        self.predictor: Predictor | None = None
        self.result: Evaluation | None = None

    def on_epoch_end(self, epoch, logs=None):
        if self.every and ((epoch + 1) % self.every == 0 or epoch + 1 == self.epochs):
            self.score(logs)

    def score(self, logs: dict[str, Any]):
        """Puts the scores of the model as it is into `logs`."""
        try:
            with self.averaged():
                self.predictor = self.make_predictor()
                self.result = evaluate_predictor(self.predictor, self.dataset)
        except NonFiniteLogits:
            what = "the logits of a validation image became NaN or infinite"
            raise _diverged(self.model, what) from None
        logs[SCORE] = self.result.miou
        logs["val_pixel_accuracy"] = self.result.pixel_accuracy

    def details(self) -> dict[str, Any]:
        """What of the last validation is kept beside its scores."""
        if self.result is None:
            return {}
        return {
            "class_iou": self.result.class_iou,
            "confusion": self.result.scores.matrix.tolist(),
        }


class Checkpoint(Callback):
    """Keeps the last and the best state, each written whole or not at all.

    `state.json` and `log.csv` are copies for people and other programs; a run goes on from
    what `save_last` wrote.

    Args:
        folder: where `state.json` and `log.csv` go.
        save_last: writes the state to go on from; gets what `state.json` says.
        save_best: writes the weights with the best score so far.
        state: of the run that goes on.
        details: more to keep of a validated epoch: `class_iou`, `confusion`.
        score: name in the logs of what makes an epoch the best.
        columns: of `log.csv`, after the epoch.
        epochs: the last one; without validation its weights are the best.
        patience: epochs without a better score after which training ends; 0: never.
        every: seconds between checkpoints within an epoch; 0: only where a signal ends the run.

    Attributes:
        first: steps of the running epoch that another process did.
    """

    def __init__(
        self,
        folder: Path,
        save_last: Callable[[dict[str, Any]], None],
        save_best: Callable[[], None],
        state: dict[str, Any] | None = None,
        details: Callable[[], dict[str, Any]] = dict,
        score: str = SCORE,
        columns: Sequence[str] = LOGGED,
        epochs: int = 0,
        patience: int = 0,
        every: float = 0.0,
    ):
        super().__init__()
        self.folder, self.save_last, self.save_best = folder, save_last, save_best
        self.details, self.score = details, score
        self.columns, self.epochs, self.patience = tuple(columns), epochs, patience
        self.every, self.first = every, 0
        self.state = {**START, "history": [], **(state or {})}
        self.began = self.saved = time.monotonic()

    def on_train_begin(self, logs=None):
        if not (self.folder / STATE).exists():
            self.save()

    def on_epoch_begin(self, epoch, logs=None):
        within = self.state["within"] or {}
        self.first, self.saved = within.get("step", 0), time.monotonic()
        self.began = self.saved - within.get("seconds", 0.0)

    def on_train_batch_end(self, batch, logs=None):
        due = self.every and time.monotonic() - self.saved >= self.every
        if (due or self.params["stop"].due) and batch + 1 < self.params["steps"]:
            self.keep_within(self.first + batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        logs = {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": round(time.monotonic() - self.began, 2),
            **(logs or {}),
        }
        self.keep(epoch + 1, logs)
        best_epoch = self.state.get("best_epoch") or 0
        if self.patience and epoch + 1 - best_epoch >= self.patience:
            self.model.stop_training = True

    def keep(self, epochs_done: int, logs: dict[str, Any]):
        """Saves the state after `epochs_done` epochs, and the best weights if these are."""
        score = logs.get(self.score)
        best = self.state["best"]
        if score is not None and (best is None or score > best):
            self.state["best"], self.state["best_epoch"] = score, epochs_done
            self.state["scores"] = {k: v for k, v in logs.items() if k.startswith("val_")}
            self.state.update(self.details())
            self.save_best()
        elif best is None and epochs_done == self.epochs:
            self.state["best_epoch"] = epochs_done
            self.save_best()
        if logs:
            self.state["history"].append(self.row(epochs_done, logs))
        self.state.update(epochs_done=epochs_done, within=None)
        self.save()

    def keep_within(self, step: int):
        """Saves the state after a step of the running epoch."""
        in_variables(self.model)
        check_weights(self.model)
        means = [float(keras3().ops.convert_to_numpy(v)) for v in _means(self.model)]
        seconds = round(time.monotonic() - self.began, 2)
        self.state["within"] = {"step": step, "seconds": seconds, "means": means}
        self.save()

    def save(self):
        """Writes the state as it is."""
        self.save_last(self.state)
        self.publish()
        self.saved = time.monotonic()

    def row(self, epochs_done: int, logs: dict[str, Any]) -> dict[str, Any]:
        """What `log.csv` says of an epoch."""
        row = {"epoch": epochs_done, **{name: logs.get(name) for name in self.columns}}
        if self.score in logs:
            scores = self.details().get("class_iou", {})
            row.update({f"val_iou_{name}": value for name, value in scores.items()})
        return row

    def publish(self):
        """Writes `state.json` and `log.csv` for others to read."""
        write_json(self.folder / STATE, self.state)
        if rows := self.state["history"]:
            write_bytes(self.folder / LOG, csv_of(rows).encode())
        uploaded(self.folder)


class GoOnWithin(Callback):
    """Puts the mean losses back with which a run goes on within an epoch, as Keras resets them.

    Args:
        state: of the run that goes on.

    Raises:
        ModelFileError: they are of other losses.
    """

    def __init__(self, state: dict[str, Any]):
        super().__init__()
        self.means = (state.get("within") or {}).get("means")

    def on_epoch_begin(self, epoch, logs=None):
        if self.means is not None:
            variables = _means(self.model)
            if len(variables) != len(self.means):
                raise ModelFileError("the checkpoint is damaged: its mean losses are of others")
            for variable, value in zip(variables, self.means, strict=True):
                variable.assign(value)
        self.means = None


class StopOnBrokenLoss(Callback):
    """Stops at the first non-finite loss, with step and learning rate.

    Raises:
        TrainingDiverged: the loss is NaN or infinite.
    """

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise _diverged(self.model, f"the loss became {loss}")

    def on_epoch_end(self, epoch, logs=None):
        check_weights(self.model)


def check_weights(model: KerasModel) -> None:
    """Makes sure that the last step has not broken the weights after a finite loss.

    Raises:
        TrainingDiverged: it has.
    """
    if not all(np.isfinite(w).all() for w in model.get_weights()):
        raise _diverged(model, "the weights became non-finite")


def _means(model: KerasModel) -> list[Any]:
    """The variables of the losses' means over the running epoch."""
    if not (isinstance(model, keras3().Model) or model.compiled_loss.built):
        model.compiled_loss.build(model.output)  # tf_keras would make them at the first step
    return [variable for metric in model.metrics for variable in metric.variables]


def callbacks_for(keras: ModuleType) -> SimpleNamespace:
    """The callbacks of this file, `EpochLines` and `StopOnSignal`, for one Keras."""
    own = (Validate, Checkpoint, GoOnWithin, StopOnBrokenLoss, EpochLines, StopOnSignal)
    return SimpleNamespace(**{one.__name__: callback_of(keras, one) for one in own})


def csv_of(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV: every column that occurs, empty where a row has none."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _diverged(model: KerasModel, what: str) -> TrainingDiverged:
    rate, step = float(model.optimizer.learning_rate), int(model.optimizer.iterations)
    return TrainingDiverged(
        f"{what} at step {step} with learning rate {rate:.4g}: lower {called('learning_rate')}"
    )
