"""`mean_iou`: a Keras metric over one confusion matrix, for either Keras."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from ..core.arguments import check_number
from ..core.errors import ConfigError
from ..core.keras_api import is_keras3, keras3, of_keras, on_tensorflow
from ..core.labels import IGNORE, MAX_CLASSES
from ..model.layers import registered


def mean_iou(num_classes: int, keras: ModuleType | None = None, name: str = "miou") -> Any:
    """A metric for `model.compile(metrics=[...])`: mean IoU of logits, 0..1, 255 ignored.

    In the logs it is `miou`, and `val_miou` on validation data: that is what callbacks monitor, and
    more is better, as in `ModelCheckpoint(path, monitor="val_miou", mode="max",
    save_best_only=True)`. With several outputs Keras puts the output's name before it.

    Args:
        num_classes: classes of the model, 2..254.
        keras: namespace of the model, Keras 3 by default.
        name: name in the logs.

    Raises:
        ConfigError: no such number of classes; in training, logits of another number. The message
            names the metric as the logs do.
    """
    check_number(f"num_classes of the metric {name!r}", num_classes, 2, MAX_CLASSES, (int,))
    return _metric_class(keras or keras3())(num_classes, name=name)


class SegmentationMeanIoU:
    """Mean over the classes that occur in labels or predictions."""

    def __init__(self, num_classes, name="miou", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.matrix = self.add_weight(name="matrix", shape=(num_classes**2,), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        ops = keras3().ops
        n = self.num_classes
        if y_pred.shape[-1] != n:
            raise ConfigError(
                f"the metric {self.name!r} (in the logs {self.name} and val_{self.name}) is for "
                f"{n} classes, got logits of {y_pred.shape[-1]}: mean_iou({y_pred.shape[-1]})"
            )
        truth = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        predicted = ops.reshape(ops.cast(ops.argmax(y_pred, -1), "int32"), (-1,))
        # Ignored pixels go to one extra bin, which is cut off.
        cell = ops.where(ops.equal(truth, IGNORE), n * n, truth * n + predicted)
        counts = self._counts(cell, n * n + 1)[: n * n]
        self.matrix.assign(self.matrix + ops.cast(counts, self.matrix.dtype))

    def _counts(self, cell, bins):
        """`bincount` is ten times faster, but does not compile on JAX."""
        ops = keras3().ops
        if on_tensorflow(keras3()):
            return ops.bincount(cell, minlength=bins)
        one = ops.ones_like(cell, self.matrix.dtype)
        return ops.segment_sum(one, cell, num_segments=bins)

    def result(self):
        ops = keras3().ops
        n = self.num_classes
        matrix = ops.reshape(ops.convert_to_tensor(self.matrix), (n, n))
        hits = ops.diagonal(matrix)
        union = ops.sum(matrix, 0) + ops.sum(matrix, 1) - hits
        seen = ops.cast(union > 0, "float32")
        return ops.sum(hits / ops.maximum(union, 1.0)) / ops.maximum(ops.sum(seen), 1.0)

    def reset_state(self):
        ops = keras3().ops
        self.matrix.assign(ops.zeros(self.matrix.shape, self.matrix.dtype))

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


@functools.cache
def _metric_class(keras: ModuleType) -> Any:
    own = of_keras(SegmentationMeanIoU, keras.metrics.Metric)
    return registered(keras, own) if is_keras3(keras) else own
