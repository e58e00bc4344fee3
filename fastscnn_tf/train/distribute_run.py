"""`run_on_workers`: the run of `train --strategy multi-worker`, on each of its machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..core.aliases import Progress, StrPath
from ..core.config import FastSCNNConfig
from ..core.console import echo
from ..core.errors import ConfigError
from ..core.files import check_output_folder
from ..data.augment import augmentation
from ..data.dataset import SegmentationDataset
from ..data.pipeline import batches, check_batches
from ..model.initialise import initialise, read_start
from . import trainer
from .build import Training, build, epoch_steps, optimizer_of, run_config
from .checkpoint import restore_checkpoint
from .distribute import MULTI_WORKER, check_shares, replica_losses
from .distribute_cluster import Cluster, cluster_from
from .losses import segmentation_losses
from .multi_worker import WorkerGroup
from .recipes import describe, write_recipe
from .run_folder import (
    FREE,
    PATHS,
    RECIPE,
    check_resumable,
    read_state,
    run_folder,
    write_run,
)
from .settings import TrainSettings
from .trainer import BEST, LAST

# What the twin does not do, and the value that says so.
NOT_HERE = {"ema": 0.0, "teacher": None, "precision": "float32", "accumulate": 1}


def run_anywhere(
    settings: TrainSettings, *arguments: Any, **options: Any
) -> trainer.TrainResult | None:
    """`run_training`, or `run_on_workers` where that is the settings' strategy; see there."""
    run = run_on_workers if settings.strategy == MULTI_WORKER else trainer.run_training
    return run(settings, *arguments, **options)


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
    group = WorkerGroup(cluster or cluster_from())
    chief, folder = group.cluster.chief, Path(folder)
    last = check_resumable(folder, settings.to_dict(), LAST) if resume and chief else None
    if chief and not resume:
        check_output_folder(folder, force)
    start = read_start(settings.init_from) if settings.init_from else None
    training = trainer.training_data(settings, progress)
    config = run_config(settings, training.labels, start)
    check_batches(training, config, settings.batch_size, training=True)
    augmented = augmentation(settings.augment) is not None
    check_shares(settings.batch_size, group.replicas, len(training), augmented)
    if chief and verbose:
        echo(describe(settings))
    built = build(settings, config, training, progress)
    state: dict[str, Any] = {}
    if last:
        state = restore_checkpoint(built.network, built.fitted, last)
    elif start:
        initialise(built.network, start)
    ended = [np.array(state.get("epochs_done", 0)), np.array(trainer.finished(state, settings))]
    done, over = _agreed(group, settings, config, len(training), ended)
    if not chief:
        if not over:
            _fit(group, settings, built, training, int(done), (), 0)
        return None
    validation = trainer.usable_split(settings, "val", settings.size, progress)
    with run_folder(folder, resume):
        if not last:
            write_run(folder, settings.to_dict(), config)
            write_recipe(folder / RECIPE, settings)
        if not over:
            callbacks = trainer.run_callbacks(settings, folder, built, validation, state)
            _fit(group, settings, built, training, int(done), callbacks, verbose)
    found = read_state(folder)
    return trainer.TrainResult(folder, folder / BEST, found.best, found.epochs_done)


def _fit(
    group: WorkerGroup,
    settings: TrainSettings,
    built: Training,
    training: SegmentationDataset,
    done: int,
    callbacks: Sequence[Any],
    verbose: int | str,
) -> None:
    """Trains from epoch `done` to the last one of the settings."""
    network, steps = built.network, epoch_steps(settings, len(training))
    preset, config = augmentation(settings.augment), network.config
    source = training, config, preset, settings.batch_size, settings.seed
    epochs = range(done, settings.epochs)
    stream = batches(*source, epochs, cache=settings.cache, share=group.share)
    stream = group.replica_batches(stream if preset else stream.repeat(), settings.batch_size)

    def compile_twin(keras: ModuleType, twin: Any) -> None:
        losses = segmentation_losses(
            config.aux_heads,
            config.aux_layout,
            loss=built.loss,
            aux_weight=settings.aux_weight,
        )
        rates = optimizer_of(keras, settings, steps)
        twin.compile(optimizer=rates, **replica_losses(losses))

    group.fit(
        network,
        compile_twin,
        stream,
        steps=steps,
        epochs=settings.epochs,
        done=done,
        seed=settings.seed,
        callbacks=callbacks,
        verbose=verbose,
    )


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
    group: WorkerGroup,
    settings: TrainSettings,
    config: FastSCNNConfig,
    pairs: int,
    state: list[np.ndarray],
) -> list[np.ndarray]:
    """What the chief says of the run's state, once all train the same.

    Raises:
        ConfigError: this worker's settings, network or data are not the chief's.
    """
    values = {k: v for k, v in settings.to_dict().items() if k not in (*PATHS, *FREE)}
    text = json.dumps([values, config.to_dict(), pairs], sort_keys=True)
    own = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
    chiefs, *agreed = group.from_chief([own, *state])
    if not np.array_equal(own, chiefs):
        raise ConfigError(
            f"worker {group.cluster.index} has other settings, network or data than worker 0 "
            f"({pairs} training pairs here): start all workers with the same options"
        )
    return agreed
