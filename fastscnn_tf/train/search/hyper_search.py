"""`run_search`: hyper-parameter search with Optuna, a run folder for each trial.

Bad trials are stopped early by the median rule (Golovin et al., "Google Vizier", KDD 2017: below
the median of earlier trials at the same epoch), new ones are drawn by a tree-structured Parzen
estimator (Bergstra et al., NeurIPS 2011). Several processes, on one machine or many, draw the
trials of one study where they are given its storage.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from ...core.aliases import StrPath
from ...core.arguments import called, check_number
from ...core.console import warned_once
from ...core.errors import ConfigError, FastSCNNError, OutputError, TrainingDiverged
from ...core.extras import import_extra
from ...core.files.folder_lock import hold
from ...core.files.json_text import plain, read_json
from ...core.files.reading import open_regular
from ...core.files.writing import check_output_folder, check_plain, write_json
from ...core.keras_api import Callback, callback_of, keras3
from ...runs.run_files import RUN, SCORE, Settings
from ...runs.run_folder import check_same_settings, run_folder
from ..recipes import PLACES, write_recipe
from ..settings import TrainSettings
from ..trainer import run_training
from .search_result import SearchResult, TrialResult
from .search_space import Dimension, parse_space

STUDY, SEARCH, BEST = "study.db", "search.json", "best.json"
UNPRUNED = 5  # trials that always run to their end: a median of fewer says little
IN_MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:")
FOLDER, REPEATS = "folder", "repeats"  # attributes of a trial
TRIAL = re.compile(r"trial-\d{4,9}")  # names of their run folders
DIVERGED = "diverged"
# More of them, where several processes search: who runs it, and its last sign of life (UNIX time).
PROCESS, ALIVE = "process", "alive"
WHAT = "search"  # attribute of the study: its space and settings
JOURNAL = b'{"op_code":'  # how one begins
BEAT, SILENT = 30.0, 300.0  # seconds between two signs, and after how many of silence it is dead
POLL = 2.0  # seconds between two looks at the trials of others


def run_search(
    base: TrainSettings,
    space: Sequence[str],
    folder: StrPath,
    trials: int = 20,
    resume: bool = False,
    force: bool = False,
    verbose: int | str = 0,
    warmup: int = 1,
    report: Callable[[str], None] = print,
    storage: StrPath | None = None,
) -> SearchResult:
    """Looks for the settings with the greatest validation mIoU.

    Every trial trains with the seed of `base`, so that settings alone make the difference. What is
    tried depends on that seed and on the trials before. A trial that was killed goes on from its
    last checkpoint.

    With `storage` any number of processes take part in the search: those with the same storage and
    the same name of `folder`. Each ends when all trials have. A trial whose process has died is
    tried again by another: at once on its own machine, elsewhere after five minutes without a
    sign of life (clocks have to agree by a minute). Where they share `folder`, it goes on from its
    last checkpoint. What is tried then depends on who was faster, too.

    Args:
        base: every setting that is not searched, epochs among them.
        space: as for `parse_space`.
        folder: gets the study (SQLite), a run folder `trial-0000` and so on, and `best.json`, which
            `train --recipe` takes.
        trials: finished trials in all, those before a resume included.
        resume: go on with the search in `folder`, or take part in that of `storage`.
        force: start anew where there is one.
        verbose: as for `run_training`.
        warmup: epochs that every trial is given.
        report: gets a line for each finished trial.
        storage: one of Optuna's: the URL of a database, or the path of a journal file, which may
            lie on a disk that several machines share. None: for this process alone, in `folder`.

    Raises:
        ConfigError: the space, or resumed with other settings or another space; or the storage
            cannot be used.
        OutputError: the folder is in use, or the storage holds a search of that name already.
        InputError: Optuna is not installed.
        FastSCNNError: no trial came to its end.
        KeyboardInterrupt: passed on; `resume` goes on.
    """
    check_number("trials", trials, 1)
    if not base.validate_every:
        every = called("validate_every")
        raise ConfigError(f"a search compares validation scores: set {every} to 1 or more")
    dimensions, folder = parse_space(space, base), check_plain(folder)
    optuna = _optuna()
    what = {"base": base.to_dict(), "space": list(space)}
    known = _prepare(folder, what, resume, force)
    with contextlib.ExitStack() as stack:
        if storage is None:
            stack.enter_context(run_folder(folder, resume=True))
            _check_new(folder, known and not os.path.lexists(folder / STUDY), storage)
            _begin(folder, what, known)
            study = stack.enter_context(_study(optuna, folder, None, warmup))
        else:
            _check_new(folder, known and _is_missing(os.fspath(storage)), storage)
            study = stack.enter_context(_study(optuna, folder, storage, warmup))
            with _turn(folder):
                known = known or (resume and os.path.lexists(folder / SEARCH))
                _check_new(folder, known and WHAT not in study.user_attrs, storage)
                _join(study, folder, what, resume)
                _begin(folder, what, known)
        stack.enter_context(warned_once())
        while trial := _next_trial(optuna, study, base, trials, storage is not None):
            with _signs_of_life(trial) if storage is not None else contextlib.nullcontext():
                result = _run_trial(optuna, study, trial, base, dimensions, folder, verbose)
            done = len(_finished(optuna, study))
            report(f"trial {done} of {trials}: {result.line()}")
        return _result(optuna, study, base, folder)


class _Search(msgspec.Struct):
    """The content of `search.json`."""

    base: Settings
    space: list[str]


def _optuna() -> ModuleType:
    optuna = import_extra("optuna", "search", ", which a search needs")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _prepare(folder: Path, what: dict[str, Any], resume: bool, force: bool) -> bool:
    """Makes sure that a folder may be written and holds no other search; whether it holds this."""
    if resume and os.path.lexists(folder / SEARCH):
        before: _Search = read_json(folder / SEARCH, _Search, error=OutputError, mend=True)
        if before.space != plain(what["space"]):
            raise ConfigError(f"cannot resume {folder} with another space than {before.space}")
        check_same_settings(folder, before.base, what["base"])
        if os.path.lexists(folder / STUDY):
            open_regular(folder / STUDY, "study", error=OutputError).close()
        return True
    check_output_folder(folder, force, SEARCH)
    return False


def _check_new(folder: Path, foreign: bool, storage: StrPath | None) -> None:
    """Makes sure that a known search, whose storage is empty, has not begun in another one.

    Raises:
        ConfigError: there are trials.
    """
    if foreign and any(map(_is_trial, folder.glob("trial-*"))):
        given = "without --storage" if storage is None else "with this --storage"
        own = os.path.lexists(folder / STUDY)
        began = "without; leave it out" if own else "with another, or that is gone; give that"
        raise ConfigError(f"cannot resume {folder} {given}: it began {began}, or another output")


def _is_missing(storage: str) -> bool:
    """Whether it would be a file that is not there: then nothing may be made of a slip."""
    path = _file_of(storage)
    return path is not None and not path.is_file()


def _file_of(storage: str) -> Path | None:
    """The file of a storage that is one."""
    scheme, is_url, path = storage.partition("://")
    if is_url and scheme != "sqlite":
        return None
    file = path.removeprefix("/") if is_url else storage
    return Path(file) if file else None


def _begin(folder: Path, what: dict[str, Any], known: bool) -> None:
    """Writes what is searched, unless the folder has it."""
    if not known:
        clear_search(folder)
        write_json(folder / SEARCH, what)


def clear_search(folder: Path) -> None:
    """Removes what an earlier search left, and nothing else that is called so.

    Raises:
        OutputError: what is called as a trial's run folder is none.
    """
    runs = [path for path in folder.iterdir() if TRIAL.fullmatch(path.name)]
    if foreign := [run for run in runs if not _is_trial(run)]:
        raise OutputError(f"{foreign[0]} is not a run of a search: move it, or name another output")
    for path in (folder / STUDY, folder / SEARCH, folder / BEST):
        path.unlink(missing_ok=True)
    for run in runs:
        shutil.rmtree(run)


def _is_trial(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    names = [path.name for path in folder.iterdir()]
    return RUN in names or all(name.startswith(".") for name in names)  # killed before it began


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Holds a folder as soon as others, who begin in it at the same time, are done."""
    until = time.monotonic() + SILENT
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(hold(folder, "another search"))
                break
            except OutputError:
                if time.monotonic() > until:
                    raise
                time.sleep(POLL / 10)
        yield


