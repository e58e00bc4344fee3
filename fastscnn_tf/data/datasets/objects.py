"""Pairs as people hold them in Python: arrays, lists, and the data sets of other libraries.

Nobody's library is imported: what an object is shows in how it can be used. Images come as they are
in the end, uint8 RGB, whatever they were: normalising is the model's. What cannot be told is said
or refused.
"""

import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeGuard

import numpy as np
from PIL import Image

from ...core.config import FastSCNNConfig
from ...core.console import warn
from ...core.errors import ConfigError, DataError
from ...core.images.image_file import classes_of, decode_image, read_image, read_label, resize_image
from ...core.images.pixels import to_rgb
from ...core.labels import IGNORE, MAX_CLASSES, LabelSpace
from ...core.sizes import format_size
from .dataset import SegmentationDataset

IMAGE_COLUMNS = ("image", "images", "img", "picture", "pixel_values")
LABEL_COLUMNS = (
    *("label_map", "annotation", "annotations", "mask", "masks", "segmentation"),
    *("segmentation_mask", "semantic_segmentation", "seg_map", "label", "labels", "logits"),
)
OFF_GRID = 0.02  # of a byte: what float32 may be off after normalising


class Indexed(Protocol):
    """What has a length and gives an item for an index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


Normalisation: TypeAlias = tuple[Sequence[float], Sequence[float]]  # mean and std, in 0..255
Source: TypeAlias = SegmentationDataset | Iterable[Any] | Indexed
Classes: TypeAlias = LabelSpace | Sequence[str]


def as_dataset(
    source: Source,
    labels: LabelSpace,
    classes: Classes | None = None,
    split: str = "",
    normalisation: Normalisation | None = None,
) -> SegmentationDataset:
    """What somebody holds as a data set.

    Args:
        source: an opened data set, which is returned; (images, labels), two arrays or lists; a
            mapping of such columns; a list, torch or Hugging Face data set of pairs; or what is
            gone through once, such as a `tf.data.Dataset`, a `keras.utils.PyDataset`, a
            `DataLoader` or a generator, of pairs or of batches. Images are paths, Pillow images,
            encoded bytes, or arrays or tensors (H, W, 3) or (3, H, W) of bytes 0..255, of floats
            0..1 or 0..255, or normalised as the model does it; label maps are paths, Pillow
            images, or arrays or tensors (H, W) of class indices. 255 and negative values are void.
        labels: the classes if `classes` are not given: the model's.
        classes: names in the order of the label values, or a label space.
        split: of a mapping of splits, such as a `DatasetDict`.
        normalisation: mean and std that images with negative values were normalised by.

    Raises:
        DataError: it is none of these.
        ConfigError: `classes` of an opened data set, or fewer than two; or none although the model
            does not know its own.
    """
    if isinstance(source, SegmentationDataset):
        if classes is not None:
            raise ConfigError(f"{source.name} has its own classes: leave classes out")
        return source
    space = labels if classes is None else _space(classes)
    items = _items(source, split)
    name = _name(source)
    if classes is None and len(space) > MAX_CLASSES:
        raise ConfigError("the model does not say which classes it has: pass classes=[...]")
    if classes is None:
        ends = f"0 {space.names[0]} .. {len(space) - 1} {space.names[-1]}"
        warn(
            f"{name}: label values taken as the model's classes ({ends}); classes=[...] for others"
        )
    chosen = split if _is_splits(source) else "all"
    kind: type[IndexedDataset]
    kind = StreamDataset if isinstance(items, Iterator) else IndexedDataset
    return kind(items, name, chosen, space, normalisation)


def _space(classes: Classes) -> LabelSpace:
    if isinstance(classes, LabelSpace):
        return classes
    if isinstance(classes, str) or not all(isinstance(each, str) for each in classes):
        raise ConfigError(f"classes must be a list of names, got {classes!r}")
    space = LabelSpace.make("objects", len(classes), tuple(classes))
    if fault := space.fault():
        raise ConfigError(f"classes: {fault}")
    return space


def _name(source: object) -> str:
    kind = type(source)
    plain = kind.__module__ in ("builtins", "numpy")
    return "arrays" if plain else f"{kind.__module__.partition('.')[0]} {kind.__name__}"


class IndexedDataset(SegmentationDataset):
    """Pairs that can be had in any order; each is taken from its holder whenever it is read."""

    def __init__(
        self,
        items: Any,
        name: str,
        split: str,
        labels: LabelSpace,
        normalisation: Normalisation | None = None,
    ):
        self.name, self.split, self.labels = name, split, labels
        self._items, self._table = items, labels.lookup_table()
        self._coding = ValueCoding(name, normalisation)
        self._lock = threading.Lock()  # not every holder bears to be asked from several threads
        self._made = uuid.uuid4().hex
        if len(items):
            self._coding.look_at(_first(items))

    def __len__(self) -> int:
        return len(self._items)

    def sample_name(self, index: int) -> str:
        return f"{self.name}[{index}]"

    def state(self, index: int) -> tuple[str, ...]:
        """Of no other object: what is kept on disk cannot be known again."""
        return self._made, self.sample_name(index)

    def read_image(self, index: int) -> np.ndarray:
        return self._coding.image(self._pair(index)[0], self.sample_name(index))

    def read_label(self, index: int) -> np.ndarray:
        return self._label(self._pair(index)[1], self.sample_name(index))

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, label = self._pair(index)  # once: it may be drawn anew each time
        name = self.sample_name(index)
        return self.checked(self._coding.image(image, name), self._label(label, name), index)

    def _pair(self, index: int) -> tuple[Any, Any]:
        with self._lock:
            return _parts(self._items[index])

    def _label(self, value: Any, name: str) -> np.ndarray:
        if value is None:
            raise DataError(f"{name}: an image without a label map; expected (image, label map)")
        return label_map(value, self._table, name)


class StreamDataset(IndexedDataset):
    """Pairs that come one after the other, once; `len` of it is not known before the end."""

    def __init__(self, stream: Iterator[Any], *about: Any):
        super().__init__({}, *about)
        self._stream = stream

    def __len__(self) -> int:
        raise DataError(f"{self.name}: its length is known at its end only")

    def indices(self) -> Iterator[int]:
        """Takes the pairs out of the stream: each can be read once, after its index came."""
        for index, item in enumerate(self._stream):
            if not index:
                self._coding.look_at(_parts(item)[0])
            self._items[index] = item
            yield index

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        pair = super().read(index)
        del self._items[index]
        return pair


def held_in_memory(dataset: SegmentationDataset, most: float) -> SegmentationDataset:
    """A stream's pairs as bytes in memory, for training; any other data set as it is.

    Args:
        dataset: what `as_dataset` returned.
        most: bytes they may take.

    Raises:
        DataError: they take more, or there are none.
    """
    if not isinstance(dataset, StreamDataset):
        return dataset
    pairs, room = [], most
    for index in dataset.indices():
        pairs.append(dataset.read(index))
        room -= sum(part.nbytes for part in pairs[-1])
        if room < 0:
            raise DataError(
                f"{dataset.name}: {len(pairs)} pairs of it fill a quarter of the free memory, and "
                "it goes on: give what has len() and an index, or files"
            )
    space = dataset.labels
    indices = LabelSpace(space.name, space.names, space.colors)  # as the pairs have them now
    return IndexedDataset(pairs, dataset.name, dataset.split, indices)


def image_batches(source: Source, config: FastSCNNConfig, split: str = "train") -> Iterator[Any]:
    """The images of anything `as_dataset` takes, for calibration: labels are not looked at.

    Batches of arrays stay batches; all others come one by one, resized to the model's size.

    Returns:
        Float32 images (B, H, W, 3), normalised by `config`.

    Raises:
        DataError: it holds no images, or of another size normalised already, or not finite ones.
    """
    coding = ValueCoding(_name(source), (config.mean, config.std))
    if isinstance(source, SegmentationDataset):
        images, known = (source.read_image(index) for index in source.indices()), True  # bytes
    else:
        items = _opened(source, split)
        known = not isinstance(items, Iterator) and len(items) > 0
        if known:
            coding.look_at(_first(items))
        images = (_parts(item)[0] for item in _all_of(items))
    for number, value in enumerate(images):
        if not number and not known:
            coding.look_at(value)
        pixels = coding.raw(value)
        several = pixels if pixels.ndim == 4 else pixels[None]
        if not coding.normalised:
            one_by_one = (coding.bytes(each, f"image {number}") for each in several)
            resized = [resize_image(each, config.input_size) for each in one_by_one]
            yield config.normalised(np.stack(resized))
            continue
        coding.check_normalised(several, f"image {number}")
        if several.shape[1:] != (*config.input_size, 3):
            raise DataError(
                f"calibration images are {format_size(several.shape[1:3])}, the network takes "
                f"{format_size(config.input_size)}: resize them, or give them as raw bytes"
            )
        yield several.astype(np.float32, copy=False)


class ValueCoding:
    """What the numbers of images are worth: decided by the first one, the same for all.

    Args:
        name: of the data, for messages.
        normalisation: mean and std that images with negative values were normalised by; None where
            they are refused.
    """

    def __init__(self, name: str, normalisation: Normalisation | None):
        self._name, self._unit = name, False
        self._norm = np.array(normalisation, np.float32) if normalisation else None
        self.normalised = False

    def look_at(self, value: Any) -> None:
        """Decides by an image or a batch; says what was not sure."""
        pixels = self.raw(value)
        if not pixels.size:
            return
        if pixels.dtype.kind != "f":
            if pixels.max() == 1:
                warn(
                    f"{self._name}: {pixels.dtype} images hold 0 and 1 alone, taken as bytes "
                    "0..255, all but black; of values 0..1 give floats, or bytes (image * 255)"
                )
            return
        self.normalised = bool(pixels.min() < 0)
        self._unit = not self.normalised and bool(pixels.max() <= 1)
        if not self.normalised:
            span = "0..1" if self._unit else "0..255"
            warn(f"{self._name}: float images taken as {span}; normalising them is the model's")

    def raw(self, value: Any) -> np.ndarray:
        """An image or a batch as an array with the channels last."""
        if isinstance(value, str | os.PathLike):
            return read_image(value)
        if isinstance(value, bytes):
            return decode_image(value, self._name)
        if isinstance(value, Image.Image):
            return to_rgb(value)
        if isinstance(value, Mapping) and "path" in value:  # of `datasets`, undecoded
            return self.raw(value.get("bytes") or value["path"])
        pixels = _array(value)
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.ndim in (3, 4) and pixels.shape[-1] not in (1, 3) and pixels.shape[-3] in (1, 3):
            pixels = np.moveaxis(pixels, -3, -1)
        fits = pixels.ndim in (3, 4) and pixels.shape[-1] in (1, 3)
        if not fits or pixels.dtype.kind not in "fui":
            raise DataError(
                f"{self._name}: expected images (H, W, 3) or batches (B, H, W, 3) of bytes or "
                f"floats, got {pixels.dtype} {pixels.shape}"
            )
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise DataError(f"{self._name}: an image holds NaN or infinity: leave it out")
        return np.repeat(pixels, 3, -1) if pixels.shape[-1] == 1 else pixels

    def image(self, value: Any, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB of one image."""
        if isinstance(value, str | os.PathLike):
            name = os.fspath(value)
        pixels = self.raw(value)
        if pixels.ndim != 3:
            raise DataError(f"{name}: expected one image, got a batch {pixels.shape}")
        if self.normalised:
            self.check_normalised(pixels, name)
            return self._denormalised(pixels, name)
        return self.bytes(pixels, name)

    def bytes(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """Bytes of pixels that are not normalised."""
        if pixels.dtype == np.uint8:
            return pixels
        low, high = (0, 1) if self._unit and pixels.dtype.kind == "f" else (0, 255)
        if pixels.size and (pixels.min() < low or pixels.max() > high):
            mend = " as the first image has: give raw bytes 0..255"
            if pixels.dtype.kind != "f":
                mend = ": of 16 bits give (image >> 8).astype(np.uint8)"
            raise DataError(
                f"{name}: {pixels.dtype} values {pixels.min():g}..{pixels.max():g}, expected "
                f"{low}..{high}{mend}"
            )
        return np.rint(pixels * (255 if high == 1 else 1)).astype(np.uint8)

    def check_normalised(self, pixels: np.ndarray, name: str) -> None:
        """Refuses what was not normalised by the model's mean and std."""
        if self._norm is not None:
            mean, std = self._norm
            low, high = (0 - mean) / std - 0.05, (255 - mean) / std + 0.05
            if (pixels >= low).all() and (pixels <= high).all():
                return
        raise DataError(
            f"{name}: values {pixels.min():.4g}..{pixels.max():.4g} are not normalised as the "
            "model does it: give raw bytes 0..255, or floats 0..1"
        )

    def _denormalised(self, pixels: np.ndarray, name: str) -> np.ndarray:
        """The bytes that were normalised; what lies between bytes was made otherwise."""
        mean, std = np.array(self._norm)
        values = pixels * std + mean
        whole = np.rint(values)
        if np.abs(values - whole).max(initial=0) > OFF_GRID:
            raise DataError(f"{name}: normalised, but not from bytes: give raw bytes 0..255")
        return np.clip(whole, 0, 255).astype(np.uint8)


def label_map(value: Any, table: np.ndarray, name: str) -> np.ndarray:
    """(H, W) uint8 class indices, 255 where ignored, of a label map in any form.

    Raises:
        DataError: it is none, such as colours, one-hot classes or scaled values.
    """
    if isinstance(value, str | os.PathLike):
        return read_label(value, table)
    if isinstance(value, Image.Image) and value.mode not in ("P", "L", "1", "I", "I;16"):
        raise DataError(
            f"{name}: a label map of mode {value.mode} holds colours, not class indices"
        )
    if isinstance(value, Mapping) and "logits" in value:  # the same for each output
        value = value["logits"]
    raw = _array(value)
    if raw.ndim == 3 and 1 in (raw.shape[0], raw.shape[-1]):
        raw = raw[0] if raw.shape[0] == 1 else raw[..., 0]
    if raw.ndim != 2:
        raise DataError(
            f"{name}: expected a label map (H, W) of class indices, got {raw.dtype} {raw.shape}; "
            "of one-hot classes pass np.argmax(labels, -1), of colours what fastscnn data convert "
            "writes"
        )
    if raw.dtype.kind == "f" and (raw != np.rint(raw)).any():
        raise DataError(
            f"{name}: label values such as {raw[raw != np.rint(raw)][0]:.4g} are no class indices; "
            "ToTensor divides masks by 255: pass them as integers"
        )
    if raw.dtype.kind not in "fuib":
        raise DataError(f"{name}: expected whole numbers as label values, got {raw.dtype}")
    if raw.max(initial=0) > IGNORE:
        raise DataError(f"{name}: label value {raw.max():g} is above 255")
    values = np.where(raw < 0, IGNORE, raw) if raw.dtype.kind in "fi" else raw
    return classes_of(values.astype(np.uint8), table, name)


def _array(value: Any) -> np.ndarray:
    """An array of what is like one: torch's tensors may need gradients or lie on a device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


# === Items ===


def _items(source: Any, split: str) -> Indexed | Iterator[Any]:
    """Single pairs: with an index where the source has one and no batches."""
    found = _opened(source, split)
    if isinstance(found, Iterator) or (len(found) and _is_batch(found[0])):
        return _singly(_all_of(found))
    return found


def _first(items: Any) -> Any:
    """What tells how images are coded: the first one, of an array all of them."""
    if isinstance(items, _Columns) and isinstance(items.images, np.ndarray):
        return items.images
    return _parts(items[0])[0]


def _all_of(found: Indexed | Iterator[Any]) -> Iterator[Any]:
    if isinstance(found, Iterator):
        return found
    return (found[index] for index in range(len(found)))  # it may have no end of its own


def _opened(source: Any, split: str) -> Indexed | Iterator[Any]:
    """What to take items from.

    Raises:
        DataError: nothing of which the items are known.
    """
    if isinstance(source, Mapping):
        if _is_splits(source):
            wanted = {"val": "validation"}.get(split, split)
            found = source.get(split, source.get(wanted))
            if found is None:
                raise DataError(f"no split {split!r} and no images among {', '.join(source)}")
            return _opened(found, split)
        return _Columns(*_parts(source))
    if _is_pair(source) and all(isinstance(each, str | os.PathLike) for each in source):
        raise DataError(
            f"a tuple of paths {source!r} may be a pair or several images: give [(image, label)] "
            "or [image, image]"
        )
    if _is_pair(source) and not isinstance(source[0], tuple):
        return _Columns(*source)
    if hasattr(source, "element_spec") and int(source.cardinality()) == -1:
        raise DataError("this tf.data.Dataset repeats for ever: give it without repeat()")
    if isinstance(source, str | bytes | os.PathLike):
        raise DataError(
            f"expected data, got {source!r}: pass a list of paths, or a name and data_dir"
        )
    if isinstance(source, np.ndarray) or hasattr(source, "detach"):
        array = _array(source)
        return _Columns(array[None] if array.ndim == 3 else array)
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return source
    if isinstance(source, Iterable):
        return iter(source)
    raise DataError(
        "expected images, with their label maps where these count: arrays, a list of paths or "
        f"pairs, or a data set of tf.data, Keras, torch or datasets; got {type(source).__name__}"
    )


def _is_pair(source: object) -> TypeGuard[tuple[Any, Any]]:
    return isinstance(source, tuple) and len(source) == 2


def _is_splits(source: object) -> bool:
    return isinstance(source, Mapping) and not any(name in source for name in IMAGE_COLUMNS)


class _Columns:
    """Images and their label maps, each in one array or list."""

    def __init__(self, images: Any, labels: Any = None):
        self.images, self._labels = images, labels
        if labels is not None and len(images) != len(labels):
            raise DataError(f"{len(images)} images but {len(labels)} label maps")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], None if self._labels is None else self._labels[index]


def _parts(item: Any) -> tuple[Any, Any]:
    """Image and label map of an item, or a whole batch of them; None without labels.

    Raises:
        DataError: a mapping whose columns tell neither.
    """
    if isinstance(item, Mapping) and not ("bytes" in item and "path" in item):
        image = [name for name in IMAGE_COLUMNS if name in item]
        label = [name for name in LABEL_COLUMNS if name in item]
        if not image:
            raise DataError(
                f"no column of images among {', '.join(map(str, item))}: rename it to 'image', and "
                "that of the label maps to 'label_map'"
            )
        return item[image[0]], item[label[0]] if label else None
    if isinstance(item, tuple | list):
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _is_batch(item: Any) -> bool:
    image = _parts(item)[0]
    return len(getattr(image, "shape", ())) == 4


def _singly(items: Iterator[Any]) -> Iterator[Any]:
    """The pairs of batches, one by one."""
    for item in items:
        if not _is_batch(item):
            yield item
            continue
        images, labels = _parts(item)
        if isinstance(labels, Mapping):
            labels = labels["logits"]
        for index, image in enumerate(_array(images)):
            yield image, None if labels is None else _array(labels)[index]
