"""The processes that train one model together: which they are, and what they tell each other."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import dataclasses
import hashlib
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...core.arguments import host_and_port
from ...core.console import leave_stderr_to_python, quiet_stderr, warn
from ...core.errors import ConfigError, FastSCNNError
from ...core.extras import import_extra
from ..settings import MULTI_WORKER
from .strategy import check_strategy

VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")
AGENT = "TORCHELASTIC_USE_AGENT_STORE"  # torchrun itself listens at MASTER_PORT then
EXAMPLE = "MASTER_ADDR=host0 MASTER_PORT=12345 WORLD_SIZE=2 RANK=0"
JOIN_SECONDS = 300
# TCP tries again at ever longer intervals: after a minute without a network it is silent for two.
SILENT_SECONDS = 300


class WorkerLost(FastSCNNError):
    """Another worker of the cluster is gone; the code is EX_TEMPFAIL: start again."""

    exit_code = 75


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Processes that train one model together.

    Attributes:
        address: the `host:port` at which worker 0 listens.
        count: how many they are.
        index: which of them this process is.
    """

    address: str
    count: int
    index: int


def cluster_from(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster of the variables that torchrun and other launchers set.

    Returns:
        None where none of them is set: JAX knows Slurm, Open MPI and TPUs by itself.

    Raises:
        ConfigError: one is missing or makes no sense.
    """
    given = {name: environment.get(name, "") for name in VARIABLES}
    if not any(given.values()):
        return None
    for name, text in given.items():
        if not re.fullmatch(r"[^\s/]{1,255}" if name == VARIABLES[0] else "[0-9]{1,9}", text):
            raise ConfigError(f"{name} is {text[:40]!r}: expected such as {EXAMPLE}")
    host = given.pop(VARIABLES[0])
    port, count, index = map(int, given.values())
    port += environment.get(AGENT) == "True"
    if not 0 < port < 1 << 16:
        raise ConfigError(f"MASTER_PORT {port} is not a port: expected 1 to 65535")
    if index >= count:
        raise ConfigError(
            f"RANK {index} of WORLD_SIZE {count}: workers count from 0 to {count - 1}"
        )
    return Cluster(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", count, index)


class Workers:
    """The joined processes. All call the same methods in the same order, and wait for each other.

    Attributes:
        index: which of them this process is.
        count: how many they are.
    """

    def __init__(self, jax: Any):
        self.index, self.count = int(jax.process_index()), int(jax.process_count())
        self._talk = import_extra("jax.experimental.multihost_utils", "cluster")
        with quiet_stderr(1):  # where Gloo says who is connected, when it is first used
            self.from_chief(np.array(0))

    @property
    def chief(self) -> bool:
        """Whether this worker validates and writes."""
        return self.index == 0

    @property
    def share(self) -> tuple[int, int]:
        """This worker's share of every batch, as for `numpy_batches`."""
        return self.index, self.count

    def from_chief(self, array: np.ndarray) -> np.ndarray:
        """The chief's values of an array that has the same shape and dtype on every worker."""
        return np.asarray(self._talk.broadcast_one_to_all(array, self.chief))

    def file_from_chief(self, path: Path | None, folder: str) -> Path | None:
        """A file of the chief's; on the others a copy in a folder, None if the chief has none."""
        content = np.fromfile(path, np.uint8) if path else np.empty(0, np.uint8)
        size = int(self.from_chief(np.array(len(content))))
        if not size:
            return None
        content = self.from_chief(content if self.chief else np.empty(size, np.uint8))
        if not self.chief:
            path = Path(folder) / "chief.keras"
            content.tofile(path)
        return path

    @contextlib.contextmanager
    def chief_first(self) -> Iterator[None]:
        """What the chief does before the others go on; where it fails, they stop as well.

        Raises:
            ConfigError: on the others.
            FastSCNNError: on the chief.
        """
        refusal = None
        try:
            yield
        except FastSCNNError as error:
            refusal = error
        failed = bool(self.from_chief(np.array(int(refusal is not None))))
        if refusal:
            raise refusal
        if failed:
            raise ConfigError("worker 0 cannot begin: what it says is to be mended first")

    def one_of(self, flag: bool) -> bool:
        """Whether it is so on at least one of the workers."""
        return bool(np.any(self._talk.process_allgather(np.array(flag))))

    def unlike_chief(self, content: bytes) -> list[int]:
        """The workers whose content is not the chief's."""
        digest = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
        every = np.asarray(self._talk.process_allgather(digest))
        return np.flatnonzero((every != every[0]).any(-1)).tolist()


@contextlib.contextmanager
def joined(cluster: Cluster | None) -> Iterator[Workers]:
    """Joins the other processes for as long as it is entered, before JAX computes anything.

    Args:
        cluster: what `cluster_from` gave.

    Raises:
        ConfigError: there is no cluster, Keras does not run on JAX, or it has computed before.
        InputError: JAX is not installed.
        WorkerLost: another worker is gone.
    """
    check_strategy(MULTI_WORKER)
    jax: Any = import_extra("jax", "cluster")
    if cluster:
        _check_resolved(cluster.address)
    jax.config.update("jax_enable_preemption_service", False)  # which would write at every end
    where = dataclasses.astuple(cluster) if cluster else (None, None, None)
    named = f"the workers of {where[0]}" if cluster else "the workers"
    with _one_line_for_aborts() as said:
        said.append(f"{named} did not all come within {JOIN_SECONDS} s")
        warn(f"waits for {named}, {JOIN_SECONDS} s at most")
        try:
            jax.distributed.initialize(
                *where,
                initialization_timeout=JOIN_SECONDS,
                heartbeat_timeout_seconds=SILENT_SECONDS,
            )
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            hint = (
                "is the port free there?"
                if cluster
                else f"--strategy multi-worker needs the variables {EXAMPLE}, as torchrun sets "
                "them, or srun or mpirun"
            )
            raise ConfigError(f"cannot join {named} ({reason}): {hint}") from None
        said.append(lost(f"worker {jax.process_index()} of {jax.process_count()}"))
        try:
            yield Workers(jax)
        except BaseException as error:
            code = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1)
            atexit.register(_leave, code)  # JAX would wait for the others, and then abort
            if not _of_others(error):
                raise
            atexit.register(_leave, WorkerLost.exit_code)
            raise WorkerLost(said[-1]) from None
        jax.distributed.shutdown()


