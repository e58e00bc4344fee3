"""What a run says while it trains: one line for each epoch, and on a terminal the steps between."""

from __future__ import annotations

import time
from typing import Any

from ..core.console import StatusLine, echo
from ..core.keras_api import Callback
from ..core.scores.confusion import of_known
from ..core.text_table import duration, percent
from ..runs.run_files import SCORE

NAMES = {SCORE: "val mIoU"}  # of scores, for people


class EpochLines(Callback):
    """Prints losses and scores, the best so far and the time left of the whole run.

    Args:
        checkpoint: what knows the score and the best of it; comes before this callback.
        epochs: of the whole run.
        shown: print at all.
    """

    def __init__(self, checkpoint: Any, epochs: int, shown: Any = True):
        super().__init__()
        self.checkpoint, self.epochs, self.shown = checkpoint, epochs, bool(shown)
        self.ends: list[float] = []  # of the start and of each epoch
        self.traced = 0.0  # when the first step had ended, which is traced
        self.line, self.epoch = StatusLine(), 0
        self.name = NAMES.get(checkpoint.score, checkpoint.score.replace("val_", "val "))

    def on_train_begin(self, logs=None):
        self.ends = self.ends or [time.monotonic()]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1
        if self.shown and (first := self.checkpoint.first):
            steps = first + self.params["steps"]
            echo(f"goes on in epoch {self.epoch} at step {first} of {steps}")
        elif self.shown and epoch and len(self.ends) == 1:
            echo(f"goes on at epoch {self.epoch} of {self.epochs}")

    def on_train_batch_end(self, batch, logs=None):
        first, now = self.checkpoint.first, time.monotonic()
        self.traced = self.traced or (self.checkpoint.began if first else now)
        if self.shown:
            steps = first + self.params["steps"]
            at = f"step {first + batch + 1}/{steps}"
            self.line.show(lambda: f"{self._count()}  {at}  loss {_loss(logs)}")

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.monotonic())
        self.epoch = epoch + 1
        if self.shown:
            self.line.clear()
            echo("  ".join(filter(None, (self._count(), *self._said(logs or {})))))

    def _count(self) -> str:
        return f"epoch {self.epoch:{len(str(self.epochs))}d}/{self.epochs}"

    def _said(self, logs: dict[str, Any]) -> tuple[str, ...]:
        score, state = logs.get(self.checkpoint.score), self.checkpoint.state
        best, of = state["best"], of_known((state.get("class_iou") or {}).values())
        return (
            f"loss {_loss(logs)}",
            "" if score is None else f"{self.name} {percent(score)} %{of}",
            "" if best is None else f"best {percent(best)} % (epoch {state['best_epoch']})",
            self._time(),
        )

    def _time(self) -> str:
        """Of the run, or what is left by the mean of all epochs but the first, which traces."""
        left = self.epochs - self.epoch
        if not left or self.model.stop_training:
            return f"{duration(self.ends[-1] - self.ends[0])} in all"
        start, *later = self.traced or self.ends[0], *self.ends[1:]
        each = (later[-1] - later[0]) / (len(later) - 1) if len(later) > 1 else later[0] - start
        return f"{duration(each * left)} left"


def _loss(logs: dict[str, Any] | None) -> str:
    loss = (logs or {}).get("loss")
    return "?" if loss is None else f"{float(loss):.4f}"
