"""`run_on_workers`: the run of `train --strategy multi-worker`, on each of its machines."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ...core.aliases import StrPath
from ...core.errors import ConfigError
from ...data.check.pair_faults import Progress
from ...data.pipeline import batches
from ...runs.run_folder import FREE, PATHS, open_run
from .. import trainer
from ..build import compiled_with, epoch_steps
from ..settings import MULTI_WORKER, TrainSettings
from .cluster import Cluster, cluster_from
from .multi_worker import WorkerGroup

# What the twin does not do, and the value that says so.
NOT_HERE = {"ema": 0.0, "teacher": None, "precision": "float32", "accumulate": 1}


def run_on_workers(
    settings: TrainSettings,
    folder: StrPath,
    resume: bool = False,
    force: bool = False,
    verbose: int | str = "auto",
    progress: Progress = iter,
    cluster: Cluster | None = None,
) -> trainer.TrainResult | None:
    """`run_training` on several machines; every worker calls it with the same settings.

    The run is that of one process: the same batches, and the same files in the same folder. Only
    the chief (worker 0) reads and writes the folder, and `resume` and `force` are its; the others
    get weights, optimizer state and the number of finished epochs from it. A worker that is lost
    ends all others; started again with `resume`, they go on after the last finished epoch.

    Args:
        settings, folder, resume, force, verbose, progress: as for `run_training`.
        cluster: the workers; those of TF_CONFIG or Slurm by default.

    Returns:
        The finished run on the chief, None on the others.

    Raises:
        ConfigError: no cluster, settings other than the chief's, or ones that do not work here.
        WorkerLost: another worker is gone.
        FastSCNNError: as `run_training`.
    """
    check_supported(settings)
    settings = dataclasses.replace(settings, strategy=MULTI_WORKER)  # the losses are of replicas
    group = WorkerGroup(cluster or cluster_from())
    chief, run = group.cluster.chief, None
    if chief:
        run = open_run(folder, settings.to_dict(), trainer.LAST, resume, force)
    last, said = (run.last, verbose) if run else (None, 0)
    ready = trainer.prepare(settings, last, group.replicas, said, progress, validates=chief)
    state = [ready.epochs_done, int(run is not None and run.over(ready.state))]
    done, over = map(int, _agreed(group, settings, ready, state))

    def fit(callbacks: Sequence[Any]) -> None:
        _fit(group, settings, ready, done, callbacks)

    if run:
        return trainer.finish(run, settings, ready, fit, said)
    if not over:
        fit(())
    return None


def _fit(
    group: WorkerGroup,
    settings: TrainSettings,
    ready: trainer.Prepared,
    done: int,
    callbacks: Sequence[Any],
) -> None:
    """Trains from epoch `done` to the last one of the settings."""
    network, steps = ready.built.network, epoch_steps(settings, len(ready.training))
    preset, config = settings.augmentation, network.config
    source = ready.training, config, preset, settings.batch_size, settings.seed
    epochs = range(done, settings.epochs)
    stream = batches(*source, epochs, cache=settings.cache, share=group.share)
    stream = group.replica_batches(stream if preset else stream.repeat(), settings.batch_size)

    def compile_twin(keras: ModuleType, twin: Any) -> None:
        twin.compile(**compiled_with(keras, settings, config, ready.built.loss, steps))

    group.fit(network, compile_twin, stream, settings, steps, done, callbacks)


def check_supported(settings: Any) -> None:
    """Refuses settings that a run on several machines does not do.

    Raises:
        ConfigError: naming the first one.
    """
    for name, value in NOT_HERE.items():
        if getattr(settings, name, value) != value:
            raise ConfigError(
                f"{name} {getattr(settings, name)} does not work with --strategy multi-worker: "
                "leave it out, or use --strategy mirrored on one machine"
            )


def _agreed(
    group: WorkerGroup, settings: TrainSettings, ready: trainer.Prepared, state: list[int]
) -> list[np.ndarray]:
    """What the chief says of the run's state, once all train the same.

    Raises:
        ConfigError: this worker's settings, network or data are not the chief's.
    """
    pairs = len(ready.training)
    values = {k: v for k, v in settings.to_dict().items() if k not in (*PATHS, *FREE)}
    text = json.dumps([values, ready.config.to_dict(), pairs], sort_keys=True)
    own = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
    chiefs, *agreed = group.from_chief([own, *map(np.array, state)])
    if not np.array_equal(own, chiefs):
        raise ConfigError(
            f"worker {group.cluster.index} has other settings, network or data than worker 0 "
            f"({pairs} training pairs here): start all workers with the same options"
        )
    return agreed
