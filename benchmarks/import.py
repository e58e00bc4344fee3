"""The same PyTorch checkpoint as .tflite two ways: `fastscnn import` + `export`, and litert-torch.

Both ways' files are compared in one process: operations, bytes, difference from PyTorch, time
(interleaved, ratios within rounds) and whether LiteRT's GPU accelerator takes the whole graph.
The rival (litert-torch, ai-edge-quantizer, PyTorch) needs an environment of its own; then

    python3.11 -m venv /tmp/rival
    /tmp/rival/bin/pip install -r benchmarks/requirements-rival.txt
    .venv/bin/python benchmarks/import.py --rival-python /tmp/rival/bin/python

The GPU part runs on a Vulkan driver named by VK_DRIVER_FILES, or on SwiftShader:
`--swiftshader DIR` is a folder with libvk_swiftshader.so and vk_swiftshader_icd.json, both out
of Chromium, and libvulkan.so.1. Nothing about speed on a GPU follows from it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fastscnn_tf.core.foreign_text import Markdown
from fastscnn_tf.core.sizes import Size, format_size, parse_size
from fastscnn_tf.core.text_table import markdown_table

CLASSES = 19
MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
SIZES = ("1024x2048", "768x1536")  # pyramid bins 3 and 6 do not divide 32x64; they do 24x48
RECIPES = ("float32", "int8")
THREADS = (2, 1)
ROUNDS_PER_LOAD = 5
RIVAL = Path(__file__).with_name("import_rival.py")
FORMS = {
    "uint8": ("raw bytes", "bytes"),
    "int8": ("raw bytes as int8", "bytes"),
    "float32": ("normalised input", "channels-last"),
}
REWRITTEN = "rewritten"  # in the names of the rival's variants whose network was edited by hand
PROBE = "--probe-gpu"
PROBE_SECONDS = 600
HELP = """{python}: no such environment. Make it with
    python3.11 -m venv /tmp/rival
    /tmp/rival/bin/pip install -r benchmarks/requirements-rival.txt