@contextlib.contextmanager
def _study(optuna: ModuleType, folder: Path, where: StrPath | None, warmup: int) -> Iterator[Any]:
    """The study in its storage, which is closed afterwards.

    Raises:
        ConfigError: it cannot be opened.
    """
    url = f"sqlite:///{(folder / STUDY).resolve()}" if where is None else os.fspath(where)
    try:
        storage = _storage(optuna, url)
        study = optuna.create_study(
            storage=storage,
            study_name="fastscnn" if where is None else folder.resolve().name,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(UNPRUNED, n_warmup_steps=warmup),
            load_if_exists=True,
        )
    except ConfigError:
        raise
    except Exception as error:  # of SQLAlchemy, of any database's driver, or of the file system
        told = f"--storage {_without_password(url)}: {_reason(url, error)}"
        raise ConfigError(told) from None
    try:
        yield study
    finally:
        if hasattr(storage, "engine"):
            storage.remove_session()
            storage.engine.dispose()


def _reason(url: str, error: Exception) -> str:
    """Why a storage cannot be opened, and what to do."""
    scheme, is_url, path = url.partition("://")
    told = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, ImportError):  # Optuna's, of that of the driver
        return f"{error.__cause__ or told}: install it, or another driver: {scheme}+DRIVER://..."
    if not is_url and Path(url).is_file():
        return (
            f"{_damaged_line(Path(url))} is not a record of Optuna's ({told}): take a copy from "
            "before, or name another file, which begins anew"
        )
    file = _file_of(url)
    if file and not file.parent.is_dir():
        told = f"there is no folder {file.parent} (make it first)"
    elif scheme == "sqlite" and path.startswith("/"):
        return f"{told}: expected an SQLite file, or a new name in a folder that may be written"
    elif type(error).__name__ == "NoSuchModuleError":  # SQLAlchemy's
        told = f"no database is called {scheme}"
    return (
        f"{told}: expected a database's URL, sqlite:///FILE or postgresql://USER@HOST/NAME, or the "
        "path of a journal file"
    )


