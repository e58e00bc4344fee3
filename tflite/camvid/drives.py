"""What a training is worth on a drive that it has not seen: leave one drive out, over seeds.

    python tflite/camvid/drives.py CAMVID OUTPUT NAME [--after NAME] [--seeds 0 1] [-- OPTIONS]

Each of CamVid's three labelled drives (the images of `train` and `val`) is held out once; the
rest trains by `fastscnn train OPTIONS`, and the last epoch's averaged weights are scored on it, at
the labels' own size. 0001TP is dusk, as most of `test`. `--after` starts every run from the one of
that name, drive and seed, so that stages follow each other:

    python tflite/camvid/drives.py CamVid drives strong --size 448x608 -- --recipe strong \\
        --class-weights none --size 352x480 --crop 256x352 --epochs 60
    python tflite/camvid/drives.py CamVid drives last --after strong --size 448x608 -- \\
        --recipe settle --augment camera --size 704x960 --crop 352x480
    python tflite/camvid/drives.py CamVid drives more --after last --size 448x608 -- \\
        --recipe settle --augment camera --size 704x960 --crop 352x480 --epochs 40

`--macs` prunes what they start from before they train on, to that share of its multiply-adds; the
same width from the start is `--width 0.84`, whose share is 0.71:

    python tflite/camvid/drives.py CamVid drives pruned --after strong --macs 0.7 --size 448x608 \\
        -- --recipe settle --augment camera --size 704x960 --crop 352x480
    python tflite/camvid/drives.py CamVid drives narrow --size 448x608 -- --recipe strong \\
        --class-weights none --size 352x480 --crop 256x352 --epochs 60 --width 0.84
    python tflite/camvid/drives.py CamVid drives narrow-last --after narrow --size 448x608 \\
        -- --recipe settle --augment camera --size 704x960 --crop 352x480

`{drive}` in an option stands for the drive held out: each has a teacher of its own, which has not
seen it either. `--describe` only writes the data sets.

    python tflite/camvid/drives.py CamVid drives taught --describe
    python tflite/camvid/teacher.py drives/0016E5/dataset.yaml drives/0016E5/teacher
    python tflite/camvid/drives.py CamVid drives taught --drives 0016E5 --size 448x608 -- \\
        --recipe strong --teacher drives/{drive}/teacher/teacher.keras

Killed, it goes on where it stood when it is started again. OUTPUT/drives.json has every score.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import yaml

import fastscnn_tf as fs
from fastscnn_tf.core.errors import DataError, InputError
from fastscnn_tf.core.files.writing import write_json

DRIVES = ("0001TP", "0006R0", "0016E5")
COMMAND = (sys.executable, "-m", "fastscnn_tf")


def describe(camvid: Path, folder: Path, drive: str) -> None:
    """Writes a dataset.yaml whose `val` is one drive and whose `train` is the others."""
    lines: dict[str, list[str]] = {"train": [], "val": []}
    for split in ("train", "val"):
        for image in sorted((camvid / split).glob("*.png")):
            own = "val" if image.name.startswith(drive) else "train"
            lines[own].append(f"{image}\t{camvid / f'{split}annot' / image.name}\n")
    if not all(lines.values()):
        raise DataError(f"{camvid}: expected CamVid's folder, with images in train/ and val/")
    folder.mkdir(parents=True, exist_ok=True)
    for split, named in lines.items():
        (folder / f"{split}.txt").write_text("".join(named))
    labels = fs.open_dataset("camvid", camvid, "val").labels
    classes = [
        {"name": name, "value": value, "color": list(colour)}
        for value, (name, colour) in enumerate(zip(labels.names, labels.colors, strict=True))
    ]
    description = {
        "name": f"camvid-without-{drive}",
        "classes": classes,
        "void": [len(classes)],
        "splits": {split: {"list": f"{split}.txt"} for split in lines},
    }
    (folder / "dataset.yaml").write_text(yaml.safe_dump(description, sort_keys=False))


def score(given: argparse.Namespace, options: list[str], drive: str, seed: int) -> float:
    """Trains without a drive, unless that is done, and gives mIoU on it, 0..1."""
    folder = given.output.resolve() / drive
    data = ["--dataset", "folder", "--data-dir", str(folder / "dataset.yaml")]
    options = [option.replace("{drive}", drive) for option in options]
    run = folder / f"{given.name}-{seed}"
    before = folder / f"{given.after}-{seed}" / "best.keras"
    if given.macs:
        whole, before = before, folder / f"{given.name}-{seed}.keras"
        if not before.exists():
            share = ["--macs", str(given.macs), "--output", str(before)]
            subprocess.run([*COMMAND, "prune", str(whole), *share], check=True)
    start = ["--init-from", str(before)]
    train = ["train", *data, "--seed", str(seed), "--validate-every", "0", "--output", str(run)]
    subprocess.run(
        [*COMMAND, *train, "--resume", *(start if given.after else []), *options], check=True
    )
    size = ["--size", given.size] if given.size else []
    scores = run / "held_out.json"
    evaluate = ["evaluate", str(run / "best.keras"), *data, *size, "--json", str(scores), "--force"]
    subprocess.run([*COMMAND, *evaluate], check=True, stdout=subprocess.DEVNULL)
    return json.loads(scores.read_text())["miou"]


def main() -> None:
    """Reads the command line; what stands behind `--` goes to `fastscnn train`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("camvid", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("name", help="of the training, and of its run folders")
    parser.add_argument("--after", help="start from the runs of this name")
    parser.add_argument("--macs", type=float, help="prune what --after names to this share first")
    parser.add_argument("--size", help="HxW at which the weights are scored; the training's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--drives", choices=DRIVES, nargs="+", default=list(DRIVES))
    parser.add_argument("--describe", action="store_true", help="only write the data sets")
    own = sys.argv[1:]
    cut = own.index("--") if "--" in own else len(own)
    given, options = parser.parse_args(own[:cut]), own[cut + 1 :]
    if given.macs and not given.after:
        parser.error("--macs prunes the runs of --after: name them")
    for drive in given.drives:
        describe(given.camvid.resolve(), given.output.resolve() / drive, drive)
    if given.describe:
        return
    path = given.output / "drives.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for seed in given.seeds:
        for drive in given.drives:
            miou = score(given, options, drive, seed)
            known.setdefault(given.name, {}).setdefault(drive, {})[str(seed)] = miou
            write_json(path, known)
            print(f"{given.name}, {drive} held out, seed {seed}: {100 * miou:.2f}", flush=True)
    means = []
    for drive in given.drives:
        found = [100 * value for value in known[given.name][drive].values()]
        means.append(statistics.mean(found))
        print(f"{drive}: {means[-1]:.2f}, from {min(found):.2f} to {max(found):.2f}")
    print(f"mean over drives: {statistics.mean(means):.2f}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
