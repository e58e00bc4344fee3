"""`find_learning_rate`: the learning rate range test of Smith (2017, section 3.3)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.errors import ConfigError
from ..core.files.writing import check_output, write_bytes
from ..core.keras_api import KerasModel, keras3, on_tensorflow
from ..core.plots import figure_png, new_figure
from ..data.numpy_pipeline import numpy_batches
from ..data.pipeline import batches
from ..data.reader import named_data_errors
from .build import BuiltNetwork, epoch_steps
from .settings import TrainSettings
from .trainer import prepare

SMOOTHING = 0.9  # of the loss: about the last ten updates count
DIVERGED = 4.0  # times the lowest smoothed loss ends the test (fast.ai's learner does the same)
MARGIN = 10.0  # below the rate of the lowest loss (fast.ai's suggestion "minimum")
NEEDED = 10  # losses without which nothing can be said


@dataclasses.dataclass(frozen=True)
class LrFinding:
    """What a range test found.

    Attributes:
        learning_rates: of the updates that were made, rising.
        losses: of each, before it was made; the last one may be NaN or infinite.
        smoothed: running average of the finite losses, corrected for its start.
        suggestion: highest rate of a schedule; None where the test shows none.
        reason: a sentence on how the suggestion came about, or why there is none.
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a loss that is not finite is None."""
        finite = [loss if math.isfinite(loss) else None for loss in self.losses]
        return {**dataclasses.asdict(self), "losses": finite}

    def plot(self, path: StrPath, force: bool = False) -> None:
        """Writes the loss over the learning rate as a PNG.

        Raises:
            InputError: matplotlib is missing.
            OutputError: the file exists and `force` is false, or it cannot be written.
        """
        check_output(path, force)
        figure = new_figure(7, 4)
        axes = figure.subplots()
        count = len(self.smoothed)
        axes.plot(self.learning_rates[:count], self.losses[:count], color="0.75", label="loss")
        axes.plot(self.learning_rates[:count], self.smoothed, label="smoothed")
        if self.suggestion is not None:
            label = f"suggestion {self.suggestion:.2g}"
            axes.axvline(self.suggestion, color="C1", linestyle="--", label=label)
        axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
        axes.legend()
        write_bytes(path, figure_png(figure))


def find_learning_rate(
    settings: TrainSettings,
    low: float = 1e-5,
    high: float = 1.0,
    steps: int = 100,
    progress: Progress = iter,
) -> LrFinding:
    """Trains with an exponentially rising learning rate and looks where the loss is lowest.

    Model, data, losses and optimizer are those of a run with the same settings; their schedule is
    not used. Nothing is written.

    Args:
        settings: the run that a learning rate is wanted for.
        low: rate of the first update.
        high: rate of the last one.
        steps: updates, at least 10; fewer where the loss blows up.
        progress: wraps the indices of the pairs that are checked, to show a progress bar.

    Raises:
        ConfigError: a value is out of range.
        DataError: as for `run_training`.
    """
    if not 0 < low < high < math.inf:
        raise ConfigError(f"low must be above 0 and below high, got {low} and {high}")
    if steps < NEEDED:
        raise ConfigError(f"a range test needs at least {NEEDED} steps, got {steps}")
    ready = prepare(settings, None, progress=progress, validates=False)
    stream = _stream(settings, ready.config, ready.training, steps * settings.accumulate)
    with named_data_errors():
        return judge(*_range_test(ready.built, stream, settings.accumulate, low, high, steps))


def _stream(settings: TrainSettings, config: Any, data: Any, count: int) -> Iterator[Any]:
    """So many batches as a run would see them first."""
    source = data, config, settings.augmentation, settings.batch_size, settings.seed
    epochs = range(-(-count // epoch_steps(settings, len(data))))
    if on_tensorflow(keras3()):
        given = batches(*source, epochs, cache=settings.cache)
        # Without augmentation it holds one epoch.
        return itertools.islice(itertools.chain.from_iterable(itertools.repeat(given)), count)
    return itertools.islice(_by_epoch(numpy_batches(*source, cache=settings.cache), epochs), count)


def _by_epoch(pairs: Any, epochs: range) -> Iterator[Any]:
    for pairs.epoch in epochs:
        yield from (pairs[i] for i in range(len(pairs)))


def _range_test(
    built: BuiltNetwork,
    stream: Iterator[Any],
    accumulate: int,
    low: float,
    high: float,
    steps: int,
) -> tuple[list[float], list[float]]:
    """Learning rates and losses of the updates, until the loss blows up."""
    model = built.fitted
    # Keras counts batches where it accumulates gradients.
    model.optimizer.learning_rate = keras3().optimizers.schedules.ExponentialDecay(
        low, accumulate, (high / low) ** (1.0 / (steps - 1)), staircase=True
    )
    rates: list[float] = []
    losses: list[float] = []
    for _ in range(steps):
        rates.append(float(model.optimizer.learning_rate))
        losses.append(float(np.mean([_loss(model, next(stream)) for _ in range(accumulate)])))
        finite = smooth(losses)
        if len(finite) < len(losses) or finite[-1] > DIVERGED * min(finite):
            break
    return rates, losses


def _loss(model: KerasModel, batch: Any) -> float:
    model.reset_metrics()  # `train_on_batch` reports their mean since then
    return float(model.train_on_batch(*batch, return_dict=True)["loss"])


def smooth(losses: Sequence[float], momentum: float = SMOOTHING) -> list[float]:
    """The exponential running average up to the first loss that is not finite.

    Divided by 1 - momentum ** n, as in Adam, so that it is no lower at its start.
    """
    average, smoothed = 0.0, []
    for n, loss in enumerate(itertools.takewhile(math.isfinite, losses), 1):
        average = momentum * average + (1.0 - momentum) * loss
        smoothed.append(average / (1.0 - momentum**n))
    return smoothed


def judge(rates: Sequence[float], losses: Sequence[float]) -> LrFinding:
    """What the losses at rising learning rates say.

    Args:
        rates: of the updates.
        losses: of each; the last one may be NaN or infinite.
    """
    smoothed = smooth(losses)
    suggestion, reason = _suggestion(rates, smoothed)
    return LrFinding(tuple(rates), tuple(losses), tuple(smoothed), suggestion, reason)


def _suggestion(rates: Sequence[float], smoothed: list[float]) -> tuple[float | None, str]:
    if len(smoothed) < NEEDED:
        return None, (
            f"the loss blew up within {len(smoothed)} updates: start lower, or take more steps"
        )
    best = int(np.argmin(smoothed))
    lowest, first = smoothed[best], smoothed[0]
    if lowest > 0.95 * first:
        return None, f"the loss hardly fell, from {first:.3g} to {lowest:.3g}: take more steps"
    suggestion, where = rates[best] / MARGIN, f"{rates[best]:.2g}"
    if best == len(smoothed) - 1:
        return suggestion, (
            f"a tenth of {where}, where the loss still fell: a higher end would tell more"
        )
    return suggestion, f"a tenth of {where}, where the loss was lowest"
