"""`model_card`: a Markdown card of a run or a file, from what is on disk; nothing is made up."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ..core.aliases import StrPath
from ..core.errors import DataError, ModelFileError, retold
from ..core.files.json_text import Count, Name, read_json
from ..core.files.reading import read_bytes
from ..core.foreign_text import (
    Markdown,
    markdown,
    markdown_cell,
    markdown_code,
    python_string,
    shell_path,
    shell_word,
)
from ..core.labels import MAX_CLASSES
from ..core.named_weights import TFLITE, named_weights
from ..core.text_table import markdown_table, percent
from ..runs.about import licence_of, run_behind, run_folder_of, seen_in_training, trained_on
from ..runtime.model_settings import settings_of
from ..tflite.file import graph_summary, own_metadata, read_model
from ..tflite.own_metadata import label_space

if TYPE_CHECKING:
    from ..runs.run_record import Run

UNKNOWN = "not stated"
# What `export_tflite` writes into every file.
NEEDED = ("producer", "recipe", "input_size", "input", "outputs", "mean", "std", "class_names")
Row = tuple[str, object]


def model_card(source: StrPath, scores: Sequence[StrPath] = (), license: str | None = None) -> str:
    """The card of a run folder or a .tflite.

    Args:
        source: a run folder, or a .tflite (of this package).
        scores: JSON files of `fastscnn evaluate --json`; those of a .tflite must name it.
        license: of the weights; by default what the file says.

    Returns:
        Markdown; what is not on disk is called "not stated".

    Raises:
        InputError: the source or a score file cannot be used.
    """
    path = named_weights(source, TFLITE)
    evaluations = [read_evaluation(each) for each in scores]
    if path.is_dir():
        folder = run_folder_of(path)
        if folder != path:
            raise ModelFileError(f"{path}: expected a run folder (with run.json) or a .tflite")
        parts = _run_parts(path, license)
    elif path.suffix == ".tflite" and path.exists():
        _check_names(path, evaluations)
        parts = _file_parts(path, license)
    else:
        missing = "no such model file, " if not path.exists() else ""
        raise ModelFileError(f"{path}: {missing}expected a run folder (with run.json) or a .tflite")
    index = next(i for i, part in enumerate(parts) if part.startswith("## How to use"))
    parts[index:index] = [scores_section(evaluations, trained_on(path))] if evaluations else []
    return "\n\n".join(parts) + "\n"


def _run_parts(folder: Path, license: str | None) -> list[str]:
    from ..runs.run_record import read_run

    run = read_run(folder)
    names = run.class_names
    files = sorted(p for p in folder.iterdir() if p.suffix in (".keras", ".npz", ".tflite"))
    rows: list[Row] = [
        ("made by", f"fastscnn {run.kind}"),
        ("input", run.size or UNKNOWN),
        ("classes", len(names) or UNKNOWN),
        ("epochs", f"{run.epochs_done} of {run.epochs or UNKNOWN}, {run.state}"),
        ("best", _best(run)),
        ("licence of the weights", license or licence_of(folder) or UNKNOWN),
    ]
    parts = [f"# Model card: {markdown(folder.resolve().name)}", _facts(rows)]
    parts.append(f"## Files\n{markdown_table(('file', 'bytes', 'SHA-256'), map(_file, files))}")
    if names:
        parts.append(f"## Classes\n{markdown(', '.join(names))}")
    if run.class_iou:
        iou = [(name, percent(value)) for name, value in run.class_iou.items()]
        title = f"## Validation, epoch {run.best_epoch}, as the run measured it"
        parts.append(f"{title}\n{markdown_table(('class', 'IoU in %'), iou)}")
    parts.append(f"## Settings of the run\n{_options(run.settings)}")
    if run.versions:
        versions = markdown_table(("program", "version"), run.versions.items())
        parts.append(f"## Versions\n{versions}")
    dataset = run.settings.get("dataset")
    data = "" if dataset is None else f" --dataset {shell_word(dataset)} --data-dir DIR"
    use = f"fastscnn export {shell_path(folder)} --for pi5{data} --output m.tflite"
    parts.append(f"## How to use\n    {use}    # or another device")
    return parts


def _best(run: Run) -> str:
    if run.best_epoch is None:
        return UNKNOWN
    if run.best is None:
        return f"epoch {run.best_epoch}, which was not scored"
    return f"{run.score} {percent(run.best)} %, epoch {run.best_epoch}"


def _file_parts(path: Path, license: str | None) -> list[str]:
    content, graphs = read_model(path)
    metadata = own_metadata(graphs)
    if missing := [name for name in NEEDED if not metadata.get(name)]:
        raise ModelFileError(
            f"{path}: no card can be made, its metadata of this package lacks {', '.join(missing)}"
        )
    summary = graph_summary(content)
    space = label_space(metadata, 0)
    rows: list[Row] = [
        ("file", Markdown(f"{markdown_code(path.name)}, {len(content):,} bytes")),
        ("SHA-256", markdown_code(hashlib.sha256(content).hexdigest())),
        ("made by", metadata["producer"]),
        ("recipe", metadata["recipe"]),
        ("input", f"{metadata['input_size']}, {metadata['input']}"),
        ("outputs", metadata["outputs"]),
        ("normalisation", f"mean {metadata['mean']}, std {metadata['std']}"),
        *((name, metadata.get(name) or UNKNOWN) for name in ("version", "author")),
        ("licence of the weights", license or metadata.get("license") or UNKNOWN),
    ]
    title = metadata.get("name") or path.stem
    parts = [f"# Model card: {markdown(title)}"]
    if metadata.get("description"):
        parts.append(markdown(metadata["description"]))
    parts.append(_facts(rows))
    named = zip(space.names, space.colors, strict=True)
    colors = [(name, f"{r}, {g}, {b}") for name, (r, g, b) in named]
    parts.append(f"## Classes\n{markdown_table(('class', 'RGB'), colors)}")
    run = run_behind(path, metadata)
    trained = _facts(_given(run)) if run else f"Training: {UNKNOWN}."
    parts.append(f"## Training run\n{trained}")
    found = settings_of(path)
    source = markdown(Path(found.source).name)
    parts.append(f"## Device settings, {source}\n{_options(found.settings.to_dict())}")
    operations = markdown_table(("operation", "count"), summary.ops.items())
    floats = f"{summary.float_tensors} of {summary.tensors} tensors are float."
    parts.append(f"## Operations\n{operations}\n\n{floats}")
    use = [f"    fastscnn predict {shell_path(path.name)} street.jpg --output images", ""]
    use += ["```python", "from fastscnn_tf import Segmenter", ""]
    use += [f'labels = Segmenter({python_string(path.name)}).predict("street.jpg")', "```"]
    parts.append("## How to use\n" + "\n".join(use))
    return parts


def read_evaluation(path: StrPath) -> dict[str, Any]:
    with retold(DataError, after="; expected the JSON of fastscnn evaluate --json", of=DataError):
        found: _Scores = read_json(path, _Scores, what="JSON of scores", error=DataError, mend=True)
    return {k: v for k, v in msgspec.structs.asdict(found).items() if v is not msgspec.UNSET}


class _Scores(msgspec.Struct):
    """What of the JSON of `evaluate` a card shows; there is more in it."""

    miou: float | None
    class_iou: Annotated[dict[Name, float | None], msgspec.Meta(max_length=MAX_CLASSES)]
    protocol: str
    model: str
    dataset: str
    split: str
    images: Count
    pixel_accuracy: float | None = None
    sha256: str | msgspec.UnsetType = msgspec.UNSET


def _check_names(path: Path, evaluations: Sequence[Mapping[str, Any]]) -> None:
    for found in evaluations:
        if Path(str(found["model"])).name != path.name:
            raise DataError(
                f"these scores are those of {found['model']}, not of {path.name}: evaluate this "
                "file, or leave them out"
            )
        digest = hashlib.sha256(read_bytes(path, "model file", error=ModelFileError)).hexdigest()
        if found.get("sha256", digest) != digest:  # older scores do not say it
            raise DataError(
                f"these scores are those of a {path.name} of other content: evaluate it again, or "
                "leave them out"
            )


def scores_section(
    evaluations: Sequence[Mapping[str, Any]], known: Collection[tuple[str, str]]
) -> str:
    heads = [f"{Path(str(e['model'])).name}, {e['dataset']} {e['split']}" for e in evaluations]
    rows: list[Sequence[object]] = [
        ("mean IoU", *(percent(e["miou"]) for e in evaluations)),
        ("pixel accuracy", *(percent(e.get("pixel_accuracy")) for e in evaluations)),
        ("images", *(e["images"] for e in evaluations)),
    ]
    classes = dict.fromkeys(name for e in evaluations for name in e["class_iou"])
    rows += [(n, *(percent(e["class_iou"].get(n)) for e in evaluations)) for n in classes]
    protocols = dict.fromkeys(str(e["protocol"]) for e in evaluations)
    table = markdown_table(("in %", *heads), rows)
    parts = [f"## Scores\n{table}", f"Protocol: {markdown_cell('; '.join(protocols))}."]
    measured = dict.fromkeys((str(e["dataset"]), str(e["split"])) for e in evaluations)
    seen = [
        f"{markdown_code(split)} of {markdown_cell(name)}"
        for name, split in measured
        if (name, split) in known
    ]
    if seen:
        parts.append(f"**{seen_in_training(seen)}**")
    return "\n\n".join(parts)


def _file(path: Path) -> tuple[object, ...]:
    digest = hashlib.sha256(read_bytes(path, "model file", error=ModelFileError)).hexdigest()
    return markdown_code(path.name), f"{path.stat().st_size:,}", markdown_code(digest)


def _given(values: Mapping[str, Any], prefix: str = "") -> list[Row]:
    """Names and values that are set, parts of parts as `part.name`."""
    rows: list[Row] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _given(value, f"{prefix}{name}.")
        elif value is not None:
            rows.append((f"{prefix}{name}", value))
    return rows


def _facts(rows: Sequence[Row]) -> str:
    return markdown_table(("what", "value"), rows)


def _options(values: Mapping[str, Any]) -> str:
    return markdown_table(("option", "value"), _given(values))
