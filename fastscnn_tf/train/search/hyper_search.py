"""`run_search`: hyper-parameter search with Optuna, a run folder for each trial.

Bad trials are stopped early by the median rule (Golovin et al., "Google Vizier", KDD 2017: below
the median of earlier trials at the same epoch), new ones are drawn by a tree-structured Parzen
estimator (Bergstra et al., NeurIPS 2011).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from ...core.aliases import StrPath
from ...core.arguments import check_number
from ...core.errors import ConfigError, FastSCNNError, OutputError, TrainingDiverged
from ...core.extras import import_extra
from ...core.files.json_text import plain, read_json
from ...core.files.reading import open_regular
from ...core.files.writing import check_output_folder, write_json
from ...core.keras_api import callback_of, keras3
from ...runs.run_files import RUN, SCORE, Settings
from ...runs.run_folder import check_same_settings, run_folder
from ..recipes import write_recipe
from ..settings import TrainSettings
from ..trainer import run_training
from .search_result import SearchResult, TrialResult
from .search_space import Dimension, parse_space

STUDY, SEARCH, BEST = "study.db", "search.json", "best.json"
UNPRUNED = 5  # trials that always run to their end: a median of fewer says little
FOLDER, REPEATS = "folder", "repeats"  # attributes of a trial
TRIAL = re.compile(r"trial-\d{4,9}")  # names of their run folders
DIVERGED = "diverged"


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
) -> SearchResult:
    """Looks for the settings with the greatest validation mIoU.

    Every trial trains with the seed of `base`, so that settings alone make the difference. What is
    tried depends on that seed and on the trials before. A trial that was killed goes on from its
    last finished epoch.

    Args:
        base: every setting that is not searched, epochs among them.
        space: as for `parse_space`.
        folder: gets the study (SQLite), a run folder `trial-0000` and so on, and `best.json`, which
            `train --recipe` takes.
        trials: finished trials in all, those before a resume included.
        resume: go on with the search in `folder`.
        force: start anew where there is one.
        verbose: as for `run_training`.
        warmup: epochs that every trial is given.
        report: gets a line for each finished trial.

    Raises:
        ConfigError: the space, or resumed with other settings or another space.
        OutputError: the folder is in use.
        InputError: Optuna is not installed.
        FastSCNNError: no trial came to its end.
        KeyboardInterrupt: passed on; `resume` goes on.
    """
    check_number("trials", trials, 1)
    if not base.validate_every:
        raise ConfigError("a search compares validation scores: set validate_every to 1 or more")
    dimensions, folder = parse_space(space, base), Path(folder)
    optuna = _optuna()
    what = {"base": base.to_dict(), "space": list(space)}
    known = _prepare(folder, what, resume, force)
    with run_folder(folder, resume=True):
        if not known:
            _clear(folder)
            write_json(folder / SEARCH, what)
        with _study(optuna, folder, warmup) as study:
            _retry_killed(optuna, study)
            while (done := len(_finished(optuna, study))) < trials:
                study.sampler = optuna.samplers.TPESampler(seed=_seed(base, study))
                trial = study.ask()
                result = _run_trial(optuna, study, trial, base, dimensions, folder, verbose)
                report(f"trial {done + 1} of {trials}: {result.line()}")
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
    check_output_folder(folder, force)
    return False


def _clear(folder: Path) -> None:
    """Removes what an earlier search left, and nothing else that is called so.

    Raises:
        OutputError: what is called as a trial's run folder is none.
    """
    runs = [path for path in folder.iterdir() if TRIAL.fullmatch(path.name)]
    if foreign := [run for run in runs if not _is_trial(run)]:
        raise OutputError(f"{foreign[0]} is no run of a search: move it, or name another output")
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
def _study(optuna: ModuleType, folder: Path, warmup: int) -> Iterator[Any]:
    """The study in its SQLite file, which is closed afterwards."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{(folder / STUDY).resolve()}")
    try:
        yield optuna.create_study(
            storage=storage,
            study_name="fastscnn",
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(UNPRUNED, n_warmup_steps=warmup),
            load_if_exists=True,
        )
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _seed(base: TrainSettings, study: Any) -> int:
    """Of the sampler: one that started anew with the same seed would draw the same values again."""
    return (base.seed + len(study.trials)) % (1 << 32)


def _retry_killed(optuna: ModuleType, study: Any) -> None:
    """Puts what a killed process left half-way first in the queue; the folder's lock is ours."""
    states = optuna.trial.TrialState
    for old in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        study.tell(old.number, state=states.FAIL)
        if FOLDER in old.user_attrs:
            again = {FOLDER: old.user_attrs[FOLDER], REPEATS: old.number}
            study.enqueue_trial(old.params, user_attrs=again)


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
    if REPEATS in trial.user_attrs:  # its epochs are not trained again, but count for the median
        for epoch, score in study.trials[trial.user_attrs[REPEATS]].intermediate_values.items():
            trial.report(score, epoch)
    watcher = callback_of(keras3(), Pruning)(trial)
    try:
        settings = dataclasses.replace(base, **values)
        resume = (run / RUN).exists()
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


class Pruning:
    """Reports each validation and ends the run where the study says so."""

    model: Any
    params: dict[str, Any]

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
