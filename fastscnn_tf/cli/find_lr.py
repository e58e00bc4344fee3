"""The command that looks for a learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.files import check_output
from ..train.settings import TrainSettings
from . import options as opt
from .train_options import aux, cache, settings_given


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
    from ..train.lr_finder import find_learning_rate
    from ..train.plots import require_matplotlib

    opt.check_json(json_path, force, str(output) if output else None, data_dir=rest["data_dir"])
    if output:
        check_output(output, force)
        require_matplotlib()
    finding = find_learning_rate(settings, low, high, steps, opt.progress("checking pairs"))
    if output:
        finding.plot(output, force)
    found = "none" if finding.suggestion is None else f"{finding.suggestion:.2g}"
    opt.write_result(finding.to_dict(), json_path, f"learning rate {found}: {finding.reason}")
