"""From the bytes of an image to the label map of its size: time of each runtime.

Ours is the trained CamVid network that this repository ships, as int8 and float32 .tflite. The
rivals run pytorchcv's Fast-SCNN (imgclsmob's network, as many classes) in ONNX Runtime, OpenVINO
(float32 and int8 by NNCF) and PyTorch, normalisation, upsampling and argmax in their graphs; that
architecture's own checkpoint, imported, is a row of ours, too. Another rival, of another network,
is Ultralytics' YOLO26n-sem with random weights and as many classes, by its own exports; what is
added to them, `latency_rival.py` says. An export that does not succeed is a line that says why.

Images are CamVid's, enlarged: how many blocks of 8x8 pixels lie on borders of classes decides
what our last step costs, and is printed.

Each program is a process of its own that has answered before; they take turns within a round, and
a ratio is the median of the ratios within rounds. CPU time, of all threads, stays readable where
other work takes turns of its own. Bytes are those of the files that a runtime loads. On the first
run the rivals' environment is made; `--work` keeps what is measured (one folder for each size):

    .venv/bin/python benchmarks/latency.py --camvid CamVid
    .venv/bin/python benchmarks/latency.py --camvid CamVid --size 448x608 --threads 1 --work small
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from turns import Program

from fastscnn_tf.core.files.writing import write_json
from fastscnn_tf.core.images.image_file import list_images, read_image, resize_image
from fastscnn_tf.core.sizes import format_size, parse_size
from fastscnn_tf.core.text_table import markdown_table
from fastscnn_tf.runtime.device_report import cpu_name
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.runtime.upsample import border_share

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "tflite" / "fastscnn_camvid.keras"
ENVIRONMENT = HERE.parent / ".venv-latency"
REQUIREMENTS = HERE / "requirements-latency-rival.txt"
RIVAL = str(HERE / "latency_rival.py")
BASE = "int8, labels at 1/8, the graph alone"
BEST = "int8, full label map"
OURS = {  # row -> kind, recipe, outputs, input of our file
    BASE: ("graph", "int8", "labels-8", "int8"),
    BEST: ("labels", "int8", "logits", "int8"),
    "int8 taking uint8, full label map": ("labels", "int8", "logits", "uint8"),
    "int8, full label map in the graph": ("labels", "int8", "labels", "int8"),
    "float32, full label map": ("labels", "float32", "logits", "uint8"),
}
IMPORTED = "int8 of the rivals' checkpoint, labels at 1/8, the graph alone"
RIVALS = {
    "ONNX Runtime, float32": "onnx",
    "OpenVINO, float32": "openvino",
    "OpenVINO, int8": "openvino int8",
    "PyTorch, channels last": "torch channels last",
    "PyTorch": "torch",
}
YOLO = {
    "YOLO26n-sem, ONNX Runtime, float32": "yolo onnx",
    "YOLO26n-sem, OpenVINO, float32": "yolo openvino",
    "YOLO26n-sem, OpenVINO, int8": "yolo openvino int8",
    "YOLO26n-sem, LiteRT, float32": "yolo litert",
    "YOLO26n-sem, LiteRT, int8": "yolo litert int8",
}


def rival_python() -> str:
    """The rivals' interpreter, its environment made where it is missing or of other versions."""
    python, made = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "made.txt"
    if not made.is_file() or made.read_text() != REQUIREMENTS.read_text():
        note(f"making {ENVIRONMENT.name} (some 3 GB, once)")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)], check=True
        )
        shutil.copy(REQUIREMENTS, made)
    return str(python)


