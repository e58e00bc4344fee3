"""Own data: what `dataset.yaml` says, and opening the folders that it describes.

    # dataset.yaml
    name: my-streets
    classes:                       # in index order
      - {name: road, color: [128, 64, 128]}
      - {name: car, color: [0, 0, 142], value: 26}   # value in the label map; default: the index
    void: [200]                    # known values to ignore; 255 is, too, unless it is a class
    splits:
      train: {images: train/images, labels: train/labels}
      val: {images: val/images, labels: val/labels}

Paths are relative to the YAML file. An image `x.jpg` belongs to the label map `x.png`. All keys:
see `_DescriptionFile` and docs/dataset-yaml.md.
"""

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import msgspec

from ...core.arguments import nearest_or_all
from ...core.errors import ConfigError, DataError, retold
from ...core.files.json_text import Text, convert, explain
from ...core.files.parquet import SUFFIX
from ...core.files.yaml_text import read_yaml
from ...core.images.image_file import IMAGE_SUFFIXES, Coding, Encoding, lossy
from ...core.labels import MAX_CLASSES, LabelSpace, generated_palette
from ...core.labels.space import Byte, Color
from .dataset import FileDataset
from .keys import check_keys, check_names, in_order
from .layout import Missing
from .own_splits import LABEL_ENDINGS, LOSSY_ENDINGS, Described, Share, SplitSource
from .pairing import Files, Pairing
from .splitting import check_fractions
from .ultralytics import is_ultralytics, read_ultralytics

DESCRIPTION = "dataset.yaml"
ENCODINGS = get_args(Encoding)
USUAL = ("train", "val", "test")

Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Several = Annotated[list[Byte], msgspec.Meta(min_length=1, max_length=256)]


# msgspec 0.22 crashes on a wrong tuple of fixed length in a list.
Rgb = Annotated[list[Byte], msgspec.Meta(min_length=3, max_length=3)]


class _DescribedClass(msgspec.Struct):
    name: Text
    color: Annotated[list[Byte | Rgb], msgspec.Meta(min_length=1, max_length=1000)] | None = None
    value: Byte | Several | None = None

    def colors(self) -> tuple[Color, ...]:
        """Its colours: one, or a list of them."""
        told: list[Any] = self.color or []
        rows = told if all(isinstance(part, list) for part in told) else [told]
        try:
            rows = msgspec.convert(rows, list[Rgb])
        except msgspec.ValidationError as error:
            reason = explain(error).partition("]: ")[2]
            raise ConfigError(f"class {self.name!r}: color: {reason}") from None
        return tuple((red, green, blue) for red, green, blue in rows)


class _DescribedSplit(msgspec.Struct):
    images: Text | None = None
    labels: Text | None = None
    list: Text | None = None


class _DescriptionFile(msgspec.Struct):
    """All that `dataset.yaml` may hold."""

    classes: list[Text | _DescribedClass] | dict[int, Text | _DescribedClass]
    name: str | int | float | None = None
    void: Annotated[list[Byte | Rgb], msgspec.Meta(max_length=256)] = []
    encoding: str = "index"
    tolerance: Byte = 0
    images: Text | None = None
    labels: Text | None = None
    label_suffix: Annotated[str, msgspec.Meta(max_length=200)] = ""
    label_extensions: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=20)] | None = None
    recursive: bool = False
    exclude: Pattern | Annotated[list[Pattern], msgspec.Meta(max_length=1000)] = []
    splits: dict[Text, _DescribedSplit] = {}
    split: dict[Text, float] = {}
    seed: int = 0
    group: Pattern | None = None


def read_description(path: Path) -> Described:
    """A data set as its owner describes it.

    Args:
        path: the YAML file, or the folder that holds `dataset.yaml`: ours, or Ultralytics'.

    Raises:
        DataError: the file is missing or wrong.
    """
    path = path / DESCRIPTION if path.is_dir() else path
    if not os.path.lexists(path):
        raise DataError(f"{path}: no such file; describe your data set in {DESCRIPTION}")
    value: Any = read_yaml(path, what="description", error=DataError)
    if is_ultralytics(value):
        return read_ultralytics(value, path)
    _check_keys(value, path)
    content: _DescriptionFile = convert(value, str(path), _DescriptionFile, error=DataError)
    with retold(DataError, f"{path}: ", of=ConfigError):
        labels, coding = _labels(content, path)
        return Described(path, labels, coding, _sources(content, path.parent))


