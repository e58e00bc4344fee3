"""Images per second of the training pipeline against a PyTorch DataLoader, and its cost in `fit`.

Both read the same PNGs and do what the preset `paper` does, without a cache, in turns within each
round; the DataLoader with two workers, tf.data with as many threads as it likes. The DataLoader
comes four ways: with Pillow or OpenCV, resizing the whole image (as is usual) or only the part
that the crop shows. Then `fit` on CamVid with the cache is timed against `fit` on one repeated
batch, epochs in turn. The rival needs an environment of its own:

    python3.11 -m venv /tmp/rival
    /tmp/rival/bin/pip install -r benchmarks/requirements-data-rival.txt
    .venv/bin/python benchmarks/data.py --camvid CAMVID --rival-python /tmp/rival/bin/python
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import Program

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.data.augment.augmentation import PRESETS
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.pipeline import batches

RIVAL = Path(__file__).with_name("data_rival.py")
RIVALS = [(library, whole) for library in ("pillow", "opencv") for whole in (True, False)]
WORKERS = 2
DISCARD = 8  # batches that wait ready when a turn begins: both prepare some ahead
STREET_PICTURES, STREET_SIZE = 24, (1024, 2048)
FIT_STEPS = 15


class Rival(Program):
    """A DataLoader in a process of its own."""

    def __init__(self, python: str, library: str, whole: bool, order: dict[str, Any]):
        resized = "the whole image" if whole else "what the crop shows"
        name = f"DataLoader, {library}, resizes {resized}"
        super().__init__(name, [python, str(RIVAL)], order | {"library": library, "whole": whole})

    def seconds(self, count: int) -> float:
        """Time of `count` batches."""
        return self.ask({"discard": DISCARD, "count": count})


class Ours:
    """The tf.data pipeline without a cache."""

    name = "fastscnn_tf"

    def __init__(self, dataset: Any, config: FastSCNNConfig, batch_size: int):
        stream = batches(
            dataset,
            config,
            PRESETS["paper"],
            batch_size,
            0,
            range(1 << 20),
            cache="none",
        )
        self._batches = iter(stream)

    def seconds(self, count: int) -> float:
        """Time of `count` batches."""
        for _ in range(DISCARD):
            next(self._batches)
        start = time.perf_counter()
        for _ in range(count):
            next(self._batches)
        return time.perf_counter() - start

    def close(self) -> None:
        """Lets the threads go."""
        del self._batches


def throughput(python: str, dataset: Any, config: FastSCNNConfig, batch: int, count: int, rounds):
    """Images per second and ratios within rounds of everybody who reads `dataset`."""
    order = {
        "pairs": [[str(path) for path in pair] for pair in dataset.pairs],
        "size": list(config.input_size),
        "batch_size": batch,
        "workers": WORKERS,
    }
    runners: list[Any] = [Ours(dataset, config, batch)]
    runners += [Rival(python, library, whole, order) for library, whole in RIVALS]
    times = np.zeros((rounds, len(runners)))
    for i in range(rounds):
        for j in np.roll(np.arange(len(runners)), i):
            times[i, j] = runners[j].seconds(count)
    for runner in runners:
        runner.close()
    rates = batch * count / times
    return {
        runner.name: {
            "images_per_second": float(np.median(rates[:, j])),
            "ours_over_this": float(np.median(rates[:, 0] / rates[:, j])),
            "rounds": rates[:, j].round(1).tolist(),
        }
        for j, runner in enumerate(runners)
    }, runners[-1].about


def draw_streets(folder: Path) -> Any:
    """Toy streets as PNGs of Cityscapes' size, opened as a data set."""
    import yaml

    from fastscnn_tf.data.datasets.toy_streets import ToyStreets

    streets = ToyStreets("train", STREET_SIZE)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for i in range(STREET_PICTURES):
        image, label = streets.read(i)
        Image.fromarray(image).save(folder / "images" / f"{i}.png")
        Image.fromarray(label).save(folder / "labels" / f"{i}.png")
    train = {"train": {"images": "images", "labels": "labels"}}
    description = {"name": "streets", "classes": list(streets.labels.names), "splits": train}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(description))
    return open_dataset("folder", folder, "train")


