"""The rival of `training.py`: pytorchcv's Fast-SCNN (imgclsmob's network) in PyTorch.

Runs in an environment of its own (`requirements-training-rival.txt`).
"""

from __future__ import annotations

import importlib.metadata

import torch
from pytorchcv.models.fastscnn import fastscnn_cityscapes
from torch.nn import functional
from turns import serve, timed_steps

IGNORE = 255


class Trainer:
    """SGD steps on one batch of noise, cross-entropy at full resolution."""

    def __init__(self, batch, size, classes, threads, channels_last):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.size = tuple(size)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = fastscnn_cityscapes(
            pretrained=False,
            num_classes=classes,
            aux=False,
            in_size=self.size,
        ).to(memory_format=self.layout)
        self.network.train()
        self.optimizer = torch.optim.SGD(self.network.parameters(), 1e-3, momentum=0.9)
        images = torch.randn(batch, 3, *self.size)
        self.images = images.contiguous(memory_format=self.layout)
        self.labels = torch.randint(0, classes, (batch, *self.size))

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.network(self.images)
        logits = logits[0] if isinstance(logits, tuple | list) else logits
        if tuple(logits.shape[2:]) != self.size:
            logits = functional.interpolate(logits, self.size, mode="bilinear", align_corners=False)
        functional.cross_entropy(logits, self.labels, ignore_index=IGNORE).backward()
        self.optimizer.step()


def build(order):
    """A trainer that has taken its first step."""
    trainer = Trainer(**order)
    trainer.step()
    versions = {name: importlib.metadata.version(name) for name in ("torch", "pytorchcv")}
    parameters = sum(p.numel() for p in trainer.network.parameters())
    return {"versions": versions, "parameters": parameters}, timed_steps(trainer.step)


if __name__ == "__main__":
    serve(build)
