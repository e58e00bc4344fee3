"""Plots and images of a run as PNG bytes; matplotlib's canvas is Agg, which needs no display."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from .extras import import_extra, training_extra
from .images.fonts import drawable, font_with
from .images.image_file import decode_image, resize_image, resize_label
from .images.visualize import hatched, legend, overlay
from .labels import LabelSpace
from .text_table import percent

Row = Mapping[str, float | None]

DPI = 100
LONGEST = 24  # characters of a name on an axis
NUMBERS = 20  # classes up to which each cell of a confusion matrix shows its value
STRIP_WIDTH = 1400  # pixels of image, label map and prediction together
GAP = 4
# Okabe and Ito's colours, which colour-blind readers can tell apart; markers differ as well.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


def curves(runs: Sequence[tuple[str, Sequence[Row]]], panels: Mapping[str, str]) -> bytes | None:
    """Curves over the epochs, one panel below the other.

    Args:
        runs: (name, rows of its log), each row with `epoch` and the panels' columns as far as they
            are known; the names stand in a legend if there are several runs.
        panels: column -> text of its axis. A column that no run knows gets no panel.

    Returns:
        The PNG; None if no column has a value.

    Raises:
        InputError: matplotlib is missing.
    """
    columns = [name for name in panels if any(_points(rows, name)[0] for _, rows in runs)]
    if not columns:
        return None
    figure = new_figure(8, 0.6 + 2.2 * len(columns) + (0.3 * len(runs) if len(runs) > 1 else 0))
    all_axes = figure.subplots(len(columns), 1, sharex=True, squeeze=False)[:, 0]
    for axes, column in zip(all_axes, columns, strict=True):
        for i, (name, rows) in enumerate(runs):
            axes.plot(*_points(rows, column), **_style(i), label=_escaped(name))
        axes.set_ylabel(panels[column])
        if column.startswith("val_"):  # a score, which logs have as a share
            axes.yaxis.set_major_formatter(_matplotlib(".ticker").PercentFormatter(1, symbol=" %"))
        axes.grid(alpha=0.3)
    all_axes[-1].set_xlabel("epoch")
    all_axes[-1].xaxis.get_major_locator().set_params(integer=True)
    if len(runs) > 1:
        names = [_escaped(name) for name, _ in runs]
        figure.legend(all_axes[0].get_lines(), names, loc="outside upper left", frameon=False)
    return figure_png(figure)


def class_bars(class_iou: Mapping[str, float | None]) -> bytes:
    """Class IoU as horizontal bars; a class that never occurs has a dash.

    Args:
        class_iou: at least one class name -> IoU, 0..1.

    Raises:
        InputError: matplotlib is missing.
    """
    figure = new_figure(8, 1 + 0.3 * len(class_iou))
    axes = figure.subplots()
    places = range(len(class_iou))
    shares = [100 * (iou or 0.0) for iou in class_iou.values()]
    axes.barh(places, shares, color=COLORS[0])
    for place, (share, iou) in enumerate(zip(shares, class_iou.values(), strict=True)):
        axes.text(share + 1, place, percent(iou, 1), va="center")
    axes.set_yticks(places, [axis_name(name) for name in class_iou], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 110)
    axes.set_xlabel("IoU, %")
    return figure_png(figure)


def confusion(matrix: np.ndarray, names: Sequence[str]) -> bytes:
    """A confusion matrix, each row divided by the pixels of its true class.

    Args:
        matrix: (classes, classes or one more) counts, rows are true classes; a last column without
            a name counts what was predicted as no class.
        names: of the classes.

    Returns:
        The PNG; rows of classes without pixels are grey.

    Raises:
        InputError: matplotlib is missing.
    """
    shares = row_shares(matrix)
    rows, columns = shares.shape
    side = max(4.0, 0.42 * rows)
    figure = new_figure(side + 2.6, side + 1.6)
    axes = figure.subplots()
    color_map = _matplotlib("").colormaps["Blues"].with_extremes(bad="lightgrey")
    drawn = axes.imshow(100 * np.ma.masked_invalid(shares), color_map, vmin=0, vmax=100)
    predicted = [*names, "no class"][:columns]
    axes.set_xticks(
        range(columns), [axis_name(n) for n in predicted], rotation=90, parse_math=False
    )
    axes.set_yticks(range(rows), [axis_name(n) for n in names], parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if rows <= NUMBERS:
        for (y, x), share in np.ndenumerate(shares):
            color = "white" if share > 0.5 else "black"
            axes.text(x, y, percent(share, 0), ha="center", va="center", color=color, fontsize=7)
    figure.colorbar(drawn, ax=axes, label="share of the true class's pixels (%)", shrink=0.8)
    return figure_png(figure)


def row_shares(matrix: np.ndarray) -> np.ndarray:
    """The rows of a confusion matrix divided by their sums, float64; NaN where the sum is 0."""
    counts = np.asarray(matrix, np.float64)
    totals = counts.sum(1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


def strip(
    image: np.ndarray, label: np.ndarray, prediction: np.ndarray, space: LabelSpace
) -> np.ndarray:
    """Image, label map and prediction side by side, above a legend.

    Args:
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8 class indices; 255 is void and hatched.
        prediction: (H, W) uint8 class indices.
        space: names and colours of the classes.

    Returns:
        (rows, columns, 3) uint8 RGB; large images are made smaller, to 1400 pixels in all.
    """
    height, width = label.shape
    wide = min(width, (STRIP_WIDTH - 2 * GAP) // 3)
    size = max(1, round(height * wide / width)), wide
    image, label = resize_image(image, size), resize_label(label, size)
    truth = hatched(overlay(image, label, space), label)
    shown = overlay(image, resize_label(prediction, size), space)
    key = legend(space, width=3 * wide + 2 * GAP)
    sheet = Image.new("RGB", (key.shape[1], size[0] + GAP + key.shape[0]), "white")
    for i, part in enumerate((image, truth, shown)):
        sheet.paste(Image.fromarray(part), (i * (wide + GAP), 0))
    sheet.paste(Image.fromarray(key), (0, size[0] + GAP))
    return np.asarray(sheet)


def pixels(content: bytes) -> np.ndarray:
    """A PNG file as (H, W, 3) uint8 RGB."""
    return decode_image(content, "plot")


def require_matplotlib() -> None:
    """Raises InputError now instead of after an epoch if matplotlib is missing."""
    _matplotlib(".figure")


def _matplotlib(name: str) -> ModuleType:
    return import_extra(f"matplotlib{name}", training_extra(), ", which plots need")


def new_figure(width: float, height: float) -> Any:
    """A figure of its own, in inches: no state of pyplot is touched.

    Raises:
        InputError: matplotlib is missing.
    """
    return _matplotlib(".figure").Figure((width, height), dpi=DPI, layout="constrained")


def figure_png(figure: Any) -> bytes:
    """A figure as a PNG file."""
    for text in figure.findobj(_matplotlib(".text").Text):
        letters = _missing(text.get_text())
        if letters and (file := font_with(letters)):
            text.set_fontfamily([*text.get_fontfamily(), _family(file)])
    buffer = io.BytesIO()
    canvas = _matplotlib(".backends.backend_agg").FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None})  # `savefig` draws twice
    return buffer.getvalue()


def _points(rows: Sequence[Row], column: str) -> tuple[list[float], list[float]]:
    known = [(row["epoch"], row[column]) for row in rows if row.get(column) is not None]
    return [float(x or 0) for x, _ in known], [float(y or 0) for _, y in known]


def _style(index: int) -> dict[str, Any]:
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 3,
        "linewidth": 1.2,
    }


def axis_name(name: str, longest: int = LONGEST) -> str:
    """A name that fits an axis, in letters that a font has."""
    return _written(name if len(name) <= longest else f"{name[: longest - 1]}…")


def _escaped(name: str) -> str:
    """A name for a legend, where `$` would begin a formula."""
    return _written(name).replace("$", r"\$")


def _written(name: str) -> str:
    """A name in letters that matplotlib's own font has, or one of this system; else in ASCII."""
    letters = _missing(name)
    return name if not letters or font_with(letters) else drawable(name)


def _missing(text: str) -> frozenset[str]:
    return frozenset(c for c in text if ord(c) not in _letters() and c != "\n")


@functools.cache
def _family(file: str) -> str:
    """The name by which matplotlib knows a font's file, which it gets to know."""
    manager = _matplotlib(".font_manager")
    manager.fontManager.addfont(file)
    return manager.FontProperties(fname=file).get_name()


@functools.cache
def _letters() -> frozenset[int]:
    manager = _matplotlib(".font_manager")
    font = manager.get_font(manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())
