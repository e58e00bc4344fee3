"""An .onnx of `fastscnn export` in engines that take it further, each in its own environment.

    python benchmarks/onward.py reference M.ONNX REFERENCE.NPZ [IMAGE...]
    ENVIRONMENT/bin/python benchmarks/onward.py M.ONNX REFERENCE.NPZ    # a row for each engine

The first needs this package and onnxruntime, the second numpy and an engine: `pip install
openvino`, `pip install ncnn pnnx`, `pip install MNN` or `pip install rknn-toolkit2`. What is
converted lies in a folder that is removed. Times are the median of 20 runs on one thread, the
conversion not among them.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

RUNS = 20
Run = Callable[[np.ndarray], np.ndarray]


def write_reference(model: Path, target: Path, *pictures: Path) -> None:
    """Images, or drawn streets, as the file takes them, and what onnxruntime gives for each."""
    import json

    import onnxruntime

    from fastscnn_tf.core.images.image_file import read_image
    from fastscnn_tf.core.sizes import parse_size
    from fastscnn_tf.data.datasets.toy_streets import draw_scene
    from fastscnn_tf.runtime.fit import fitted

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(model), options)
    about = json.loads(session.get_modelmeta().custom_metadata_map["fastscnn"])
    size = parse_size(about["input_size"], pad=True)
    drawn = [draw_scene((0, 2, i), size)[0] for i in range(4)]
    read = [fitted(read_image(path), size, "resize").image for path in pictures]
    images = np.stack(read or drawn)
    if "uint8" not in session.get_inputs()[0].type:
        images = ((images - np.float32(about["mean"])) / np.float32(about["std"])).astype("f4")
    results = [session.run(None, {"image": image[None]})[0][0] for image in images]
    np.savez(target, images=images, results=np.stack(results))


def openvino(model: Path, folder: Path) -> Run:
    """OpenVINO on the CPU."""
    import openvino as ov

    # Without the last, it would compute in bfloat16 where the CPU can.
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    return lambda image: next(iter(request.infer([image[None]]).values()))[0]


def ncnn(model: Path, folder: Path) -> Run:
    """ncnn, converted by pnnx."""
    import ncnn

    copy = folder / "m.onnx"
    copy.write_bytes(model.read_bytes())
    spec = importlib.util.find_spec("pnnx")  # importing it would take PyTorch
    tool = Path(spec.origin).with_name("pnnx") if spec and spec.origin else "pnnx"
    subprocess.run([tool, copy.name], cwd=folder, check=True, capture_output=True)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.load_param(str(folder / "m.ncnn.param"))
    net.load_model(str(folder / "m.ncnn.bin"))

    def run(image: np.ndarray) -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image)).clone())
            return np.array(extractor.extract("out0")[1])

    return run


def mnn(model: Path, folder: Path) -> Run:
    """MNN on the CPU."""
    import MNN

    target = folder / "m.mnn"
    tool = Path(sys.executable).with_name("mnnconvert")
    command = [tool, "-f", "ONNX", "--modelFile", model, "--MNNModel", target, "--bizCode", "x"]
    subprocess.run(command, check=True, capture_output=True)
    net = MNN.nn.load_module_from_file(str(target), ["image"], ["logits"])

    def run(image: np.ndarray) -> np.ndarray:
        kind = MNN.numpy.uint8 if image.dtype == np.uint8 else MNN.numpy.float32
        fed = MNN.expr.const(image[None], [1, *image.shape], MNN.expr.NCHW, kind)
        return np.array(net.forward([fed])[0].read())[0]

    return run


def rknn(model: Path, folder: Path) -> Run:
    """The simulator of rknn-toolkit2, for an RK3588."""
    from rknn.api import RKNN

    net = RKNN(verbose=False)
    net.config(target_platform="rk3588")
    if net.load_onnx(str(model)) or net.build(do_quantization=False) or net.init_runtime():
        raise RuntimeError("rknn-toolkit2 does not take it")
    return lambda image: net.inference([image[None]], data_format="nhwc")[0][0]


ENGINES = {  # module -> (distribution, what runs it)
    "openvino": ("openvino", openvino),
    "ncnn": ("ncnn", ncnn),
    "MNN": ("MNN", mnn),
    "rknn": ("rknn-toolkit2", rknn),
}


def row(name: str, run: Run, images: np.ndarray, results: np.ndarray) -> str:
    """A row of the table: how near the scores are, how many classes are alike, and the time."""
    found = np.stack([run(image) for image in images]).reshape(results.shape)
    off = np.abs(found - results).max() / np.ptp(results)
    alike = (found.argmax(-1) == results.argmax(-1)).mean()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run(images[0])
        times.append(time.perf_counter() - start)
    return f"| {name} | {100 * alike:.2f} % | {off:.1e} | {np.median(times) * 1000:.1f} |"


def main() -> None:
    """As the module's text says."""
    if sys.argv[1] == "reference":
        write_reference(*map(Path, sys.argv[2:]))
        return
    model, reference = map(Path, sys.argv[1:])
    arrays = np.load(reference)
    print("| engine | classes alike | scores off, of their range | ms |\n|---|---|---|---|")
    for module, (distribution, engine) in ENGINES.items():
        if importlib.util.find_spec(module) is None:
            continue
        name = f"{distribution} {importlib.metadata.version(distribution)}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                run = engine(model.resolve(), Path(folder))
                print(row(name, run, arrays["images"], arrays["results"]))
            except Exception as error:  # the engine's own
                print(f"| {name} | {type(error).__name__}: {str(error)[:200]!r} | | |")


if __name__ == "__main__":
    main()
