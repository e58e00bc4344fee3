"""The measured side of `scaling.py`: one process of training on JAX, as `turns.serve` asks it.

Its first order says what it is: one whose steps are timed, alone or as a worker of the cluster in
its environment, or one that trains to the end on its logical devices.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import turns

import fastscnn_tf as fs
from fastscnn_tf.core.extras import import_extra
from fastscnn_tf.core.keras_api import callback_of, keras3
from fastscnn_tf.data.numpy_pipeline import numpy_batches
from fastscnn_tf.train import build as building
from fastscnn_tf.train import trainer
from fastscnn_tf.train.distributed.cluster import cluster_from, joined
from fastscnn_tf.train.distributed.strategy import devices_of, on_all_devices
from fastscnn_tf.train.settings import MULTI_WORKER, NONE, TrainSettings

Answer = Callable[[dict[str, Any]], Any]
PAIRS = 48  # that are drawn, and kept: no step waits for a scene to be drawn
BYTES = {"f32": 4, "f16": 2, "bf16": 2, "s32": 4, "u32": 4, "pred": 1}
ARRAY = re.compile(r"([a-z]+[0-9]*)\[([0-9,]*)\]")
COLLECTIVE = re.compile(
    r" = (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)(?:-start)?\("
)


class Timer:
    """Notes when each step has ended; called last, after the loss has been read."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())


