"""The rivals of `latency.py`: pytorchcv's Fast-SCNN (imgclsmob's network) and YOLO26n-sem.

Runs in an environment of its own (`requirements-latency-rival.txt`). `--prepare` writes what the
runtimes load; without it this serves one of them in turns. Every one takes (H, W, 3) bytes and
gives (H, W) bytes. Fast-SCNN's normalisation, upsampling and argmax are in its graph.

YOLO26n-sem is what Ultralytics' own `export` writes, from random weights (AGPL-3.0: nothing of it
is copied here). It wants planes of float32 from 0 to 1. Its graphs for ONNX Runtime and OpenVINO
end in the uint8 label map, those for LiteRT in float32 logits of full size. The rest is done as
quickly as we could: OpenVINO's own preprocessing in its graph; for the others one multiplication
into the input; behind LiteRT's graph a running maximum over the classes in NumPy, without a copy
of the logits, in strips that stay in the cache, on as many threads as the runtime has. That is
much faster than `argmax`, and than the PyTorch that Ultralytics calls there.

OpenVINO has its defaults: on a CPU with AVX-512 BF16 it computes float32 files in bfloat16.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from turns import serve, timed_pictures

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CALIBRATION = 8  # images that set the ranges of int8
NETWORK = "yolo26n-sem.yaml"  # Ultralytics' own
EXPORTS = {  # kind -> what its export gets, and the name here of what it writes
    "yolo onnx": ("onnx", None, "yolo.onnx"),
    "yolo openvino": ("openvino", None, "yolo_openvino"),
    "yolo openvino int8": ("openvino", 8, "yolo_openvino_int8"),
    "yolo litert": ("litert", None, "yolo.tflite"),
    "yolo litert int8": ("litert", 8, "yolo_int8.tflite"),
}
Labels = Callable[[np.ndarray], np.ndarray]


def labeller(classes: int, size: tuple[int, int], work: Path):
    """The network with normalisation in front and argmax behind, bytes (1, H, W, 3) in.

    Its weights are random, the same in every process.
    """
    import torch
    from pytorchcv.models.fastscnn import FastSCNN

    class Labeller(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = FastSCNN(aux=True, fixed_size=True, in_size=size, num_classes=classes)
            self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
            self.register_buffer("std", torch.tensor(STD)[:, None, None])

        def forward(self, image):
            x = (image.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std
            return self.network(x)[0].argmax(1).to(torch.uint8)

    module = Labeller()
    checkpoint = work / "checkpoint.pth"
    if checkpoint.is_file():
        module.network.load_state_dict(torch.load(checkpoint, weights_only=True))
    else:
        torch.save(module.network.state_dict(), checkpoint)
    return module.eval()


def prepare(work: Path, classes: int) -> None:
    """Writes checkpoint.pth, model.onnx, and OpenVINO's float32.xml and int8.xml."""
    import nncf
    import openvino
    import torch
    from sliced_pool import rewrite_pooling

    pictures = [np.load(path)[None] for path in sorted(work.glob("image*.npy"))]
    torch.manual_seed(0)
    module = labeller(classes, pictures[0].shape[1:3], work)
    sample = torch.from_numpy(pictures[0])
    model = openvino.convert_model(module, example_input=sample, input=[tuple(sample.shape)])
    openvino.save_model(model, work / "float32.xml", compress_to_fp16=False)
    quantized = nncf.quantize(model, nncf.Dataset(pictures[:CALIBRATION]))
    openvino.save_model(quantized, work / "int8.xml")
    rewrite_pooling(module)
    torch.onnx.export(
        module, (sample,), str(work / "model.onnx"), dynamo=False, opset_version=17, verbose=False
    )


