"""`run_on_workers`: the run of `train --strategy multi-worker`, on each of its machines."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...core.aliases import Progress, StrPath
from ...core.arguments import called
from ...core.config import FastSCNNConfig
from ...core.errors import ConfigError
from ...core.keras_api import Callback, callback_of, keras3
from ...data.datasets.dataset import SegmentationDataset
from ...runs.run_files import versions
from ...runs.run_folder import FREE, PATHS, OpenRun, open_run
from .. import trainer
from ..settings import MULTI_WORKER, TrainSettings
from .cluster import Cluster, WorkerLost, Workers, cluster_from, joined, lost


def run_on_workers(
    settings: TrainSettings,
    folder: StrPath,
    resume: bool = False,
    force: bool = False,
    verbose: int | str = "auto",
    progress: Progress = iter,
    cluster: Cluster | None = None,
) -> trainer.TrainResult | None:
    """`run_training` by several processes; every worker calls it with the same settings.

    The run is that of one process: the same batches, and the same files in the same folder. Only
    the chief (worker 0) reads and writes the folder, and `resume` and `force` are its; the others
    get the checkpoint to go on from of it. A worker that is lost ends all others; started again
    with `resume`, they go on after the last checkpoint.

    Args:
        settings, folder, resume, force, verbose, progress: as for `run_training`.
        cluster: the workers; by default those that the environment names.

    Returns:
        The finished run on the chief, None on the others.

    Raises:
        ConfigError: no cluster, settings other than the chief's, or ones that do not work here.
        WorkerLost: another worker is gone.
        FastSCNNError: as `run_training`.
    """
    settings = dataclasses.replace(settings, strategy=MULTI_WORKER)
    with (
        joined(cluster or cluster_from()) as workers,
        tempfile.TemporaryDirectory(prefix="fastscnn-") as temporary,
    ):
        run = OpenRun(Path(folder), settings.to_dict(), resume, None)
        with workers.chief_first():
            if workers.chief:
                run = open_run(folder, settings.to_dict(), trainer.LAST, resume, force)
        last = workers.file_from_chief(run.last, temporary)

        def agree(training: SegmentationDataset, config: FastSCNNConfig) -> None:
            check_same(workers, settings, training, config)

        said = verbose if workers.chief else 0
        ready = trainer.prepare(settings, last, said, progress, workers.chief, agree)
        check_weights(workers, ready.built.variables)
        together = callback_of(keras3(), Together)(workers)

        def fit(callbacks: Sequence[Any]) -> None:
            trainer.fit_ready(settings, ready, [*callbacks, together], workers.share)

        if workers.chief:
            return trainer.finish(run, settings, ready, fit, said)
        if not run.over(ready.state):
            try:
                fit(trainer.every_worker(ready))
            except KeyboardInterrupt:
                raise KeyboardInterrupt("in training; what is kept, worker 0 says") from None
    return None


class Together(Callback):
    """Ends every worker's training with the chief's, and after a step in which one is to end.

    Raises:
        WorkerLost: it is another one that is to end; the chief has saved the step.
    """

    def __init__(self, workers: Workers):
        super().__init__()
        self.workers = workers

    def on_train_begin(self, logs=None):
        self.params["stop"].agree = self.workers.one_of

    def on_train_batch_end(self, batch, logs=None):
        if self.params["stop"].due:
            self.workers.from_chief(np.array(0))  # until it has saved

    def on_train_batch_begin(self, batch, logs=None):
        if self.params["stop"].due:
            raise WorkerLost(lost(f"worker {self.workers.index} of {self.workers.count}"))

    def on_epoch_begin(self, epoch, logs=None):
        self.on_train_batch_begin(0)

    def on_epoch_end(self, epoch, logs=None):
        # The others wait here until the chief has validated and written.
        stop = self.workers.from_chief(np.array(int(self.model.stop_training)))
        self.model.stop_training = bool(stop)


def check_same(
    workers: Workers,
    settings: TrainSettings,
    training: SegmentationDataset,
    config: FastSCNNConfig,
) -> None:
    """Makes sure that all workers train the same.

    Raises:
        ConfigError: versions, settings, network or data are not the chief's.
    """
    values = {k: v for k, v in settings.to_dict().items() if k not in (*PATHS, *FREE)}
    pairs = [
        (training.sample_name(i), [path.stat().st_size for path in training.files(i)])
        for i in range(len(training))
    ]
    for what, part in (  # of the same versions all have the same settings to compare
        ("set of versions", versions()),
        *((f"setting {called(name)}", values[name]) for name in sorted(values)),
        ("network", config.to_dict()),
        ("data", pairs),
    ):
        if odd := workers.unlike_chief(json.dumps(part, sort_keys=True).encode()):
            raise ConfigError(
                f"worker {', '.join(map(str, odd))}: its {what} is not worker 0's (here is worker "
                f"{workers.index}, with {len(training)} training pairs): start all alike"
            )


def check_weights(workers: Workers, variables: Sequence[Any]) -> None:
    """Makes sure that all workers begin with the same values.

    Raises:
        ConfigError: some have other ones than the chief.
    """
    if odd := workers.unlike_chief(b"".join(np.asarray(v.value).tobytes() for v in variables)):
        raise ConfigError(
            f"workers {', '.join(map(str, odd))} begin with other weights than worker 0: give all "
            "the same --init-from, --teacher and data"
        )
