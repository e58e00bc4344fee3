"""Ours and Ultralytics' YOLO26n-sem from random weights, for the same CPU time; mIoU and latency.

Both train on the same CamVid images and are used at 448x608, for as many epochs as fit into
`--cpu-minutes`; what an epoch takes is measured first, in a training of two. CPU time is that of
all threads of the training process, its start included, so that other work on the machine does not
count. Neither looks at what it is scored on: the last (averaged) weights count, by one confusion
matrix over label maps at the labels' own size. `val` is CamVid's split; a drive's name holds that
drive out of `train` and `val`. The rival has an environment of its own (AGPL-3.0, 2 GB); Linux:

    python3.11 -m venv /tmp/rival
    /tmp/rival/bin/pip install -r benchmarks/requirements-accuracy-rival.txt
    .venv/bin/python benchmarks/accuracy.py CAMVID OUTPUT --rival-python /tmp/rival/bin/python \\
        --cpu-minutes 600 [--held-out val 0001TP 0006R0 0016E5] [--seeds 0 1] [-- TRAIN OPTIONS]

What stands behind `--` goes to `fastscnn train`. `taskset -c 1` in front makes it one core. Killed,
it goes on where it stood when it is started again. OUTPUT/accuracy.json has every figure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from turns import Program

import fastscnn_tf as fs
from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.core.sizes import format_size
from fastscnn_tf.core.text_table import markdown_table, percent
from fastscnn_tf.data.datasets.dataset import SegmentationDataset
from fastscnn_tf.runtime.device_report import cpu_name

HERE = Path(__file__).resolve().parent
SIZE = (448, 608)
HELD_OUT = ("val", "0001TP", "0006R0", "0016E5")
OURS, RIVAL = "fastscnn", "yolo26n-sem"
RECIPE = ("--recipe", "strong", "--crop", "320x416")
LOGS = {OURS: "log.csv", RIVAL: "results.csv"}  # a line for each epoch
LAST = {OURS: "last.keras", RIVAL: "weights/last.pt"}
TICKS = os.sysconf("SC_CLK_TCK")


class Trainer:
    """Trains both networks on one split of CamVid's labelled images.

    Args:
        camvid: CamVid's folder.
        folder: gets links to the images, in the layout of both, and the runs.
        held_out: of `HELD_OUT`.
        given: the command line.
        options: of `fastscnn train`, beside `RECIPE`.
    """

    def __init__(
        self, camvid: Path, folder: Path, held_out: str, given: Any, options: list[str]
    ) -> None:
        self.folder, self.given, self.options = folder, given, options
        found = [(s, p) for s in ("train", "val") for p in sorted((camvid / s).glob("*.png"))]
        for split, image in found:
            out = split == "val" if held_out == "val" else image.name.startswith(held_out)
            self._link(image, camvid / f"{split}annot" / image.name, "val" if out else "train")
        labels = fs.open_dataset("camvid", camvid, "val").labels
        self.names, void = list(labels.names), len(labels.names)
        splits = {s: {"images": f"images/{s}", "labels": f"masks/{s}"} for s in ("train", "val")}
        write_json(
            folder / "dataset.yaml",  # JSON is YAML
            {"name": held_out, "classes": self.names, "void": [void], "splits": splits},
        )
        mapping = {str(value): value for value in range(void)} | {str(void): 255}
        write_json(
            folder / "rival.yaml",
            {
                "path": str(folder),
                "train": "images/train",
                "val": "images/val",
                "masks_dir": "masks",
                "names": dict(enumerate(self.names)),
                "label_mapping": mapping,
            },
        )

    def _link(self, image: Path, label: Path, split: str) -> None:
        for kind, path in (("images", image), ("masks", label)):
            link = self.folder / kind / split / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(path)

    @property
    def data(self) -> SegmentationDataset:
        """The images held out."""
        return fs.open_dataset("folder", self.folder, "val")

    def pictures(self) -> int:
        """How many there are to train on."""
        return len(list((self.folder / "images" / "train").iterdir()))

    def rival(self, *command: str) -> None:
        """Runs a command of the rival's side at the size of use."""
        start = [self.given.rival_python, str(HERE / "accuracy_rival.py")]
        subprocess.run([*start, *command, format_size(SIZE)], check=True, capture_output=True)

    def command(self, side: str, run: Path, epochs: int, seed: int) -> list[str]:
        """What trains a network, or goes on with it."""
        if side == RIVAL:
            order = run.with_suffix(".json")
            details = {"run": str(run), "epochs": epochs, "seed": seed, "size": list(SIZE)}
            data = {"data": str(self.folder / "rival.yaml"), "options": self.given.rival_options}
            write_json(order, details | data)
            return [self.given.rival_python, str(HERE / "accuracy_rival.py"), "train", str(order)]
        data_of = ["--dataset", "folder", "--data-dir", str(self.folder), "--size", "448x608"]
        length = ["--epochs", str(epochs), "--warmup-epochs", str(min(5, epochs / 20))]
        rest = ["--validate-every", "0", "--seed", str(seed), "--output", str(run), "--resume"]
        start = [sys.executable, "-m", "fastscnn_tf", "train"]
        return [*start, *data_of, *RECIPE, *length, *rest, *self.options]

    def train(self, side: str, run: Path, epochs: int, seed: int) -> dict[str, Any]:
        """Trains, unless that is done.

        Returns:
            CPU seconds until the end of each of the `epochs`, and those of `all`.
        """
        ledger = run.with_name(f"{run.name}.cpu.json")
        spent = json.loads(ledger.read_text()) if ledger.exists() else {"all": 0, "epochs": []}
        if spent.get("done"):
            return spent
        run.parent.mkdir(parents=True, exist_ok=True)
        before = spent["all"]
        with run.with_name(f"{run.name}.txt").open("a") as said:
            command = self.command(side, run, epochs, seed)
            process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
            while process.poll() is None:
                # Cut off here, what was spent on an epoch that is lost counts, too.
                spent["all"] = max(spent["all"], round(before + _cpu_seconds(process.pid), 1))
                new = _lines(run / LOGS[side]) - 1 - len(spent["epochs"])
                spent["epochs"] += [spent["all"]] * new
                write_json(ledger, spent)
                time.sleep(0.5)
        if process.returncode:
            raise SystemExit(f"{side} ended with {process.returncode}: see {said.name}")
        write_json(ledger, spent | {"done": True})
        return spent


