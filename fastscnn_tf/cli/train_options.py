"""The options of `train`: one for each setting that a recipe decides, none given by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import options as opt

AUGMENT_HELP = "Augmentation: paper, gentle, strong or none."
# (flag, type, help, what the paper's recipe says)
_GROUPS: tuple[tuple[str, Any, str, str], ...] = (
    ("epochs", int, "Passes over the training split.", "1000"),
    ("crop", opt.SizeType(), "Training crops smaller than --size, height x width.", "--size"),
    ("batch-size", int, "Pairs per step, over all replicas.", "12"),
    ("optimizer", str, "sgd or adamw.", "sgd"),
    ("learning-rate", float, "Start of the schedule, or its peak.", "0.045"),
    ("schedule", str, "poly, cosine, one_cycle, cyclic or constant.", "poly"),
    ("power", float, "Exponent of poly.", "0.9"),
    ("cycles", int, "Repetitions of cosine and cyclic.", "1 and 4"),
    ("warmup-epochs", float, "Epochs of linear rise before the schedule.", "0"),
    ("momentum", float, "Of SGD; beta 1 of AdamW.", "0.9"),
    ("weight-decay", float, "Decoupled decay of the kernels.", "0"),
    ("l2", float, "L2 regularisation as the paper's.", "4e-5"),
    ("clip-norm", float, "Greatest global norm of the gradients.", "none"),
    ("accumulate", int, "Batches whose gradients make one update.", "1"),
    (
        "loss",
        str,
        "Sum of cross_entropy, ohem, focal, dice, lovasz, boundary, as in 'ohem + 0.5*dice'.",
        "cross_entropy",
    ),
    ("class-weights", str, "none, enet or median (frequency).", "none"),
    ("label-smoothing", float, "Share of the target spread over all classes.", "0"),
    ("aux-weight", float, "Weight of each auxiliary loss.", "0.4"),
    ("dropout", float, "Rate before the logits.", "0.1"),
    ("bn-momentum", float, "Of batch normalisation; 0.9 for short runs.", "0.99"),
    ("ema", float, "Momentum of averaged weights, which are scored and kept as the best.", "0"),
    ("precision", str, "float32, mixed_float16 or mixed_bfloat16.", "float32"),
    ("augment", str, AUGMENT_HELP, "paper"),
    ("distill-weight", float, "Weight of --teacher's loss.", "1"),
    ("distill-temperature", float, "Temperature of its softmax.", "1"),
    ("early-stopping", int, "End after this many epochs without a better score.", "never"),
    ("validate-every", int, "Epochs between validations; 0: none, the last weights stay.", "1"),
    ("preset", str, f"Wiring: {opt.PRESET_NAMES}.", "paper"),
    ("width", float, "Factor of all channel counts, 0.25..4.", "1"),
)


aux = click.option(
    "--aux/--no-aux",
    "aux_heads",
    default=None,
    help="Auxiliary losses; by default where the wiring has such heads.",
)


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds an option for every setting; those not given are left to the recipe."""
    decorators = [
        click.option(f"--{flag}", type=kind, help=f"{text} [paper: {default}]")
        for flag, kind, text, default in _GROUPS
    ]
    return opt.options(*decorators, aux)(function)


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}
