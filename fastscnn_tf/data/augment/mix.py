"""Mixing pairs across a batch: CutMix and ClassMix.

Each pair's partner is the one before it in the batch. Pixels and labels always travel together,
void pixels never.
"""

from types import ModuleType
from typing import Any

import numpy as np

from ...core.labels import IGNORE, MAX_CLASSES
from .augmentation import Augmentation, Draws


def mix_batch(
    images: Any, labels: Any, vectors: Any, settings: Augmentation, ops: ModuleType
) -> tuple[Any, Any]:
    """Pastes a part of its neighbour into some pairs of a batch.

    CutMix (Yun et al., ICCV 2019): a rectangle whose area is uniform in 0..1 of the crop's.
    ClassMix (Olsson et al., WACV 2021): the neighbour's pixels of classes drawn by a coin each.

    Args:
        images: (B, H, W, 3) float32.
        labels: (B, H, W) uint8.
        vectors: (B, DRAWS) float32 uniform in [0, 1), the pairs' numbers.
        settings: the shares.
        ops: `tf_ops` or `numpy_ops`.

    Returns:
        Batches of the same shapes and dtypes.
    """
    share = settings.cutmix + settings.classmix
    chosen = ops.nonzero(Draws(vectors).one("mix") < share)  # the others are not touched
    partners = (chosen - 1) % images.shape[0]
    own, partner = ops.take(labels, chosen), ops.take(labels, partners)
    pasted = _pasted(partner, Draws(ops.take(vectors, chosen)), settings, ops)
    mixed = ops.where(pasted[..., None], ops.take(images, partners), ops.take(images, chosen))
    images = ops.replaced(images, chosen, mixed)
    return images, ops.replaced(labels, chosen, ops.where(pasted, partner, own))


def _pasted(partner: Any, draws: Draws, settings: Augmentation, ops: ModuleType) -> Any:
    """(n, H, W) bool: which pixels of their partner n images get."""
    numbers = draws.of("mix")
    boxes = _boxes(partner, numbers, ops)
    if settings.classmix:
        cut = (numbers[:, 0] < settings.cutmix)[:, None, None]
        boxes = ops.where(cut, boxes, _classes(partner, draws, ops))
    return boxes & (partner != ops.bytes_(IGNORE))


def _boxes(labels, numbers, ops: ModuleType):
    """(n, H, W) bool: a rectangle of each image."""
    size = ops.floats(labels.shape[1:])
    side = ops.floor(ops.power(numbers[:, 1:2], 0.5) * size + 0.5)
    start = ops.floor(numbers[:, 2:4] * (size - side + 1.0))
    stop = start + side
    rows = ops.floats(np.arange(labels.shape[1]))[None, :, None]
    columns = ops.floats(np.arange(labels.shape[2]))[None, None]
    inside = (rows >= start[:, :1, None]) & (rows < stop[:, :1, None])
    return inside & (columns >= start[:, 1:, None]) & (columns < stop[:, 1:, None])


def _classes(partner, draws: Draws, ops: ModuleType):
    """(n, H, W) bool: the pixels of about half of the classes."""
    coins = ops.integers(draws.of("classes") < 0.5)
    never = coins[:, : 256 - MAX_CLASSES] * 0
    return ops.lookup(ops.concat([coins, never]), partner) > 0
