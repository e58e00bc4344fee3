"""Every JSON, YAML and CSV file of ours, mutated: read, or one line, and quickly.

`python tests/test_mutated_files.py 20000` tries more of them.
"""

import contextlib
import copy
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastscnn_tf.core.errors import FastSCNNError
from fastscnn_tf.core.files.json_text import read_json
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.data.datasets.registry import find_pairs, find_splits
from fastscnn_tf.data.records.packed_dataset import RecordsDataset
from fastscnn_tf.evaluation.pseudo_folder import PseudoFolder, clear_pseudo_labels
from fastscnn_tf.evaluation.reproduction_ledger import read_ledger
from fastscnn_tf.evaluation.reproduction_table import Reproduction
from fastscnn_tf.reports.card import read_evaluation, scores_section
from fastscnn_tf.reports.run_comparison import compare_runs
from fastscnn_tf.runs.find_runs import find_runs, runs_table
from fastscnn_tf.runs.run_files import check_state
from fastscnn_tf.runs.run_folder import check_resumable
from fastscnn_tf.runs.run_record import read_run
from fastscnn_tf.train.recipes import train_settings

WRITTEN = Path(__file__).parent / "written"
SLOWEST = 5.0  # seconds of computing; most take a millisecond
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 255, 256, 1 << 31, 1 << 63, -(1 << 70), 10**400, 1.5, -0.0),
    *(
        float("nan"),
        float("inf"),
        1e308,
        "",
        "0",
        "nan",
        "a" * 300,
        "../../x",
        "/",
        "a\0b",
        "\x1b[2J",
    ),
    *("ü\ud800", "\n", "a/b", "NaN", [], {}, [[]], [0] * 1000, {"": 0}, [None], {"a": {"a": {}}}),
    *("x" * 100_000, ["a"] * 300, [{}] * 300),
]


def places(value: Any, way: tuple = ()) -> list[tuple]:
    """Where the parts of a value are."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value[:40]) if isinstance(value, list) else items
    return [way, *(place for key, part in items for place in places(part, (*way, key)))]


def mutate(value: Any, rng: random.Random) -> Any:
    """Changes, swaps, doubles or removes one part."""
    way = rng.choice(places(value))
    if not way:
        return copy.deepcopy(rng.choice([*VALUES, {"a": value}, [value]]))
    *before, last = way
    place = value
    for key in before:
        place = place[key]
    kind = rng.randrange(8)
    if kind == 0:
        del place[last]
    elif kind == 1 and isinstance(place, dict):
        place[rng.choice(["unknown", "", "a" * 300, "\x1b[2J", "../x", *place])] = place.pop(last)
    elif kind == 2 and isinstance(place, list):
        place[last:last] = [copy.deepcopy(place[last]) for _ in range(rng.choice([1, 300]))]
    elif kind == 3:
        for _ in range(rng.choice([1, 70, 200])):
            place[last] = rng.choice([[place[last]], {"a": place[last]}])
    elif kind == 4 and isinstance(place[last], int | float):
        place[last] = place[last] * rng.choice([-1, 2, 1 << 40])
    else:
        place[last] = copy.deepcopy(rng.choice(VALUES))
    return value


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cuts, flips, doubles or inserts bytes."""
    at, to = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    inserted = [
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"\xff",
        b"\0",
        b'"',
        b"9" * 5000,
        b"NaN",
        b",",
        b"\n",
    ]
    return rng.choice(
        [
            content[:at],
            content[:at] + content[to:],
            content[:to] + content[at:],
            content[:at] + rng.choice(inserted) + content[at:],
            content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :],
        ]
    )


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def as_json(value: Any, rng: random.Random) -> str:
    return json.dumps(value, ensure_ascii=rng.random() < 0.5)


def as_yaml(value: Any, rng: random.Random) -> str:
    with contextlib.suppress(RecursionError):
        if rng.random() < 0.5:
            return yaml.safe_dump(value)
    return json.dumps(value)


def lines(values: list[Any], rng: random.Random) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def runs(folder: Path) -> None:
    runs_table(find_runs([folder]))
    run = read_run(folder / "run")
    run.to_dict()
    compare_runs([folder / "run", WRITTEN / "run"]).text()
    check_resumable(folder / "run", run.settings, "last.keras")