def _check_resolved(address: str) -> None:
    """Asks now: JAX would wait for a machine of this name for as long as for all workers."""
    host, port = host_and_port(address)
    try:
        socket.getaddrinfo(host, port)
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            return  # nobody could be asked
        why = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{VARIABLES[0]}: no machine is called {host} here ({why}): expected that of worker 0"
        ) from None


def lost(who: str) -> str:
    """What a worker says when another one is gone."""
    return (
        f"{who} stops, for another one is gone: checkpoints are kept; start all workers again "
        "with --resume"
    )


def _of_others(error: BaseException) -> bool:
    """Whether an error of JAX says that another process does not answer."""
    return isinstance(error, (ValueError, RuntimeError)) and "Gloo" in str(error)


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def _one_line_for_aborts() -> Iterator[list[str]]:
    """Has an abort end the process with the last of the lines that are put into the list.

    A thread of JAX aborts with a stack trace when the chief is gone or a worker is silent for too
    long; Python's handlers of signals would wait for the main thread, which waits for the others.
    """
    lines: list[str] = []
    leave_stderr_to_python()
    native = ctypes.CDLL(None)
    native.signal.restype = ctypes.c_void_p

    @ctypes.CFUNCTYPE(None, ctypes.c_int)
    def end(number: int) -> None:
        print(f"fastscnn: {lines[-1]}", file=sys.stderr)
        _leave(WorkerLost.exit_code)

    native.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    before = native.signal(signal.SIGABRT, ctypes.cast(end, ctypes.c_void_p))
    try:
        yield lines
    finally:
        native.signal(signal.SIGABRT, before)
