"""Who trains together: the workers that TF_CONFIG or Slurm names, and which of them this is."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from ...core.errors import ConfigError
from ...core.files.json_text import Name, decode_json

EXAMPLE = (
    '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
SLURM_PORT = 12345
MOST = 10_000  # workers, and nodes that Slurm names
_ADDRESS = re.compile(r"[^\s:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Processes that train one model together.

    Args:
        workers: the `host:port` at which each one listens, in the order of their rows in a batch.
        index: which of them this process is.

    Raises:
        ConfigError: no workers, addresses that are none or the same, or no such worker.
    """

    workers: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        if not self.workers:
            raise ConfigError(f"TF_CONFIG names no workers: expected {EXAMPLE}")
        for address in self.workers:
            if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
                raise ConfigError(f"TF_CONFIG: a worker must be 'host:port', got {address!r}")
        if len(set(self.workers)) < len(self.workers):
            raise ConfigError(f"TF_CONFIG names a worker twice: {', '.join(self.workers)}")
        valid = isinstance(self.index, int) and not isinstance(self.index, bool)
        if not valid or not 0 <= self.index < len(self.workers):
            raise ConfigError(
                f"TF_CONFIG: the task's index must be 0..{len(self.workers) - 1}, "
                f"got {self.index!r}"
            )

    def __len__(self) -> int:
        return len(self.workers)

    @property
    def chief(self) -> bool:
        """Whether this worker validates and writes."""
        return self.index == 0

    def tf_config(self) -> str:
        """The JSON text that TensorFlow reads."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.workers)}, "task": task})


def cluster_from(environment: Mapping[str, str] = os.environ) -> Cluster:
    """The cluster of TF_CONFIG or, where that is not set, of the Slurm step.

    A `chief` task, where TF_CONFIG has one, is worker 0.

    Raises:
        ConfigError: there is neither, or what there is makes no sense.
    """
    text = environment.get("TF_CONFIG", "")
    if not text and "SLURM_PROCID" in environment:
        return slurm_cluster(environment)
    if not text:
        raise ConfigError(
            f"--strategy multi-worker needs the environment variable TF_CONFIG, such as {EXAMPLE}"
        )
    try:
        found: _TFConfig = decode_json(text, "TF_CONFIG", _TFConfig, error=ConfigError)
    except ConfigError as error:
        raise ConfigError(f"{error}; it must be JSON such as {EXAMPLE}") from None
    kind, index = found.task.type, found.task.index
    chiefs, workers = (found.cluster.get(name, []) for name in ("chief", "worker"))
    others = set(found.cluster) - {"chief", "worker", "evaluator"}
    if others or kind not in ("chief", "worker") or len(chiefs) > 1:
        wrong = f"task type {kind!r}" if kind not in ("chief", "worker") else "the cluster"
        raise ConfigError(f"TF_CONFIG: {wrong} is not of workers (and one chief) alone: {EXAMPLE}")
    place = _index(index) + (len(chiefs) if kind == "worker" else 0)
    return Cluster((*chiefs, *workers), place)


class _Task(msgspec.Struct):
    type: Name
    index: int | Name


class _TFConfig(msgspec.Struct):
    """What of TF_CONFIG is read; launchers write more."""

    cluster: dict[Name, Annotated[list[Name], msgspec.Meta(max_length=MOST)]]
    task: _Task


def _index(value: int | str) -> int:
    """The task's index, which some launchers write as a text."""
    try:
        return int(value)
    except ValueError:
        raise ConfigError(
            f"TF_CONFIG: the task's index must be a number, got {value[:40]!r}"  # type: ignore[index]
        ) from None


def slurm_cluster(environment: Mapping[str, str], port: int = SLURM_PORT) -> Cluster:
    """The cluster of an `srun` step with block distribution (Slurm's default).

    Tasks on one node listen on ports from `port` on.

    Args:
        environment: with SLURM_STEP_NODELIST, SLURM_STEP_TASKS_PER_NODE and SLURM_PROCID.
        port: of the first task on each node.

    Raises:
        ConfigError: a variable is missing or not as Slurm writes it.

    Example:
        >>> step = {"SLURM_STEP_NODELIST": "gpu[08-10]", "SLURM_STEP_TASKS_PER_NODE": "1(x3)"}
        >>> slurm_cluster({**step, "SLURM_PROCID": "2"}).workers
        ('gpu08:12345', 'gpu09:12345', 'gpu10:12345')
    """
    try:
        nodes = _nodes(environment["SLURM_STEP_NODELIST"])
        counts = _task_counts(environment["SLURM_STEP_TASKS_PER_NODE"])
        index = _number(environment["SLURM_PROCID"])
    except KeyError as error:
        raise ConfigError(
            f"{error.args[0]} is missing: start with srun, or set TF_CONFIG"
        ) from None
    except ValueError as error:
        raise ConfigError(f"cannot read Slurm's environment ({error}): set TF_CONFIG") from None
    if len(nodes) != len(counts):
        raise ConfigError(f"Slurm names {len(nodes)} nodes but tasks of {len(counts)}")
    pairs = zip(nodes, counts, strict=True)
    return Cluster(tuple(f"{n}:{port + k}" for n, count in pairs for k in range(count)), index)


def _nodes(text: str) -> list[str]:
    """`gpu[08-10,12],login1` in full."""
    names = []
    for prefix, ranges, suffix in re.findall(r"([^,\[\]]*)(?:\[([^\]]*)\])?([^,\[\]]*),?", text):
        if not ranges:
            names += [prefix] if prefix else []
            continue
        for part in ranges.split(","):
            low, _, high = part.partition("-")
            numbers = range(_number(low), _number(high or low) + 1)
            if len(names) + len(numbers) > MOST:
                raise ValueError(f"more than {MOST:,} nodes")
            names += [f"{prefix}{number:0{len(low)}d}{suffix}" for number in numbers]
    return names


def _task_counts(text: str) -> list[int]:
    """`2(x3),1` as 2, 2, 2, 1."""
    counts: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if not found:
            raise ValueError(f"tasks per node {text!r}")
        count, times = _number(found[1]), _number(found[2] or "1")
        if sum(counts) + count * times > MOST or len(counts) + times > MOST:
            raise ValueError(f"more than {MOST:,} tasks")
        counts += [count] * times
    return counts


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"expected a number, got {text[:40]!r}")
    return int(text)
