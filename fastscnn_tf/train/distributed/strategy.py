"""Training on several devices at once: Keras' data parallelism on JAX.

A step is one program over all devices: each computes its part of the batch, and whatever spans the
batch (the loss, batch normalisation's statistics, dropout's random numbers) spans all parts. So it
is the step of one device with the whole batch, for every loss and optimizer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...core.console import warn
from ...core.errors import ConfigError, InputError
from ...core.extras import BACKEND, import_extra
from ...core.keras_api import keras3
from ..settings import NONE, check_run_values


def check_strategy(name: str) -> str:
    """Makes sure that this is a strategy that the backend can do.

    Raises:
        ConfigError: an unknown name, or Keras does not run on JAX.
        InputError: Keras or JAX is not installed.
    """
    check_run_values(strategy=name)
    try:
        backend = keras3().backend.backend()
    except InputError as error:  # the backend that would be taken is not there
        if name == NONE:
            raise
        raise ConfigError(f"--strategy {name} needs {BACKEND}=jax ({error})") from None
    if name != NONE and backend != "jax":
        raise ConfigError(f"--strategy {name} needs {BACKEND}=jax, this is {backend}")
    return name


def devices_of(name: str) -> int:
    """How many devices share each batch.

    Args:
        name: `none`, `mirrored` or, for who has joined a cluster, `multi-worker`.

    Raises:
        ConfigError, InputError: as `check_strategy`.
    """
    if check_strategy(name) == NONE:
        return 1
    count = int(keras3().distribution.get_device_count())
    if count == 1:
        warn(f"--strategy {name}: there is one device, which trains alone")
    return count


@contextlib.contextmanager
def on_all_devices(name: str, variables: Sequence[Any]) -> Iterator[list[Any]]:
    """Has `model.fit` share batches out, with a copy of the variables on every device.

    Args:
        name: of the strategy.
        variables: all that the training steps change or read, equal in all processes.

    Yields:
        The callbacks that `fit` takes after all others.
    """
    keras = keras3()
    if name == NONE or keras.distribution.get_device_count() == 1:
        yield []
        return
    jax = import_extra("jax", "cluster")
    devices = keras.distribution.DataParallel(auto_shard_dataset=False)

    def copy(*_: Any) -> None:
        for variable in variables:
            layout = devices.get_variable_layout(variable).backend_layout
            if variable.value.sharding != layout:
                value = np.asarray(variable.value)
                copies = jax.make_array_from_process_local_data(layout, value, value.shape)
                variable.assign(copies)

    copy()
    with devices.scope():
        # The zeros from which Keras has each epoch's means begin are on one device alone: JAX would
        # compile a step of its own for them.
        yield [keras.callbacks.LambdaCallback(on_epoch_begin=copy)]


@contextlib.contextmanager
def on_one_device() -> Iterator[None]:
    """Leaves `on_all_devices` for what this process computes by itself."""
    distribution = keras3().distribution
    before = distribution.distribution()
    distribution.set_distribution(None)
    try:
        yield
    finally:
        distribution.set_distribution(before)


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
