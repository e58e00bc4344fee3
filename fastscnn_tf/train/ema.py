"""An exponential moving average of a model's weights and batch normalisation statistics."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..core.keras_api import Callback, KerasModel, callback_of, keras3, on_tensorflow, tensorflow
from .settings import check_run_values

BATCHES = "batches"  # in `state`: how many there were


class Ema(Callback):
    """Averages the weights of a model in training, batch by batch.

    With update n (from 0) an average moves by 1 - min(momentum, (1 + n) / (10 + n)) of the way
    to its weight: early updates move it far, so that the start is soon forgotten (TensorFlow's
    `ExponentialMovingAverage` with `num_updates`). It begins as the weights when it is made,
    or changed last before training. The moving mean and variance of batch normalisation are
    averaged as well: they belong to the weights that made them.

    In the list that `fit` is given it stands before the callbacks that use it.

    Args:
        momentum: 0..1, exclusive; 1 / (1 - momentum) updates is how far it looks back.
        network: the model; `fit` may run another one that holds it.
        every: batches between updates, as many as the optimizer accumulates.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(self, momentum: float, network: Any, every: int = 1):
        super().__init__()
        check_run_values(ema=momentum)
        if every < 1:
            raise ConfigError(f"EMA needs at least 1 batch between updates, got {every}")
        self.momentum, self.every = float(momentum), every
        self._batches, self._averages = 0, _Averages(network)

    def on_train_begin(self, logs=None):
        if not self._batches:  # weights may have come from a file meanwhile
            self._averages.begin()

    def on_train_batch_end(self, batch, logs=None):
        self._batches += 1
        if self._batches % self.every:
            return
        in_variables(self.model)
        updates = self._batches // self.every - 1
        self._averages.move(1.0 - min(self.momentum, (1.0 + updates) / (10.0 + updates)))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Puts the averages into the network; its own weights come back at the end, always."""
        in_variables(self.model)
        weights = self._averages.weights
        raw = self._averages.copies()
        try:
            _assign(weights, self._averages.read())
            yield
        finally:
            _assign(weights, raw)

    @property
    def variables(self) -> list[Any]:
        """The averages."""
        return self._averages.values

    def state(self) -> dict[str, np.ndarray]:
        """All that `restore` needs to go on bit for bit; fit for `numpy.savez`."""
        averages = self._averages
        values = dict(zip(averages.names, averages.read(), strict=True))
        return {BATCHES: np.array(self._batches, np.int64), **values}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Goes on from what `state` gave.

        Raises:
            ConfigError: the state is of another model.
        """
        self._averages.write({name: state[name] for name in state if name != BATCHES})
        batches = state.get(BATCHES)
        if batches is None or batches.size != 1 or batches.dtype.kind not in "iu":
            raise ConfigError(f"the saved average is damaged: its {BATCHES} is {batches}")
        self._batches = int(batches.item())


def in_variables(model: KerasModel) -> None:
    """Puts the state back that JAX' trainer takes out of its variables during an epoch."""
    getattr(model, "jax_state_sync", lambda: None)()


def ema_for(keras: ModuleType) -> Any:
    """The callback `Ema` of one Keras."""
    return callback_of(keras, Ema)


class _Averages:
    """One average for each floating point weight of a model, kept on its device.

    Attributes:
        weights: the variables of the model.
        values: their averages.
        names: such as `0012/gamma`: by position, as each backend names variables otherwise.
    """

    def __init__(self, network: Any):
        self.weights = [w for w in network.weights if "float" in str(w.dtype)]
        leaves = (w.name.rsplit("/", 1)[-1].split(":")[0] for w in self.weights)
        self.names = [f"{i:04d}/{leaf}" for i, leaf in enumerate(leaves)]
        keras = keras3()  # models of tf_keras run on TensorFlow, whatever Keras 3 runs on
        other = isinstance(network, keras.Model) and not on_tensorflow(keras)
        make = _on_any_backend if other else _on_tensorflow
        self._copy = (lambda w: keras.ops.copy(w.value)) if other else (lambda w: _arrays([w])[0])
        self.values, self.move = make(self.weights)

    def begin(self) -> None:
        """Sets every average to its weight."""
        _assign(self.values, self.copies())

    def copies(self) -> list[Any]:
        """Copies of the weights, on the devices where they are."""
        return [self._copy(w) for w in self.weights]

    def read(self) -> list[np.ndarray]:
        return _arrays(self.values)

    def write(self, values: dict[str, np.ndarray]) -> None:
        """Sets the averages by name.

        Raises:
            ConfigError: names or shapes are another model's.
        """
        expected = {n: tuple(w.shape) for n, w in zip(self.names, self.weights, strict=True)}
        found = {name: np.shape(value) for name, value in values.items()}
        if odd := [name for name, _ in sorted(found.items() ^ expected.items())]:
            raise ConfigError(
                f"the saved average belongs to another model: its {odd[0]!r} is "
                f"{found.get(odd[0], 'missing')}, expected {expected.get(odd[0], 'none')}"
            )
        _assign(self.values, [values[name] for name in self.names])


def _on_tensorflow(weights: list[Any]) -> tuple[list[Any], Callable[[float], None]]:
    """Averages, and what moves all of them: one graph, as each call of an operation costs more."""
    tf = tensorflow()
    averages = [tf.Variable(tf.convert_to_tensor(w), trainable=False) for w in weights]

    @tf.function(autograph=False)
    def move(share):
        for average, weight in zip(averages, weights, strict=True):
            source = tf.convert_to_tensor(weight)
            average.assign_sub((average - source) * tf.cast(share, source.dtype))

    return averages, lambda share: move(tf.constant(share, tf.float32))


def _on_any_backend(weights: list[Any]) -> tuple[list[Any], Callable[[float], None]]:
    keras = keras3()
    ops = keras.ops
    averages = [
        keras.Variable(ops.convert_to_numpy(w), dtype=w.dtype, trainable=False) for w in weights
    ]

    def move(share):
        for average, weight in zip(averages, weights, strict=True):
            source = ops.stop_gradient(weight.value)
            average.assign(average.value - (average.value - source) * share)

    return averages, move


def _arrays(variables: list[Any]) -> list[np.ndarray]:
    """Copies: what NumPy sees of a variable may change with it."""
    convert = keras3().ops.convert_to_numpy
    return [np.array(convert(v)) for v in variables]


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
