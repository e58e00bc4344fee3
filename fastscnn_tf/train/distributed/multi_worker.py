"""Training on several machines: tf_keras twins of a Keras 3 model under one strategy.

Keras 3 does not run under `MultiWorkerMirroredStrategy` (keras#20585), tf_keras does. So each
worker trains the tf_keras twin (same layers and weights), and at the end of an epoch the chief
copies weights and optimizer back into the Keras 3 model and calls the callbacks of a run on one
machine: validation, checkpoints and logs are theirs, on the chief alone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ...core.errors import ConfigError, FastSCNNError
from ...core.keras_api import KerasModel, callback_of, keras3, tensorflow, tf_keras
from ...model.fast_scnn import fast_scnn
from ..callbacks import callbacks_for
from ..settings import MULTI_WORKER, TrainSettings
from .cluster import Cluster
from .strategy import check_strategy


class WorkerLost(FastSCNNError):
    """Another worker of the cluster is gone; the code is EX_TEMPFAIL: start again."""

    exit_code = 75


class WorkerGroup:
    """This process among the workers that train one model.

    To be made before TensorFlow has computed anything. Every worker calls the same methods in the
    same order; they wait for each other.

    Args:
        cluster: the workers.

    Raises:
        ConfigError: TensorFlow was used before, or cannot listen at this worker's address.
    """

    def __init__(self, cluster: Cluster):
        check_strategy(MULTI_WORKER)
        tf = tensorflow()
        self.cluster = cluster
        os.environ["TF_CONFIG"] = cluster.tf_config()  # where TensorFlow looks for it
        try:
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (RuntimeError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise ConfigError(
                f"worker {cluster.index} cannot join at {cluster.workers[cluster.index]}: {reason}"
            ) from None

    @property
    def replicas(self) -> int:
        """Devices of all workers together."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def share(self) -> tuple[int, int]:
        """This worker's share of every batch, as for `data.pipeline.batches`."""
        return self.cluster.index, len(self.cluster)

    def replica_batches(self, stream: Any, batch_size: int) -> Any:
        """Batches for one replica after the other, of a stream of this worker's `share`.

        Args:
            stream: what `data.pipeline.batches` returned.
            batch_size: pairs per step over all replicas.
        """
        several = self.replicas > len(self.cluster)
        return stream.rebatch(batch_size // self.replicas) if several else stream

    def from_chief(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The chief's values of arrays that have the same shapes on every worker.

        They travel as float64: exact for float32 and for integers below 2^53.

        Raises:
            WorkerLost: another worker is gone.
        """
        tf = tensorflow()
        flat = [np.ravel(array).astype(np.float64) for array in arrays]
        mine = np.concatenate(flat) if self.cluster.chief else np.zeros(sum(map(len, flat)))

        @tf.function(autograph=False)
        def step():
            context = tf.distribute.get_replica_context()
            first = tf.equal(context.replica_id_in_sync_group, 0)
            values = tf.where(first, tf.constant(mine), tf.zeros_like(mine))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        with self._naming_lost_workers():
            summed = self.strategy.experimental_local_results(self.strategy.run(step))[0].numpy()
        ends = np.cumsum([len(part) for part in flat])[:-1]
        parts = zip(np.split(summed, ends), arrays, strict=True)
        return [part.reshape(np.shape(a)).astype(np.asarray(a).dtype) for part, a in parts]

    def fit(
        self,
        model: KerasModel,
        compile_twin: Callable[[Any, Any], None],
        stream: Any,
        settings: TrainSettings,
        steps: int,
        done: int,
        callbacks: Sequence[Any],
    ) -> None:
        """Trains a Keras 3 model on all workers; on the chief it ends as trained.

        Args:
            model: compiled; the chief's weights and optimizer state count.
            compile_twin: called with (tf_keras, twin); compiles it with the optimizer and losses
                of `model`.
            stream: tf.data batches of one replica each; those of this worker's replicas in turn
                are its `share` (see `replica_batches`).
            settings: the epochs to train in all, and the seed of the dropout masks, which are each
                worker's own.
            steps: per epoch.
            done: epochs before.
            callbacks: of Keras 3; on the chief their methods for epochs and the whole training are
                called with `model`, those for batches are not.

        Raises:
            WorkerLost: another worker is gone.
            TrainingDiverged: the loss became NaN or infinite.
        """
        keras, chief = tf_keras(), self.cluster.chief
        draws = np.random.SeedSequence((settings.seed, self.cluster.index, done)).generate_state(1)
        keras.utils.set_random_seed(int(draws[0]))
        model.optimizer.build(model.trainable_variables)
        with self._naming_lost_workers():
            with self.strategy.scope():
                twin = fast_scnn(model.config, keras=keras)
                compile_twin(keras, twin)
                twin.optimizer.build(twin.trainable_variables)
            self._push(model, twin)
            twin.fit(
                self.strategy.distribute_datasets_from_function(lambda _: stream),
                initial_epoch=done,
                epochs=settings.epochs,
                steps_per_epoch=steps,
                callbacks=[
                    callbacks_for(keras).StopOnBrokenLoss(),
                    callback_of(keras, Relay)(self, model, callbacks if chief else ()),
                ],
                verbose=0,
            )

    def _push(self, model: KerasModel, twin: Any) -> None:
        """Weights and optimizer state of the chief's Keras 3 model into everyone's twin."""
        source, target = paired_variables(model, twin)
        values = self.from_chief([np.asarray(variable) for variable in source])
        for variable, value in zip(target, values, strict=True):
            variable.assign(value)

    def pull(self, twin: Any, model: KerasModel) -> None:
        """Weights and optimizer state of this worker's twin into the Keras 3 model.

        No worker waits for another here: the replicas' values are the same, statistics of batch
        normalisation, too, since it is synchronised.
        """
        target, source = paired_variables(model, twin)
        for variable, mirrored in zip(target, source, strict=True):
            variable.assign(self.strategy.experimental_local_results(mirrored)[0].numpy())

    @contextlib.contextmanager
    def _naming_lost_workers(self) -> Iterator[None]:
        errors = tensorflow().errors
        names = "Unavailable", "Aborted", "Cancelled", "DeadlineExceeded", "FailedPrecondition"
        lost = tuple(getattr(errors, f"{name}Error") for name in (*names, "Internal"))
        try:
            yield
        except lost as error:
            reason = str(error.message).strip().splitlines()[-1].strip()[:160]
            raise WorkerLost(
                f"worker {self.cluster.index} of {len(self.cluster)} stops, for another one is "
                f"gone ({reason}): finished epochs are kept; start all workers again with --resume"
            ) from None


class Relay:
    """A tf_keras callback that brings `model` up to date and calls the callbacks of Keras 3.

    `fit` calls it within the strategy's scope, where every new variable is one of all workers. A
    scope is its thread's, so the chief's callbacks run in another one.
    """

    model: Any

    def __init__(self, group: WorkerGroup, ours: Any, callbacks: Sequence[Any]):
        super().__init__()
        self.group, self.ours, self.reports = group, ours, bool(callbacks)
        self.listeners = keras3().callbacks.CallbackList(list(callbacks), model=ours)
        self.outside = ThreadPoolExecutor(1)

    def on_train_begin(self, logs=None):
        self.outside.submit(self.listeners.on_train_begin, logs).result()

    def on_epoch_begin(self, epoch, logs=None):
        self.outside.submit(self.listeners.on_epoch_begin, epoch, logs).result()

    def on_epoch_end(self, epoch, logs=None):
        if self.reports:
            self.outside.submit(self.report, epoch, logs).result()
        # The others wait here until the chief has validated and written.
        stop = self.group.from_chief([np.array(bool(self.ours.stop_training))])
        self.model.stop_training = bool(stop[0])

    def report(self, epoch, logs):
        self.group.pull(self.model, self.ours)
        self.listeners.on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None):
        self.outside.submit(self.listeners.on_train_end, logs).result()
        self.outside.shutdown()


def paired_variables(model: KerasModel, twin: Any) -> tuple[list[Any], list[Any]]:
    """Weights and optimizer variables of a Keras 3 model, and those of its twin, in one order.

    Raises:
        ConfigError: the optimizers keep other variables.
    """
    ours, theirs = [], []
    for layer in model.layers:
        if layer.weights:
            ours += layer.weights
            theirs += twin.get_layer(layer.name).weights
    ours += _optimizer_variables(model)
    theirs += _optimizer_variables(twin)
    if [tuple(v.shape) for v in ours] != [tuple(v.shape) for v in theirs]:
        raise ConfigError("the optimizer of the twin keeps other variables than the model's")
    return ours, theirs


def _optimizer_variables(model: KerasModel) -> list[Any]:
    """The step, and what SGD and Adam keep of each trainable variable, by the layers' order."""
    optimizer = model.optimizer
    order = {id(v): i for i, v in enumerate(model.trainable_variables)}
    trainable = [v for layer in _weighted(model) for v in layer.trainable_weights]
    variables = [optimizer.iterations]
    for name in ("momentums", "_momentums", "_velocities"):
        if kept := getattr(optimizer, name, None):
            variables += [kept[order[id(v)]] for v in trainable]
    return variables


def _weighted(model: KerasModel) -> list[Any]:
    return sorted((x for x in model.layers if x.trainable_weights), key=lambda x: x.name)