def _cpu_seconds(process: int) -> float:
    """User and system time of all threads; 0 where it has just ended."""
    try:
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def _lines(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 1


def epochs_for(minutes: float, measured: list[float], share: float) -> int:
    """How many epochs fit.

    Args:
        minutes: of CPU.
        measured: seconds of CPU until the end of two epochs.
        share: images to train on, in those of the measured training.
    """
    first, second = measured
    epoch = second - first
    return max(1, int((60 * minutes - max(0, first - epoch)) / (epoch * share)))


def write_files(side: str, run: Path, trainer: Trainer) -> dict[str, Path]:
    """What devices run, of the last weights: our .tflite files, and the rival's for OpenVINO."""
    weights = run / LAST[side]
    if side == RIVAL:
        made = weights.with_name("last_openvino_model")
        if not made.exists():
            trainer.rival("export", str(weights))
        return {"PyTorch": weights, "OpenVINO float": made}
    model = fs.load_model(weights)
    files = {recipe: run / f"{recipe}.tflite" for recipe in ("float16", "int8")}
    for recipe, path in files.items():
        if not path.exists():
            data = {"split": "train", "config": model.config, "batch_size": 1}
            seen = fs.load_dataset("folder", trainer.folder, **data)
            fs.export_tflite(model, path, recipe, calibration=seen.take(100))
    return files


def score(side: str, file: Path, trainer: Trainer) -> float:
    """mIoU on what was held out, 0..1."""
    data = trainer.data
    if side == OURS:
        return fs.evaluate(file, data).miou
    matrix = np.zeros((len(data.labels),) * 2, np.int64)
    with tempfile.TemporaryDirectory() as made:
        trainer.rival("label", str(file), str(trainer.folder / "images" / "val"), made)
        for i in range(len(data)):
            name = f"{Path(data.sample_name(i)).stem}.png"
            found = np.asarray(Image.open(Path(made) / name))
            matrix += confusion_matrix(data.read(i)[1], found, len(data.labels))
    return scores(matrix, {}).miou or 0.0


def latency(
    files: dict[str, Path], python: str, picture: Path, rounds: int
) -> dict[str, dict[str, float]]:
    """Milliseconds from the image's bytes to its label map, medians of turns, and of CPU."""
    threads = len(os.sched_getaffinity(0))
    ours = [sys.executable, str(HERE / "latency_ours.py")]
    rival = [python, str(HERE / "accuracy_rival.py")]
    programs = []
    for name, file in files.items():
        order = {"file": str(file), "size": SIZE, "threads": threads, "kind": "labels"}
        programs.append(Program(name, ours if file.suffix == ".tflite" else rival, order))
    took = np.zeros((2, rounds, len(programs)))
    for i in range(rounds):
        for j in np.roll(np.arange(len(programs)), i):
            # Others' work has emptied the caches: the second answer of a turn counts.
            for _ in range(2):
                answer = programs[j].ask({"picture": str(picture)})
            took[:, i, j] = answer["seconds"], answer["cpu_seconds"]
    for program in programs:
        program.close()
    wall, busy = np.median(took, axis=1).round(4) * 1000
    names = [program.name for program in programs]
    return {n: {"ms": float(wall[j]), "cpu_ms": float(busy[j])} for j, n in enumerate(names)}


def table(report: dict[str, Any]) -> str:
    """The report in Markdown: means over seeds, in per cent."""
    splits = list(report["rows"])
    rows = []
    for name, took in report["latency"].items():
        side, _, kind = name.partition(", ")
        cells = []
        for split in splits:
            found = [seed[side]["miou"][kind] for seed in report["rows"][split].values()]
            cells.append(percent(float(np.mean(found))))
        rows.append([name, *cells, f"{took['ms']:.1f}", f"{took['cpu_ms']:.1f}"])
    head = [f"mIoU after {report['cpu_minutes']:g} minutes of CPU", *splits, "ms", "CPU ms"]
    return markdown_table(head, rows)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("camvid", type=Path, help="CamVid's folder")
    parser.add_argument("output", type=Path, help="gets the runs and accuracy.json")
    parser.add_argument("--rival-python", required=True, help="Python with ultralytics")
    parser.add_argument("--cpu-minutes", type=float, required=True, help="of each training")
    parser.add_argument("--held-out", nargs="+", choices=HELD_OUT, default=list(HELD_OUT))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rounds", type=int, default=20, help="of the latency")
    parser.add_argument(
        "--rival-options", type=json.loads, default={}, help='of its train(): {"batch": 8}'
    )
    own = sys.argv[1:]
    cut = own.index("--") if "--" in own else len(own)
    given, options = parser.parse_args(own[:cut]), own[cut + 1 :]
    output, camvid = given.output.resolve(), given.camvid.resolve()
    if not given.cpu_minutes > 0:
        parser.error(f"--cpu-minutes {given.cpu_minutes:g}: expected more than 0")
    if not (camvid / "val").is_dir():
        parser.error(f"{camvid}: expected CamVid's folder, with val/ in it")
    if subprocess.run([given.rival_python, "-c", "import ultralytics"], check=False).returncode:
        needed = "pip install -r benchmarks/requirements-accuracy-rival.txt"
        parser.error(f"--rival-python {given.rival_python} has no ultralytics: {needed}")
    path = output / "accuracy.json"
    settings = {"cpu_minutes": given.cpu_minutes, "ours": options, "rival": given.rival_options}
    report = json.loads(path.read_text()) if path.exists() else settings | {"rows": {}}
    if any(report[key] != value for key, value in settings.items()):
        raise SystemExit(f"{path}: of other settings: name another OUTPUT")
    measured: dict[str, list[float]] = {}
    base = 0
    files: dict[str, Path] = {}
    for seed in given.seeds:
        for held_out in given.held_out:
            trainer = Trainer(camvid, output / held_out, held_out, given, options)
            base = base or trainer.pictures()
            for side in (OURS, RIVAL):
                if side not in measured:
                    run = output / given.held_out[0] / f"{side}-measured"
                    measured[side] = trainer.train(side, run, 2, 0)["epochs"]
                fit = epochs_for(given.cpu_minutes, measured[side], trainer.pictures() / base)
                run = trainer.folder / f"{side}-{seed}"
                spent = trainer.train(side, run, fit, seed)
                made = write_files(side, run, trainer)
                files = {**files, **{f"{side}, {kind}": file for kind, file in made.items()}}
                row = report["rows"].setdefault(held_out, {}).setdefault(str(seed), {})
                if side not in row:
                    miou = {kind: score(side, file, trainer) for kind, file in made.items()}
                    row[side] = {"epochs": fit, "cpu_seconds": spent["all"], "miou": miou}
                    write_json(path, report)
                print(f"{held_out}, seed {seed}, {side}: {row[side]}", flush=True)
    picture = output / "image.npy"
    np.save(picture, trainer.data.read(0)[0])
    report["latency"] = latency(files, given.rival_python, picture, given.rounds)
    report["cpu"], report["threads"] = cpu_name(), len(os.sched_getaffinity(0))
    write_json(path, report)
    print(table(report))


if __name__ == "__main__":
    main()
