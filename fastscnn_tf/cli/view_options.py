"""Options about how a model looks at an image: fitted, averaged, through windows."""

from __future__ import annotations

from typing import Any

import click

from ..runtime.fit import FITS
from . import declared
from . import shared_options as opt


def fit(help: str) -> Any:
    """`--fit`."""
    return declared.choice("--fit", help, FITS, "resize")


averaging = opt.options(
    click.option(
        "--scales",
        type=opt.Numbers("S,S,...", "numbers such as 0.5,1.0"),
        default=(1.0,),
        help="Average a Keras model at these multiples of its size: 0.5,0.75,1.0,1.25.",
    ),
    declared.flag("--flip", "Average with the mirrored image."),
)
views = opt.options(
    averaging,
    click.option(
        "--window",
        type=opt.SizeType(),
        help="Look through windows of this size at the image's own size.",
    ),
    click.option("--stride", type=opt.SizeType(), help="From window to window; default: half."),
    fit("Stretch the image to the model's size, or keep its proportions and fill the rest."),
)
