"""The folder that `pseudo_label` writes: a `folder` data set that grows picture by picture."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .core.errors import ConfigError, OutputError
from .core.files import (
    check_output_folder,
    make_folder,
    read_json,
    replacing,
    write_bytes,
    write_json,
)
from .core.images import save_label
from .core.labels import LabelSpace
from .core.text_table import text_table
from .data.folder import DESCRIPTION

SETTINGS, JOURNAL, SPLIT = "pseudo.json", "pseudo.counts.jsonl", "train"


@dataclasses.dataclass(frozen=True)
class Counts:
    """Pixels by class: what each won, and what of it was kept."""

    predicted: tuple[int, ...]
    kept: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class PseudoLabels:
    """What was labelled.

    Attributes:
        folder: the data set; `dataset.yaml` describes it, with the one split `train`.
        images: pictures in it.
        classes: names of the classes.
        predicted: pixels that each class won.
        kept: those of them that reached the confidence.
        skipped: pictures that cannot be read, each with the reason.
    """

    folder: Path
    images: int
    classes: tuple[str, ...]
    predicted: tuple[int, ...]
    kept: tuple[int, ...]
    skipped: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Pixels kept, of all; 0..1."""
        return sum(self.kept) / max(1, sum(self.predicted))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**dataclasses.asdict(self), "folder": str(self.folder), "share": self.share}

    def table(self) -> str:
        """For people: pixels and the share kept, by class."""
        rows = [("class", "predicted", "kept", "share")]
        for name, predicted, kept in zip(self.classes, self.predicted, self.kept, strict=True):
            share = f"{kept / predicted:.3f}" if predicted else "-"
            rows.append((name, f"{predicted:,}", f"{kept:,}", share))
        total, kept = sum(self.predicted), sum(self.kept)
        rows.append(("all", f"{total:,}", f"{kept:,}", f"{self.share:.3f}"))
        return text_table(rows, right=None)


class PseudoFolder:
    """Pictures, label maps, and what is known of those that are done.

    Args:
        path: the folder.
        settings: what decides the labels; on resuming it must be the same.
        space: the classes.
        resume: go on in a folder that has some.
        force: start anew in it.

    Raises:
        OutputError: it is in use and neither is set, or it cannot be written.
        ConfigError: it was begun with other settings.
    """

    def __init__(
        self, path: Path, settings: dict[str, Any], space: LabelSpace, resume: bool, force: bool
    ):
        self.path, self._palette, self.done = path, space.palette(), {}
        if resume and (path / SETTINGS).exists():
            self._check_same(settings)
            self.done = self._read_journal()
            return
        check_output_folder(path, force)
        for name in ("images", "labels"):
            if force:
                shutil.rmtree(path / name, ignore_errors=True)
            make_folder(path / name)
        (path / JOURNAL).unlink(missing_ok=True)
        write_json(path / SETTINGS, settings)
        write_bytes(path / DESCRIPTION, _description(path, space).encode())

    def has(self, name: str) -> bool:
        """Whether a picture is done."""
        return name in self.done

    def add(self, name: str, picture: Path, label: np.ndarray, counts: Counts, copy: bool) -> None:
        """Writes a label map and its picture, then notes that they are there.

        Args:
            name: of the picture in the data set.
            picture: where it lies.
            label: (H, W) uint8.
            counts: of this picture.
            copy: copy the picture instead of linking it.
        """
        with replacing(self.path / "labels" / f"{Path(name).stem}.png") as temporary:
            save_label(temporary, label, self._palette)
        with replacing(self.path / "images" / name) as temporary:
            _place(picture.resolve(), temporary, copy)
        line = {"name": name, "predicted": counts.predicted, "kept": counts.kept}
        with (self.path / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(line) + "\n")
        self.done[name] = counts

    def _check_same(self, settings: dict[str, Any]) -> None:
        before = read_json(self.path / SETTINGS)
        for name, value in settings.items():
            old = before.get(name) if isinstance(before, dict) else None
            if old != value:
                raise ConfigError(
                    f"cannot resume {self.path} with {name} {value}: it began with {old}"
                )

    def _read_journal(self) -> dict[str, Counts]:
        """What is done; a line that a crash cut short counts for nothing."""
        done: dict[str, Counts] = {}
        path = self.path / JOURNAL
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                values = json.loads(line)
                counts = Counts(tuple(values["predicted"]), tuple(values["kept"]))
                done[values["name"]] = counts
            except (ValueError, KeyError, TypeError):
                if number < len(lines):
                    raise OutputError(f"{path}: damaged at line {number}") from None
                write_bytes(path, "".join(f"{x}\n" for x in lines[:-1]).encode())
        return done


def _place(picture: Path, target: Path, copy: bool) -> None:
    """Links a picture by a relative path, or copies it."""
    if copy:
        shutil.copyfile(picture, target)
        return
    try:
        target.symlink_to(os.path.relpath(picture, target.parent.resolve()))
    except OSError as error:
        raise OutputError(
            f"cannot link {picture} from {target.parent} ({error.strerror or error}): copy the "
            "pictures with --copy (copy=True)"
        ) from None


def _description(path: Path, space: LabelSpace) -> str:
    classes = [
        {"name": name, "color": list(color)}
        for name, color in zip(space.names, space.colors, strict=True)
    ]
    values = {
        "name": path.resolve().name or "pseudo-labels",
        "classes": classes,
        "splits": {SPLIT: {"images": "images", "labels": "labels"}},
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
