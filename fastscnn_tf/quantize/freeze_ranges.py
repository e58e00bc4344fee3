"""`freeze_ranges`: ranges that stay late in fine-tuning, so that the weights settle on them."""

from __future__ import annotations

from typing import Any

from ..core.arguments import check_number
from ..core.errors import ConfigError
from ..core.keras_api import Callback, callback_of, tf_keras


def freeze_ranges(epochs: int | None = None) -> Any:
    """A callback for `fit` of a quantization-aware model: its last epochs keep the ranges.

    Until then every activation range follows the data with a moving average, so that each step
    trains the weights for ranges that the exported file does not have. PyTorch's reference
    training switches its observers off late for the same reason (torchvision
    `references/classification/train_quantization.py`, `--num-observer-update-epochs`).

    The ranges are held to the bit. `save_model` keeps whether they were; `fit` without this
    callback leaves them as they are, held or following.

    Args:
        epochs: how many of the last epochs; 0: none; all of them keeps what calibration found.
            None: a third of those of `fit`, rounded.

    Returns:
        A tf_keras callback. It counts by the epoch's number, so that `fit(initial_epoch=...)`
        goes on as an uninterrupted run would.

    Raises:
        ConfigError: not a number of epochs; in `fit`: more than there are, or another model.
    """
    if epochs is not None:
        check_number("freeze_ranges", epochs, 0, kinds=(int,))
    return callback_of(tf_keras(), FreezeRanges)(epochs)


def frozen_epochs(epochs: int, last: int | None) -> int:
    """How many of `epochs` keep the ranges.

    Example:
        >>> [frozen_epochs(n, None) for n in (1, 2, 5, 10)]
        [0, 1, 2, 3]

    Raises:
        ConfigError: more than there are.
    """
    if last is None:
        return round(epochs / 3)
    wanted = f"0..{epochs}, the number of epochs"
    return check_number("freeze_ranges", last, 0, epochs, (int,), wanted)


class FreezeRanges(Callback):
    """See `freeze_ranges`."""

    def __init__(self, epochs: int | None):
        super().__init__()
        self.epochs, self.first = epochs, 0

    def on_train_begin(self, logs=None):
        if not hasattr(self.model, "blocks"):
            raise ConfigError("freeze_ranges is for a model that quantize_aware made")
        epochs = self.params["epochs"]
        self.first = epochs - frozen_epochs(epochs, self.epochs)

    def on_epoch_begin(self, epoch, logs=None):
        self.model.blocks.freeze(epoch >= self.first)
