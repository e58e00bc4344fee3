"""The dataset YAML of Ultralytics' `yolo semantic`, read as it is.

    path: cityscapes8            # the data set's folder
    train: images/train          # a folder, with those in it; a .txt list; or several of them
    val: images/val
    masks_dir: masks             # takes the place of the last `images` in an image's path
    names: {0: road, 1: sidewalk}
    label_mapping: {7: 0, 8: 1, 0: ignore_label}    # values in the files -> class

So say docs.ultralytics.com/datasets/semantic and, in version 8.4, `SemanticDataset` and
`img2label_paths`: a label map has its image's path with the last folder `images` replaced by
`masks_dir`, its stem, and the extension .png or else another; its values are class indices, after
`label_mapping` where there is one, which leaves the values that it does not list as they are; 255
is ignored. One name alone is a class on a background: 0 and 1. A list names images from its own
folder where they begin with `./`. Without `masks_dir` the folder `masks` is taken where it is
there; otherwise the labels are polygons, which `fastscnn data convert` makes label maps of.
"""

import dataclasses
import functools
import itertools
import os
import unicodedata
from pathlib import Path
from typing import Any

import msgspec

from ...core.console import warn
from ...core.errors import DataError
from ...core.files.json_text import Text, convert
from ...core.images.image_file import IMAGE_SUFFIXES, INDEX, is_image_name
from ...core.labels import IGNORE, MAX_CLASSES, LabelSpace, generated_palette
from .keys import check_keys, check_names, in_order
from .own_splits import LABEL_ENDINGS, Described, list_lines
from .pairing import Files, Pairing, pair_up

BACKGROUND = "background"
_warn_once = functools.lru_cache(64)(warn)  # a run reads the file several times
_Places = Text | list[Text]
# Of no meaning for what is read here.
_IGNORED = ("download", "channels", "roboflow", "license", "author", "description", "version")


class _UltralyticsFile(msgspec.Struct):
    names: list[Text] | dict[int, Text]
    path: Text | None = None
    train: _Places | None = None
    val: _Places | None = None
    validation: _Places | None = None
    test: _Places | None = None
    masks_dir: Text | None = None
    label_mapping: dict[int, int | str | None] | None = None
    nc: int | None = None


def is_ultralytics(value: Any) -> bool:
    """Whether the content of a YAML file is theirs: it has `names` where ours has `classes`."""
    return isinstance(value, dict) and "classes" not in value and bool({"names", "nc"} & set(value))


def read_ultralytics(value: Any, path: Path) -> Described:
    """A data set that Ultralytics' YAML describes.

    Args:
        value: the content of the file.
        path: the file.

    Raises:
        DataError: a key is unknown or wrong, or its label maps are polygons.
    """
    check_keys(value, (*_UltralyticsFile.__struct_fields__, *_IGNORED), f"{path}: ")
    check_names(value, "names", f"{path}: ")
    content: _UltralyticsFile = convert(value, str(path), _UltralyticsFile, error=DataError)
    val = content.val or content.validation
    given = {"train": content.train, "val": val, "test": content.test}
    places = {k: [told] if isinstance(told, str) else told for k, told in given.items() if told}
    root = _root(content, path, [place for told in places.values() for place in told])
    masks = content.masks_dir or ("masks" if (root / "masks").is_dir() else None)
    if masks is None:
        raise DataError(
            f"{path}: no masks_dir, so that its labels are polygons: make label maps of them with "
            "`fastscnn data convert --from yolo`"
        )
    splits = {split: _Masks(root, tuple(told), masks) for split, told in places.items()}
    return Described(path, _labels(content, path), INDEX, splits)


def _root(content: _UltralyticsFile, path: Path, places: list[str]) -> Path:
    """The data set's folder; on another machine than the author's, that of the YAML file."""
    if content.path is None:
        return path.parent
    tried = [path.parent / content.path, Path(content.path)]
    for root in tried:
        if os.path.isdir(root):  # noqa: PTH112 - raises no OSError
            return root
    if any(os.path.lexists(path.parent / place) for place in places):
        _warn_once(f"{path}: there is no {content.path}: its folders are taken from {path.parent}")
        return path.parent
    raise DataError(f"{tried[0]}: no such folder; {path} names it as `path`")


