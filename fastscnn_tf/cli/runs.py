"""`fastscnn runs`: list, compare and report training runs."""

from __future__ import annotations

from pathlib import Path

import click

from ..core.console import echo
from . import declared
from . import shared_options as opt


@click.group()
def runs() -> None:
    """List, compare and report runs of train, quantize and pretrain."""


@runs.command("list")
@click.argument("folders", nargs=-1)
@declared.choice("--sort", "The latest or the best first.", ("date", "miou"), "date")
@opt.json_and_force
def list_(folders: tuple[str, ...], sort: str, json_path: str | None, force: bool) -> None:
    """List the runs in FOLDERS and below them (default: here), damaged ones with the reason."""
    from ..runs.find_runs import find_runs, runs_table

    opt.check_json(json_path, force)
    found = find_runs(folders or (".",), sort)
    result = {"runs": [run.to_dict() for run in found]}
    opt.write_result(result, json_path, runs_table(found))


@runs.command()
@click.argument("folders", nargs=-1)
@click.option("--output", type=opt.PATH, help="A PNG with the curves of all.")
@opt.json_and_force
def compare(
    folders: tuple[str, ...], output: Path | None, json_path: str | None, force: bool
) -> None:
    """Compare run FOLDERS with the first of them: settings that differ, scores of every class."""
    from ..reports.run_comparison import compare_runs

    opt.check_json(json_path, force, str(output) if output else None)
    result = compare_runs(folders, output, force)
    opt.write_result(result.to_dict(), json_path, result.text())


@runs.command()
@click.argument("folder")
@click.option("--data-dir", help="Where its data set lies: name the best and worst images.")
@declared.flag("--pictures", "Show them, where the data's licence permits it.")
@opt.force
def report(folder: str, data_dir: str | None, pictures: bool, force: bool) -> None:
    """Write FOLDER/report/report.html and report.md: settings, curves, classes, confusions."""
    from ..reports.run_report import write_run_report

    bar = opt.progress("scoring images")
    echo(write_run_report(folder, data_dir, pictures, force, bar))
