"""What Keras must know before it reads a compiled model of ours: losses, metrics, optimizers."""

from __future__ import annotations

from ..core.keras_api import keras3
from . import metrics, optimizers, schedules
from .losses import segmentation_loss as losses


def register_training_objects() -> None:
    """Registers them with Keras, which finds classes only once they are made."""
    metrics.mean_iou(2)
    schedules.schedule_class(keras3()), optimizers.optimizers_for(keras3())
    losses.register()