def check_count(told: int | None, count: int, path: Path) -> None:
    """Makes sure that `nc` is the number of names, as Ultralytics does.

    Raises:
        DataError: it is not.
    """
    if told not in (None, count):
        raise DataError(f"{path}: nc: {told}, but there are {count} names: mend the wrong one")


def _labels(content: _UltralyticsFile, path: Path) -> LabelSpace:
    names = in_order(content.names, f"{path}: names")
    check_count(content.nc, len(names), path)
    names = [BACKGROUND, *names] if len(names) == 1 else names
    told = {value: value for value in range(256)}
    for value, index in (content.label_mapping or {}).items():
        known = isinstance(index, int) and 0 <= index < len(names)
        if not known and index not in ("ignore_label", None, IGNORE):
            raise DataError(
                f"{path}: label_mapping.{value}: expected a class below {len(names)} or "
                f"ignore_label, got {index!r}"
            )
        if value in told:  # cityscapes.yaml has -1, which no label map can hold
            told[value] = index if isinstance(index, int) else IGNORE
    values = [tuple(v for v, index in told.items() if index == own) for own in range(len(names))]
    raw = tuple(own[0] if len(own) == 1 else own for own in values)
    void = tuple(value for value, index in told.items() if index == IGNORE and value != IGNORE)
    palette = generated_palette(min(len(names), MAX_CLASSES))
    labels = LabelSpace(path.absolute().parent.name, tuple(names), palette, raw, void)
    if reason := labels.fault():
        raise DataError(f"{path}: {reason}")
    return labels


@dataclasses.dataclass(frozen=True)
class _Masks:
    """A split: its images' places, and what stands for `images` in the path of a label map."""

    root: Path
    places: tuple[str, ...]
    masks: str

    def pairs(self, labels_needed: bool = True) -> Pairing:
        """The files of the split; a label map without an image is one of these folders.

        Args:
            labels_needed: changes nothing: label maps are looked for by their images.

        Raises:
            DataError: a place is missing, or no folder `images` is in the path of an image.
        """
        found_in = (self._images_in(self.root / place) for place in self.places)
        images = list(dict.fromkeys(itertools.chain.from_iterable(found_in)))
        if not images:
            raise DataError(f"{self.root / self.places[0]}: no images in this split")
        stems = {image: self._mask(image) for image in images}
        found: dict[Path, dict[str, Path]] = {}
        for folder in {stem.parent for stem in stems.values()}:
            maps = Files(folder, LABEL_ENDINGS)
            for ending in reversed(LABEL_ENDINGS):  # PNG is asked for first
                only = dataclasses.replace(maps, endings=(ending,))
                found.setdefault(folder, {}).update((only.key(p), p) for p in only.found())

        def label_of(image: Path) -> Path:
            stem = stems[image]
            key = unicodedata.normalize("NFC", stem.name)
            return found[stem.parent].get(key, stem.with_name(f"{stem.name}.png"))

        if own := next((image for image in images if label_of(image) == image), None):
            raise DataError(f"{own}: would be its own label map: masks_dir is {self.masks}")
        label_maps = [path for maps in found.values() for path in maps.values()]
        places = {self._mask(image).parent: image.parent for image in images}
        return pair_up(
            images, label_maps, label_of, lambda path: places[path.parent] / f"{path.stem}.jpg"
        )

    def _images_in(self, place: Path) -> list[Path]:
        if os.path.isdir(place):  # noqa: PTH112 - raises no OSError
            return Files(place, IMAGE_SUFFIXES, "**/*").found()
        if not os.path.lexists(place):
            raise DataError(f"{place}: no such folder or list of images")
        listed = [
            (place.parent if line.startswith("./") else self.root) / line
            for _, line in list_lines(place)
        ]
        return sorted(path for path in listed if is_image_name(path))

    def _mask(self, image: Path) -> Path:
        """The path of an image's label map, without its extension."""
        parts = list(image.absolute().parts)
        places = [i for i, part in enumerate(parts[:-1]) if part == "images"]
        if not places:
            raise DataError(
                f"{image}: expected a folder `images` in its path, for which masks_dir "
                f"({self.masks}) stands in that of its label map"
            )
        parts[places[-1] : places[-1] + 1] = Path(self.masks).parts
        return Path(*parts).with_suffix("")