class Case:
    """A network in training, with this process' share of every batch.

    Args:
        size: (height, width) in pixels.
        width: of the network.
        pairs: of a step, for each worker.
        share: of this process, as for `numpy_batches`.
    """

    def __init__(self, size: tuple[int, int], width: float, pairs: int, share: tuple[int, int]):
        self.settings: TrainSettings = fs.train_settings(
            dataset="toy",
            size=size,
            width=width,
            batch_size=pairs * share[1],
            strategy=MULTI_WORKER if share[1] > 1 else NONE,
        )
        data = fs.open_dataset("toy", split="train", size=size)[:PAIRS]
        config = building.run_config(self.settings, data.labels, None, len(data))
        built = building.build(self.settings, config, data)
        self.ready = trainer.Prepared(data, None, config, built, {})
        batches = self.settings.augmentation, self.settings.batch_size, self.settings.seed
        self.stream = numpy_batches(data, config, *batches, cache="memory", share=share)
        self.input(PAIRS // self.settings.batch_size)  # draws all scenes
        self.same = self.stream.source.batch(0, 0)

    def input(self, count: int) -> list[float]:
        """Seconds of each of so many batches, which nothing trains on."""
        times = [time.perf_counter()]
        for index in range(count):
            self.stream.source.batch(0, index % len(self.stream))
            times.append(time.perf_counter())
        return np.diff(times).tolist()

    def compute(self, count: int) -> list[float]:
        """Seconds of each of so many steps on one batch, which is there."""
        return self._fitted(lambda epochs, first: self._again(), count)

    def train(self, count: int) -> list[float]:
        """Seconds of each of so many steps with their batches, as `train` makes them."""
        return self._fitted(lambda epochs, first: self._batches(), count)

    def _again(self) -> Iterator[Any]:
        while True:
            yield self.same

    def _batches(self) -> Iterator[Any]:
        while True:
            for index in range(len(self.stream)):
                yield self.stream[index]

    def _fitted(self, stream: Any, count: int) -> list[float]:
        timer = callback_of(keras3(), Timer)()
        callbacks = [*trainer.every_worker(self.ready), timer]
        built = self.ready.built
        one = dataclasses.replace(self.settings, epochs=1)
        with on_all_devices(self.settings.strategy, built.variables) as own:
            trainer.fit_stream(built.fitted, stream, one, {}, count + 1, [*callbacks, *own])
        return np.diff(timer.times).tolist()

    def messages(self, count: int = 1) -> list[tuple[str, list[int]]]:
        """Kind, and bytes of each array, of the collective operations of the last compiled step."""
        jax = import_extra("jax.extend.backend", "cluster")
        modules = [m for e in jax.get_backend().live_executables() for m in e.hlo_modules()]
        return collectives([m.to_string() for m in modules if "train_step" in m.name][-1])


def collectives(hlo: str) -> list[tuple[str, list[int]]]:
    """Kind, and bytes of each array, of the collective operations of a compiled program.

    XLA puts what need not wait for each other into one operation; Gloo sends its arrays singly.
    """
    return [
        (
            kind,
            [
                BYTES[x] * int(np.prod(list(map(int, filter(None, dims.split(","))))))
                for x, dims in ARRAY.findall(shapes)
            ],
        )
        for shapes, kind in COLLECTIVE.findall(hlo)
    ]


def reduce_alone(sizes: list[int], count: int) -> list[float]:
    """Seconds of each of so many programs that do nothing but all-reduces of so many bytes each."""
    reduce = all_reduces(tuple(sizes))
    times = [time.perf_counter()]
    for _ in range(count):
        reduce()
        times.append(time.perf_counter())
    return np.diff(times).tolist()


@contextlib.contextmanager
def all_threads_on(cores: set[int]) -> Iterator[None]:
    """Lets this process' threads, Gloo's among them, run on these cores for a while."""

    def move(to: set[int]) -> None:
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # it ended
                os.sched_setaffinity(int(task.name), to)

    before = os.sched_getaffinity(0)
    move(cores)
    yield
    move(before)


@functools.cache
def all_reduces(sizes: tuple[int, ...]) -> Callable[[], Any]:
    """What all-reduces arrays of so many bytes, by Gloo one after the other; it ran once."""
    jax: Any = import_extra("jax", "cluster")
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("workers",))
    everywhere = jax.sharding.PartitionSpec()

    def program(*arrays: Any) -> Any:
        return [jax.lax.psum(array, "workers") for array in arrays]

    shares = {"in_specs": everywhere, "out_specs": everywhere, "check_vma": False}
    whole = jax.jit(jax.shard_map(program, mesh=mesh, **shares))
    layout = jax.sharding.NamedSharding(mesh, everywhere)
    arrays = [np.zeros(-(-size // 4), np.float32) for size in sizes]
    given = [jax.make_array_from_process_local_data(layout, a, a.shape) for a in arrays]

    def reduce() -> Any:
        return jax.block_until_ready(whole(*given))

    reduce()
    return reduce


def timed_steps(order: dict[str, Any], open_until: contextlib.ExitStack) -> tuple[Any, Answer]:
    """Answers `{"what": ..., "case": i, "count": n}`, what being a method of `Case`.

    `{"what": "reduce", "bytes": [...], "count": n}` is answered by `reduce_alone`, with `"free"` on
    all cores.
    """
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {order["core"]})  # before JAX counts the cores
    cluster = cluster_from()
    share = open_until.enter_context(joined(cluster)).share if cluster else (0, 1)
    size = tuple(order["size"])
    cases = [Case(size, width, pairs, share) for width, pairs in order["cases"]]

    def answer(request: dict[str, Any]) -> Any:
        if request["what"] == "reduce":
            with all_threads_on(everywhere if request.get("free") else {order["core"]}):
                return reduce_alone(request["bytes"], request["count"])
        return getattr(cases[request["case"]], request["what"])(request["count"])

    versions = {name: import_extra(name, "cluster").__version__ for name in ("jax", "keras")}
    return {"versions": versions}, answer


def whole_runs(order: dict[str, Any]) -> tuple[Any, Answer]:
    """Answers `{"batch": b, "rate": r, "seed": s}` with the final mIoU on `val`, 0..1."""
    devices = devices_of(order["strategy"])

    def answer(request: dict[str, Any]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            settings = fs.train_settings(
                "paper",
                dataset="toy",
                size=order["size"],
                init_from=_start(order, request["seed"], Path(folder)),
                aux_heads=False,
                batch_size=request["batch"],
                learning_rate=request["rate"],
                epochs=order["epochs"],
                warmup_epochs=order["warmup"],
                validate_every=order["epochs"],
                strategy=order["strategy"],
                seed=request["seed"],
            )
            miou = fs.run_training(settings, Path(folder) / "run", verbose=0).miou
            assert miou is not None
            return miou

    return {"devices": devices}, answer


def _start(order: dict[str, Any], seed: int, folder: Path) -> str:
    """A file with the first weights: one bottleneck a group, since these runs are many."""
    keras3().utils.set_random_seed(seed)
    config = fs.FastSCNNConfig.for_labels(
        "toy", input_size=tuple(order["size"]), width=order["width"], repeats=(1, 1, 1)
    )
    fs.fast_scnn(config).save(folder / "start.keras")
    return str(folder / "start.keras")


def build(open_until: contextlib.ExitStack, order: dict[str, Any]) -> tuple[Any, Answer]:
    """What the order asks for, and what is to be left at the end."""
    if order["kind"] == "rule":
        return whole_runs(order)
    return timed_steps(order, open_until)


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        turns.serve(functools.partial(build, stack))
