"""The options of `train` and of commands that take its settings; none is given by default."""

from __future__ import annotations

import click

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
