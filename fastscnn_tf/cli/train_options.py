"""The options of `train` and of commands that take its settings; none is given by default."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click

from ..core.errors import Interrupted
from ..train.settings import TrainSettings
from . import options as opt

# What a recipe decides, in the order of `--help`.
RECIPE = (
    *("epochs", "crop", "batch_size", "optimizer", "learning_rate", "schedule", "power", "cycles"),
    *("warmup_epochs", "momentum", "weight_decay", "l2", "clip_norm", "accumulate", "loss"),
    *("class_weights", "label_smoothing", "aux_weight", "dropout", "bn_momentum", "ema"),
    *("precision", "augment", "distill_weight", "distill_temperature", "early_stopping"),
    *("validate_every", "preset", "width"),
)
# What belongs to a run.
PLACES = (
    *("init_from", "teacher", "extra_dataset", "extra_data_dir", "extra_split", "seed"),
    *("deterministic", "strategy"),
)

aux = click.option(
    "--aux/--no-aux",
    "aux_heads",
    default=None,
    help="Auxiliary losses; by default where the wiring has such heads.",
)
recipe_options = opt.options(opt.setting_options(TrainSettings, *RECIPE, label="paper"), aux)
place_options = opt.setting_options(TrainSettings, *PLACES)
cache = opt.setting_option(TrainSettings, "cache")


def settings_given(values: dict[str, Any]) -> TrainSettings:
    """The settings of a run: the recipe's, and the options that were given beside it."""
    if values["size"] is None:
        raise click.UsageError("--size is needed, such as 352x480")
    from ..train.recipes import train_settings

    return train_settings(**{"data_dir": None, **opt.given(values)})


@contextlib.contextmanager
def naming_interruptions() -> Iterator[None]:
    """On Ctrl-C, says what of a run was kept.

    Raises:
        Interrupted: for the line on the console.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted {str(error) or 'before the run began'}") from None
