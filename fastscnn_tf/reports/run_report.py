"""`write_run_report`: what a run was and what came of it, as HTML and as Markdown."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.errors import OutputError
from ..core.fields import defaults
from ..core.files.writing import check_output_folder
from ..core.plots import class_bars, confusion, curves, row_shares
from ..core.report_page import Figure, Page, Section, Table, facts
from ..core.text_table import duration, percent
from ..runs.find_runs import best_text, recipe_name
from ..runs.run_record import QUANTIZE, TRAIN, Run, read_run

FOLDER, MARKDOWN = "report", "report.md"
# What a report consists of: a new one takes the place of all of it, images above all.
OWN = r"report\.(html|md)|(curves|class_iou|confusion)\.png|(best|worst)_\d+\.png"
CONFUSIONS = 5  # listed in words


def write_run_report(
    folder: StrPath,
    data_dir: StrPath | None = None,
    pictures: bool = False,
    force: bool = False,
    progress: Progress = iter,
) -> Path:
    """Writes `report/report.html`, self-contained, and `report/report.md` with PNG files.

    Args:
        folder: a run of `train`, `quantize` or `pretrain`, at any point of its training.
        data_dir: where its data set lies: the best and the worst validation images are named,
            which runs the best weights over the split.
        pictures: put them in. The licences of many data sets forbid to pass images on, so a
            report has none unless asked for.
        force: replace a report that is there already.
        progress: wraps the indices of the validation images, to show a progress bar.

    Returns:
        The HTML file.

    Raises:
        InputError: not a run, damaged, or matplotlib is missing.
        OutputError: there is a report already, or the folder cannot be written.
        ConfigError, DataError, ModelFileError: the images cannot be scored.
    """
    run = read_run(folder)
    if (run.folder / FOLDER).is_symlink():  # it came with the run, and may lead anywhere
        raise OutputError(f"{run.folder / FOLDER} is a link: remove it first")
    target = check_output_folder(run.folder / FOLDER, force)
    sections = [_result(run), *_curves(run), *_classes(run), *_confusion(run)]
    if pictures or data_dir is not None:
        from .run_report_images import ImageRanking

        sections += ImageRanking(run, data_dir, progress).sections(pictures)
    sections += [_settings(run), _surroundings(run)]
    name = run.folder.resolve().name
    page = Page(f"Fast-SCNN, {run.kind}: {name}", tuple(sections))
    return page.write(target, OWN, MARKDOWN)


def _result(run: Run) -> Section:
    accuracy = run.scores.get("val_pixel_accuracy")
    rows = [
        ("state", run.state),
        ("epochs", f"{run.epochs_done} of {run.epochs}"),
        (f"best {_score_name(run)}", best_text(run)),
        ("pixel accuracy of that epoch", "-" if accuracy is None else f"{percent(accuracy)} %"),
        ("data set", str(run.settings.get("dataset") or run.settings.get("data_dir"))),
        ("size", run.size or "-"),
        ("last change", f"{run.date:%Y-%m-%d %H:%M %Z}"),
        ("time of all epochs", duration(run.seconds)),
    ]
    return facts("Result", rows, of="this run")


def _score_name(run: Run) -> str:
    return {"val_miou": "validation mIoU"}.get(run.score, "validation top-1 accuracy")


def _settings(run: Run) -> Section:
    recipe = _recipe(run)
    name = recipe_name(run) if run.kind == TRAIN else f"{run.kind}'s defaults"
    rows, changed = [], set()
    for index, (key, value) in enumerate(run.settings.items()):
        usual = _shown(recipe[key]) if key in recipe else ""
        if key in recipe and _shown(value) != usual:
            changed.add(index)
        rows.append((key, _shown(value), usual))
    text = (
        f"Recipe: {name}. {_differing(len(changed))} A setting without a recipe's value belongs to "
        "the run alone."
    )
    table = Table(("setting", "this run", "recipe"), tuple(rows), frozenset(changed))
    return Section("Settings", text, table=table, folded=True)


def _differing(count: int) -> str:
    if count == 1:
        return "1 setting differs from it and stands out."
    return f"{count or 'No'} settings differ from it{' and stand out' if count else ''}."


def _recipe(run: Run) -> dict[str, Any]:
    """The settings of the recipe that a run is a variation of."""
    if run.kind == TRAIN:
        from ..train.recipes import DEFAULTS, RECIPES

        # A recipe read from a file is known by its name alone: the paper's is compared with.
        return {**DEFAULTS, **RECIPES.get(str(run.settings.get("recipe")), {})}
    if run.kind == QUANTIZE:
        from ..quantize.fine_tune import QuantizeSettings as Settings
    else:
        from ..train.pretrain import PretrainSettings as Settings  # type: ignore[assignment]
    return defaults(Settings)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _surroundings(run: Run) -> Section:
    rows = [(f"version of {name}", str(value)) for name, value in run.versions.items()]
    rows += [(name, str(value)) for name, value in run.machine.items()]
    if not run.machine:
        rows.append(("machine", "not recorded"))
    return dataclasses.replace(facts("Programs and machine", rows), folded=True)


def _curves(run: Run) -> list[Section]:
    name = _score_name(run)
    panels = {"loss": "loss", "learning_rate": "learning rate", run.score: name}
    content = curves([("", run.rows)], panels)
    if content is None:
        return [Section("Curves", "No epoch is finished yet.")]
    said = []
    for column, text in panels.items():
        values = [v for row in run.rows if (v := row.get(column)) is not None]
        if values:
            ends = values[0], values[-1]
            first, last = map(percent if column == run.score else "{:.4g}".format, ends)
            said.append(f"{text} from {first} to {last}{' %' if column == run.score else ''}")
    alt = f"Curves over {run.epochs_done} epochs: {', '.join(said)}."
    return [Section("Curves", figures=(Figure("curves.png", content, alt),))]


def _classes(run: Run) -> list[Section]:
    if not run.class_iou:
        return []
    known = {name: iou for name, iou in run.class_iou.items() if iou is not None}
    alt = "Bars of the IoU of each class"
    if known:
        low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        ends = (f"{name} ({percent(known[name], 1)} %)" for name in (low, high))
        alt += f", from {' to '.join(ends)}"
    rows = tuple((name, percent(iou)) for name, iou in run.class_iou.items())
    figure = Figure("class_iou.png", class_bars(run.class_iou), f"{alt}; the table has them all.")
    return [Section("Class IoU", figures=(figure,), table=Table(("class", "IoU, %"), rows))]


def _confusion(run: Run) -> list[Section]:
    if run.confusion is None:
        return []
    count = len(run.confusion)
    names = run.class_names or tuple(f"class_{i}" for i in range(count))
    content = confusion(run.confusion, names)
    alt = (
        f"Confusion matrix of {count} classes; each row shows what a class's pixels were taken for."
    )
    rows = [
        (names[true], [*names, "no class"][predicted], percent(share, 1))
        for true, predicted, share in greatest_confusions(run.confusion)
    ]
    table = Table(("true class", "taken for", "share of its pixels, %"), tuple(rows))
    text = "The greatest confusions are listed below it."
    figure = Figure("confusion.png", content, alt)
    return [Section("Confusion matrix", text, (figure,), table)]


def greatest_confusions(matrix: np.ndarray) -> list[tuple[int, int, float]]:
    """(true class, predicted class, share of the true class's pixels), the greatest first.

    Args:
        matrix: (classes, classes or one more) counts, rows are true classes.
    """
    shares = np.nan_to_num(row_shares(matrix))
    np.fill_diagonal(shares, 0.0)
    order = np.argsort(-shares, axis=None, kind="stable")[:CONFUSIONS]
    cells = [divmod(int(i), shares.shape[1]) for i in order]
    return [(t, p, float(shares[t, p])) for t, p in cells if shares[t, p] > 0]