def export(work: Path, kind: str, classes: int) -> None:
    """Writes one of Ultralytics' exports of YOLO26n-sem, unless it is there.

    The weights are random, the same in every process; the images set BatchNorm's statistics
    (without that the activations fade to 1e-7) and the ranges of int8.
    """
    form, bits, name = EXPORTS[kind]
    if (work / name).exists():
        return
    # Before its import: no downloads, and no installing.
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    import cv2
    import torch
    from ultralytics import YOLO
    from ultralytics.nn.tasks import SemanticSegmentationModel

    pictures = [np.load(path) for path in sorted(work.glob("image*.npy"))[:CALIBRATION]]
    torch.manual_seed(0)
    rival = YOLO(NETWORK)
    model = SemanticSegmentationModel(NETWORK, nc=classes, verbose=False)
    model.args, model.task = rival.model.args, rival.model.task
    rival.model = model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        for picture in pictures:
            model(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        os.chdir(folder)  # it writes there
        for i, picture in enumerate(pictures):
            for part, image in (("images", picture[..., ::-1]), ("masks", picture[..., 0] * 0)):
                Path(part, "val").mkdir(parents=True, exist_ok=True)
                cv2.imwrite(f"{part}/val/{i}.png", image)
        names = [str(i) for i in range(classes)]
        data = {"path": folder, "train": "images/val", "val": "images/val", "masks_dir": "masks"}
        Path("data.yaml").write_text(json.dumps({**data, "names": names}))
        calibration = {"quantize": bits, "data": "data.yaml"} if bits else {}
        size = list(pictures[0].shape[:2])
        written = rival.export(format=form, imgsz=size, device="cpu", **calibration)
        Path(written).replace(work / name)
        os.chdir(work)


def planes(image: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The (1, 3, H, W) float32 from 0 to 1 that YOLO26n-sem wants, written into `out`."""
    np.multiply(image.transpose(2, 0, 1), np.float32(1 / 255), out=out[0])
    return out


def strongest(logits: np.ndarray, pool: ThreadPoolExecutor, rows: int = 32) -> np.ndarray:
    """The strongest class of (classes, H, W) logits, (H, W) bytes."""
    labels = np.zeros(logits.shape[1:], np.uint8)

    def strip(start: int) -> None:
        part, found = logits[:, start : start + rows], labels[start : start + rows]
        best = part[0].copy()
        for i in range(1, len(part)):
            np.maximum(found, (part[i] > best).view(np.uint8) * np.uint8(i), out=found)
            np.maximum(best, part[i], out=best)

    list(pool.map(strip, range(0, len(labels), rows)))
    return labels


def onnx_of(file: str, wants_planes: bool = False) -> Callable[..., Labels]:
    def build(work: Path, threads: int, size: list[int], **_) -> Labels:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            str(work / file), options, providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name
        out = np.empty((1, 3, *size), np.float32) if wants_planes else None

        def run(image: np.ndarray) -> np.ndarray:
            given = image[None] if out is None else planes(image, out)
            return session.run(None, {name: given})[0][0]

        return run

    return build


def openvino_of(file: str, wants_planes: bool = False) -> Callable[..., Labels]:
    def build(work: Path, threads: int, **_) -> Labels:
        import openvino
        from openvino.preprocess import PrePostProcessor

        model = openvino.Core().read_model(work / file)
        if wants_planes:
            steps = PrePostProcessor(model)
            given, wanted = openvino.Layout("NHWC"), openvino.Layout("NCHW")
            steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(given)
            steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
            steps.input().model().set_layout(wanted)
            model = steps.build()
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.compile_model(model, "CPU", settings)
        return lambda image: compiled(image[None])[0][0]

    return build


def litert_of(file: str) -> Callable[..., Labels]:
    def build(work: Path, threads: int, **_) -> Labels:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(work / file), num_threads=threads)
        interpreter.allocate_tensors()
        given = interpreter.tensor(interpreter.get_input_details()[0]["index"])
        logits = interpreter.tensor(interpreter.get_output_details()[0]["index"])
        pool = ThreadPoolExecutor(threads)

        def run(image: np.ndarray) -> np.ndarray:
            planes(image, given())
            interpreter.invoke()
            return strongest(logits()[0], pool)

        return run

    return build


def torch_of(channels_last: bool) -> Callable[..., Labels]:
    def build(work: Path, threads: int, size: list[int], classes: int) -> Labels:
        import torch

        torch.set_num_threads(threads)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        module = labeller(classes, tuple(size), work).to(memory_format=layout)
        # The bytes come channels last: without this the other layout would not be used at all.
        module.network.register_forward_pre_hook(
            lambda _, inputs: (inputs[0].contiguous(memory_format=layout),)
        )

        def run(image: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return module(torch.from_numpy(image)[None])[0].numpy()

        return run

    return build


# kind -> what builds it, packages, files
KINDS: dict[str, tuple[Callable[..., Labels], tuple[str, ...], str]] = {
    "onnx": (onnx_of("model.onnx"), ("onnxruntime", "onnx"), "model.onnx"),
    "openvino": (openvino_of("float32.xml"), ("openvino",), "float32.*"),
    "openvino int8": (openvino_of("int8.xml"), ("openvino", "nncf"), "int8.*"),
    "torch": (torch_of(False), ("torch", "pytorchcv"), "checkpoint.pth"),
    "torch channels last": (torch_of(True), ("torch", "pytorchcv"), "checkpoint.pth"),
    "yolo onnx": (onnx_of("yolo.onnx", True), ("ultralytics",), "yolo.onnx"),
    "yolo openvino": (
        openvino_of("yolo_openvino/yolo26n-sem.xml", True),
        ("ultralytics",),
        "yolo_openvino/yolo26n-sem.*",
    ),
    "yolo openvino int8": (
        openvino_of("yolo_openvino_int8/yolo26n-sem.xml", True),
        ("ultralytics",),
        "yolo_openvino_int8/yolo26n-sem.*",
    ),
    "yolo litert": (litert_of("yolo.tflite"), ("litert-torch",), "yolo.tflite"),
    "yolo litert int8": (
        litert_of("yolo_int8.tflite"),
        ("litert-torch", "ai-edge-quantizer"),
        "yolo_int8.tflite",
    ),
}


def build(order):
    """A runtime that has loaded its model."""
    start = time.perf_counter()
    function, packages, files = KINDS[order.pop("kind")]
    work = Path(order.pop("work"))
    run = function(work, **order)
    about = {
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "load_seconds": time.perf_counter() - start,
        "bytes": sum(file.stat().st_size for file in work.glob(files)),
    }
    return about, timed_pictures(run)


if __name__ == "__main__":
    if "--prepare" in sys.argv:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--prepare", type=Path)
        parser.add_argument("--classes", type=int, required=True)
        parser.add_argument("--export", choices=EXPORTS)
        options = parser.parse_args()
        if options.export:
            export(options.prepare.absolute(), options.export, options.classes)
        else:
            prepare(options.prepare, options.classes)
        print(json.dumps({"prepared": str(options.prepare)}))
    else:
        serve(build)