def _check_keys(value: Any, path: Path) -> None:
    check_keys(value, _DescriptionFile.__struct_fields__, f"{path}: ")
    check_names(value, "classes", f"{path}: ")
    for name, schema in (("classes", _DescribedClass), ("splits", _DescribedSplit)):
        inner = value.get(name) if isinstance(value, dict) else None
        listed = inner if isinstance(inner, list) else ()
        pairs = inner.items() if isinstance(inner, dict) else enumerate(listed)
        for key, item in pairs:
            place = f"{name}.{key}" if isinstance(inner, dict) else f"{name}[{key}]"
            check_keys(item, schema.__struct_fields__, f"{path}: {place}: ")


def _classes(content: _DescriptionFile, path: Path) -> list[_DescribedClass]:
    told: list[str | _DescribedClass] = in_order(content.classes, f"{path}: classes")
    return [_DescribedClass(each) if isinstance(each, str) else each for each in told]


def _labels(content: _DescriptionFile, path: Path) -> tuple[LabelSpace, Coding]:
    classes = _classes(content, path)
    coding = _coding(content, classes)
    void: tuple[int, ...] = ()
    if not coding.by_color:
        void = tuple(value for value in content.void if isinstance(value, int))
        if len(void) < len(content.void):
            raise ConfigError(
                f"void: expected values, got a colour with encoding {coding.encoding}"
            )
    generated = generated_palette(min(len(classes), MAX_CLASSES))
    name = path.absolute().parent.name if content.name in (None, "") else str(content.name)
    names = tuple(each.name for each in classes)
    colors = tuple((*each.colors(), own)[0] for each, own in zip(classes, generated, strict=False))
    values = () if coding.by_color else tuple(map(_values, classes, range(len(classes))))
    labels = LabelSpace(name, names, colors, values, void)
    if reason := labels.fault():
        raise ConfigError(reason + ("" if coding.by_color else _with_background(classes)))
    return labels, coding


def _with_background(classes: Sequence[_DescribedClass]) -> str:
    """What to write in place of one class: masks have another value where it is not."""
    if len(classes) != 1:
        return ""
    name, value = json.dumps(classes[0].name, ensure_ascii=False), classes[0].value or 255
    return (
        ": what is none of it is a class, too; with the values that the masks have (often 0 and "
        f"255, or 0 and 1): classes: [{{name: background, value: 0}}, {{name: {name}, value: "
        f"{value}}}]"
    )


def _values(each: _DescribedClass, index: int) -> int | tuple[int, ...]:
    if each.value is None:
        return index
    return each.value if isinstance(each.value, int) else tuple(each.value)


def _coding(content: _DescriptionFile, classes: Sequence[_DescribedClass]) -> Coding:
    if content.encoding not in ENCODINGS:
        hint = nearest_or_all(content.encoding, ENCODINGS)
        raise ConfigError(f"encoding: unknown {content.encoding!r}, {hint}")
    coding = Coding(cast(Encoding, content.encoding), tolerance=content.tolerance)
    if not coding.by_color:
        if content.tolerance:
            raise ConfigError("tolerance: is for encoding color and palette-color")
        return coding
    for each in classes:
        if each.value is not None or not each.colors():
            problem = "a value" if each.value is not None else "no color"
            raise ConfigError(
                f"class {each.name!r} has {problem}, but encoding {coding.encoding} tells classes "
                "by their color"
            )
    void: list[Color] = [(c[0], c[1], c[2]) for c in content.void if not isinstance(c, int)]
    if len(void) < len(content.void):
        raise ConfigError(f"void: expected colours with encoding {coding.encoding}, got a value")
    colors = [(color, index) for index, each in enumerate(classes) for color in each.colors()]
    told = [*(color for color, _ in colors), *void]
    if twice := next((color for color in told if told.count(color) > 1), None):
        raise ConfigError(f"colours must be unique, {list(twice)} comes twice")
    own, classes_of = tuple(color for color, _ in colors), tuple(index for _, index in colors)
    return dataclasses.replace(coding, colors=own, classes=classes_of, void=tuple(void))


def _sources(content: _DescriptionFile, root: Path) -> dict[str, SplitSource]:
    if content.split and content.splits:
        raise ConfigError("split and splits: give shares or folders, not both")
    if not content.split and (content.group or content.seed):
        raise ConfigError("seed and group: are for split, the shares of the splits")
    _check_splits([*content.splits, *content.split])
    exclude = [content.exclude] if isinstance(content.exclude, str) else content.exclude
    common = SplitSource(
        root=root,
        images=_place(root, content.images),
        labels=_place(root, content.labels),
        suffix=content.label_suffix,
        endings=_endings(content),
        recursive=content.recursive,
        exclude=tuple(exclude),
    )
    if content.split:
        check_fractions(content.split)
        _check_group(content.group)
        how = dict(content.split), content.seed, content.group
        return {
            name: _checked(dataclasses.replace(common, share=Share(name, *how)), "")
            for name in content.split
        }
    found = {}
    for name, each in content.splits.items():
        told = ((key, _place(root, getattr(each, key))) for key in ("images", "labels", "list"))
        own: dict[str, Any] = {key: place for key, place in told if place is not None}
        found[name] = _checked(dataclasses.replace(common, **own), f"splits.{name}: ")
    return found


