"""Names that want to be more than names, and every report and text that the package makes of them.

`make_pages` gives the pages, `make_texts` what goes to a terminal, `make_sources` what a shell or a
compiler reads. Tests look at their strings, and those of the targets with a browser and a compiler.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

import fastscnn_tf.data.check.findings as check
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.core.scores.confusion import scores
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.gpu import GpuSettings
from fastscnn_tf.delegates.nnapi import NnapiSettings
from fastscnn_tf.delegates.settings_file import write_settings
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.delegates.trust import own
from fastscnn_tf.evaluation.model_comparison import compare_models
from fastscnn_tf.evaluation.pseudo_folder import PseudoLabels
from fastscnn_tf.evaluation.reproduction_table import Reproduction
from fastscnn_tf.evaluation.size_comparison_result import SizeRow, SizeTable
from fastscnn_tf.export.pack import pack
from fastscnn_tf.inspection.inspect_tflite import inspect
from fastscnn_tf.inspection.side_by_side import markdown_side_by_side
from fastscnn_tf.quantize.layer_report import LayerReport
from fastscnn_tf.quantize.layer_stats import ActivationStats
from fastscnn_tf.reports.card import model_card
from fastscnn_tf.reports.demo import write_report as write_demo
from fastscnn_tf.reports.quantization_report_page import write_report as write_quantization
from fastscnn_tf.reports.quantization_report_result import QuantizationReport
from fastscnn_tf.reports.run_comparison import compare_runs
from fastscnn_tf.reports.run_report import write_run_report
from fastscnn_tf.runs.find_runs import find_runs, runs_table
from fastscnn_tf.runtime.model_settings import FileSettings, code_of, settings_of
from fastscnn_tf.scoring.evaluation_result import Evaluation
from fastscnn_tf.tflite.file import unpack

SHIPPED = Path(__file__).parents[1] / "tflite" / "fastscnn_camvid_int8.tflite"
OWNED = "document.title='owned'"
NAMES = (
    f"<script>{OWNED}</script>",
    f'"><img src=x onerror="{OWNED}">',
    "a|b\\|c",
    "# x\n## y\r\n\r\nz\n===",
    "```\n`",
    "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f",
    "$(touch owned)`touch owned`';touch owned;'\n touch owned",
    '"""${x}*/ fun x() {} /*',
    "\u202egnp.exe\u2028- item\u2029",
    "[a](javascript:b) ![a](https://h.example/x.png) <!-- www.h.example",
    "&lt;b&gt; **b** __c__ ~~d~~ _e_ $f$",
)
FILE = "a|b`$(touch owned)\n# x \x1b[2J\u202e<img src=x onerror=alert(1)>'"
# Settings refuse more, line ends above all.
OPTION = '$(touch owned)`touch owned`\';touch owned;\' """${x}*/ fun x() {} /* a|b <b>\u202e\x7f'
FOLDER = f"{FILE} folder"
SIZE = (8, 12)


def make_pages(folder: Path) -> dict[str, str]:
    """HTML and Markdown: what it is of -> the text."""
    run, model = make_run(folder), make_model(folder)
    evaluation = make_scores(folder, model)
    pages = {
        "card of a file.md": model_card(model, [evaluation], license=NAMES[3]),
        "card of a run.md": model_card(run, [evaluation], license=NAMES[0]),
        "inspect.md": inspect(model, load=False).markdown(),
        "inspect side by side.md": markdown_side_by_side([inspect(model, load=False)] * 2),
        "reproduction.md": reproduction().markdown(),
    }
    report = write_run_report(run)
    pages["run report.html"] = report.read_text(encoding="utf-8")
    pages["run report.md"] = report.with_suffix(".md").read_text(encoding="utf-8")
    path = write_quantization(quantization(), folder / "quantization")
    pages["quantization report.html"] = path.read_text(encoding="utf-8")
    compare_models(
        Reader(0), Reader(1), "folder", make_data(folder), output=folder / "compared", pictures=2
    )
    pages["comparison.html"] = (folder / "compared" / "report.html").read_text(encoding="utf-8")
    pages["demo.html"] = make_demo(folder)
    return pages


def make_texts(folder: Path) -> dict[str, tuple[str, int]]:
    """What goes to a console: what it is of -> the text, and how many lines it has."""
    run, model = make_run(folder), make_model(folder)
    compared = compare_models(Reader(0), Reader(1), "folder", make_data(folder))
    other = folder / "other"
    shutil.copytree(run, other)
    record = json.loads((other / "run.json").read_text())
    record["settings"]["recipe"] = "another"
    (other / "run.json").write_text(json.dumps(record))
    (folder / FOLDER / "broken").mkdir()
    (folder / FOLDER / "broken" / "run.json").write_text("[")
    matrix = np.eye(len(NAMES), dtype=np.int64)
    found = scores(matrix)
    evaluation = Evaluation(
        miou=1.0,
        pixel_accuracy=1.0,
        images=1,
        protocol="",
        scores=found,
        class_iou=dict(zip(NAMES, found.class_iou, strict=True)),
        latency_ms={"median": 1.0, "p90": 2.0},
        details={"input_size": NAMES[3]},
    )
    counts = tuple(range(len(NAMES)))
    row = SizeRow(NAMES[3], SIZE, 1, 1, 1.0, 1.0, 1.0)
    pseudo = PseudoLabels(folder, 1, NAMES, counts, counts)
    return {
        "evaluation": (evaluation.table(), len(NAMES) + 6),
        "comparison": (compared.text(), 2 + len(NAMES) + 2 + 2),
        "runs": (runs_table(find_runs([folder / FOLDER, other])), 4),
        "compared runs": (compare_runs([run, other]).text(), 2 + 1 + 2 + 1 + 2 + len(NAMES)),
        "data check": (data_check().text(), 14 + 2 * len(NAMES)),
        "quantization": (quantization().text(), 1 + 1 + len(NAMES) + 1 + 1 + len(NAMES)),
        "reproduction": (reproduction().text(), 7),
        "sizes": (SizeTable((row,), 1, None, None, None).text(), 2),
        "pseudo-labels": (pseudo.table(), len(NAMES) + 2),
        "settings": (settings_of(model).text(), 11),
        "inspection": (inspect(model, load=False).text(), 0),
    }


def make_sources() -> dict[str, str]:
    """What a shell or a Kotlin compiler reads: a file's name -> the text."""
    model, digest = PurePath(FILE, f"{FILE}.tflite"), "0" * 64
    sources = {}
    for name, settings in {
        "gpu": DeviceSettings(
            api="interpreter",
            accelerator="gpu",
            gpu=GpuSettings(serialization_dir=OPTION, model_token=OPTION),
        ),
        "nnapi": DeviceSettings(
            api="interpreter",
            accelerator="nnapi",
            nnapi=NnapiSettings(accelerator_name=OPTION, cache_dir=OPTION, model_token=OPTION),
        ),
        "compiled": DeviceSettings(
            api="compiled_model",
            accelerator="gpu",
            cpu_fallback=True,
            cpu=CpuSettings(weight_cache_dir=OPTION),
            gpu=GpuSettings(external_tensor_patterns=(OPTION,), serialization_dir="/a"),
        ),
        "pi": TARGETS["pi5"].settings,
    }.items():
        found = FileSettings(model, digest, own(settings), NAMES[0])
        sources[f"{name}.sh"] = code_of(found)
        sources[f"{name}.kt"] = code_of(found, kotlin=True)
    return sources


def make_run(folder: Path) -> Path:
    """A run whose every text is hostile."""
    run = folder / FOLDER
    if run.exists():
        return run
    run.mkdir()
    config = FastSCNNConfig(len(NAMES), class_names=NAMES).to_dict()
    settings = {"dataset": NAMES[6], "data_dir": NAMES[3], "epochs": 2, "recipe": NAMES[0]}
    settings |= {NAMES[2]: NAMES[3], "nested": list(NAMES)}
    facts = {"settings": settings, "config": config, "versions": {NAMES[3]: NAMES[1]}}
    (run / "run.json").write_text(json.dumps(facts | {"machine": {NAMES[3]: NAMES[1]}}))
    matrix = (np.eye(len(NAMES), dtype=np.int64) + 1).tolist()
    state = {"epochs_done": 2, "best": 0.5, "best_epoch": 2, "confusion": matrix}
    (run / "state.json").write_text(json.dumps(state))
    rows = "1,2.5,0.01,0.25,60\n2,1.5,0.005,0.5,65\n"
    (run / "log.csv").write_text(f"epoch,loss,learning_rate,val_miou,seconds\n{rows}")
    (run / f"{FILE}.keras").write_bytes(b"")
    return run


def make_model(folder: Path) -> Path:
    """The shipped file with other names, settings and an operation of its own."""
    path = folder / f"{FILE}.tflite"
    if path.exists():
        return path
    model = unpack(SHIPPED.read_bytes())
    entry = next(e for e in model.metadata if e.name == b"fastscnn_tf")
    metadata = json.loads(bytes(model.buffers[entry.buffer].data))
    texts = ("name", "description", "author", "license", "version", "producer", "recipe")
    metadata |= {name: f"{name} {NAMES[3]} {NAMES[0]}" for name in texts}
    metadata |= {"class_names": NAMES, "run": {"dataset": NAMES[3], "nested": {NAMES[2]: NAMES}}}
    model.buffers[entry.buffer].data = list(json.dumps(metadata).encode())
    code = model.operatorCodes[model.subgraphs[0].operators[5].opcodeIndex]
    code.builtinCode, code.deprecatedBuiltinCode = 32, 32  # CUSTOM
    code.customCode = f"{NAMES[0]}{NAMES[2]}{NAMES[3]}".encode()
    path.write_bytes(pack(model, SHIPPED.stat().st_size))
    settings = TARGETS["android-nnapi"].settings
    write_settings(path, settings.with_option("nnapi.accelerator_name", OPTION))
    return path


def make_scores(folder: Path, model: Path) -> Path:
    """What `evaluate --json` might have written."""
    path = folder / "scores.json"
    values = {"miou": 0.5, "class_iou": dict.fromkeys(NAMES, 0.5), "protocol": NAMES[3]}
    values |= {"model": str(model), "dataset": NAMES[3], "split": "train", "images": 1}
    path.write_text(json.dumps(values))
    return path


SPACE = LabelSpace.make("own", len(NAMES), NAMES)


class Reader:
    """Says the class that a channel holds."""

    input_size, num_classes, labels = SIZE, len(NAMES), SPACE

    def __init__(self, channel: int):
        self.channel = channel

    def run(self, image: np.ndarray) -> np.ndarray:
        return np.float32(image[..., self.channel, None] == np.arange(len(NAMES))) * 8


def make_data(folder: Path) -> Path:
    """A data set of two images whose classes and files have such names."""
    root = folder / "data"
    if root.exists():
        return root
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    picture = np.zeros((*SIZE, 3), np.uint8)
    for place, name in enumerate((FILE, "b")):
        picture[place, :, 0] = np.arange(SIZE[1]) % len(NAMES)
        Image.fromarray(picture).save(root / "images" / f"{name}.png")
        Image.fromarray(picture[..., 0]).save(root / "labels" / f"{name}.png")
    splits = {"val": {"images": "images", "labels": "labels"}}
    classes = [{"name": name} for name in SPACE.names]
    described = {"name": "own", "classes": classes, "splits": splits}
    (root / "dataset.yaml").write_text(json.dumps(described))  # which is YAML, too
    return root


def make_demo(folder: Path) -> str:
    """The demo's page, of a data set that no demo has."""
    demo = folder / "demo"
    demo.mkdir()
    shutil.copy(SHIPPED, demo / "int8_qat.tflite")
    summary = {
        "seconds": 1.0,
        "float_miou": 0.5,
        "agreement": dict.fromkeys(("float_tflite", "qat_tflite", "float_qat"), 1.0),
        "miou": {NAMES[1]: 0.5},
        "sizes_bytes": {NAMES[1]: 1000},
        "latency_ms": {NAMES[1]: {"median": 1.0, "p90": 2.0}},
        "class_iou": dict.fromkeys(NAMES, 0.5),
    }
    write_demo(demo, summary, open_dataset("folder", make_data(folder), "val"))
    return (demo / "report.html").read_text(encoding="utf-8")


def quantization() -> QuantizationReport:
    """A report whose layers have such names."""
    ends = (0.0, 1.0)
    activation = ActivationStats(ends, ends, ends, 0.0, 200.0)
    layers = tuple(
        LayerReport(i, n, "conv", None, activation, 1.0, 1.0, 1.0, 1.0, 0.5, 0.1, findings=(n,))
        for i, n in enumerate(NAMES)
    )
    sizes = (NAMES[6], "int8", NAMES[3], (64, 96), NAMES[3], NAMES[0], 1)
    return QuantizationReport(*sizes, 0.9, 1.0, 1.0, None, None, layers)


def reproduction() -> Reproduction:
    """A table with remarks of such texts."""
    return Reproduction((), {}, chosen=NAMES[3], skipped={NAMES[2]: NAMES[0], "b": NAMES[5]})


def data_check() -> check.CheckReport:
    """Findings about such files."""
    counts = (*range(1, len(NAMES)), 0)
    split = check.SplitReport(NAMES[3], 1, 1, {"8x12": 1}, counts, 0, counts, counts)
    findings = tuple(check.Finding("unreadable", NAMES[3], name, name) for name in NAMES)
    return check.CheckReport(
        NAMES[3], NAMES[3], LabelSpace.make("own", 0, NAMES), (split,), findings, (), (NAMES[3],)
    )
