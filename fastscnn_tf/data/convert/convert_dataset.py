"""`convert_dataset`: other people's annotations as a `folder` data set, on all cores."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import msgspec
import numpy as np
import yaml
from PIL import Image

from ...core.aliases import Progress, StrPath
from ...core.class_maps import VOID_NAMES
from ...core.errors import ConfigError, DataError, OutputError
from ...core.files.json_text import read_json
from ...core.files.writing import FORCE, check_output_folder, write_json
from ...core.foreign_text import printable, shell_path
from ...core.images.decoding import open_image, read_image_file
from ...core.images.pixels import orientation_of
from ...core.labels import IGNORE, LabelSpace
from ...core.overlap import Sharing, shared
from ...core.sizes import format_size
from ..datasets.description import DESCRIPTION, folder
from ..prepare.staging import holds_something, put, staging
from ..records.encoded import encode_label
from .class_choice import Choice, Chosen, choose, nearly_equal
from .convert_report import FORMAT, ConvertReport
from .item_splits import split_items
from .recognising import AUTO, find_format
from .source import (
    BACKGROUND,
    UNDRAWN,
    Annotations,
    Format,
    ImageHeader,
    Item,
    Notes,
    ReadLabel,
    is_background,
)
from .source_folder import SourceFolder

REPORT = "report.json"
FOLDERS = ("images", "labels")
_SPLIT = re.compile(r"[\w-][\w.-]*")


def convert_dataset(
    source: StrPath,
    output: StrPath,
    format: str = AUTO,
    classes: Choice = None,
    split: Sequence[float] | None = None,
    seed: int = 0,
    group: str | None = None,
    link: bool = False,
    force: bool = False,
    skip_bad: bool = False,
    workers: int | Sharing | None = None,
    progress: Progress = iter,
    table: StrPath | None = None,
) -> ConvertReport:
    """Writes a data set of another format as a `folder` one; needs no TensorFlow.

    `output` gets `dataset.yaml`, `images/<split>/`, `labels/<split>/` with grey PNGs of class
    indices (255 is void), a list `<split>.txt`, and `report.json`. It appears whole or not at all.
    Images are copied byte for byte; label maps are those of the upright image.

    Args:
        source: a folder, or an annotation file.
        output: a new or empty folder, unless `force`.
        format: its name; `auto` recognises it by content.
        classes: which ones, in which order: `"road,vehicle=car+truck,background=*"` (`=` renames,
            `+` merges, `*` is all that is named nowhere else), a list of such parts, or a mapping
            from names to lists of the source's names. What is not chosen becomes void; `*` alone
            is all others as they are. None: all. The path of a file is taken for `table`.
        split: shares of train, val and test, where the source names no splits; None: 0.8, 0.1, 0.1.
        seed: of the split.
        group: a regular expression whose first group, or whole match, in an image's name says
            which images stay in one split; None: names that end in a frame number are grouped.
        link: link the images (hard where it can be, else symbolic) instead of copying them.
        force: replace what was converted into `output` before.
        skip_bad: leave out images that cannot be read or do not fit, and report them.
        workers: threads, one per core by default; or a `Fleet` of processes.
        progress: wraps the indices of all images, to show a progress bar.
        table: of masks, a file that says what their values or colours mean; None: that of the
            source.

    Raises:
        DataError: the source fits no format or several, or something in it cannot be used.
        ConfigError: an argument is wrong.
        OutputError: the output holds something else, or cannot be written.
    """
    output, looked = Path(output), SourceFolder(source)
    _check_apart(looked.root, output)
    if not force:
        check_output_folder(output)
    if isinstance(classes, str) and not table and os.path.isfile(classes):  # noqa: PTH113
        table, classes = classes, None
    looked.table = Path(table).absolute() if table else None
    looked.skip_bad = skip_bad
    found, reason = find_format(format, looked)
    opened = _opened(found, looked)
    notes = opened.notes
    items = _once(opened.items, notes)
    name = printable(output.absolute().name) or "dataset"
    chosen = choose(name, opened.classes, {BACKGROUND: (0, 0, 0), **opened.colors}, classes)
    _say(opened.classes, chosen, notes, told=classes is not None)
    splits = split_items(items, split, seed, group, notes)
    with staging(output) as stage:
        old = _earlier(output, force)
        write = _PairWriter(opened.read_label, chosen.table, stage, link)
        crowded = any(map(_crowded, splits.values()))
        todo = [task for name in splits for task in _tasks(name, splits[name], crowded, notes)]
        done, found_pixels = _write_all(write, todo, workers, progress, skip_bad, notes)
        _check_drawn(looked.root, opened.classes, found_pixels, notes)
        counts = {name: len(done.get(name, ())) for name in splits}
        notes.say_of_turns()
        _say_of_splits(counts, any(item.split for item in items) and split is None, notes)
        pixels = np.bincount(chosen.table, found_pixels, 256).astype(int).tolist()
        told = os.fspath(source), str(output), found.name, reason, counts
        named = dict(zip(chosen.labels.names, pixels, strict=False))
        made = {name: m for name, m in opened.made.items() if name in chosen.labels.names}
        made |= chosen.merged
        report = ConvertReport(*told, named, pixels[IGNORE], made, chosen.dropped, notes)
        _describe(stage, chosen.labels, done, report)
        _put_in_place(stage, output, old)
    return report


def _opened(found: Format, folder: SourceFolder) -> Annotations:
    """The source, with what was guessed among its notes.

    Raises:
        DataError: nothing of it can be converted.
        ConfigError: it has no use for the table that was given.
    """
    opened = found.open(folder)
    if folder.table is not None and not folder.table_used:
        raise ConfigError(
            f"{folder.table}: {found.name} knows its classes without a table; --classes road,car "
            "names those to keep"
        )
    for link in map(str, folder.left_out):
        opened.notes.add("a link to a folder outside, or to one seen before: not followed", link)
    if not opened.items:
        seen = "; ".join(opened.notes.counts)
        raise DataError(f"{folder.root}: {found.name} without an image to convert. {seen}".strip())
    if folder.guessed:
        text = "an image found by its file name alone, not at the path that is named"
        opened.notes.add(text, folder.guessed[0], len(folder.guessed))
    return opened


def _say(classes: Sequence[str], chosen: Chosen, notes: Notes, told: bool) -> None:
    """Notes what may not be meant so; `told`: the user chose the classes."""
    for same in nearly_equal(classes, chosen.table):
        names = [*dict.fromkeys(map(str.strip, same))]
        notes.add(
            f"NAMES THAT DIFFER IN CASE OR SPACES ALONE ARE SEVERAL CLASSES: {', '.join(names)}; "
            f"{_kept([names[0] + '=' + '+'.join(names), '*'])} makes one of them"
        )
    if told:
        return
    for new, olds in chosen.merged.items():
        notes.add(f"spaces around names were left out: {new}", count=len(olds))
    kept = [each for each in chosen.labels.names if each.casefold() not in VOID_NAMES]
    for each in sorted({*chosen.labels.names} - {*kept}):
        notes.add(f"{each!r} IS A CLASS LIKE ANY OTHER; {_kept(kept)} makes it void")
    drawn = [each for each in kept if each != BACKGROUND]
    if UNDRAWN in notes.counts and drawn[1:]:
        notes.add(f"the class {BACKGROUND} is scored; {_kept(drawn)} ignores such pixels")


def _kept(names: Sequence[str]) -> str:
    return f"--classes {shell_path(','.join(names)) if len(names) < 13 else 'with all other names'}"


def _say_of_splits(counts: Mapping[str, int], named: bool, notes: Notes) -> None:
    """Notes a split that all its images were lost of, and one that has all, as none is to validate.

    Args:
        counts: images of each split that are used.
        named: they are those of the source.
        notes: gets it.
    """
    for name in (name for name, count in counts.items() if not count):
        notes.add(
            f"NO IMAGE OF THE SPLIT {name} CAN BE USED, AND IT IS GONE: take those that were left "
            "out from the source and convert it again, which deals out the others"
        )
    if named and len(counts) == 1 and sum(counts.values()) > 1:
        notes.add(
            f"all images are in the split {min(counts)}: --split 0.8,0.1,0.1 deals them out to "
            "train, val and test"
        )


def _check_drawn(root: Path, classes: Sequence[str], pixels: np.ndarray, notes: Notes) -> None:
    """Refuses label maps of nothing but background: nothing can be learnt of them.

    Args:
        root: for the message.
        classes: of the source.
        pixels: (256,) of each of them.
        notes: say what was not drawn.
    """
    seen = [name for name, count in zip(classes, pixels, strict=False) if count]
    if len(seen) != 1 or not is_background(seen[0]):
        return
    telling = [text for text in notes.counts if "not drawn" in text or "all background" in text]
    why = [f"{notes.counts[text]} times {text}" for text in telling]
    raise DataError(
        f"{root}: every pixel would be {BACKGROUND}: {'; '.join(why) or 'nothing is outlined'}: "
        "label maps are made of polygons and masks: export these"
    )


def _put_in_place(stage: Path, output: Path, old: Sequence[Path]) -> None:
    for path in old:
        put(path, stage / "old" / path.name, stage)
    for path in sorted(stage.iterdir()):
        if path.name not in ("old", "replaced"):
            put(path, output / path.name, stage)


@dataclasses.dataclass(frozen=True)
class _PairTask:
    item: Item
    split: str
    name: str  # of the files, without suffix


def _once(items: Sequence[Item], notes: Notes) -> list[Item]:
    """The items without those whose image was there before: it could land in two splits."""
    found: dict[Path, Item] = {}
    for item in items:
        if found.setdefault(item.image, item) is not item:
            notes.add("an image that is annotated twice: the first was taken", item.name)
    return list(found.values())


def _check_apart(root: Path, output: Path) -> None:
    source, target = Path(os.path.realpath(root)), Path(os.path.realpath(output))
    if source.is_relative_to(target):
        raise OutputError(f"{root}, which is converted, lies in {output}: choose another output")


class _Earlier(msgspec.Struct):
    """What of an earlier report matters."""

    file: str
    splits: dict[str, int]


def _earlier(output: Path, force: bool) -> list[Path]:
    """What an earlier conversion wrote there, to be replaced."""
    if not holds_something(output):
        return []
    if not force:
        raise OutputError(f"{output} is not empty: choose another output, or use {FORCE}")
    lists: list[str] = []
    if (output / REPORT).is_file():
        report: _Earlier = read_json(output / REPORT, _Earlier, error=OutputError)
        lists = [f"{split}.txt" for split in report.splits if _SPLIT.fullmatch(split)]
        if report.file == FORMAT:
            mine = [REPORT, DESCRIPTION, *FOLDERS, *lists]
            return [output / name for name in mine if os.path.lexists(output / name)]
    for name in (REPORT, DESCRIPTION, *FOLDERS):
        if os.path.lexists(output / name):
            raise OutputError(f"{output / name} is not from a conversion, and not replaced")
    return []


def _crowded(items: Sequence[Item]) -> bool:
    """Whether several images of one split have one name."""
    return len({PurePosixPath(item.name).name.casefold() for item in items}) < len(items)


def _tasks(split: str, items: Sequence[Item], paths: bool, notes: Notes) -> list[_PairTask]:
    """Names of files: those of the images, or all with their folders, so that sequences stay."""
    if not _SPLIT.fullmatch(split):
        raise DataError(f"the split {split!r} cannot be a folder's name: rename it")
    used: set[str] = set()
    tasks = []
    for item in items:
        name = PurePosixPath(item.name).name
        if paths and "/" in item.name:
            name = item.name.replace("/", "_")
            notes.add("equal names in several folders: the folder is in the name", name)
        number = 2
        while name.casefold() in used:  # of other suffixes
            name, number = f"{name}_{number}", number + 1
        used.add(name.casefold())
        tasks.append(_PairTask(item, split, name))
    return tasks


# The path of an image below the folder, (256,) pixels of each of the source's classes, and notes.
_Written: TypeAlias = tuple[str, np.ndarray, Notes]


@dataclasses.dataclass(frozen=True)
class _PairWriter:
    """Writes images and label maps into a folder.

    Args:
        read_label: gives the label maps.
        table: (256,) uint8 from the source's classes to those that are written.
        folder: where to.
        link: link images instead of copying them.
    """

    read_label: ReadLabel
    table: np.ndarray
    folder: Path
    link: bool

    def __call__(self, task: _PairTask) -> _Written | DataError:
        """Writes one image and its label map, or says why these cannot be used."""
        try:
            return self._write(task)
        except DataError as error:
            return error

    def _write(self, task: _PairTask) -> _Written:
        notes, path = Notes(), task.item.image
        content = task.item.content() if task.item.content else read_image_file(path)
        image = open_image(content, str(path), draft=True)  # a damaged one is found here
        header = ImageHeader(image.info["size"][::-1], orientation_of(image))
        label = self.read_label(task.item, header, notes)
        if label.shape != header.size:
            sizes = format_size((label.shape[0], label.shape[1])), format_size(header.size)
            raise DataError(f"{path}: the image is {sizes[1]} but its label map is {sizes[0]}")
        pixels = np.array(Image.fromarray(label).histogram(), np.int64)
        name = f"{task.split}/{task.name}"
        target = f"images/{name}{path.suffix}"
        (self.folder / f"labels/{name}.png").write_bytes(encode_label(self.table.take(label)))
        if self.link and task.item.content is None:
            self._put_link(os.path.realpath(path), self.folder / target)
        else:
            (self.folder / target).write_bytes(content)
        return target, pixels, notes

    def _put_link(self, source: str, target: Path) -> None:
        target.unlink(missing_ok=True)  # of a worker that died
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            target.symlink_to(source)


def _write_all(
    write: _PairWriter,
    tasks: Sequence[_PairTask],
    workers: int | Sharing | None,
    progress: Progress,
    skip_bad: bool,
    notes: Notes,
) -> tuple[dict[str, list[str]], np.ndarray]:
    """Writes all: drawing is short, and encoding and files wait without Python's lock.

    Returns:
        The images of each split that are used, as paths below the folder; (256,) int64 pixels of
        each of the source's classes.

    Raises:
        DataError: of the first task that cannot be done, unless they are skipped; or of all.
    """
    for kind, split in itertools.product(FOLDERS, {task.split for task in tasks}):
        (write.folder / kind / split).mkdir(parents=True, exist_ok=True)
    done: dict[str, list[str]] = {}
    pixels = np.zeros(256, np.int64)
    written = shared(write, tasks, workers, lambda task: str(task.item.image), write.folder)
    with contextlib.closing(written):
        for number, each in zip(progress(range(len(tasks))), written, strict=True):
            if not isinstance(each, DataError):
                done.setdefault(tasks[number].split, []).append(each[0])
                pixels += each[1]
                notes.update(each[2])
            elif skip_bad:
                notes.add("cannot be used, left out", str(each))
            else:
                raise each
    if not done:
        raise DataError(f"no image can be used: {'; '.join(notes.counts)}")
    return done, pixels


def _describe(
    stage: Path, labels: LabelSpace, done: Mapping[str, Sequence[str]], report: ConvertReport
) -> None:
    """Writes the description, the lists and the report; and reads the data set as others will."""
    splits = [split for split in report.splits if split in done]
    content = {
        "name": labels.name,
        "classes": [
            {"name": name, "color": list(color)}
            for name, color in zip(labels.names, labels.colors, strict=True)
        ],
        "splits": {s: {"images": f"images/{s}", "labels": f"labels/{s}"} for s in splits},
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None)
    (stage / DESCRIPTION).write_text(text, encoding="utf-8")
    write_json(stage / REPORT, report.to_dict())
    for split in splits:
        lines = "".join(f"{image}\n" for image in done[split])
        (stage / f"{split}.txt").write_bytes(os.fsencode(lines))
        if len(folder(stage, split)) != len(done[split]):
            raise DataError(f"{split}: the data set that was written has another number of images")
