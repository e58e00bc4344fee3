"""The rivals of `latency.py`: pytorchcv's Fast-SCNN (imgclsmob's network) in three runtimes.

Runs in an environment of its own (`requirements-latency-rival.txt`). `--prepare` writes what the
runtimes load; without it this serves one of them in turns. Every one takes (H, W, 3) bytes and
gives (H, W) bytes: normalisation, upsampling and argmax are in its graph.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from turns import serve, timed_pictures

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CALIBRATION = 8  # pictures that set the ranges of OpenVINO's int8
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

    pictures = [np.load(path)[None] for path in sorted(work.glob("picture*.npy"))]
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


def onnx(work: Path, threads: int, **_) -> Labels:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(work / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image[None]})[0][0]


def openvino_of(precision: str) -> Callable[..., Labels]:
    def build(work: Path, threads: int, **_) -> Labels:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.compile_model(work / f"{precision}.xml", "CPU", settings)
        return lambda image: compiled(image[None])[0][0]

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


KINDS: dict[str, tuple[Callable[..., Labels], tuple[str, ...]]] = {
    "onnx": (onnx, ("onnxruntime", "onnx")),
    "openvino": (openvino_of("float32"), ("openvino",)),
    "openvino int8": (openvino_of("int8"), ("openvino", "nncf")),
    "torch": (torch_of(False), ("torch", "pytorchcv")),
    "torch channels last": (torch_of(True), ("torch", "pytorchcv")),
}


def build(order):
    """A runtime that has loaded its model."""
    start = time.perf_counter()
    kind = order.pop("kind")
    function, packages = KINDS[kind]
    run = function(Path(order.pop("work")), **order)
    versions = {name: importlib.metadata.version(name) for name in packages}
    about = {"versions": versions, "load_seconds": time.perf_counter() - start}
    return about, timed_pictures(run)


if __name__ == "__main__":
    if "--prepare" in sys.argv:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--prepare", type=Path)
        parser.add_argument("--classes", type=int, required=True)
        options = parser.parse_args()
        prepare(options.prepare, options.classes)
        print(json.dumps({"prepared": str(options.prepare)}))
    else:
        serve(build)
