"""The kinds of input: which file is mutated, how, and what opens it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

from .archives import mutate_npy, mutate_records, mutate_zip
from .checkpoints import mutate_pickle, mutate_safetensors, mutate_torch
from .flat import mutate_metadata, mutate_tflite
from .foreign import mutate_index as mutate_variables
from .foreign import mutate_message
from .images import (
    mutate_gif,
    mutate_head,
    mutate_jpeg,
    mutate_png,
    mutate_tiff,
)
from .own_files import index_again, mutate_index, mutate_settings
from .plain_bytes import mutate_bytes
from .seeds import OTHERS
from .trees import mutate_json, mutate_lines, mutate_yaml

Mutate = Callable[[random.Random, bytes], bytes]
Files = dict[str, bytes]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: in the table.
        seeds: folders of `make_seeds`, laid over the common one.
        targets: the files that are mutated, each with its mutator.
        commands: what opens them; `{f}` is the mutated file, `call` a function of `calls`.
        weight: how many of the mutants it gets, relative to the others.
        heavy: needs TensorFlow.
        writes: patterns of the files beside `out*` that its commands may write.
        refused: beginnings of commands that refuse the sound file, too, by what it holds.
        repair: mends other files after the mutated one, as its sender would.
        renames: the file gets another name instead of another content.
    """

    name: str
    seeds: tuple[str, ...]
    targets: dict[str, Mutate]
    commands: tuple[str, ...]
    weight: float = 1.0
    heavy: bool = False
    writes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    repair: Callable[[random.Random, Files, str], None] | None = None
    renames: bool = False


DISGUISED = tuple(f"disguised/{name.lower()}" for name in OTHERS)
OWN = "--dataset folder --data-dir data"
_PREDICT = "predict m.tflite {f} --output out"
_READS_DATA = (
    f"evaluate m.tflite {OWN}",
    f"data check {OWN}",
    f"data show {OWN} --split val --size 64x64 --count 2 --output out.png",
    f"data pack {OWN} --split val --output out",
)
_ON_A_MODEL = (
    "predict {f} street.png --output out",
    "benchmark {f} --runs 1 --warmup 0 --threads 1 --image street.png",
    f"evaluate {{f}} {OWN}",
    "inspect {f} --parse-only",
    "inspect {f} --parse-only --markdown",
    "inspect {f} --parse-only --json out.json",
    "card {f} --output out.md",
    "settings {f}",
    "settings {f} --kotlin",
    "settings {f} --flags",
    f"compare {{f}} m.tflite {OWN} --output out",
    "pseudo-label {f} --images street.png --output out",
)
_WITHOUT_METADATA = tuple(c for c in _ON_A_MODEL if not c.startswith(("card", "compare", "eval")))


def _picture(suffix: str, mutate: Mutate, weight: float = 1.0) -> Kind:
    commands = (_PREDICT, "pseudo-label m.tflite --images {f} --output out")
    more = ("benchmark m.tflite --runs 1 --warmup 0 --image {f}",)
    targets = {f"image.{suffix}": mutate}
    return Kind(f"image .{suffix}", (suffix,), targets, commands + more, weight)


def _checkpoint(
    name: str, targets: dict[str, Mutate], what: str = "{f}", weight: float = 1
) -> Kind:
    return Kind(
        name, ("checkpoints",), targets, (f"call fuzzing.calls:read_checkpoint {what}",), weight
    )


_REC = "--dataset records --data-dir rec"
_npz = mutate_zip({".npy": mutate_npy})
_HEAVY_MODEL = ("summary {f}", "export-weights {f} --output out.npz")

