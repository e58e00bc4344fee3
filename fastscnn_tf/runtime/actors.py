"""Ray's actors that share the work, on this machine or on those of a cluster.

Whoever waits for results is Ray's driver; paths go to the actors, not pixels, so all machines must
see the same files under the same paths. An item whose actor dies is tried again by another one.
Ray is imported when it is asked for, stays silent and reports nothing to its makers.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.arguments import check_number, host_and_port
from ..core.console import LOG, quiet_stderr
from ..core.environment import environment
from ..core.errors import ConfigError, FastSCNNError, InputError, instead_of
from ..core.extras import import_extra
from ..core.files.leftovers import PART
from ..core.files.writing import make_folder
from ..core.version import __version__
from .crew import Answer, Answers, Crew, WorkerDied, about_here
from .workers import MAX_PROCESSES, PATIENCE, Item, Result, one_thread

LOCAL, AUTO = "local", "auto"
ADDRESS = re.compile(r"([^\s:/]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
REACHED = 10  # seconds for a cluster to accept a connection
STORE = 100 << 20  # bytes of shared memory for a Ray of our own: only paths and counts go there
SAID = 60  # seconds without a worker, after which that is said
# What Ray prints of dead actors is said by us: it reads that one when it is imported. The last one
# it sets by itself where it starts.
SILENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_AUTH_MODE": None,
}
START = "start one with `ray start --head`, or leave --address (RAY_ADDRESS) out"
TOKEN = "it asks for a token: give it by RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH=FILE"
_OURS = ("FASTSCNN_", "KERAS_BACKEND")  # variables that hold for the actors, too


class ClusterError(InputError):
    """There is no Ray cluster at an address, or it cannot be used."""


def check_address(address: str) -> str:
    """An address, if it is `local`, `auto` or HOST:PORT.

    Raises:
        ConfigError: it is none.
    """
    if address not in (LOCAL, AUTO) and not ADDRESS.fullmatch(address):
        raise ConfigError(f"a Ray cluster's address is HOST:PORT or auto, got {address!r}")
    return address


def in_actors(
    make: Callable[[], Callable[[Item], Result]],
    items: Sequence[Item],
    actors: int,
    address: str,
    name: Callable[[Item], str] = str,
    shared: Path | None = None,
) -> Iterator[Result]:
    """`map(make(), items)` over Ray's actors, one CPU each; otherwise as `in_processes`.

    Actors that wait for a CPU of the cluster take part once they have it.

    Args:
        make: as for `in_processes`; the folder that is the current one here is theirs, too.
        items: what the function is called with.
        actors: how many; no more are started than there are items.
        address: HOST:PORT of a cluster, `auto` for the one that runs on this machine, or `local` to
            start one here, which ends with the work. Where this process has joined a cluster by
            itself (`ray.init`), it is that one.
        name: of an item, for messages.
        shared: a folder, made if need be, in which the actors write what is to be seen here.

    Raises:
        ConfigError: no such number, or no address.
        InputError: Ray is not installed, there is no such cluster, or a machine of it has another
            version of this package or other files under the same paths.
        WorkerDied: several actors in turn died of an item.
    """
    check_number("processes", actors, 1, MAX_PROCESSES)
    check_address(address)
    with environment(**SILENCE):
        ray = import_extra("ray", "ray", ", which --engine ray needs")
        if not items:
            return
        count = min(actors, len(items))
        with _joined(ray, address, count), _token(shared) as token:
            yield from _Actors(ray, make, items, count, name, token).results()


@contextlib.contextmanager
def _joined(ray: Any, address: str, count: int) -> Iterator[None]:
    """A cluster that is left, or, if it was started here, ended."""
    if ray.is_initialized():
        yield
        return
    if address == LOCAL:
        options = {"num_cpus": count, "object_store_memory": STORE, "include_dashboard": False}
    else:
        options = {}
        address = _reachable(_found() if address == AUTO else address)
    try:
        with _own_signals(), one_thread(), quiet_stderr():
            try:
                ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **options)
            except (Exception, SystemExit) as error:
                raise _not_joined(address, error) from None
        yield
    finally:
        with quiet_stderr():
            ray.shutdown()


def _not_joined(address: str, error: BaseException) -> ClusterError:
    where = "start on this machine" if address == LOCAL else f"join the cluster at {address}"
    why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if "InvalidAuthToken" in str(error.__cause__):
        why = TOKEN
    if isinstance(error, SystemExit):
        why = "what listens there does not answer as a cluster does"
    return ClusterError(f"Ray cannot {where}: {why}")


def _found() -> str:
    """HOST:PORT of the cluster of this machine; Ray's own search also gives one that is gone."""
    services: Any = importlib.import_module("ray._private.services")
    none = ClusterError(f"no Ray cluster runs on this machine: {START}")
    with instead_of(ConnectionError, none), quiet_stderr():
        return services.canonicalize_bootstrap_address(AUTO)


