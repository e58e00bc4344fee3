"""Commands that make models and files: train, pretrain, quantize, export."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..core.console import echo, warn
from ..core.errors import ConfigError, InputError, Interrupted
from ..core.files.addresses import is_place
from ..core.named_weights import RUN_HERE, TFLITE
from ..core.text_table import percent
from ..delegates.device import DEVICES
from ..quantize.run_settings import QuantizeSettings
from ..runs.run_files import RUN
from ..runs.run_record import read_run
from ..train.settings import MULTI_WORKER, PretrainSettings, TrainSettings
from . import declared
from . import shared_options as opt
from .export_options import (
    C_ARRAY,
    ONNX,
    TEXTS,
    about_options,
    as_c_array,
    choose_for,
    engine_options,
    format_option,
    translate,
)
from .sections import SectionedCommand

# What a recipe decides, in the order of `--help`.
RECIPE = {
    "Length and batches": ("epochs", "batch_size", "crop", "accumulate"),
    "Optimizer and schedule": (
        *("optimizer", "learning_rate", "schedule", "power", "cycles", "warmup_epochs"),
        *("momentum", "weight_decay", "l2", "clip_norm", "ema", "precision"),
    ),
    "Loss and augmentation": ("loss", "class_weights", "label_smoothing", "aux_weight", "augment"),
    "Network": ("preset", "width", "dropout", "bn_momentum"),
    "Teacher": ("distill_weight", "distill_temperature"),
    "Validation": ("validate_every", "early_stopping"),
}
SECTIONS = {
    "Data": (
        *("dataset", "data_dir", "size", "extra_dataset", "extra_data_dir", "extra_split"),
        *("val_split", "skip_bad", "cache"),
    ),
    "Run": (
        *("recipe", "init_from", "match", "class_map", "output", "save_every", "resume"),
        "force",
    ),
    **RECIPE,
    "Network": (*RECIPE["Network"], "aux_heads"),
    "Teacher": ("teacher", *RECIPE["Teacher"]),
    "Machine": ("strategy", "seed", "deterministic"),
}
aux = click.option(
    "--aux/--no-aux",
    "aux_heads",
    default=None,
    help="Auxiliary losses; by default where the architecture has such heads.",
)
recipe_options = opt.options(
    opt.setting_options(TrainSettings, *sum(RECIPE.values(), ()), label="paper"), aux
)
source_options = opt.setting_options(
    TrainSettings,
    *("init_from", "match", "class_map", "teacher"),
    *("extra_dataset", "extra_data_dir", "extra_split", "val_split"),
    label="default",
)
cache = opt.setting_option(TrainSettings, "cache")
save_every = opt.setting_option(TrainSettings, "save_every")


class SizeOrAuto(opt.SizeType):
    """`auto` is None, as where no size is given."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        return None if value == "auto" else super().convert(value, param, ctx)


size_or_auto = click.option(
    "--size",
    type=SizeOrAuto(),
    help="Height x width, multiples of 32. [default: auto, from the images' own]",
)


def settings_given(values: dict[str, Any], resumed: Path | None = None) -> TrainSettings:
    """The settings of a run: the recipe's, and the options that were given beside it.

    Args:
        values: the options; what was not given is None.
        resumed: the folder of a run that goes on: what the images decided stays.
    """
    from ..train.proposals import proposals
    from ..train.recipes import train_settings

    values = {"data_dir": None, **opt.given(values)}
    if resumed and (resumed / RUN).is_file():
        began = read_run(resumed).settings
        if size := began.get("size"):
            values = {"size": tuple(size), "batch_size": began.get("batch_size"), **values}
    else:
        found, lines = proposals(values)
        values |= found
        for line in lines:
            echo(line, err=True)  # stdout may be for the result
    return train_settings(**values)