KINDS = (
    Kind("tflite", ("",), {"m.tflite": mutate_tflite}, _ON_A_MODEL, 2),
    Kind("tflite shipped", ("shipped",), {"s.tflite": mutate_tflite}, _WITHOUT_METADATA, 0.5),
    Kind("tflite probed", ("",), {"m.tflite": mutate_tflite}, ("inspect {f}",), 0.2),
    Kind("tflite metadata", ("",), {"m.tflite": mutate_metadata}, _ON_A_MODEL, 1.5),
    Kind("onnx run", ("onnx",), {"m.onnx": mutate_message}, _ON_A_MODEL[:3], 1),
    Kind(
        "settings",
        ("settings",),
        {"m.tflite.settings.json": mutate_settings},
        tuple(c.replace("{f}", "m.tflite") for c in _ON_A_MODEL if "parse" not in c),
        1.5,
    ),
    _picture("png", mutate_png),
    _picture("jpg", mutate_jpeg),
    _picture("tif", mutate_tiff),
    _picture("gif", mutate_gif),
    _picture("webp", mutate_head("little", 64)),
    _picture("bmp", mutate_head("little", 54)),
    _picture("ppm", mutate_head("big", 16, text=True)),
    _picture("avif", mutate_head("big", 320)),
    Kind(
        "image disguised",
        DISGUISED,
        {"image.png": mutate_bytes},
        (_PREDICT,),
        0.5,
        refused=("predict",),
    ),
    Kind(
        "file names",
        ("pseudo",),
        {"images/0.png": mutate_bytes},
        ("predict m.tflite images --output out", "data check --dataset folder --data-dir pseudo"),
        0.5,
        renames=True,
    ),
    Kind("label map", ("",), {"data/val/labels/0.png": mutate_png}, _READS_DATA),
    Kind("dataset.yaml", ("",), {"data/dataset.yaml": mutate_yaml}, _READS_DATA, 1.5),
    Kind(
        "records.json",
        ("records",),
        {"rec/records.json": mutate_index},
        (
            f"data check {_REC}",
            f"evaluate m.tflite {_REC}",
            f"data pack {OWN} --split val --output rec --force",
            f"data pack {_REC} --split val --output out",
        ),
        1.5,
        writes=("rec/val-*.tfrecord", "rec/records.json"),
    ),
    Kind(
        "TFRecord",
        ("records",),
        {"rec/val-00000-of-00001.tfrecord": mutate_records},
        (
            f"data check {_REC}",
            f"evaluate m.tflite {_REC}",
            f"data pack {_REC} --split val --output out",
        ),
        repair=index_again,
    ),
    Kind(
        "run folder",
        ("run",),
        {
            "run/run.json": mutate_json,
            "run/state.json": mutate_json,
            "run/log.csv": mutate_bytes,
            "run/recipe.json": mutate_json,
        },
        (
            "runs list .",
            "runs list run --sort miou --json -",
            "runs compare run run2",
            "runs report run",
            "card run --output out.md",
        ),
        1.5,
        writes=("run/report", "run/report/*"),
    ),
    Kind(
        "recipe.json",
        ("run",),
        {"run/recipe.json": mutate_json},
        ("call fuzzing.calls:recipe {f}",),
    ),
    Kind(
        "scores",
        ("scores",),
        {"scores.json": mutate_json},
        (
            "card m.tflite --scores {f} --output out.md",
            "card m.tflite --scores {f} --scores {f} --output out.md",
        ),
    ),
    Kind(
        "ledger",
        ("ledger",),
        {"ledger.json": mutate_json},
        ("reproduce --ledger {f}", "reproduce --ledger {f} --markdown out.md --json -"),
    ),
    Kind(
        "pseudo-labels",
        ("pseudo",),
        {
            "pseudo/pseudo.json": mutate_json,
            "pseudo/pseudo.counts.jsonl": mutate_lines,
            "pseudo/dataset.yaml": mutate_yaml,
        },
        (
            "pseudo-label m.tflite --images images --confidence 0.1 --copy --output pseudo"
            " --resume",
            "data check --dataset folder --data-dir pseudo",
        ),
        writes=("pseudo/*", "pseudo/*/*"),
    ),
    Kind(
        "saved logits",
        ("logits",),
        {"logits/logits.json": mutate_json, "logits/000000.npy": mutate_npy},
        ("call fuzzing.calls:read_logits logits data",),
    ),
    Kind(
        "archive",
        ("archives",),
        {
            "camvid.zip": mutate_zip({".png": mutate_png}),
            "city.zip": mutate_zip({".png": mutate_png}),
        },
        (
            "call fuzzing.calls:prepare {f}",
            "data prepare camvid --from {f} --output out",
            "data prepare cityscapes --from {f} --output out",
        ),
        refused=("data prepare camvid", "data prepare cityscapes"),
    ),
    _checkpoint("checkpoint .pth", {"zip.pth": mutate_torch, "legacy.pth": mutate_pickle}),
    _checkpoint("checkpoint .pdparams", {"paddle.pdparams": mutate_pickle}),
    _checkpoint("checkpoint .safetensors", {"x.safetensors": mutate_safetensors}),
    _checkpoint("checkpoint .ckpt", {"m.ckpt": mutate_message}),
    _checkpoint("checkpoint .onnx", {"folded.onnx": mutate_message, "named.onnx": mutate_message}),
    _checkpoint(
        "checkpoint SavedModel",
        {
            "saved/variables/variables.index": mutate_variables,
            "saved/variables/variables.data-00000-of-00001": mutate_bytes,
        },
        "saved",
    ),
    _checkpoint(  # each starts a process
        "checkpoint .h5",
        dict.fromkeys(("whole.h5", "weights.h5", "three.weights.h5"), mutate_bytes),
        weight=0.5,
    ),
    Kind(
        "checkpoint import",
        ("checkpoints",),
        {
            "zip.pth": mutate_torch,
            "paddle.pdparams": mutate_pickle,
            "x.safetensors": mutate_safetensors,
        },
        ("import {f} --output out.keras",),
        0.3,
        heavy=True,
        refused=("import",),
    ),
    Kind(
        ".keras",
        ("keras",),
        {"k.keras": mutate_zip({".json": mutate_json, ".h5": mutate_bytes})},
        _HEAVY_MODEL,
        0.5,
        heavy=True,
    ),
    Kind(
        ".npz weights",
        ("weights",),
        {"w.npz": _npz},
        ("import {f} --output out.keras",),
        0.3,
        heavy=True,
    ),
    Kind(".npz quantization-aware", ("qat",), {"q.npz": _npz}, _HEAVY_MODEL[:1], 0.3, heavy=True),
)