def _reachable(address: str) -> str:
    """Asks now: Ray itself would wait for minutes and then end the process."""
    try:
        socket.create_connection(host_and_port(address), REACHED).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise ClusterError(f"no Ray cluster answers at {address} ({why}): {START}") from None
    return address


@contextlib.contextmanager
def _token(shared: Path | None) -> Iterator[Path | None]:
    """A file in a folder that shows whether another machine sees the same one."""
    if shared is None:
        yield None
        return
    name = f".{os.getpid()}{PART}"  # so that it goes if this process is killed, see `leftovers`
    with tempfile.NamedTemporaryFile(dir=make_folder(shared), prefix=name) as file:
        yield Path(file.name).absolute()


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray sets a handler of its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class _Actors(Crew):
    lives = 3

    def __init__(
        self,
        ray: Any,
        make: Callable[[], Any],
        items: Sequence[Any],
        count: int,
        name: Callable[[Any], str],
        token: Path | None,
    ):
        super().__init__(items, name, count)
        self._ray, self._actors = ray, dict[Any, Any]()  # call -> actor
        variables = {k: v for k, v in os.environ.items() if k.startswith(_OURS)}
        places = {"folder": Path.cwd(), "token": token}
        about = {**about_here(), "version": __version__, "variables": variables, **places}
        self._given = ray.put((make, about))
        self._class = ray.remote(num_cpus=1)(Actor)
        self._began, self._told = time.monotonic(), False

    def start(self) -> Iterable[Any]:
        """As in `Crew`: they are given something once they have said that they are there."""
        for _ in range(1 if self._actors else self.count):
            actor = self._class.remote(self._given)
            self._called(actor, actor.join.remote(), None)
        return ()

    def _called(self, actor: Any, call: Any, index: int | None) -> None:
        self._actors[call], self.busy[call] = actor, index

    def call(self, worker: Any, item: Any) -> Any:
        """As in `Crew`."""
        actor = self._actors.pop(worker)
        call = actor.work.remote(item)
        self._actors[call] = actor
        return call

    def answered(self) -> Iterable[Any]:
        """As in `Crew`."""
        done, _ = self._ray.wait(list(self.busy), timeout=SAID)
        starting = all(index is None for index in self.busy.values())
        if not done and starting and not self._told:
            self._told = True
            cpus = self._ray.cluster_resources().get("CPU", 0)
            LOG.warning(
                "no worker has a CPU of the Ray cluster yet: it has %g in all; still waiting", cpus
            )
        return done

    def answer(self, call: Any) -> Answer:
        """As in `Crew`."""
        try:
            return self._ray.get(call)
        except self._ray.exceptions.RayActorError as error:
            del self._actors[call]
            lines = str(error).strip().splitlines()
            made = "creation task" in lines[0]  # else the system or a node ended it
            raise WorkerDied(
                f"ended: {lines[-1][:300]}"
                if made
                else "died, as when the system kills it for memory"
            ) from None
        except self._ray.exceptions.RayError as error:
            said = " ".join(str(error).split())[:300]
            raise FastSCNNError(f"Ray failed: {type(error).__name__}: {said}") from None

    def stop(self) -> None:
        """As in `Crew`: what they work at is finished, as a killed actor would leave it half."""
        try:
            if self.busy:
                self._ray.wait(list(self.busy), num_returns=len(self.busy), timeout=PATIENCE)
        finally:
            for actor in self._actors.values():
                self._ray.kill(actor)


class Actor:
    """What Ray runs on each machine."""

    def __init__(self, given: tuple[Callable[[], Any], Mapping[str, Any]]):
        self._make, self._about = given

    def join(self) -> Answer:
        """Takes over what holds where the work was asked for."""
        about = self._about
        node = socket.gethostname()
        if about["version"] != __version__:
            return None, ClusterError(
                f"{node} has version {__version__} of this package and not {about['version']}: "
                "install the same on all machines of the cluster"
            )
        for missing in (p for p in (about["folder"], about["token"]) if p and not p.exists()):
            return None, ClusterError(
                f"{node} does not see {missing}: all machines of the cluster must see the same "
                "files under the same paths"
            )
        os.chdir(about["folder"])
        os.environ.update(about["variables"])
        self._answers = Answers(self._make, about)
        return None, None

    def work(self, item: Any) -> Answer:
        """What comes of an item."""
        return self._answers(item)