@contextlib.contextmanager
def naming_interruptions() -> Iterator[None]:
    """On Ctrl-C, says what of a run was kept.

    Raises:
        Interrupted: for the line on the console.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted {str(error) or 'before the run began'}") from None


@click.command(cls=SectionedCommand, sections=SECTIONS)
@opt.dataset()
@size_or_auto
@declared.text(
    "--recipe",
    "paper, strong, finetune, settle, or a recipe.json (that of a run or of search; a run "
    "folder stands for its own). Options given beside it replace what it says.",
    "paper",
)
@recipe_options
@source_options
@opt.setting_options(TrainSettings, "seed", "deterministic")
@opt.setting_option(TrainSettings, "strategy", label="default")
@opt.skip_bad
@cache
@save_every
@opt.output
@opt.resume
@opt.force
def train(output: Path, resume: bool, force: bool, **rest: Any) -> None:
    """Train by a recipe; writes best.keras, last.keras, recipe.json, logs and a report."""
    settings = settings_given(rest, output if resume else None)
    run: Callable[..., Any]
    if settings.strategy == MULTI_WORKER:
        if is_place(output):
            raise ConfigError(f"{output}: several workers need a folder that all of them see")
        from ..train.distributed.run import run_on_workers as run
    else:
        from ..train.trainer import run_training as run
    with naming_interruptions():
        bar = opt.progress("checking pairs")
        result = run(settings, output, resume, force, progress=bar)
    if result is None:
        return  # a worker that is not the chief
    from ..reports.run_report import write_run_report

    try:
        report = f"; {write_run_report(output, force=True)}"
    except InputError as error:  # all is trained: what is missing can be installed now
        warn(f"no report: {error}; then: fastscnn runs report {output}")
        report = ""
    score = "" if result.miou is None else f"val mIoU {percent(result.miou)} % "
    echo(f"{result.best}: {score}after {opt.counted(result.epochs, 'epoch')}{report}")


@click.command()
@opt.setting_options(
    PretrainSettings,
    *("data_dir", "size", "epochs", "batch_size", "learning_rate", "preset", "width"),
    *("bn_momentum", "seed", "validate_every", "save_every"),
)
@opt.output
@opt.resume
@opt.force
def pretrain(output: Path, resume: bool, force: bool, **rest: Any) -> None:
    """Train the trunk as an image classifier (ImageNet), for train --init-from."""
    from ..train.pretrain import run_pretraining

    settings = PretrainSettings(**opt.given(rest))
    with naming_interruptions():
        result = run_pretraining(settings, output, resume, force)
    echo(
        f"{result.best}: val top-1 {percent(result.top1)} %, top-5 {percent(result.top5)} % "
        f"after {opt.counted(result.epochs, 'epoch')}"
    )


@click.command()
@click.argument("model")
@opt.dataset()
@opt.size
@opt.setting_options(
    QuantizeSettings,
    *("epochs", "batch_size", "learning_rate", "freeze_ranges", "distill_weight", "augment"),
    *("seed", "validate_every", "match", "class_map", "deterministic"),
    *("extra_dataset", "extra_data_dir", "extra_split", "val_split"),
)
@opt.skip_bad
@cache
@save_every
@opt.output
@opt.resume
@opt.force
def quantize(output: Path, resume: bool, force: bool, **rest: Any) -> None:
    """Fine-tune MODEL (a .keras file or run folder) with int8 quantization in the loop (TFMOT)."""
    from ..quantize.fine_tune import run_quantization

    settings = QuantizeSettings(**{"data_dir": None, **opt.given(rest)})
    with naming_interruptions():
        bar = opt.progress("checking pairs")
        result = run_quantization(settings, output, resume, force, progress=bar)
    score = f"val mIoU {percent(result.miou)} %"
    echo(f"{result.best}: {score} after {opt.counted(result.epochs, 'epoch')}")


@click.command()
@click.argument("model")
@click.option(
    "--for",
    "device",
    help=f"Choose recipe, input, outputs and settings for {', '.join(DEVICES)}, and say why.",
)
@click.option(
    "--recipe", help="float32, float16, dynamic (int8 weights), int8 (PTQ), int8-qat or int16x8."
)
@format_option
@opt.size
@opt.pad
@click.option(
    "--outputs", help="logits (1/8), logits-full, prob, labels or labels-8 (1/8). [default: logits]"
)
@click.option(
    "--input",
    help="uint8 (raw bytes; the default but for int16x8), int8 (bytes ^ 0x80; int8 recipes), "
    "float32 (normalised; the default of int16x8) or int16 (normalised; int16x8).",
)
@opt.dataset(required=False)
@declared.whole(
    "--calibration-images", "Training images that set the ranges of int8 and int16x8.", 1, 200, 100
)
@opt.calibration_method
@opt.skip_bad
@engine_options
@about_options
@click.option("--output", required=True, type=opt.PATH, help="The .tflite, .onnx or NAME.h.")
@opt.force
def export(
    model: str,
    output: Path,
    device: str | None,
    dataset: str | None,
    format: str,
    force: bool,
    **rest: Any,
) -> None:
    """Write MODEL (.keras, .npz or run folder) as a .tflite, by default with raw uint8 RGB input.

    Or as an .onnx (--format onnx), which a .tflite of this command can become as well.

    Recipes int8 and int16x8 read calibration images from --dataset/--data-dir: images of its
    training split, or of any folder (--dataset folder), whether there are label maps or not.
    --format c-array writes NAME.h, NAME.cc and NAME_example.cc for TFLite Micro, of the NAME.tflite
    that is exported beside them or of a MODEL that is an int8 .tflite.
    """
    from ..evaluation.evaluate import load_model
    from ..export.c_array import check_c_array, check_options
    from ..export.export_onnx import check_onnx, export_onnx
    from ..export.export_tflite import ExportOptions, check_target, export_tflite
    from ..runs.about import about_model

    if format != "tflite" and Path(model).suffix == TFLITE:
        translate(model, output, format, force)
        return
    if Path(model).suffix in RUN_HERE:
        raise ConfigError(
            f"{model}: expected a .keras, .npz or run folder; such a file is an export already"
            + (", which --format onnx and c-array take" if Path(model).suffix == TFLITE else "")
        )
    header = output if format == C_ARRAY else None
    if header:
        check_c_array(header, force)
        output = header.with_suffix(".tflite")
    shape = opt.taken(rest, "size", "pad")
    opt.check_pad(**shape)
    texts = opt.taken(rest, *TEXTS)
    images = opt.taken(rest, "data_dir", "skip_bad")
    count = rest.pop("calibration_images")
    settings = None
    if device and format == ONNX:
        raise click.UsageError("--for chooses what suits a .tflite: leave it out with format onnx")
    if device:
        wanted = {name: rest[name] for name in ("recipe", "outputs", "input", "keep_float")}
        choice = choose_for(device, model, bool(dataset), **wanted)
        rest |= {"recipe": choice.recipe, "outputs": choice.outputs, "input": choice.input}
        settings = choice.settings
    elif not rest["recipe"]:
        raise click.UsageError("--recipe or --for is needed")
    rest["outputs"] = rest["outputs"] or "logits"
    options = ExportOptions(**shape, **rest)
    if format == ONNX:
        check_onnx(output, options, force)
    rules, input = options.checked()
    if format != ONNX:
        check_target(output, force)
    if header:
        check_options(rules.name, options.outputs, input, options.keep_float)
    loaded = load_model(model)
    calibration = None
    if rules.needs_calibration and dataset:
        from ..export.representative import training_images
        from ..model.fast_scnn import resized_config

        size = shape["size"] or loaded.config.input_size
        config = resized_config(loaded.config, size, shape["pad"])
        calibration = training_images(config, dataset, count=count, **images)
    about = about_model(model, **texts)
    given: dict[str, Any] = {"about": about, "calibration": calibration, "options": options}
    if format == ONNX:
        echo(str(export_onnx(loaded, output, force=force, **given)), keep="\n")
        return
    result = export_tflite(loaded, output, force=force, settings=settings, **given)
    echo(str(result), keep="\n")
    if header:
        as_c_array(output, header, force)