and pass --rival-python /tmp/rival/bin/python"""


@dataclasses.dataclass
class File:
    """A .tflite and what is measured of it.

    Attributes:
        ours: made by this package.
        variant: what it was asked for.
        layout: of the input: `bytes` (raw uint8, or int8 by ^ 0x80), or normalised
            `channels-last`, `channels-first`.
        recipe: `float32` or `int8`.
        path: where it lies.
        result: figures by name.
    """

    ours: bool
    variant: str
    layout: str
    recipe: str
    path: str
    result: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """For the tables."""
        return f"{'fastscnn_tf' if self.ours else 'litert-torch'}, {self.variant}"


# --- making the files ---------------------------------------------------------------------------


def draw_images(folder: Path, size: Size, count: int) -> None:
    """Draws toy streets: `images.npy`, and all but the first as a data set for calibration."""
    import yaml
    from PIL import Image

    from fastscnn_tf.data.datasets.toy_streets import ToyStreets

    streets = ToyStreets("train", size)
    images = np.stack([streets.read_image(i) for i in range(count)])
    np.save(folder / "images.npy", images)
    for kind in ("images", "labels"):
        (folder / "streets" / kind).mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images[1:]):
        Image.fromarray(image).save(folder / "streets" / "images" / f"{i}.png")
        Image.new("L", size[::-1]).save(folder / "streets" / "labels" / f"{i}.png")
    names = [f"class {i}" for i in range(CLASSES)]
    train = {"train": {"images": "images", "labels": "labels"}}
    description = yaml.safe_dump({"name": "streets", "classes": names, "splits": train})
    (folder / "streets" / "dataset.yaml").write_text(description)


def make_rival(python: str, folder: Path, checkpoint: Path) -> tuple[list[File], dict[str, str]]:
    """Lets the rival make the checkpoint, unless it exists, and its files."""
    command = [python, str(RIVAL), "--work", str(folder), "--checkpoint", str(checkpoint)]
    run(command, folder / "rival.log")
    report = json.loads((folder / "rival.json").read_text())
    return [File(ours=False, **entry) for entry in report["files"]], report["versions"]


def make_ours(folder: Path, checkpoint: Path, size: Size) -> list[File]:
    """`fastscnn import`, then `fastscnn export`: bytes by each recipe, and as the rival does."""
    cli, log = [sys.executable, "-m", "fastscnn_tf"], folder / "ours.log"
    model = folder / "m.keras"
    source = ["--from", "gluon", "--classes", str(CLASSES)]
    run([*cli, "import", str(checkpoint), *source, "--output", str(model), "--force"], log)
    files = []
    wanted = {"float32": ("uint8", "float32"), "int8": ("uint8", "int8")}
    for recipe, form in ((r, f) for r, forms in wanted.items() for f in forms):
        path = folder / f"ours-{recipe}-{form}.tflite"
        options = ["--recipe", recipe, "--outputs", "logits-full", "--size", format_size(size)]
        options += ["--input", form]
        if recipe == "int8":
            options += ["--dataset", "folder", "--data-dir", str(folder / "streets")]
        run([*cli, "export", str(model), *options, "--output", str(path), "--force"], log)
        variant, layout = FORMS[form]
        files.append(File(True, variant, layout, recipe, str(path)))
    return files


def run(command: list[str], log: Path) -> None:
    """Runs a command into a log; stops with its last lines where it fails."""
    with log.open("a") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text().splitlines()[-15:])
        sys.exit(f"{' '.join(command)}\nfailed with {done.returncode}, see {log}:\n{tail}")


# --- running them -------------------------------------------------------------------------------


def load(file: File, image: np.ndarray, threads: int) -> Any:
    """An interpreter that has its own form of the image (H, W, 3), warmed up."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(file.path, num_threads=threads)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    interpreter.set_tensor(details["index"], model_input(file.layout, image, details))
    for _ in range(2):
        interpreter.invoke()
    return interpreter


