"""`reproduce`: measures a model by the protocols of the published Fast-SCNN numbers."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from typing import Any

from ..core.aliases import Progress, StrPath
from ..core.arguments import check_name
from ..core.errors import ConfigError
from ..core.files.reading import local
from ..core.files.writing import check_output
from ..core.foreign_text import printable
from ..core.named_weights import RUN_HERE
from ..core.published import PUBLISHED, WITHHELD, PublishedRow
from ..core.sizes import format_size
from ..core.version import __version__
from ..data.check.usable import usable
from ..data.datasets.registry import open_dataset
from ..runtime.segmenter import Segmenter
from .evaluate import evaluate, load_model
from .reproduction_ledger import Record, add_record, check_owner, read_ledger
from .reproduction_table import Reproduction

Rows = Sequence[PublishedRow]


def reproduce(
    model: StrPath | None = None,
    dataset: str | None = None,
    data_dir: StrPath | None = None,
    rows: Sequence[str] = (),
    ledger: StrPath | None = None,
    *,
    threads: int | None = None,
    force: bool = False,
    progress: Progress = iter,
    table: Rows = PUBLISHED,
) -> Reproduction:
    """The table of published numbers; given a model and data, its rows are measured.

    A file does not say how its model was trained. Without `rows` those of the data set are
    measured that need no other training than its first; the rest must be named.

    Args:
        model: path of a .tflite, `.keras`, `.npz` or run folder; without one nothing is measured,
            and `dataset` and `rows` narrow the table.
        dataset: name of the data set in `data_dir`; that of `rows` by default.
        data_dir: where the data set lies.
        rows: keys of the rows to measure, all of one data set.
        ledger: JSON file that keeps the measurements; it is read if it exists and written after
            each row. None keeps nothing.
        threads: CPU threads of a .tflite; by default those of its settings, else 2.
        force: replace a row of the ledger that another model holds.
        progress: wraps the image indices of each row, to show a progress bar.
        table: the published numbers.

    Raises:
        ConfigError: unknown row, no row to measure, or a model of other classes.
        DataError, ModelFileError: the data set or the model cannot be used.
        OutputError: the ledger is damaged, or holds a row of another model.
    """
    rows = (rows,) if isinstance(rows, str) else tuple(dict.fromkeys(rows))
    records = read_ledger(ledger)
    if model is None:
        if data_dir is not None:
            raise ConfigError("a data directory is given but no model to score on it: name MODEL")
        narrowed = _named(table, rows) if rows else _of_dataset(table, dataset)
        return Reproduction(tuple(narrowed), records)
    chosen, why = _choose(table, dataset, rows)
    for name, split in dict.fromkeys((row.dataset, row.split) for row in chosen if row.split):
        # What is missing or bad stops here, before the long work: no protocol leaves pairs out.
        usable(open_dataset(name, data_dir, split), may_skip=False)
    subject = _Subject(model, threads)
    chosen, skipped = _split_off(chosen, subject)
    if ledger is not None:
        check_output(ledger, force=True)  # it may exist: rows are added
        check_owner(records, [row.key for row in chosen], subject.sha256, force, str(ledger))
    for row in chosen:
        records[row.key] = subject.measure(row, data_dir, progress)
        if ledger is not None:
            add_record(ledger, row.key, records[row.key])
    measured = tuple(row.key for row in chosen)
    return Reproduction(tuple(table), records, measured, why, skipped)


def _split_off(
    rows: list[PublishedRow], subject: _Subject
) -> tuple[list[PublishedRow], dict[str, str]]:
    """The rows that can be measured, and the reasons of the others."""
    reasons = {row.key: reason for row in rows if (reason := subject.obstacle(row))}
    if len(reasons) == len(rows):
        listed = "; ".join(f"{key}: {reason}" for key, reason in reasons.items())
        raise ConfigError(f"{subject.name}: no row can be measured ({listed})")
    return [row for row in rows if row.key not in reasons], reasons


def _choose(
    table: Rows, dataset: str | None, keys: Sequence[str]
) -> tuple[list[PublishedRow], str]:
    """The rows to measure, and why these."""
    if keys:
        rows = _named(table, keys)
        names = dict.fromkeys([*([dataset] if dataset else []), *(row.dataset for row in rows)])
        if len(names) > 1:
            raise ConfigError(f"one data set a run, got rows of {' and '.join(names)}")
        return rows, f"measured: {', '.join(keys)}, as named"
    if dataset is None:
        raise ConfigError("which data set is it? pass --dataset or --row (dataset=, rows=)")
    rows = [row for row in _of_dataset(table, dataset) if row.split]
    others = [row.key for row in rows if row.another_training]
    rows = [row for row in rows if not row.another_training]
    why = f"chosen: {', '.join(row.key for row in rows)}"
    if others:
        why += (
            ", since a file does not say how it was trained and these take the first training; "
            f"others only if named (--row): {', '.join(others)}"
        )
    return rows, why


def _named(table: Rows, keys: Sequence[str]) -> list[PublishedRow]:
    by_key = {row.key: row for row in table}
    return [by_key[check_name("row", key, by_key)] for key in keys]


def _of_dataset(table: Rows, dataset: str | None) -> list[PublishedRow]:
    rows = [row for row in table if dataset in (None, row.dataset)]
    if not rows:
        names = ", ".join(dict.fromkeys(row.dataset for row in table))
        raise ConfigError(f"no published number for data set {dataset!r}: expected one of {names}")
    return rows


class _Subject:
    """The model file that is measured."""

    def __init__(self, path: StrPath, threads: int | None):
        given = local(path)
        self.is_tflite = given.suffix in RUN_HERE
        self.model: Any
        if self.is_tflite:
            self.model, file = Segmenter(given, threads), given
        else:
            from ..model.io import checkpoint_in

            self.model, file = load_model(given), checkpoint_in(given)
        self.name = file.name if file == given else f"{given.resolve().name}/{file.name}"
        with file.open("rb") as stream:
            self.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        self.is_keras3 = file.suffix == ".keras"

    def obstacle(self, row: PublishedRow) -> str:
        """Why a row cannot be measured with this model; empty where it can."""
        if row.split is None:
            return WITHHELD
        if row.zeroed_skip and not self.is_keras3:
            return "its protocol changes weights: give the .keras file"
        if self.is_tflite and self.model.input_size != row.size:
            return (
                f"it needs {format_size(row.size)} and this .tflite has "
                f"{format_size(self.model.input_size)}: export it with --size "
                f"{format_size(row.size)}{' --pad' if row.pad else ''}"
            )
        return ""

    def measure(
        self,
        row: PublishedRow,
        data_dir: StrPath | None,
        progress: Progress,
    ) -> Record:
        """Scores the model by the protocol of a row, with the evaluator of `evaluate`."""
        model, size, pad = self.model, row.size, row.pad
        if row.zeroed_skip:
            from ..model.zeroed_skip import without_skip

            model = without_skip(model, size, pad)
        result = evaluate(
            model,
            row.dataset,
            data_dir,
            row.split or "",
            progress=progress,
            size=None if self.is_tflite else size,
            pad=pad,
        )
        changed = "; high-resolution branch of the fusion zeroed" if row.zeroed_skip else ""
        return Record(
            measured=100 * (result.miou or 0.0),
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            model=printable(self.name),
            sha256=self.sha256,
            split=row.split or "",
            size=format_size(row.size),
            images=result.images,
            protocol=f"input {format_size(row.size)}; {result.protocol}{changed}",
            version=__version__,
        )
