"""Writes a checkpoint and outputs of pytorchcv's Fast-SCNN; runs where PyTorch is installed.

Usage: python make_gluon_golden.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from pytorchcv.models.fastscnn import FastSCNN

SIZES = ((192, 384), (224, 480))  # the second does not divide through the pyramid's bins


def random_network() -> torch.nn.Module:
    """Random weights and statistics, none of which hides a mistake."""
    torch.manual_seed(0)
    network = FastSCNN(aux=True, fixed_size=False, num_classes=19)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d) and module.bias is not None:
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network.eval()


def main(folder: Path) -> None:
    """gluon.pth, gluon_legacy.pth (the old format, from DataParallel) and gluon_HxW.npz."""
    network = random_network()
    state = network.state_dict()
    torch.save(state, folder / "gluon.pth")
    parallel = {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}
    torch.save(parallel, folder / "gluon_legacy.pth", _use_new_zipfile_serialization=False)
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        image = rng.normal(0, 1, (height, width, 3)).astype(np.float32)
        with torch.no_grad():
            logits = network(torch.from_numpy(image.transpose(2, 0, 1)[None]))[0]
        path = folder / f"gluon_{height}x{width}.npz"
        np.savez(path, input=image, logits=logits[0].permute(1, 2, 0).numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
