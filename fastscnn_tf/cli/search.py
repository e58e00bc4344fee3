"""`fastscnn search`: a hyper-parameter search around `train`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from ..core.console import echo
from ..core.foreign_text import printable, shell_path
from . import options as opt
from .train_options import naming_interruptions, settings_given
from .training import train

_OWN = ("output", "resume", "force")  # of `train`; a search has its own


@click.command()
@click.option(
    "--space",
    multiple=True,
    required=True,
    metavar="NAME=VALUES",
    help="What to vary, once for each setting: learning_rate=log:0.001..0.1, batch_size=4..16, "
    "augment=paper,strong.",
)
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="In all.")
@click.option(
    "--warmup",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Epochs that a trial is given before it may be stopped: below the median of the others.",
)
@click.option("--output", required=True, type=opt.PATH, help="Folder.")
@click.option("--resume", is_flag=True, help="Go on with the search in --output.")
@opt.json_path
@opt.force
def search(
    space: tuple[str, ...],
    trials: int,
    warmup: int,
    output: Path,
    resume: bool,
    force: bool,
    json_path: str | None,
    **rest: Any,
) -> None:
    """Train many times, look for the best settings with Optuna; takes the options of train, too.

    Writes OUTPUT/best.json for train --recipe, and a run folder for each trial.
    """
    base = settings_given(rest)
    from ..train.search import run_search

    opt.check_json(json_path, force or resume, data_dir=rest["data_dir"])
    to_stderr = functools.partial(echo, err=True)
    with naming_interruptions():
        result = run_search(
            base, space, output, trials, resume, force, warmup=warmup, report=to_stderr
        )
    best = f"best settings: {result.recipe} (train --recipe {shell_path(result.recipe)})"
    text = f"{result.table()}\n{printable(best)}"
    opt.write_result(result.to_dict(), json_path, text)


search.params = [*(p for p in train.params if p.name not in _OWN), *search.params]