def model_input(layout: str, image: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """The image as a file takes it: bytes; or normalised, and quantized where that is int8."""
    if layout == "bytes":
        return image[None] if details["dtype"] == np.uint8 else (image[None] ^ 0x80).view(np.int8)
    x = ((image - MEAN) / STD)[None]
    if layout == "channels-first":
        x = x.transpose(0, 3, 1, 2)
    if details["dtype"] == np.int8:
        scale, zero = details["quantization"]
        x = np.clip(np.rint(x / scale + zero), -128, 127)
    return np.ascontiguousarray(x, details["dtype"])


def logits_of(file: File, interpreter: Any) -> np.ndarray:
    """Output (H, W, classes) as float32."""
    details = interpreter.get_output_details()[0]
    y = interpreter.get_tensor(details["index"])[0]
    if y.dtype != np.float32:
        scale, zero = details["quantization"]
        y = (y.astype(np.float32) - zero) * np.float32(scale)
    return y.transpose(1, 2, 0) if file.layout == "channels-first" else y


def compare(files: list[File], image: np.ndarray, reference: np.ndarray) -> None:
    """Counts operations; differences from PyTorch and, between float files, from ours."""
    from fastscnn_tf.tflite.file import graph_summary

    labels = reference.argmax(-1)
    own: dict[str, np.ndarray] = {}
    for file in sorted(files, key=lambda f: not f.ours):
        content = Path(file.path).read_bytes()
        ops = graph_summary(content).ops
        interpreter = load(file, image, threads=2)
        executed = [op["op_name"] for op in interpreter._get_ops_details()]
        y = logits_of(file, interpreter)
        own.setdefault(file.recipe, y)
        file.result |= {
            "bytes": len(content),
            "ops": sum(ops.values()),
            "op_counts": ops,
            "partitions": executed.count("DELEGATE"),
            "max_difference_from_pytorch": float(np.abs(y - reference).max()),
            "mean_difference_from_pytorch": float(np.abs(y - reference).mean()),
            "argmax_agreement_with_pytorch": float((y.argmax(-1) == labels).mean()),
            "max_difference_from_ours": float(np.abs(y - own[file.recipe]).max()),
        }


def time_files(files: list[File], image: np.ndarray, threads: int, rounds: int) -> None:
    """Times `invoke` of the files of one recipe in turn, each round beginning with another.

    Where an interpreter lies in memory is worth several per cent of its time, so all are loaded
    anew, in another order, every few rounds.
    """
    rng = np.random.default_rng(0)
    times = np.zeros((rounds, len(files)))
    for first in range(0, rounds, ROUNDS_PER_LOAD):
        loaded = {int(j): load(files[j], image, threads) for j in rng.permutation(len(files))}
        for i in range(first, min(first + ROUNDS_PER_LOAD, rounds)):
            for j in np.roll(np.arange(len(files)), i):
                start = time.perf_counter()
                loaded[j].invoke()
                times[i, j] = (time.perf_counter() - start) * 1000
        loaded.clear()
    for j, file in enumerate(files):
        file.result[f"ms_{threads}"] = float(np.median(times[:, j]))
        file.result[f"rounds_ms_{threads}"] = times[:, j].round(2).tolist()


def ratios(files: list[File], recipe: str, threads: int) -> list[dict[str, Any]]:
    """Our files' times to those of the rival's fastest, with its network as it is and edited."""
    found = []
    chosen = [file for file in files if file.recipe == recipe]
    rivals = [file for file in chosen if not file.ours]
    for edited in (False, True):
        group = [file for file in rivals if (REWRITTEN in file.variant) == edited]
        best = min(group, key=lambda file: file.result[f"ms_{threads}"])
        below = np.array(best.result[f"rounds_ms_{threads}"])
        for file in chosen:
            if file.ours:
                values = np.array(file.result[f"rounds_ms_{threads}"]) / below
                low, half, high = np.percentile(values, (25, 50, 75)).tolist()
                spread = {"median": half, "quartiles": [low, high]}
                names = {"ours": file.name, "rival": best.name}
                found.append({"recipe": recipe, "threads": threads, **names, **spread})
    return found


# --- the GPU accelerator ------------------------------------------------------------------------


def write_controls(folder: Path) -> tuple[Path, Path]:
    """Two tiny graphs: a convolution any sound driver runs, and a GATHER_ND that none takes."""
    from fastscnn_tf.core.keras_api import tensorflow

    tf = tensorflow()
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 8)).astype(np.float32)
    places = np.array([[0, 1, 2], [0, 3, 4]], np.int32)
    functions = {
        "convolution": lambda x: tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME")),
        "gather": lambda x: tf.gather_nd(x, places),
    }
    paths = []
    for name, function in functions.items():
        spec = tf.TensorSpec((1, 32, 32, 4), tf.float32)
        concrete = tf.function(function, input_signature=[spec]).get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
        paths.append(folder / f"control-{name}.tflite")
        paths[-1].write_bytes(converter.convert())
    return paths[0], paths[1]


def gpu_environment(swiftshader: Path | None) -> dict[str, str] | None:
    """Environment of the probes; None without a driver."""
    environment = dict(os.environ)
    if swiftshader:
        environment["VK_DRIVER_FILES"] = str(swiftshader.resolve() / "vk_swiftshader_icd.json")
        paths = [str(swiftshader.resolve()), environment.get("LD_LIBRARY_PATH", "")]
        environment["LD_LIBRARY_PATH"] = ":".join(filter(None, paths))
    return environment if environment.get("VK_DRIVER_FILES") else None


