"""What a data set's own images propose for a run: the size of the network, smaller batches."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import Any

from ..core.sizes import STRIDE, Size, format_size
from ..data.datasets.dataset import SegmentationDataset
from ..data.datasets.held_out import TRAIN, held_out
from ..data.datasets.registry import open_dataset
from .recipes import recipe_settings

MOST_PIXELS = 300_000  # of a proposed size: what a phone or a Raspberry Pi segments in real time
LOOKED_AT = 25  # images, spread over the data set


def proposals(given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Settings that were not given and that the images decide, with a line for each.

    Args:
        given: fields of `TrainSettings`, and `recipe`.

    Returns:
        `size`, unless it was given; and `batch_size`, where the training split has fewer pairs
        than the recipe's.

    Raises:
        DataError: there is no such data set, or an image cannot be read.
    """
    whole = "batch_size" in given or given.get("extra_dataset")
    if "size" in given and whole:
        return {}, []
    found: dict[str, Any] = {}
    lines = []
    data = open_dataset(given["dataset"], given["data_dir"], missing="skip")
    if "size" not in given:
        found["size"], why = proposed_size(data)
        lines.append(why)
    if not whole:
        usual = recipe_settings(given.get("recipe", "paper"))[1]["batch_size"]
        share = given.get("val_split")
        pairs = len(held_out(data, share, TRAIN) if share and 0 < share < 1 else data)
        if pairs < usual:
            found["batch_size"] = batch = max(1, pairs // 2)
            lines.append(f"batch size {batch} instead of {usual}: {pairs} pairs (--batch-size)")
    return found, lines


def proposed_size(dataset: SegmentationDataset) -> tuple[Size, str]:
    """A size of the network for images like these, and one line that says why.

    It has the proportions of the usual image, in multiples of 32, and at most 0.3 megapixels; it
    is not larger than the image.

    Raises:
        DataError: an image cannot be read.
    """
    indices = range(0, len(dataset), max(1, math.ceil(len(dataset) / LOOKED_AT)))
    sizes = [dataset.read_image(index).shape[:2] for index in indices]
    height, width = (statistics.median_low(sides) for sides in zip(*sizes, strict=True))
    scale = min(1.0, math.sqrt(MOST_PIXELS / (height * width)))
    size = (_multiple(height * scale), _multiple(width * scale))
    usual, count = Counter(sizes).most_common(1)[0]
    seen = f"{count} of {len(sizes)} images looked at are {format_size(usual)}"
    if count < len(sizes):
        seen += f", {len(set(sizes))} sizes in all, in the middle {format_size((height, width))}"
    return size, f"size {format_size(size)} chosen: {seen}; --size HxW is another"


def _multiple(side: float) -> int:
    return max(1, math.floor(side / STRIDE)) * STRIDE