def state(folder: Path) -> None:
    runs(folder)
    check_state(read_json(folder / "run" / "state.json", mend=True), "last.keras")


def records(folder: Path) -> None:
    dataset = RecordsDataset(folder / "records", "val")
    for index in range(len(dataset)):
        dataset.read(index)


def description(folder: Path) -> None:
    for split in find_splits("folder", folder / "pseudo"):
        find_pairs("folder", folder / "pseudo", split)


def pseudo(folder: Path) -> None:
    settings = json.loads((WRITTEN / "pseudo" / "pseudo.json").read_text())
    space = LabelSpace.make("toy", 9, tuple(settings["classes"]))
    PseudoFolder(folder / "pseudo", settings, space, resume=True, force=False)
    clear_pseudo_labels(folder / "pseudo")


def ledger(folder: Path) -> None:
    Reproduction((), read_ledger(folder / "reproduced.json")).text()


def scores(folder: Path) -> None:
    scores_section([read_evaluation(folder / "evaluation.json")], set())


def recipe(folder: Path) -> None:
    train_settings(folder / "run" / "recipe.json", dataset="toy", data_dir=None, size=(32, 64))


Reader = Callable[[Path], None]
FILES: dict[str, tuple[Reader, Callable | None]] = {
    "run/run.json": (runs, as_json),
    "run/state.json": (state, as_json),
    "run/log.csv": (runs, None),
    "run/recipe.json": (recipe, as_json),
    "records/records.json": (records, as_json),
    "records/val-00000-of-00002.tfrecord": (records, None),
    "pseudo/dataset.yaml": (description, as_yaml),
    "pseudo/pseudo.json": (pseudo, as_json),
    "pseudo/pseudo.counts.jsonl": (pseudo, lines),
    "reproduced.json": (ledger, as_json),
    "evaluation.json": (scores, as_json),
}


def parsed(content: bytes, written: Callable) -> Any:
    if written is lines:
        return [json.loads(line) for line in content.splitlines()]
    return yaml.safe_load(content) if written is as_yaml else json.loads(content)


def try_one(name: str, seed: int, folder: Path) -> str:
    """Mutates one file and reads it: `read`, `refused`, or what is wrong."""
    reader, written = FILES[name]
    rng, path = random.Random(f"{name} {seed}"), folder / name
    shutil.copytree(WRITTEN, folder, dirs_exist_ok=True)
    for kind in ("images", "labels"):
        (folder / "pseudo" / kind).mkdir()
        (folder / "pseudo" / kind / "0.png").touch()
    content = path.read_bytes()
    if written and rng.random() < 0.8:
        value = parsed(content, written)
        for _ in range(rng.choice([1, 1, 3])):
            value = mutate(value, rng)
        write(
            path,
            written(value if written is not lines or isinstance(value, list) else [value], rng),
        )
    else:
        path.write_bytes(mutate_bytes(content, rng))
    began = time.process_time()
    try:
        reader(folder)
        outcome = "read"
    except FastSCNNError as error:
        text = str(error)
        outcome = "refused" if "\n" not in text and 0 < len(text) < 2000 else f"said {text[:200]!r}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"[:300]
    took = time.process_time() - began
    return outcome if took < SLOWEST else f"took {took:.1f} s"


def campaign(seeds: range) -> tuple[dict[str, int], list[str]]:
    counts: dict[str, int] = {}
    wrong = []
    for seed in seeds:
        for name in FILES:
            with tempfile.TemporaryDirectory() as folder:
                outcome = try_one(name, seed, Path(folder) / "f")
            counts[outcome] = counts.get(outcome, 0) + 1
            if outcome not in ("read", "refused"):
                wrong.append(f"{name} {seed}: {outcome}")
    return counts, wrong


@pytest.mark.parametrize("name", FILES)
def test_mutants_are_read_or_refused_in_one_line(name, tmp_path):
    outcomes = {try_one(name, seed, tmp_path / f"{seed}") for seed in range(25)}
    assert "refused" in outcomes <= {"read", "refused"}


if __name__ == "__main__":
    found, listed = campaign(range(int(sys.argv[1]) // len(FILES)))
    print(
        "\n".join([*listed[:40], str({k: v for k, v in found.items() if k in ("read", "refused")})])
    )
    print(f"{len(listed)} wrong")
