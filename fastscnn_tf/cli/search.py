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
from . import declared
from . import shared_options as opt
from .sections import SectionedCommand
from .training import SECTIONS, aux, cache, naming_interruptions, settings_given, train

_OWN = ("output", "resume", "force")  # of `train`; a search has its own


@click.command(
    cls=SectionedCommand,
    sections={
        "Search": ("space", "trials", "warmup", "output", "storage", "resume", "json_path", "force")
    }
    | SECTIONS,
)
@click.option(
    "--space",
    multiple=True,
    required=True,
    metavar="NAME=VALUES",
    help="What to vary, once for each setting: learning_rate=log:0.001..0.1, batch_size=4..16, "
    "augment=paper,strong.",
)
@declared.whole("--trials", "In all.", default=20)
@declared.whole(
    "--warmup",
    "Epochs that a trial is given before it may be stopped: below the median of the others.",
    low=0,
    default=1,
)
@click.option("--output", required=True, type=opt.PATH, help="Folder.")
@click.option(
    "--storage",
    metavar="URL|FILE",
    help="Share the trials with other processes that have the same one and an --output of the same "
    "name: a database, or a journal file on a common disk; with --resume they take part.",
)
@declared.flag("--resume", "Go on with the search in --output.")
@opt.json_and_force
def search(output: Path, force: bool, json_path: str | None, **rest: Any) -> None:
    """Train many times, look for the best settings with Optuna; takes the options of train, too.

    Writes OUTPUT/best.json for train --recipe, and a run folder for each trial.
    """
    own = opt.taken(rest, "space", "trials", "warmup", "storage", "resume")
    base = settings_given(rest)
    from ..train.search.hyper_search import run_search

    opt.check_json(json_path, force or own["resume"], data_dir=rest["data_dir"])
    to_stderr = functools.partial(echo, err=True)
    with naming_interruptions():
        result = run_search(base, folder=output, force=force, report=to_stderr, **own)
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
@opt.json_and_force
def find_lr(output: Path | None, json_path: str | None, force: bool, **rest: Any) -> None:
    """Suggest a learning rate: train for a moment while it rises, and see where the loss falls."""
    rates = opt.taken(rest, "low", "high", "steps")
    settings = settings_given(rest)
    from ..core.plots import require_matplotlib
    from ..train.lr_finder import find_learning_rate

    opt.check_json(json_path, force, str(output) if output else None, data_dir=rest["data_dir"])
    if output:
        check_output(output, force)
        require_matplotlib()
    finding = find_learning_rate(settings, progress=opt.progress("checking pairs"), **rates)
    if output:
        finding.plot(output, force)
    found = "none" if finding.suggestion is None else f"{finding.suggestion:.2g}"
    opt.write_result(finding.to_dict(), json_path, f"learning rate {found}: {finding.reason}")
