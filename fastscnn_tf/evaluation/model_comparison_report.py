"""The report of a `ModelComparison`: tables, and the images on which the models differ most."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
from PIL import Image, ImageDraw

from ..core.files.writing import write_json
from ..core.images.fonts import lettering
from ..core.images.image_file import encode_png, resize_image, resize_label
from ..core.images.visualize import hatched, legend, overlay
from ..core.labels import IGNORE, Color, LabelSpace
from ..core.report_page import Figure, Page, Section, Table
from ..core.text_table import percent
from .model_comparison_result import ComparedImage, Delta, ModelComparison
from .model_pair import ModelPair

JSON = "comparison.json"
SHEET_WIDTH = 1400  # pixels
GAP, LINE = 10, 20
# Of Okabe and Ito's palette, which the colour-blind can tell apart.
FIRST_RIGHT: Color = (0, 114, 178)
SECOND_RIGHT: Color = (230, 159, 0)
NEITHER: Color = (255, 255, 255)
NO_LABEL: Color = (204, 121, 167)
LARGE = 0.005  # a change of IoU that stands out


def write_report(folder: Path, result: ModelComparison, pair: ModelPair, pictures: int) -> None:
    """Writes `report.html`, `comparison.json` and `worst_N.png` into a folder.

    Args:
        folder: it is made where it is not there; earlier images in it are removed.
        result: what was found.
        pair: the models and their data, which are looked at again for the images.
        pictures: how many are drawn.
    """
    worst = [p for p in result.pictures[:pictures] if p.agreement < 1]
    figures = tuple(_figure(place, item, pair) for place, item in enumerate(worst, 1))
    sections = (_result(result), _classes(result), _departures(result), _worst(result, figures))
    Page("Fast-SCNN: two models compared", sections).write(folder, own=r"worst_\d+\.png")
    write_json(folder / JSON, result.to_dict())


def _result(result: ModelComparison) -> Section:
    rows = [("model", *result.models, "")]
    accuracy = Delta("pixel accuracy", *(s.pixel_accuracy for s in result.scores))
    rows += [delta.cells(", %") for delta in (result.deltas()[-1], accuracy)]
    if result.right:
        shares = [percent(share) for share in result.right]
        rows.append(("right where they differ, %", shares[0], shares[1], f"neither {shares[2]}"))
    text = (
        f"{result.dataset}, split {result.split}, {len(result.pictures)} images, scored at their "
        f"labels' own size. Both models give the same class to {percent(result.agreement, 3)} % of "
        "all pixels."
    )
    return Section("Result", text, table=Table(("", "first", "second", "change"), tuple(rows)))


def _classes(result: ModelComparison) -> Section:
    deltas = result.deltas()
    rows = tuple(delta.cells() for delta in deltas)
    large = frozenset(i for i, delta in enumerate(deltas) if abs(delta.change or 0) >= LARGE)
    text = f"IoU in percent; changes of {LARGE * 100} points and more stand out."
    return Section(
        "Classes", text, table=Table(("class", "first", "second", "change"), rows, large)
    )


def _departures(result: ModelComparison) -> Section:
    if not result.departures:
        return Section("Where they differ", "Nowhere.")
    rows = tuple((d.first, d.second, percent(d.share, 4)) for d in result.departures)
    head = ("first says", "second says", "share of all pixels, %")
    return Section("Where they differ", "The commonest pairs.", table=Table(head, rows))


def _worst(result: ModelComparison, figures: tuple[Figure, ...]) -> Section:
    rows = tuple(
        (PurePath(p.name).name, percent(p.agreement, 3), *(percent(iou) for iou in p.miou))
        for p in result.pictures[: max(5, len(figures))]
    )
    head = ("image", "agreement, %", "mean IoU of the first, %", "of the second, %")
    text = "Mean IoU of one image: over the classes in its label map or prediction."
    return Section("Images with the least agreement", text, figures, Table(head, rows))


def _figure(place: int, item: ComparedImage, pair: ModelPair) -> Figure:
    image, label, (first, second) = pair.predictions(item.index)
    sheet = comparison_sheet(image, label, first, second, pair.data.labels)
    alt = (
        f"{PurePath(item.name).name}, agreement {percent(item.agreement)} %: image, label map, "
        "where the models differ (blue: the first is right, orange: the second, white: neither, "
        "pink: no label), first and second prediction, with the colours of the classes"
    )
    return Figure(f"worst_{place}.png", encode_png(sheet), alt)


def comparison_sheet(
    image: np.ndarray, label: np.ndarray, first: np.ndarray, second: np.ndarray, space: LabelSpace
) -> np.ndarray:
    """Image, label map and difference above the two predictions and the legend.

    Args:
        image: (H, W, 3) uint8 RGB.
        label: (H, W) uint8 class indices; 255 is void and hatched.
        first: (H, W) uint8 class indices.
        second: (H, W) uint8 class indices.
        space: names and colours of the classes.

    Returns:
        (rows, columns, 3) uint8 RGB; large images are made smaller, to 1400 pixels in all.
    """
    height, width = label.shape
    wide = min(max(width, 160), (SHEET_WIDTH - 2 * GAP) // 3)
    size = max(1, round(height * wide / width)), wide
    different = resize_image(difference(image, label, first, second), size)
    image, label, first, second = (
        resize_image(image, size),
        *(resize_label(part, size) for part in (label, first, second)),
    )
    key = legend(space, LINE, width=wide)
    panels = (
        ("image", image),
        ("label map", hatched(overlay(image, label, space), label)),
        ("where they differ: blue first right, orange second, white neither", different),
        ("first", overlay(image, first, space)),
        ("second", overlay(image, second, space)),
        ("", key),
    )
    cell = LINE + size[0] + GAP
    total = max(3 * wide, 2 * wide + key.shape[1]) + 2 * GAP
    sheet = Image.new("RGB", (total, cell + LINE + max(size[0], len(key))), "white")
    draw, type_face = ImageDraw.Draw(sheet), lettering([], LINE)[1]
    for i, (title, panel) in enumerate(panels):
        x, y = i % 3 * (wide + GAP), i // 3 * cell
        draw.text((x, y + LINE / 2), title, "black", type_face, anchor="lm")
        sheet.paste(Image.fromarray(panel), (x, y + LINE))
    return np.asarray(sheet)


def difference(
    image: np.ndarray, label: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """The image in dark grey, with colours where two label maps differ.

    Returns:
        (H, W, 3) uint8 RGB: blue where the first has the label's class, orange where the second
        has, white where neither has, pink where there is no label.
    """
    grey = np.asarray(Image.fromarray(image).convert("L").convert("RGB"))
    picture, differ = grey // 3, first != second
    picture[differ] = NEITHER
    picture[differ & (first == label)] = FIRST_RIGHT
    picture[differ & (second == label)] = SECOND_RIGHT
    picture[differ & (label == IGNORE)] = NO_LABEL
    return picture
