"""The rival's half of `import.py`, run in its own environment: PyTorch to .tflite by litert-torch.

Makes a checkpoint of pytorchcv's Fast-SCNN with random weights, converts the PyTorch module with
litert-torch and quantizes the result with ai-edge-quantizer, each in every way that might suit
it: channels first and last, and its pooling as it is and rewritten by hand into slices and means.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import quantizer, recipe
from pytorchcv.models.fastscnn import FastSCNN
from sliced_pool import rewrite_pooling

CLASSES = 19
MEAN = np.array((123.675, 116.28, 103.53), np.float32)
STD = np.array((58.395, 57.12, 57.375), np.float32)
PACKAGES = ("litert-torch", "ai-edge-quantizer", "torch", "pytorchcv")
LAYOUTS = ("channels-last", "channels-first")


def main() -> None:
    """Reads WORK/images.npy; writes WORK/checkpoint.pth, the .tflite files and rival.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    images = np.load(args.work / "images.npy")  # the first is compared, the others calibrate
    if not args.checkpoint.is_file():
        torch.save(random_network(images[1:], args.seed).state_dict(), args.checkpoint)
    network = load_network(args.checkpoint, images.shape[1:3])
    with torch.no_grad():
        reference = network(torch.from_numpy(normalised(images[:1], "channels-first")))[0]
    np.save(args.work / "reference.npy", reference.permute(0, 2, 3, 1)[0].numpy())
    files = convert_all(network, images, args.work)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    report = json.dumps({"versions": versions, "files": files}, indent=2)
    (args.work / "rival.json").write_text(report)


def random_network(images: np.ndarray, seed: int) -> FastSCNN:
    """A network with random weights, whose activations have the spread of a trained one.

    Scales, shifts and statistics of every batch normalisation are random; the statistics lie
    around those of the images, lest activations vanish or explode.
    """
    torch.manual_seed(seed)
    network = FastSCNN(aux=True, fixed_size=False, num_classes=CLASSES)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias, 0.0, 0.3)
        norm.momentum = None  # a plain average over what it sees
    with torch.no_grad():
        network.train()(torch.from_numpy(normalised(images[:, ::2, ::2], "channels-first")))
        for norm in norms:
            spread = norm.running_var.sqrt()
            norm.running_mean += 0.1 * spread * torch.randn_like(spread)
            norm.running_var *= torch.exp(0.2 * torch.randn_like(spread))
    return network


def load_network(checkpoint: Path, size: tuple[int, ...]) -> FastSCNN:
    """The network of a fixed input size with the weights of a checkpoint."""
    network = FastSCNN(aux=True, fixed_size=True, in_size=tuple(size), num_classes=CLASSES)
    network.load_state_dict(torch.load(checkpoint, weights_only=True))
    return network.eval()


def normalised(images: np.ndarray, layout: str) -> np.ndarray:
    """(N, H, W, 3) bytes as the network wants them."""
    x = (images.astype(np.float32) - MEAN) / STD
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2) if layout == "channels-first" else x)


class MainOutput(torch.nn.Module):
    """The network without its auxiliary output."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)[0]


def convert_all(network: FastSCNN, images: np.ndarray, work: Path) -> list[dict[str, Any]]:
    """Writes `rival-<variant>-<recipe>.tflite` in all ways; the network's pooling is rewritten."""
    files = []
    for pooling in ("as it is", "rewritten"):
        if pooling == "rewritten":
            rewrite_pooling(network)
        for layout in LAYOUTS:
            variant = layout + ("" if pooling == "as it is" else ", pooling rewritten")
            stem = f"rival-{layout}-{pooling.replace(' ', '-')}"
            path = work / f"{stem}-float32.tflite"
            inputs = normalised(images, layout)
            convert(network, inputs[:1], layout, path)
            files.append(entry(variant, layout, "float32", path))
            quantized = work / f"{stem}-int8.tflite"
            quantize(path, inputs[1:], quantized)
            files.append(entry(variant, layout, "int8", quantized))
    return files


def entry(variant: str, layout: str, precision: str, path: Path) -> dict[str, Any]:
    """What the driver needs to know of a file."""
    return {"variant": variant, "layout": layout, "recipe": precision, "path": str(path)}


def convert(network: FastSCNN, sample: np.ndarray, layout: str, path: Path) -> None:
    """Converts the main output at a static shape."""
    module: torch.nn.Module = MainOutput(network)
    if layout == "channels-last":
        module = litert_torch.to_channel_last_io(module, args=[0], outputs=[0])
    litert_torch.convert(module.eval(), (torch.from_numpy(sample),)).export(str(path))


def quantize(source: Path, inputs: np.ndarray, target: Path) -> None:
    """Static int8, 8-bit weights and activations, calibrated on the images."""
    job = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    name = input_name(source)
    samples = [{name: inputs[i : i + 1]} for i in range(len(inputs))]  # it is gone through twice
    ranges = job.calibrate({"serving_default": samples}, num_threads=2)
    job.quantize(ranges).export_model(str(target), overwrite=True)


def input_name(path: Path) -> str:
    """Name of the only input in the signature."""
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(str(path)).get_signature_list()
    return str(signatures["serving_default"]["inputs"][0])


if __name__ == "__main__":
    main()