def write_pictures(camvid: Path, work: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """CamVid's val images, evenly chosen, as arrays of the network's size."""
    found = list_images(camvid / "val")
    paths = []
    for i, place in enumerate(np.linspace(0, len(found) - 1, count).astype(int)):
        paths.append(work / f"image{i}.npy")
        np.save(paths[-1], resize_image(read_image(found[place]), size))
    return paths


def prepare(python: str, work: Path, classes: int) -> dict[str, str]:
    """Writes what the rivals load; row -> why there is nothing to load."""
    command = [python, RIVAL, "--prepare", str(work), "--classes", str(classes)]
    if not (work / "model.onnx").is_file():
        subprocess.run(command, check=True, capture_output=True)
    refused = {}
    for row, kind in YOLO.items():
        done = subprocess.run([*command, "--export", kind], capture_output=True, text=True)
        if done.returncode:
            refused[row] = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
            note(f"{row}: {refused[row]}")
    return refused


def write_files(work: Path, pictures: list[Path], size: tuple[int, int]) -> dict[str, Path]:
    """Our .tflite files, one for each row."""
    files = {row: work / f"{i}.tflite" for i, row in enumerate([*OURS, IMPORTED])}
    if all(file.is_file() for file in files.values()):
        return files
    import fastscnn_tf as fs

    shipped = fs.load_model(SHIPPED)
    classes = shipped.config.num_classes
    imported = fs.import_checkpoint(work / "checkpoint.pth", num_classes=classes)
    wanted = {**{row: (shipped, *rest[1:]) for row, rest in OURS.items()}}
    wanted[IMPORTED] = (imported, *OURS[BASE][1:])
    for row, (model, recipe, outputs, form) in wanted.items():
        mean, std = np.float32(model.config.mean), np.float32(model.config.std)
        images = (((np.load(p) - mean) / std)[None] for p in pictures)
        fs.export_tflite(
            model, files[row], recipe, outputs, size, calibration=images, input=form, force=True
        )
    return files


def start(
    work: Path, files: dict[str, Path], python: str, refused: dict[str, str], options: Any
) -> list[Program]:
    """All programs, loaded, with the time from the start of each process."""
    ours = [sys.executable, str(HERE / "latency_ours.py")]
    orders = {
        row: (ours, {"kind": OURS.get(row, OURS[BASE])[0], "file": str(file)})
        for row, file in files.items()
    }
    details = {"size": list(options.size), "classes": options.classes, "work": str(work)}
    for row, kind in (RIVALS | YOLO).items():
        if row not in refused:
            orders[row] = ([python, RIVAL], {"kind": kind, **details})
    programs = []
    for row, (command, order) in orders.items():
        begin = time.perf_counter()
        program = Program(row, command, {**order, "threads": options.threads})
        program.about["start_seconds"] = time.perf_counter() - begin
        programs.append(program)
    return programs


def measure(programs: list[Program], pictures: list[Path], rounds: int) -> dict[str, Any]:
    """Milliseconds and peak memory of each program; ratios to the first within rounds."""
    first = [p.ask({"picture": str(pictures[0])})["seconds"] * 1000 for p in programs]
    seconds, busy = np.zeros((2, rounds, len(programs)))
    answers: dict[str, Any] = {}
    for i in range(rounds):
        picture = str(pictures[i % len(pictures)])
        for j in np.roll(np.arange(len(programs)), i):
            # Others' work has emptied the caches: the second answer of a turn counts.
            programs[j].ask({"picture": picture})
            answers[programs[j].name] = answer = programs[j].ask({"picture": picture})
            seconds[i, j], busy[i, j] = answer["seconds"], answer["cpu_seconds"]
    names = [p.name for p in programs]
    base, best = seconds[:, names.index(BASE)], seconds[:, names.index(BEST)]
    rows = {}
    for j, program in enumerate(programs):
        answer = answers[program.name]
        rows[program.name] = {
            "ms": round(float(np.median(seconds[:, j])) * 1000, 1),
            "least_ms": round(float(seconds[:, j].min()) * 1000, 1),
            "cpu_ms": round(float(np.median(busy[:, j])) * 1000, 1),
            "of_the_graph": round(float(np.median(seconds[:, j] / base)), 3),
            "of_our_label_map": round(float(np.median(seconds[:, j] / best)), 3),
            "first_ms": round(first[j], 1),
            "start_ms": round(program.about["start_seconds"] * 1000),
            "load_ms": round(program.about["load_seconds"] * 1000),
            "peak_mb": round(answer["peak"] / 1e6),
            "bytes": program.about["bytes"],
            "result": answer["result"],
            "versions": program.about.get("versions", {}),
        }
        whole = [[*np.load(pictures[0], mmap_mode="r").shape[:2]], "uint8"]
        if "graph alone" not in program.name and answer["result"] != whole:
            sys.exit(f"{program.name} gives {answer['result']} instead of {whole}")
    return rows


def shares(file: Path, pictures: list[Path]) -> list[float]:
    """Share of blocks on borders of classes, of each image."""
    segmenter = Segmenter(file)
    return [round(border_share(segmenter.run(np.load(p))), 4) for p in pictures]


def table(report: dict[str, Any]) -> str:
    """The report as text."""
    low, high = min(report["border_shares"]), max(report["border_shares"])
    versions: dict[str, str] = dict(report["versions"])
    for row in report["rows"].values():
        versions |= row["versions"]
    lines = [
        f"{report['size']}, threads: {report['threads']}, rounds: {report['rounds']}",
        report["cpu"],
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"blocks on borders of classes: {low:.1%} to {high:.1%}",
        f"load average at the start and the end: {report['load'][0]:.1f}, {report['load'][1]:.1f}",
        "",
    ]
    rows = []
    for name, row in report["rows"].items():
        cells = [
            f"{row['ms']:.1f} ({row['least_ms']:.1f})",
            f"{row['of_the_graph']:.2f}",
            f"{row['of_our_label_map']:.2f}",
            f"{row['cpu_ms']:.1f}",
            f"{row['start_ms']}, {row['first_ms']:.0f}",
            str(row["peak_mb"]),
            f"{row['bytes']:,}",
        ]
        rows.append([name, *cells])
    rows += [[name, f"not exported: {why}", *[""] * 6] for name, why in report["refused"].items()]
    heads = ("", "ms (least)", "/ graph", "/ ours", "CPU ms", "start, first ms", "peak MB", "bytes")
    return "\n".join([*lines, markdown_table(heads, rows)])


def note(text: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--camvid", type=Path, required=True, help="CamVid's folder")
    parser.add_argument("--size", type=parse_size, default="1024x2048")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--work", type=Path, help="keep the files here, and use those there are")
    parser.add_argument("--json", type=Path, help="write the report here, too")
    options = parser.parse_args()
    options.classes = 11  # CamVid's
    python = rival_python()
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)) / format_size(options.size)
        work.mkdir(parents=True, exist_ok=True)
        note("images and files (exports of YOLO26n-sem take minutes)")
        pictures = write_pictures(options.camvid, work, options.pictures, options.size)
        refused = prepare(python, work, options.classes)
        files = write_files(work, pictures, options.size)
        note("measuring")
        load = [os.getloadavg()[0]]
        programs = start(work, files, python, refused, options)
        rows = measure(programs, pictures, options.rounds)
        load.append(os.getloadavg()[0])
        for program in programs:
            program.close()
        names = ("ai-edge-litert", "numpy", "tensorflow")
        report = {
            "cpu": f"{os.cpu_count()} x {cpu_name()}",
            "size": format_size(options.size),
            "threads": options.threads,
            "rounds": options.rounds,
            "versions": {name: importlib.metadata.version(name) for name in names},
            "border_shares": shares(files[BEST], pictures),
            "load": load,
            "rows": rows,
            "refused": refused,
        }
    print(table(report))
    if options.json:
        write_json(options.json, report)


if __name__ == "__main__":
    main()