def _damaged_line(path: Path) -> str:
    """The first line of a journal that cannot be read."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                msgspec.json.decode(line)
            except ValueError:
                return f"line {number}"
    return "a line"


def _storage(optuna: ModuleType, url: str) -> Any:
    if not url:
        raise ConfigError("--storage: expected a database's URL or a file, got an empty text")
    if url.partition("?")[0] in IN_MEMORY:
        raise ConfigError(
            f"--storage {url}: only this process sees it: name a file, sqlite:///FILE"
        )
    if "://" in url:
        return optuna.storages.RDBStorage(url)
    if os.path.lexists(url):
        _check_journal(Path(url))
    journal = optuna.storages.journal
    return optuna.storages.JournalStorage(journal.JournalFileBackend(url))


def _check_journal(path: Path) -> None:
    """Refuses to write behind what is not a whole journal.

    Raises:
        ConfigError: it is none.
    """
    with open_regular(path, "journal", error=ConfigError) as file:
        head = file.read(len(JOURNAL))
        file.seek(max(path.stat().st_size - 1, 0))
        if head not in (b"", JOURNAL):
            raise ConfigError(f"--storage {path}: expected a journal of Optuna, this is none")
        if head and file.read(1) != b"\n":
            raise ConfigError(
                f"--storage {path}: its last line was cut off: remove that line while no search "
                "runs, then go on"
            )


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:...@", url)


def _join(study: Any, folder: Path, what: dict[str, Any], resume: bool) -> None:
    """Makes sure that a search in a common storage is this one, or begins it.

    Raises:
        ConfigError: it has another space or other settings.
        OutputError: it is there already, and nobody asked to take part in it.
    """
    alike = {k: v for k, v in what["base"].items() if k == "seed" or k not in PLACES}
    own = plain({**what, "base": alike})
    name, before = study.study_name, study.user_attrs.get(WHAT)
    if before is None:
        study.set_user_attr(WHAT, own)
    elif before["space"] != own["space"]:
        raise ConfigError(f"{name}: the storage has this search with the space {before['space']}")
    elif before != own:
        check_same_settings(folder, before["base"], own["base"])
    elif not resume:
        raise OutputError(
            f"{name}: the storage has a search of this name: --resume takes part in it, another "
            "name of --output begins another"
        )


def _next_trial(
    optuna: ModuleType, study: Any, base: TrainSettings, trials: int, shared: bool
) -> Any:
    """The next one to run; waits for those of other processes, and is None when all are done."""
    while (done := len(_finished(optuna, study))) < trials:
        _retry_killed(optuna, study, shared)
        if done + len(_running(optuna, study)) < trials:
            seed = _seed(base, study, shared)
            study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=shared)
            return study.ask()
        time.sleep(POLL)
    return None


def _seed(base: TrainSettings, study: Any, shared: bool) -> int:
    """Of the sampler: one that started anew with the same seed would draw the same values again,
    and so would two processes that ask at once."""
    own = random.SystemRandom().getrandbits(32) if shared else 0
    return (base.seed + len(study.trials) + own) % (1 << 32)


def _running(optuna: ModuleType, study: Any) -> list[Any]:
    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))


def _retry_killed(optuna: ModuleType, study: Any, shared: bool) -> None:
    """Puts what a killed process left half-way first in the queue.

    A search that is not shared holds its folder, so that nobody else can be running a trial.
    """
    for old in _running(optuna, study):
        if shared and _lives(old):
            continue
        with contextlib.suppress(ValueError, RuntimeError):  # another process was faster
            study.tell(old.number, state=optuna.trial.TrialState.FAIL)
            if FOLDER in old.user_attrs:
                again = {FOLDER: old.user_attrs[FOLDER], REPEATS: old.number}
                study.enqueue_trial(old.params, user_attrs=again)


def _lives(trial: Any) -> bool:
    """Whether the process of a running trial does."""
    told = trial.user_attrs
    seen = told.get(ALIVE) or trial.datetime_start.timestamp()
    host, _, process = str(told.get(PROCESS, "")).rpartition(" ")
    here = host == platform.node() and process.isdigit()
    if here and not Path(f"/proc/{process}").exists() and Path("/proc/self").exists():
        return False
    return time.time() - seen < SILENT


@contextlib.contextmanager
def _signs_of_life(trial: Any) -> Iterator[None]:
    """Tells the others who runs a trial, and every now and then that it still does."""
    over = threading.Event()

    def tell() -> None:
        while True:
            with contextlib.suppress(Exception):  # a storage that is away for a moment
                trial.set_user_attr(ALIVE, time.time())
            if over.wait(BEAT):
                return

    trial.set_user_attr(PROCESS, f"{platform.node()} {os.getpid()}")
    thread = threading.Thread(target=tell, name="fastscnn-search", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _run_trial(
    optuna: ModuleType,
    study: Any,
    trial: Any,
    base: TrainSettings,
    space: Sequence[Dimension],
    folder: Path,
    verbose: int | str,
) -> TrialResult:
    """Trains with one set of values and tells the study."""
    states = optuna.trial.TrialState
    values = {dimension.name: dimension.suggest(trial) for dimension in space}
    name = str(trial.user_attrs.get(FOLDER, f"trial-{trial.number:04d}"))
    run = folder / name
    if not TRIAL.fullmatch(name) or run.is_symlink():
        raise OutputError(f"{folder / STUDY}: a trial names {name!r}, no folder of a search")
    trial.set_user_attr(FOLDER, run.name)
    resume = (run / RUN).exists()
    if resume and REPEATS in trial.user_attrs:  # not trained again, but they count for the median
        for epoch, score in study.trials[trial.user_attrs[REPEATS]].intermediate_values.items():
            trial.report(score, epoch)
    watcher = callback_of(keras3(), Pruning)(trial)
    try:
        settings = dataclasses.replace(base, **values)
        score = run_training(
            settings, run, resume, force=True, verbose=verbose, extra_callbacks=[watcher]
        ).miou
    except TrainingDiverged:
        trial.set_user_attr(DIVERGED, True)
        score = 0.0  # told as a score, so that the sampler keeps away from there
    except FastSCNNError:
        study.tell(trial, state=states.FAIL)
        raise
    trial.set_user_attr(SCORE, score)
    if watcher.pruned:
        study.tell(trial, state=states.PRUNED)
    else:
        study.tell(trial, score)
    return _trial_result(study.trials[trial.number])


class Pruning(Callback):
    """Reports each validation and ends the run where the study says so."""

    def __init__(self, trial: Any):
        super().__init__()
        self.trial, self.pruned = trial, False

    def on_epoch_end(self, epoch, logs=None):
        score = (logs or {}).get(SCORE)
        if score is None:
            return
        self.trial.report(score, epoch + 1)
        last = epoch + 1 == self.params["epochs"]  # nothing left to save
        if not last and self.trial.should_prune():
            self.pruned = self.model.stop_training = True


def _finished(optuna: ModuleType, study: Any) -> list[Any]:
    states = optuna.trial.TrialState
    return study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))


def _trial_result(trial: Any) -> TrialResult:
    diverged = trial.user_attrs.get(DIVERGED)
    return TrialResult(
        trial.number,
        DIVERGED if diverged else trial.state.name.lower(),
        trial.user_attrs[SCORE],
        trial.last_step or 0,
        dict(trial.params),
    )


def _result(optuna: ModuleType, study: Any, base: TrainSettings, folder: Path) -> SearchResult:
    results = [_trial_result(trial) for trial in _finished(optuna, study)]
    results.sort(key=lambda t: (t.state != "complete", -t.miou, t.number))
    if results[0].state != "complete":
        raise FastSCNNError(
            f"{folder}: none of {len(results)} trials came to its end: search smaller learning "
            "rates, or more trials"
        )
    best = dataclasses.replace(base, **results[0].values)
    write_recipe(folder / BEST, best)
    return SearchResult(folder, tuple(results), best, folder / BEST)
