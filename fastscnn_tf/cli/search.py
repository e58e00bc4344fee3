"""`fastscnn search` and `find-lr`: what looks for settings of `train`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from ..core.console import echo
from ..core.files.writing import check_output
from ..core.foreign_text import printable, shell_path
from ..train.settings import TrainSettings
from . import shared_options as opt
from .training import aux, cache, naming_interruptions, settings_given, train

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
    from ..train.search.hyper_search import run_search

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


@click.command("find-lr")
@opt.dataset()
@opt.size
@click.option("--recipe", default="paper", show_default=True, help="As for train.")
@opt.setting_option(TrainSettings, "batch_size", "Pairs per step.", label="paper")
@opt.setting_options(TrainSettings, "augment", "optimizer", label="paper")
@aux
@opt.setting_option(TrainSettings, "init_from")
@opt.setting_option(TrainSettings, "seed", "As for train.")
@click.option("--low", type=float, default=1e-5, show_default=True, help="The first rate.")
@click.option("--high", type=float, default=1.0, show_default=True, help="The last rate.")
@click.option("--steps", type=int, default=100, show_default=True, help="Updates between them.")
@opt.skip_bad
@cache
@click.option("--output", type=opt.PATH, help="Plot the test to this PNG.")
@opt.json_path
@opt.force
def find_lr(
    low: float,
    high: float,
    steps: int,
    output: Path | None,
    json_path: str | None,
    force: bool,
    **rest: Any,
) -> None:
    """Suggest a learning rate: train for a moment while it rises, and see where the loss falls."""
    settings = settings_given(rest)
    from ..core.plots import require_matplotlib
    from ..train.lr_finder import find_learning_rate

    opt.check_json(json_path, force, str(output) if output else None, data_dir=rest["data_dir"])
    if output:
        check_output(output, force)
        require_matplotlib()
    finding = find_learning_rate(settings, low, high, steps, opt.progress("checking pairs"))
    if output:
        finding.plot(output, force)
    found = "none" if finding.suggestion is None else f"{finding.suggestion:.2g}"
    opt.write_result(finding.to_dict(), json_path, f"learning rate {found}: {finding.reason}")
