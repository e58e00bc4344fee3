"""mIoU that is left on bad images: noise, blur, weather, compression, dusk and rain.

ImageNet-C's 15 corruptions as `imagecorruptions-imaug` has them (the kept fork of
`imagecorruptions`; Apache-2.0), its Gaussian blur, and dusk and rain from here, each at severities
1, 3 and 5 of 5, on the 101 images of CamVid's `val` at their own size. Every image is corrupted
once for all models, from a seed of its name, and scored as `fastscnn evaluate` does; a model must
not have been trained on `val`. Flicker is the share of pixels that change class from one image to
the next. It runs in an environment of its own, without TensorFlow:

    python3.11 -m venv .venv-robustness
    .venv-robustness/bin/pip install . -r benchmarks/requirements-robustness.txt
    .venv-robustness/bin/python benchmarks/robustness.py CAMVID MODEL.tflite [MODEL2.tflite ...] \\
        --output robustness.json

Killed, it goes on where it stood when it is started again; models named later are added.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from imagecorruptions import corrupt, get_corruption_names

import fastscnn_tf as fs
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.core.text_table import markdown_table, percent
from fastscnn_tf.scoring.views import WholeImage
from fastscnn_tf.stream.temporal import Flicker

CLEAN, COMMON = "clean", tuple(get_corruption_names())
SEVERITIES = (1, 3, 5)
SEEDED = ("impulse_noise", "glass_blur")  # take a seed; the others draw from NumPy's global state
DUSK = (0.49, 0.56, 0.585)  # RGB means of CamVid's drive at dusk (0001TP) in those of 0016E5's


def dusk(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Less and bluer light, and the noise of few photons.

    At severity 3 it is as dark as CamVid's own drive at dusk.

    Args:
        image: (H, W, 3) uint8 RGB.
        severity: 1..5.
        rng: draws the noise.

    Returns:
        What the image becomes, of the same shape and type.
    """
    strength = (severity + 1) / 4
    photons = 4000 / severity  # of a white pixel by day
    light = (picture / 255) ** 2.2 * np.float64(DUSK) ** (2.2 * strength)
    light = rng.poisson(light * photons) / photons + rng.normal(0, 0.001, picture.shape)
    return np.uint8(np.clip(light, 0, 1) ** (1 / 2.2) * 255 + 0.5)