def fit_ratio(dataset: Any, preset: str, rounds: int) -> dict[str, Any]:
    """Time of `fit` on real data, cached, over `fit` on one repeated batch; epochs in turn."""
    from fastscnn_tf.core.keras_api import keras3, tensorflow
    from fastscnn_tf.model.fast_scnn import fast_scnn
    from fastscnn_tf.train.losses.segmentation_loss import segmentation_losses

    keras, tf = keras3(), tensorflow()
    config = FastSCNNConfig.for_labels("camvid", input_size=(352, 480), aux_heads=True)
    model = fast_scnn(config)
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
    model.compile(optimizer=optimizer, **segmentation_losses(True, config.aux_layout))
    reader = batches(dataset, config, PRESETS[preset], 12, 0, range(1 << 20), cache="memory")
    iterator = iter(reader)
    one = next(iterator)
    for _ in range(2 * (len(dataset) // 12)):  # two epochs fill the cache
        next(iterator)
    streams = {"real": reader, "repeated": tf.data.Dataset.from_tensors(one).repeat()}
    times: dict[str, list[float]] = {name: [] for name in streams}
    for i in range(rounds):
        for name in sorted(streams, reverse=bool(i % 2)):
            times[name].append(second_epoch(keras, model, streams[name]))
    real, repeated = (np.array(times[name]) for name in ("real", "repeated"))
    return {
        "real_over_repeated": float(np.median(real / repeated)),
        "rounds": (real / repeated).round(3).tolist(),
        "seconds_per_step": float(np.median(real) / FIT_STEPS),
    }


def second_epoch(keras: Any, model: Any, stream: Any) -> float:
    """Seconds of an epoch of `fit` once the stream runs."""
    marks: list[float] = []
    mark = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: marks.append(time.perf_counter())
    )
    model.fit(stream, steps_per_epoch=FIT_STEPS, epochs=2, verbose=0, callbacks=[mark])
    return marks[1] - marks[0]


def report(result: dict[str, Any]) -> Iterator[str]:
    """The tables as text."""
    yield f"{result['machine']}; DataLoader with {WORKERS} workers, {result['versions']}"
    for name, table in result["throughput"].items():
        yield f"\n{name}"
        for runner, row in table.items():
            rate, ratio = row["images_per_second"], row["ours_over_this"]
            yield f"  {runner:<55} {rate:8.1f} images/s   ours / this {ratio:.2f}"
    for preset, row in result["fit"].items():
        yield f"\nfit on CamVid, preset {preset}: {row['real_over_repeated']:.3f} of one batch"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--camvid", required=True, help="folder with train/ and trainannot/")
    parser.add_argument("--rival-python", required=True, help="of the rival's environment")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-fit", action="store_true", help="leave out what trains")
    parser.add_argument("--json", help="write the figures there")
    arguments = parser.parse_args()
    camvid = open_dataset("camvid", arguments.camvid, "train")
    small = FastSCNNConfig.for_labels("camvid", input_size=(352, 480))
    python, rounds, found = arguments.rival_python, arguments.rounds, {}
    found["CamVid, 360x480 PNG, crop 352x480"], versions = throughput(
        python, camvid, small, 12, 30, rounds
    )
    with tempfile.TemporaryDirectory() as folder:
        streets = draw_streets(Path(folder))
        large = FastSCNNConfig(num_classes=9, input_size=(512, 1024))
        found["1024x2048 PNG, crop 512x1024"], _ = throughput(python, streets, large, 4, 15, rounds)
    presets = () if arguments.no_fit else ("paper", "strong")
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions,
        "throughput": found,
        "fit": {name: fit_ratio(camvid, name, rounds) for name in presets},
    }
    print("\n".join(report(result)))
    if arguments.json:
        write_json(Path(arguments.json), result)


if __name__ == "__main__":
    main()
