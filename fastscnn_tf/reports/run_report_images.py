"""The validation images that a run's best weights do best and worst on."""

from __future__ import annotations

import dataclasses
from pathlib import PurePath

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.errors import ConfigError, DataError
from ..core.images.image_file import encode_png
from ..core.plots import strip
from ..core.report_page import Figure, Section, Table
from ..core.scores.confusion import confusion_matrix, scores
from ..core.text_table import percent
from ..data.check.usable import open_usable
from ..data.datasets.dataset import SegmentationDataset
from ..runs.run_record import PRETRAIN, QUANTIZE, Run
from ..scoring.class_mapping import mapping_between
from ..scoring.views import Predictor, WholeImage

SHOWN = 3  # images at either end


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A validation image and how well it is labelled.

    Attributes:
        index: in its split.
        name: of the image.
        iou: mean over the classes that occur in its label map or prediction, 0..1.
    """

    index: int
    name: str
    iou: float


class ImageRanking:
    """Scores every validation image on its own, the worst first.

    Args:
        run: a run of `train` or `quantize` with its best weights.
        data_dir: where the data set lies now; by default where the run found it.
        progress: wraps the indices, to show a progress bar.

    Raises:
        ConfigError: a run of `pretrain`.
        DataError, ModelFileError: data set or weights are not at hand.
    """

    def __init__(self, run: Run, data_dir: StrPath | None = None, progress: Progress = iter):
        if run.kind == PRETRAIN:
            raise ConfigError(f"{run.folder}: a run of pretrain has no label maps to show")
        from ..evaluation.evaluate import load_predictor

        self._predictor: Predictor = load_predictor(run.folder)
        settings, size = run.settings, self._predictor.input_size
        if not settings.get("dataset"):
            raise DataError(f"{run.folder}: it does not say which data set it was trained on")
        place = data_dir or settings.get("data_dir")
        skip_bad = bool(settings.get("skip_bad"))
        self.data: SegmentationDataset = open_usable(
            settings["dataset"], place, "val", size, skip_bad, val_split=settings.get("val_split")
        )
        self._inference = WholeImage(self._predictor)
        # What a run trained has the data set's classes; what it fine-tuned keeps its own.
        names = ("match", "class_map") if run.kind == QUANTIZE else ()
        matching = {name: settings[name] for name in names if settings.get(name)}
        self._mapping = mapping_between(self._predictor, self.data, **matching)
        ranked = [r for i in progress(range(len(self.data))) if (r := self._rank(i))]
        if not ranked:
            raise DataError(f"{self.data.name}: no validation image has a labelled pixel")
        self.ranked = tuple(sorted(ranked, key=lambda r: (r.iou, r.index)))

    def _predict(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image, label = self.data.read(index)
        return image, label, self._mapping.apply(self._inference.label_map(image, label.shape))

    def _rank(self, index: int) -> Ranked | None:
        """None where every pixel is void."""
        _, label, prediction = self._predict(index)
        matrix = confusion_matrix(label, prediction, len(self.data.labels), extra=1)
        iou = scores(matrix).miou
        return None if iou is None else Ranked(index, self.data.sample_name(index), iou)

    def sections(self, pictures: bool) -> tuple[Section, ...]:
        """The worst and the best images: by name, and if wanted to be seen."""
        count = min(SHOWN, (len(self.ranked) + 1) // 2)
        ends = {"worst": self.ranked[:count], "best": self.ranked[::-1][:count]}
        return tuple(self._section(end, ranked, pictures) for end, ranked in ends.items())

    def _section(self, end: str, ranked: tuple[Ranked, ...], pictures: bool) -> Section:
        figures = []
        for place, item in enumerate(ranked if pictures else (), 1):
            content = encode_png(strip(*self._predict(item.index), self.data.labels))
            alt = (
                f"{PurePath(item.name).name}, IoU {percent(item.iou, 1)} %: image, label map and "
                "prediction side by side, with the colours of the classes"
            )
            figures.append(Figure(f"{end}_{place}.png", content, alt))
        rows = tuple((PurePath(r.name).name, percent(r.iou, 1)) for r in ranked)
        return Section(
            f"Validation images with the {end} IoU",
            "IoU of one image: the mean over the classes in its label map or prediction.",
            tuple(figures),
            Table(("image", "IoU, %"), rows),
        )