def rain(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Bright streaks, falling aslant, before greyer and duller streets; see `dusk`."""
    height, width = picture.shape[:2]
    length, slant = height // 16 + severity * height // 60, rng.uniform(-0.35, 0.35)
    drops = (rng.random((height, width)) < 0.0005 + 0.0006 * severity).astype(np.float32)
    streak = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    ends = [round(middle - slant * middle), round(middle + slant * middle)]
    cv2.line(streak, (ends[0], 0), (ends[1], length - 1), 1.0)
    streaks = cv2.GaussianBlur(cv2.filter2D(drops, -1, streak), (3, 3), 0.6)
    cover = (np.minimum(streaks, 1) * (0.3 + 0.05 * severity))[..., None]
    veil = 0.06 * severity
    dull = picture * (1 - veil) * (1 - 0.05 * severity) + veil * 150
    return np.uint8(np.clip(dull * (1 - cover) + 215 * cover, 0, 255) + 0.5)


OWN: dict[str, Callable[..., np.ndarray]] = {"dusk": dusk, "rain": rain}
ALL = (*COMMON, "gaussian_blur", *OWN)


def corrupted(picture: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
    """One image, (H, W, 3) uint8 RGB, corrupted; the same each time."""
    if name == CLEAN:
        return picture
    if name in OWN:
        return OWN[name](picture, severity, np.random.default_rng(seed))
    np.random.seed(seed)  # noqa: NPY002 - the library draws from it
    return corrupt(picture, severity, name, **({"seed": seed} if name in SEEDED else {}))


class Score:
    """mIoU and flicker of one model over the images as they come."""

    def __init__(self, model: Path, threads: int, names: Sequence[str]):
        self.predictor = fs.Segmenter(model, threads)
        if self.predictor.labels is None or tuple(self.predictor.labels.names) != tuple(names):
            raise SystemExit(f"{model}: its classes are not CamVid's 11: {', '.join(names)}")
        self.look, self.classes = WholeImage(self.predictor), len(names)
        self.begin()

    def begin(self) -> None:
        """Counts anew."""
        self.matrix = np.zeros((self.classes, self.classes), np.int64)
        self.flicker = Flicker()

    def add(self, picture: np.ndarray, label: np.ndarray) -> None:
        """The next image."""
        labels = self.look.label_map(picture, label.shape)
        self.matrix += confusion_matrix(label, labels, self.classes)
        self.flicker.add(labels)

    def result(self) -> dict[str, Any]:
        """Shares 0..1."""
        return {"miou": scores(self.matrix, {}).miou, "flicker": self.flicker.share}


def measure(
    pairs: Sequence[tuple[str, np.ndarray, np.ndarray]],
    running: Sequence[Score],
    corruption: str,
    severity: int,
) -> list[dict[str, Any]]:
    """Scores of each model at one severity of one corruption."""
    for score in running:
        score.begin()
    for name, picture, label in pairs:
        seen = corrupted(picture, corruption, severity, zlib.crc32(f"{corruption} {name}".encode()))
        for score in running:
            score.add(seen, label)
    return [score.result() for score in running]


def row_of(name: str, severity: int) -> str:
    """Where a corruption's scores stand in the report."""
    return CLEAN if name == CLEAN else f"{name} {severity}"


def begin(path: Path, models: dict[str, Path], pictures: int) -> dict[str, Any]:
    """The report so far; of other models of these names, or other images, it is refused."""
    versions = {n: importlib.metadata.version(n) for n in ("imagecorruptions-imaug", "numpy")}
    report = {"pictures": pictures, "versions": versions, "models": {}, "rows": {}}
    if path.exists():
        before = json.loads(path.read_text())
        if any(before[key] != report[key] for key in ("pictures", "versions")):
            raise SystemExit(f"{path}: of other images or libraries: name another --output")
        report = before
    for name, model in models.items():
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        if report["models"].setdefault(name, digest) != digest:
            raise SystemExit(f"{path}: has another {name}: rename the model or name another output")
    return report


def kept(report: dict[str, Any], model: str, row: str) -> float:
    """The share of a model's clean mIoU that is left."""
    return report["rows"][row][model]["miou"] / report["rows"][CLEAN][model]["miou"]


def table(report: dict[str, Any]) -> str:
    """The report in Markdown: per cent of the clean mIoU that are kept, at each severity."""
    models = list(report["models"])
    clean = report["rows"][CLEAN]
    complete = [
        each for each in SEVERITIES if all(row_of(name, each) in report["rows"] for name in ALL)
    ]
    rows = [["mIoU of clean images", *(percent(clean[m]["miou"]) for m in models)]]

    def line(title: str, names: Sequence[str]) -> list[str]:
        shares = (
            [statistics.mean(kept(report, m, row_of(n, each)) for n in names) for each in complete]
            for m in models
        )
        return [title, *(" / ".join(percent(each, 0) for each in row) for row in shares)]

    rows += [line(name.replace("_", " "), [name]) for name in ALL]
    rows.append(line("mean of ImageNet-C's 15", COMMON))
    flicker = [f"{percent(clean[m]['flicker'])} %" for m in models]
    labels = percent(report["flicker_of_labels"])
    rows.append([f"flicker of clean images (the labels': {labels} %)", *flicker])
    head = [f"% of mIoU kept at severity {' / '.join(map(str, complete))}", *models]
    return markdown_table(head, rows)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("camvid", type=Path, help="CamVid's folder")
    parser.add_argument("models", type=Path, nargs="+", help=".tflite files")
    parser.add_argument("--output", type=Path, required=True, help="the report, JSON")
    parser.add_argument("--threads", type=int, default=1, help="of each network")
    parser.add_argument("--severities", type=int, nargs="+", choices=SEVERITIES, default=SEVERITIES)
    given = parser.parse_args()
    models = {model.stem: model for model in given.models}
    if len(models) < len(given.models):
        parser.error("the files' names tell the models apart: two are the same")
    data = fs.open_dataset("camvid", given.camvid, "val")
    pairs = [(data.sample_name(i), *data.read(i)) for i in range(len(data))]
    report = begin(given.output, models, len(pairs))
    of_labels = Flicker()
    for _, _, label in pairs:
        of_labels.add(label)
    report["flicker_of_labels"] = of_labels.share
    running = {name: Score(m, given.threads, data.labels.names) for name, m in models.items()}
    for corruption, severity in [(CLEAN, 0), *itertools.product(ALL, given.severities)]:
        start, row = time.process_time(), row_of(corruption, severity)
        done = report["rows"].setdefault(row, {})
        missing = [name for name in models if name not in done]
        if missing:
            found = measure(pairs, [running[n] for n in missing], corruption, severity)
            done |= dict(zip(missing, found, strict=True))
            write_json(given.output, report)
            print(f"{row}: {time.process_time() - start:.0f} s of CPU", flush=True)
    print(table(report))


if __name__ == "__main__":
    main()
