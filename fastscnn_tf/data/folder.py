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

from pathlib import Path
from typing import Any

import yaml

from ..core.errors import DataError
from ..core.images import IMAGE_SUFFIXES
from ..core.labels import IGNORE, MAX_CLASSES, LabelSpace, generated_palette
from .dataset import FileDataset, pair_files

DESCRIPTION = "dataset.yaml"


def folder(path: Path, split: str) -> FileDataset:
    """Opens a split of an own data set.

    Args:
        path: the YAML file, or the folder that holds `dataset.yaml`.
        split: a key of its `splits`.

    Raises:
        DataError: the description or a file is missing or wrong.
    """
    description = path / DESCRIPTION if path.is_dir() else path
    values = _read_yaml(description)
    labels = _label_space(values, description)
    splits = values.get("splits")
    if not isinstance(splits, dict) or not isinstance(splits.get(split), dict):
        known = ", ".join(map(str, splits)) if isinstance(splits, dict) else "none"
        raise DataError(f"{description}: no split {split!r}; it describes: {known}")
    folders = []
    for key in ("images", "labels"):
        if not isinstance(splits[split].get(key), str):
            raise DataError(f"{description}: split {split!r} needs the folder {key!r}")
        folders.append(description.parent / splits[split][key])
    pairs = pair_files(folders[0], folders[1], IMAGE_SUFFIXES)
    return FileDataset(labels.name, split, labels, tuple(pairs))


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
