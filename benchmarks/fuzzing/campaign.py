"""Spreads mutants over processes, and counts and keeps what came of them."""

from __future__ import annotations

import collections
import dataclasses
import gc
import importlib
import itertools
import multiprocessing
import os
import pkgutil
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from . import child, verdict
from .kinds import Kind
from .mutant import BY_NAME, Mutant, make_mutant, sound
from .scratch import fresh
from .seeds import make_seeds

CHUNK = 25  # mutants that a process takes at a time
HEAVY = ("keras", "tensorflow", "tf_keras", "tensorflow_model_optimization", "h5py")
# One thread, so that a fork is a whole copy.
QUIET = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclasses.dataclass
class Tally:
    """What came of the mutants of one kind.

    Attributes:
        outcomes: of `verdict.OUTCOMES`, how often.
        slowest: seconds of CPU.
        largest: bytes of memory beyond what a process had at its start.
        bad: (index, outcome, command, description, file that holds it).
    """

    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    slowest: float = 0.0
    largest: int = 0
    bad: list[tuple[int, str, str, str, str]] = dataclasses.field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Adds what another process counted."""
        self.outcomes += other.outcomes
        self.slowest = max(self.slowest, other.slowest)
        self.largest = max(self.largest, other.largest)
        self.bad += other.bad


def shares(kinds: Sequence[Kind], mutants: int) -> dict[str, int]:
    """How many mutants each kind gets: by weight, and at least one."""
    total = sum(kind.weight for kind in kinds)
    return {kind.name: max(1, round(mutants * kind.weight / total)) for kind in kinds}


def run_campaign(
    kinds: Sequence[Kind],
    mutants: int,
    number: int,
    jobs: int,
    output: Path | None,
    quick: bool = False,
) -> dict[str, Tally]:
    """Runs mutants of some kinds.

    Args:
        kinds: which.
        mutants: how many of all together.
        number: the campaign's seed.
        jobs: processes.
        output: folder for those that ended badly, or None.
        quick: of the commands that open a sound file, try only the first.

    Returns:
        The tally of each kind.

    Raises:
        RuntimeError: a sound file is refused: what is measured then says nothing.
    """
    tallies = {kind.name: Tally() for kind in kinds}
    if output:
        output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fastscnn-fuzz-") as top:
        seeds, counts = Path(top) / "seeds", shares(kinds, mutants)
        tasks = [(kind.name, int(quick), -1) for kind in kinds]  # the sound files
        tasks += _interleaved(kinds, counts)
        tasks.sort(key=lambda task: BY_NAME[task[0]].heavy)
        with _pool(jobs) as pool:
            pool.submit(_make_seeds, seeds, [kind.name for kind in kinds]).result()
            waiting = [pool.submit(_chunk, *task, number, seeds, output) for task in tasks]
            start, done = time.monotonic(), 0
            try:
                for future in as_completed(waiting):
                    name, tally = future.result()
                    tallies[name].add(tally)
                    done += sum(tally.outcomes.values())
                    _progress(done, sum(counts.values()), time.monotonic() - start)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return tallies


def _interleaved(kinds: Sequence[Kind], counts: dict[str, int]) -> list[tuple[str, int, int]]:
    chunks = [
        [(k.name, i, min(i + CHUNK, counts[k.name])) for i in range(0, counts[k.name], CHUNK)]
        for k in kinds
    ]
    return [task for row in itertools.zip_longest(*chunks) for task in row if task]


def prepare(seeds: Path, kinds: Sequence[Kind]) -> None:
    """Writes the sound files, in a process that ends afterwards."""
    with _pool(1) as pool:
        pool.submit(_make_seeds, seeds, [kind.name for kind in kinds]).result()


def _make_seeds(seeds: Path, names: list[str]) -> None:
    """In a fork: writing them starts threads."""
    kinds = [BY_NAME[name] for name in names]
    warm_up(any(kind.heavy for kind in kinds))
    pid = os.fork()
    if not pid:
        try:
            make_seeds(seeds, {seed for kind in kinds if kind.heavy for seed in kind.seeds})
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the sound files could not be written")


def _pool(jobs: int) -> ProcessPoolExecutor:
    os.environ.update(QUIET)
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))


def _progress(done: int, total: int, seconds: float) -> None:
    if sys.stderr.isatty():
        print(
            f"\r{done} of {total} mutants, {done / max(seconds, 1):.1f} per second ",
            end="",
            file=sys.stderr,
        )


def _chunk(
    name: str, start: int, stop: int, number: int, seeds: Path, output: Path | None
) -> tuple[str, Tally]:
    """Runs the mutants `start` to `stop` of a kind, or its sound files where `stop` is -1."""
    kind, tally = BY_NAME[name], Tally()
    warm_up(kind.heavy)
    if stop < 0:
        check_sound(kind, seeds, quick=bool(start))
        return name, tally
    for index in range(start, stop):
        mutant = make_mutant(kind, index, number, seeds)
        run, outcome = run_mutant(mutant, seeds)
        tally.outcomes[outcome] += 1
        tally.slowest = max(tally.slowest, run.cpu)
        tally.largest = max(tally.largest, run.memory)
        if outcome in verdict.BAD:
            kept = output / f"{name.replace(' ', '-').strip('.')}-{index}.json" if output else None
            what = verdict.describe(run)
            if kept:
                kept.write_text(mutant.to_json(f"{outcome}: {what}"))
            tally.bad.append((index, outcome, mutant.command, what, kept.name if kept else ""))
    return name, tally


def run_mutant(mutant: Mutant, seeds: Path) -> tuple[child.Run, str]:
    """Runs one; a second time where the first took too long, which a busy machine may cause."""
    for attempt in range(2):
        with tempfile.TemporaryDirectory(prefix="mutant-", dir=seeds.parent) as top:
            scratch = fresh(Path(top) / "x")
            mutant.write(seeds, scratch.case)
            run = child.run_command(scratch, mutant.command.split(), BY_NAME[mutant.kind].writes)
            shutil.rmtree(scratch.top, ignore_errors=True)
        outcome = verdict.outcome_of(run)
        if outcome != "over time" or attempt:
            break
    return run, outcome


def run_again(mutant: Mutant, seeds: Path) -> tuple[child.Run, str]:
    """Writes the sound files of a mutant's kind and runs it, in a process of its own."""
    kind = BY_NAME[mutant.kind]
    prepare(seeds, [kind])
    with _pool(1) as pool:
        pool.submit(warm_up, kind.heavy).result()
        return pool.submit(run_mutant, mutant, seeds).result()


