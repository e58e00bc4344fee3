"""Own data: folders of pictures and label PNGs, described by a small YAML file.

    # dataset.yaml
    name: my-streets
    classes:                       # in index order
      - {name: road, color: [128, 64, 128]}
      - {name: car, color: [0, 0, 142], value: 26}   # value in the label PNG; default: the index
    void: [200]                    # known values to ignore; 255 always is
    splits:
      train: {images: train/images, labels: train/labels}
      val: {images: val/images, labels: val/labels}

Paths are relative to the YAML file. A picture `x.jpg` belongs to the label map `x.png`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import DataError
from ..core.images import IMAGE_SUFFIXES
from ..core.labels import IGNORE, MAX_CLASSES, LabelSpace, generated_palette
from .dataset import FileDataset
from .layout import Missing
from .pairing import Pairing, files_under, pair_up, pictures_under

DESCRIPTION = "dataset.yaml"


class OwnFolder:
    """A data set that its owner describes."""

    name = "folder"

    def find_splits(self, path: Path) -> tuple[str, ...]:
        """The splits that the description names.

        Args:
            path: the YAML file, or the folder that holds `dataset.yaml`.

        Raises:
            DataError: the description is missing or wrong.
        """
        return _Description(path).splits

    def find_pairs(self, path: Path, split: str) -> Pairing:
        """The files of a split, and those that lack their partner.

        Splits may share a folder of label maps: those of other splits are among `without_image`.

        Raises:
            DataError: the description or a folder is missing or wrong, or there is no picture.
        """
        return _Description(path).pairs(split)

    def __call__(self, path: Path, split: str, missing: Missing = "refuse") -> FileDataset:
        """Opens a split.

        Args:
            path: the YAML file, or the folder that holds `dataset.yaml`.
            split: a key of its `splits`.
            missing: `refuse` pictures without a label map, or `skip` them.

        Raises:
            DataError: the description or a file is missing or wrong.
        """
        description = _Description(path)
        pairing = description.pairs(split)
        if missing == "refuse":
            dataclasses.replace(pairing, without_image=()).check_complete()
        pairing.check_any()
        return FileDataset(description.labels.name, split, description.labels, pairing.pairs)


folder = OwnFolder()


class _Description:
    """A YAML file that was read."""

    def __init__(self, path: Path):
        self.path = path / DESCRIPTION if path.is_dir() else path
        self._values = _read_yaml(self.path)
        self.labels = _label_space(self._values, self.path)

    @property
    def splits(self) -> tuple[str, ...]:
        splits = self._values.get("splits")
        return tuple(map(str, splits)) if isinstance(splits, dict) else ()

    def pairs(self, split: str) -> Pairing:
        images, labels = self._folder(split, "images"), self._folder(split, "labels")
        for place in (images, labels):
            if not place.is_dir():
                raise DataError(f"{place}: no such folder; {self.path} names it for {split!r}")
        return pair_up(
            pictures_under(images, "*", IMAGE_SUFFIXES),
            files_under(labels, "*", (".png",)),
            lambda picture: labels / f"{picture.stem}.png",
            lambda label_map: images / label_map.name,
        )

    def _folder(self, split: str, key: str) -> Path:
        values = (self._values.get("splits") or {}).get(split) if self.splits else None
        if not isinstance(values, dict):
            known = ", ".join(self.splits) or "none"
            raise DataError(f"{self.path}: no split {split!r}; it describes: {known}")
        if not isinstance(values.get(key), str):
            raise DataError(f"{self.path}: split {split!r} needs the folder {key!r}")
        return self.path.parent / values[key]


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path}: no such file; describe your data set in {DESCRIPTION}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise DataError(f"{path}: expected keys 'classes' and 'splits'")
    _check_keys(values, ("name", "classes", "void", "splits"), path)
    return values


def _check_keys(values: dict[str, Any], known: tuple[str, ...], path: Path) -> None:
    unknown = [key for key in values if key not in known]
    if unknown:
        raise DataError(f"{path}: unknown key {unknown[0]!r}; known are {', '.join(known)}")


def _label_space(values: dict[str, Any], path: Path) -> LabelSpace:
    entries = values.get("classes")
    if not isinstance(entries, list) or not 2 <= len(entries) <= MAX_CLASSES:
        raise DataError(f"{path}: 'classes' must list 2 to {MAX_CLASSES} classes")
    entries = [{"name": e} if isinstance(e, str) else e for e in entries]
    generated = generated_palette(len(entries))
    names, colors, raw = [], [], []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise DataError(f"{path}: class {index} needs a name")
        _check_keys(entry, ("name", "color", "value"), path)
        names.append(entry["name"])
        colors.append(_color(entry.get("color", generated[index]), entry["name"], path))
        raw.append(_value(entry.get("value", index), path))
    void = values.get("void", [])
    if not isinstance(void, list):
        raise DataError(f"{path}: 'void' must be a list of label values")
    void = [_value(v, path) for v in void]
    for kind, found in (("class names", names), ("label values", raw + list(set(void)))):
        if len(set(found)) != len(found):
            raise DataError(f"{path}: {kind} must be unique, got {found}")
    if IGNORE in raw:
        raise DataError(f"{path}: label value {IGNORE} is always ignored and cannot be a class")
    return LabelSpace(
        str(values.get("name") or path.parent.name),
        tuple(names),
        tuple(colors),
        tuple(raw),
        tuple(void),
    )


def _color(value: Any, name: str, path: Path) -> tuple[int, int, int]:
    ok = isinstance(value, list | tuple) and len(value) == 3
    if not ok or not all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        raise DataError(f"{path}: colour of {name!r} must be three numbers 0..255, got {value!r}")
    return value[0], value[1], value[2]


def _value(value: Any, path: Path) -> int:
    if type(value) is not int or not 0 <= value <= 255:  # true is no label value
        raise DataError(f"{path}: label values must be 0..255, got {value!r}")
    return value
