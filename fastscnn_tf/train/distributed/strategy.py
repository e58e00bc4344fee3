"""Training on several devices at once: `tf.distribute` strategies, and what they need to be exact.

A batch is shared out in equal parts over the replicas (devices). So that a step is the step of one
device with the whole batch, batch normalisation uses the statistics of all parts
(`model.layers.batch_normalization`), and the loss is the mean over the labelled pixels of all parts
(`ReplicaLoss`), not the mean of the parts' means.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ...core.errors import ConfigError
from ...core.keras_api import keras3, on_tensorflow, tensorflow
from ...core.labels import IGNORE
from ..settings import MIRRORED, MULTI_WORKER, NONE, check_run_values


def check_strategy(name: str) -> str:
    """Makes sure that this is a strategy that the backend can do.

    Raises:
        ConfigError: an unknown name, or Keras does not run on TensorFlow.
    """
    check_run_values(strategy=name)
    if name != NONE and not on_tensorflow(keras3()):
        backend = keras3().backend.backend()
        raise ConfigError(f"--strategy {name} needs KERAS_BACKEND=tensorflow, this is {backend}")
    return name


def mirrored_strategy() -> Any:
    """A `MirroredStrategy` over all GPUs that TensorFlow sees, or else its logical CPUs.

    `CUDA_VISIBLE_DEVICES` chooses among the GPUs. Models made in its `scope()` are Keras 3 models
    as any other.

    Raises:
        ConfigError: Keras does not run on TensorFlow.
    """
    check_strategy(MIRRORED)
    tf = tensorflow()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    # Without NCCL, which needs GPUs, and for any number of them.
    across = tf.distribute.HierarchicalCopyAllReduce() if devices[0].device_type == "CPU" else None
    names = [device.name for device in devices]
    return tf.distribute.MirroredStrategy(names, cross_device_ops=across)


@contextlib.contextmanager
def strategy_scope(name: str) -> Iterator[int]:
    """The scope in which a model is built and trained, and the number of its replicas.

    Args:
        name: `none` or `mirrored`; machines train by `distributed.run.run_on_workers`.

    Raises:
        ConfigError: another strategy, or Keras does not run on TensorFlow.
    """
    if check_strategy(name) == MULTI_WORKER:
        raise ConfigError("strategy multi-worker is that of run_on_workers")
    if name == NONE:
        yield 1
        return
    strategy = mirrored_strategy()
    with strategy.scope():
        yield int(strategy.num_replicas_in_sync)


def check_shares(batch_size: int, replicas: int, pairs: int, augmented: bool) -> int:
    """Pairs of a batch for each replica.

    Args:
        batch_size: pairs per step over all replicas.
        replicas: devices of all workers together.
        pairs: in the training split.
        augmented: whether incomplete batches are left out (see `load_dataset`).

    Raises:
        ConfigError: the replicas cannot have equal parts of every batch.
    """
    if batch_size % replicas:
        low = batch_size // replicas * replicas
        near = f"{low} or {low + replicas}" if low else f"{replicas}"
        raise ConfigError(
            f"batch size {batch_size} cannot be shared equally by {replicas} replicas: use {near}"
        )
    if not augmented and replicas > 1 and pairs % batch_size:
        raise ConfigError(
            f"{pairs} pairs are no multiple of batch size {batch_size}, and without augmentation "
            f"the incomplete batch cannot be shared by {replicas} replicas: change the batch size"
        )
    return batch_size // replicas


class ReplicaLoss:
    """A loss whose mean is taken over the pixels of all replicas.

    Keras takes the mean of what the replicas give, each part of the batch with the same weight; but
    a part with fewer labelled pixels counts less in the batch. Here each part counts by the class
    weights of its pixels that are not 255. Exact for means over pixels, as the cross-entropy is;
    of other terms (Dice, Lovasz, OHEM's threshold) it is the weighted mean of the parts' values.

    Args:
        loss: from labels (B, H, W) and logits (B, h, w, classes) to a scalar; `class_weights`
            (classes,) is read from it where it has such an attribute.
    """

    def __init__(self, loss: Any):
        self.loss = loss
        self.__name__ = getattr(loss, "__name__", None) or getattr(loss, "name", "loss")

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        tf = tensorflow()
        value = self.loss(y_true, y_pred)
        context = tf.distribute.get_replica_context()
        if context is None or context.strategy.num_replicas_in_sync == 1:
            return value
        weight = pixel_weight(y_true, y_pred, getattr(self.loss, "class_weights", None))
        mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, weight)
        # Not a scalar: Keras 3 shares only those out among the replicas that it averages itself.
        return tf.reshape(value * tf.math.divide_no_nan(weight, mean), (1,))

    def get_config(self) -> dict[str, Any]:
        """For the model file, which is read without it: a run compiles its model anew."""
        return {}


def pixel_weight(y_true: Any, y_pred: Any, class_weights: Any = None) -> Any:
    """Sum of the class weights of the labelled pixels that a loss reads, a float32 scalar.

    Args:
        y_true: (B, H, W) class indices, 255 ignored.
        y_pred: (B, h, w, classes); where it is smaller the labels at the cells' centres count.
        class_weights: (classes,); 1 by default.
    """
    tf = tensorflow()
    rows, columns = y_true.shape[1] // y_pred.shape[1], y_true.shape[2] // y_pred.shape[2]
    if (rows, columns) != (1, 1):
        y_true = y_true[:, rows // 2 :: rows, columns // 2 :: columns]
    labels = tf.cast(y_true, tf.int32)
    valid = tf.not_equal(labels, IGNORE)
    if class_weights is None:
        return tf.reduce_sum(tf.cast(valid, tf.float32))
    weights = tf.gather(tf.cast(class_weights, tf.float32), tf.where(valid, labels, 0))
    return tf.reduce_sum(weights * tf.cast(valid, tf.float32))


def replica_losses(compiled: dict[str, Any]) -> dict[str, Any]:
    """The `loss` of `model.compile`'s arguments over all replicas, for each output.

    Args:
        compiled: what `segmentation_losses` returned.
    """
    loss = compiled["loss"]
    if isinstance(loss, dict):
        return {**compiled, "loss": {name: ReplicaLoss(one) for name, one in loss.items()}}
    return {**compiled, "loss": ReplicaLoss(loss)}