def probe(path: str | Path, environment: dict[str, str]) -> dict[str, Any]:
    """Compiles and runs a file on the GPU alone, in a process of its own."""
    command = [sys.executable, __file__, PROBE, str(path)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no end after {PROBE_SECONDS} s"}
    for line in done.stdout.splitlines():
        if line.startswith('{"gpu'):
            return json.loads(line)["gpu"]
    return {"error": f"the process died ({done.returncode})"}


def probe_here(path: str) -> dict[str, Any]:
    """What `probe` runs: the GPU's result on random input beside the CPU's."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.interpreter import Interpreter

    try:
        model = CompiledModel.from_file(path, hardware_accel=HardwareAccelerator.GPU)
    except RuntimeError as error:
        return {"error": str(error).strip().splitlines()[-1].strip("└ ")}
    interpreter = Interpreter(path, num_threads=2)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    x = np.random.default_rng(0).integers(-128, 128, source["shape"])
    x = x / 64 if source["dtype"] == np.float32 else x + 128 * (source["dtype"] == np.uint8)
    x = x.astype(source["dtype"])
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    expected = interpreter.get_tensor(target["index"])
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    inputs[0].write(x)
    model.run_by_index(0, inputs, outputs)
    found = outputs[0].read(expected.size, expected.dtype.type).reshape(expected.shape)
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
    return {"max_difference_from_cpu": float(difference), "max": float(np.abs(expected).max())}


def probe_gpu(files: list[File], folder: Path, environment: dict[str, str] | None) -> str:
    """Fills in `gpu` of every file; returns what was measured on, or why nothing was."""
    if environment is None:
        return "not measured (no VK_DRIVER_FILES, no --swiftshader)"
    good, bad = (probe(path, environment) for path in write_controls(folder))
    sound = "error" not in good and good["max_difference_from_cpu"] <= 1e-4 * good["max"]
    if not sound or "error" not in bad:
        return f"not measured: the driver fails the controls ({good}; GATHER_ND {bad})"
    for file in files:
        file.result["gpu"] = probe(file.path, environment)
    return f"on {Path(environment['VK_DRIVER_FILES']).name}; GATHER_ND alone: {bad['error']}"


# --- the report ---------------------------------------------------------------------------------


def measure(args: argparse.Namespace, text: str, work: Path) -> dict[str, Any]:
    """Everything for one size."""
    size = parse_size(text)
    folder, checkpoint = work / text, work / "checkpoint.pth"
    folder.mkdir(parents=True, exist_ok=True)
    note(f"{text}: drawing, converting")
    draw_images(folder, size, args.images + 1)
    rivals, versions = make_rival(args.rival_python, folder, checkpoint)
    files = make_ours(folder, checkpoint, size) + rivals
    image, reference = np.load(folder / "images.npy")[0], np.load(folder / "reference.npy")
    note(f"{text}: comparing")
    compare(files, image, reference)
    for recipe in RECIPES:
        for threads in THREADS:
            note(f"{text}: timing {recipe}, {threads} threads")
            time_files([f for f in files if f.recipe == recipe], image, threads, args.rounds)
    note(f"{text}: GPU")
    gpu = probe_gpu(files, folder, gpu_environment(args.swiftshader))
    return {
        "size": text,
        "versions": versions,
        "gpu": gpu,
        "largest_logit": float(np.abs(reference).max()),
        "mean_logit": float(np.abs(reference).mean()),
        "normalising_ms": normalising_ms(image),
        "ratios": [r for recipe in RECIPES for n in THREADS for r in ratios(files, recipe, n)],
        "files": [dataclasses.asdict(f) | {"name": f.name} for f in files],
    }


def normalising_ms(image: np.ndarray) -> float:
    """Median time that numpy takes for the normalised image which the rival's files expect."""
    times = []
    for _ in range(9):
        start = time.perf_counter()
        model_input("channels-last", image, {"dtype": np.float32})
        times.append((time.perf_counter() - start) * 1000)
    return float(np.median(times))


def note(text: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def table(report: dict[str, Any], recipe: str) -> str:
    """A Markdown table of one size and recipe."""
    heads = ["", "ops", "XNNPACK partitions", "bytes", "ms, 2 threads", "ms, 1 thread"]
    heads += ["max, mean difference from PyTorch", "same argmax", "GPU-only"]
    files = [entry for entry in report["files"] if entry["recipe"] == recipe]
    return markdown_table(heads, ([each["name"], *cells(each["result"])] for each in files))


def cells(r: dict[str, Any]) -> list[str]:
    """A file's figures for the table."""
    gpu = r.get("gpu", {"error": "not measured"})
    verdict = "refused" if "not accelerated" in gpu.get("error", "") else gpu.get("error", "")
    largest, mean = r["max_difference_from_pytorch"], r["mean_difference_from_pytorch"]
    return [
        str(r["ops"]),
        str(r["partitions"]),
        f"{r['bytes']:,}",
        *(f"{r[f'ms_{n}']:.1f}" for n in THREADS),
        f"{largest:.2g}, {mean:.2g}",
        f"{r['argmax_agreement_with_pytorch']:.2%}",
        verdict or f"compiles ({gpu['max_difference_from_cpu']:.1g} of {gpu['max']:.3g} off)",
    ]


def ratio_table(report: dict[str, Any]) -> str:
    """A Markdown table of our times to the rival's."""
    head = ["", "threads", "ours", "rival's fastest", "ours / rival's: median (quartiles)"]
    rows = []
    for r in report["ratios"]:
        low, high = r["quartiles"]
        figure = Markdown(f"**{r['median']:.2f}** ({low:.2f}-{high:.2f})")
        rows.append([r["recipe"], r["threads"], r["ours"], r["rival"], figure])
    return markdown_table(head, rows)


def show(report: dict[str, Any]) -> None:
    """Prints the tables of one size."""
    between = max(
        entry["result"]["max_difference_from_ours"]
        for entry in report["files"]
        if entry["recipe"] == "float32"
    )
    print(f"\n## {report['size']}, logits at full size, {machine()}")
    print(", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    print(
        "Time is `invoke` alone, interleaved. Our files for raw bytes hold the normalisation; the "
        "rival's callers normalise\nby themselves, which takes numpy "
        f"{report['normalising_ms']:.0f} ms more. Weights are random: PyTorch's logits reach "
        f"{report['largest_logit']:.0f},\n{report['mean_logit']:.2g} on average, and classes lie "
        "close together; 'same argmax' compares files, it is not an accuracy.\n"
        f"Between our first and any other float32 file logits differ by at most {between:.1g}."
    )
    print(f"GPU-only: {report['gpu']}")
    for recipe in RECIPES:
        print(f"\n### {recipe}\n{table(report, recipe)}")
    print(f"\n### Time\n{ratio_table(report)}")


def machine() -> str:
    """Processor and its cores."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{os.cpu_count()} x {name}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rival-python", required=True, help="python of the rival's environment")
    parser.add_argument("--size", action="append", help=f"default: {', '.join(SIZES)}")
    parser.add_argument("--rounds", type=int, default=40, help="timed rounds (default 40)")
    parser.add_argument("--images", type=int, default=6, help="for calibration (default 6)")
    parser.add_argument("--swiftshader", type=Path, help="folder of the Vulkan driver")
    parser.add_argument("--work", type=Path, help="keep all files here")
    parser.add_argument("--json", type=Path, help="write all figures here")
    args = parser.parse_args()
    if not Path(args.rival_python).is_file():
        parser.error(HELP.format(python=args.rival_python))
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        reports = []
        for text in args.size or SIZES:
            reports.append(measure(args, text, work))
            show(reports[-1])
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "sizes": reports}, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == [PROBE]:
        print(json.dumps({"gpu": probe_here(sys.argv[2])}))
    else:
        main()