def check_sound(kind: Kind, seeds: Path, quick: bool) -> None:
    """Makes sure that the commands take the sound files; else mutants would tell nothing."""
    for seed, command in sound(kind)[: 1 if quick else None]:
        run, outcome = run_mutant(Mutant(kind.name, -1, seed, command, {}), seeds)
        findings = outcome == "failed" and not run.err  # of `data check`
        if outcome != "ok" and not findings:
            raise RuntimeError(f"{kind.name}: {command}: {outcome}: {verdict.describe(run)}")


_warm: set[str] = set()


def warm_up(heavy: bool) -> None:
    """Imports once what every child would import, and makes sure that there is one thread."""
    if not _warm:
        from PIL import Image

        import fastscnn_tf

        found = pkgutil.walk_packages(fastscnn_tf.__path__, "fastscnn_tf.")
        _import(m.name for m in found if not m.name.endswith(("__main__", "probe_child")))
        _import(("ai_edge_litert.interpreter", "ai_edge_litert.schema_py_generated"))
        Image.init()
        child.become_reaper()
    if heavy and not _warm & set(HEAVY):
        _import(HEAVY)
    if (threads := len([*Path("/proc/self/task").iterdir()])) > 1:
        raise RuntimeError(f"{threads} threads before a fork: its children would not be whole")
    gc.freeze()  # no child looks for garbage here, which would copy the pages


def _import(names: Iterable[str]) -> None:
    for name in names:
        importlib.import_module(name)
        _warm.add(name)