def _checked(source: SplitSource, where: str) -> SplitSource:
    """Label maps beside their images need a suffix to be told by, or their folder's name."""
    if source.images is None and source.list is None:
        raise ConfigError(f"{where}missing required field images")
    if source.images and source.images.suffix.lower() == SUFFIX:
        if source.labels or source.list or source.share:
            raise ConfigError(
                f"{where}a Parquet file has the images and label maps of a whole split: leave "
                "labels, list and split out"
            )
        return source
    if source.labels is None and source.suffix:
        source = dataclasses.replace(source, labels=source.images or source.root)
    if source.labels is None and source.list is None:
        raise ConfigError(f"{where}missing required field labels")
    return source


def _place(root: Path, place: str | None) -> Path | None:
    return None if place is None else root / place


def _endings(content: _DescriptionFile) -> tuple[str, ...] | None:
    if content.label_extensions is None:
        return None
    endings = [f".{each.lower().removeprefix('.')}" for each in content.label_extensions]
    for ending in endings:
        if ending in LOSSY_ENDINGS:
            raise ConfigError(f"label_extensions: {lossy(ending[1:].upper())}")
        if ending not in LABEL_ENDINGS:
            hint = nearest_or_all(ending, LABEL_ENDINGS)
            raise ConfigError(f"label_extensions: unknown extension {ending!r}, {hint}")
    return tuple(dict.fromkeys(endings))


def _check_splits(names: Sequence[str]) -> None:
    """Refuses a name that was meant to be `train`, `val` or `test`: nothing would look for it."""
    for name in names:
        near = difflib.get_close_matches(name.casefold(), USUAL, 1, 0.75)
        if near and name not in (*USUAL, "trainval") and name.isalpha() and near[0] not in names:
            raise ConfigError(
                f"splits: {name!r}, which nothing looks for: did you mean {near[0]!r}?"
            )


def _check_group(pattern: str | None) -> None:
    """Refuses patterns for which a name could take hours: the file may be anybody's."""
    plain = re.sub(r"\\.|\[[^\]]*\]", "x", pattern or "")
    plain = re.sub(r"(?<=[*+?}])\?|(?<=\()\?(?:[:=!]|P<\w+>)|(?<=[^)])\{\d+\}", "", plain)
    with retold(ConfigError, f"group {pattern!r} is not a regular expression: ", of=re.error):
        re.compile(pattern or "")
    many = len(re.findall(r"[*+?{]", plain)) > 3 or plain.count("|") > 8
    if many or re.search(r"\)[*+?{]", plain):
        raise ConfigError(
            f"group {pattern!r}: expected at most three of *, + and ?, none of them behind a "
            "bracket, and at most eight |"
        )


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
        return tuple(read_description(path).splits)

    def find_pairs(self, path: Path, split: str) -> Pairing:
        """The files of a split, and those that lack their partner.

        Splits may share a folder of label maps: those of other splits are among `without_image`.

        Raises:
            DataError: the description or a folder is missing or wrong, or there is no image.
        """
        return read_description(path).pairs(split)

    def find_images(self, path: Path, split: str) -> list[Path]:
        """The images of a split, with label maps or without; all of a folder without description.

        Raises:
            DataError: as for `find_pairs`, but for label maps.
        """
        if path.is_dir() and not os.path.lexists(path / DESCRIPTION):
            return Files(path, IMAGE_SUFFIXES, "**/*").found_any()
        return read_description(path).pairs(split, labels_needed=False).images

    def __call__(self, path: Path, split: str, missing: Missing = "refuse") -> FileDataset:
        """Opens a split.

        Args:
            path: the YAML file, or the folder that holds `dataset.yaml`.
            split: a key of its `splits`.
            missing: `refuse` images without a label map, or `skip` them.

        Raises:
            DataError: the description or a file is missing or wrong.
        """
        description = read_description(path)
        pairing = description.pairs(split)
        if missing == "refuse":
            dataclasses.replace(pairing, without_image=()).check_complete()
        pairing.check_any()
        labels, pairs = description.labels, pairing.pairs
        return FileDataset(labels.name, split, labels, pairs, coding=description.coding)


folder = OwnFolder()
