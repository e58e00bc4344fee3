"""Adaptive average pooling of PyTorch written with slices, for exporters that have none."""

from __future__ import annotations

import torch


class SlicedPool(torch.nn.Module):
    """Adaptive average pooling as slices and means: first rows, then columns."""

    def __init__(self, bins: int):
        super().__init__()
        self.bins = bins

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.along(self.along(x, 2), 3)

    def along(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        n, length = self.bins, x.shape[axis]
        edges = [(i * length // n, -(-(i + 1) * length // n)) for i in range(n)]
        parts = [x.narrow(axis, a, b - a).mean(axis, keepdim=True) for a, b in edges]
        return torch.cat(parts, axis) if n > 1 else parts[0]


def rewrite_pooling(network: torch.nn.Module) -> None:
    """Replaces every adaptive pooling of the network in place."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.AdaptiveAvgPool2d):
                setattr(module, name, SlicedPool(int(child.output_size)))
