"""`fastscnn data prepare` and `fastscnn data pack`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..core.console import StatusLine, echo
from ..core.foreign_text import shell_path
from . import declared
from . import shared_options as options


@click.command()
@click.argument("name", metavar="DATASET")
@click.option(
    "--output", type=options.PATH, metavar="DIR", help="The data set's folder; default: its name."
)
@click.option(
    "--from",
    "sources",
    metavar="ARCHIVE",
    multiple=True,
    help="ZIP file at hand, or (camvid) another address; for cityscapes give one for each archive.",
)
@click.option("--sha256", metavar="HEX", help="What the archive must hash to (camvid).")
@options.force
def prepare(
    name: str, output: Path | None, sources: tuple[str, ...], sha256: str | None, force: bool
) -> None:
    """Fetch and check CamVid; unpack Cityscapes; say how to get any other data set."""
    from ..data.prepare.origins import instructions
    from ..data.prepare.preparation import FREE, TRAIN_SIZE, prepare

    folder = str(output or name)
    if name not in FREE and not sources:
        echo(instructions(name, folder), keep="\n")
        return
    with _bytes_bar("downloading") as bar:
        steps = options.progress("unpacking")
        done = prepare(name, folder, sources, force, sha256, bar, steps)
    pairs = ", ".join(f"{split} {count}" for split, count in done.pairs.items())
    state = "already prepared" if done.already else "prepared"
    echo(f"{folder}: {state}; pairs: {pairs or 'none yet, an archive is missing'}")
    data = f"--dataset {name} --data-dir {shell_path(folder)}"
    echo(f"Next: fastscnn train {data} --size {TRAIN_SIZE.get(name, '1024x2048')} --output RUN")


@click.command()
@options.dataset()
@click.option("--split", "splits", multiple=True, default=("train",), show_default=True)
@click.option(
    "--output", required=True, type=options.PATH, metavar="DIR", help="A new folder for the shards."
)
@declared.whole("--shards", "Files for each split.")
@declared.whole("--shard-mb", "Without --shards: MiB that a file holds at most.", default=128)
@click.option("--size", type=options.SizeType(), help="Of the drawn scenes (toy).")
@options.skip_bad
@options.force
def pack(splits: tuple[str, ...], output: Path, force: bool, **rest: Any) -> None:
    """Pack splits into TFRecord shards, without loss; `--dataset records` reads them."""
    from ..data.check.usable import open_split
    from ..data.records.packing import pack

    data, how = (rest["dataset"], rest["data_dir"]), (rest["size"], rest["skip_bad"])
    opened = [open_split(*data, split, *how) for split in splits]
    bounds = (rest["shards"], rest["shard_mb"] << 20)
    index = pack(opened, output, *bounds, force, options.progress("packing"))
    for split, noted in index["splits"].items():
        files = noted["shards"]
        echo(
            f"{split}: {options.counted(noted['pairs'], 'pair')} in "
            f"{options.counted(len(files), 'shard')}, {sum(f['bytes'] for f in files):,} bytes"
        )
    echo(f"Read them with --dataset records --data-dir {shell_path(output)}")


@contextlib.contextmanager
def _bytes_bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A line on stderr with bytes and rate; silent where that is not a terminal."""
    line, start, first = StatusLine(), time.monotonic(), -1

    def show(done: int, total: int | None) -> None:
        nonlocal first
        first = done if first < 0 else min(first, done)  # what an earlier call brought
        rate = (done - first) / max(time.monotonic() - start, 1e-3) / 1e6
        of = f" of {total / 1e6:.1f} MB, {done / total:.0%}" if total else " MB"
        line.show(lambda: f"{label} {done / 1e6:.1f}{of}, {rate:.1f} MB/s")

    try:
        yield show
    finally:
        line.clear()


COMMANDS: tuple[click.Command, ...] = (prepare, pack)
