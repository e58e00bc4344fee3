"""Commands about the network itself: import, export-weights, prune, summary."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from ..core.config import FastSCNNConfig
from ..core.console import echo
from ..core.errors import ConfigError
from ..core.files.writing import check_output
from ..core.labels import LabelSpace, label_space
from ..train.settings import PretrainSettings
from . import shared_options as opt

COLOUR = opt.Numbers("R,G,B", "three numbers such as 123.675,116.28,103.53", 3)


@click.command("import")
@click.argument("checkpoint")
@click.option(
    "--from",
    "source",
    default="auto",
    show_default=True,
    help="mmseg, tramac, paddleseg, gluon, zh320, mindspore, rachthree, kshitizrimal (the script), "
    "kshitizrimal-notebook, skywa7ch3r, shrief (of KD-WSI-sTILs-Scoring), fastscnn (a .npz), or "
    "auto.",
)
@click.option("--classes", type=int, help="Number of classes; read from the file by default.")
@opt.size
@click.option(
    "--labels",
    help="Class names and colours of a data set: cityscapes, camvid, toy, ..., or a dataset.yaml.",
)
@click.option("--mean", type=COLOUR, help="Of the training, 0..255; the source's by default.")
@click.option("--std", type=COLOUR, help="Of the training, 0..255; the source's by default.")
@click.option("--aux/--no-aux", default=False, help="Keep auxiliary heads, to go on training.")
@click.option("--ema", is_flag=True, help="Take the averaged weights where the file has both.")
@click.option("--prefix", default="", help="Of its tensors' names, where a file has two networks.")
@click.option("--output", required=True, type=opt.PATH, help="The .keras.")
@opt.force
def import_command(
    checkpoint: str, source: str, output: Path, labels: str | None, force: bool, **rest: Any
) -> None:
    """Read weights of another implementation, or our .npz.

    .pth, .pdparams, .safetensors, .onnx, MindSpore's .ckpt, Keras' .h5 and SavedModel folders.

    Nothing that a checkpoint asks for is executed.
    """
    from ..evaluation.saving import save_model
    from ..model.checkpoints.import_checkpoint import import_checkpoint

    check_output(output, force, suffix=".keras")
    rest["input_size"] = rest.pop("size")
    changes, classes = opt.given(rest, "mean", "std", "input_size"), rest["classes"]
    if labels:
        space = _labels(labels)
        changes |= {"class_names": space.names, "class_colors": space.colors}
    kept = {"aux_heads": rest["aux"], "ema": rest["ema"], "prefix": rest["prefix"]}
    model = import_checkpoint(checkpoint, source, classes, **kept, **changes)
    save_model(model, output, force)
    config = model.config
    heads = "kept" if config.aux_heads else "left out"
    named = "" if config.class_names else " without names (--labels gives them)"
    echo(
        f"{output}: {config.num_classes} classes{named}, {model.count_params():,} weights; "
        f"auxiliary heads {heads}; mean {config.mean}, std {config.std}"
    )


def _labels(name: str) -> LabelSpace:
    """A label space by its name, or that of a dataset.yaml or the folder that holds one."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_dir():
        from ..data.datasets.description import read_description

        return read_description(path).labels
    return label_space(name)


@click.command("export-weights")
@click.argument("model")
@click.option("--output", required=True, type=opt.PATH, help="The .npz.")
@opt.force
def export_weights_command(model: str, output: Path, force: bool) -> None:
    """Write all weights of MODEL (.keras or run folder) as a documented .npz."""
    from ..evaluation.evaluate import load_model
    from ..model.checkpoints.weights_file import export_weights

    check_output(output, force)
    count = export_weights(load_model(model), output, force)
    echo(f"{output}: {opt.counted(count, 'array')}")


@click.command("prune")
@click.argument("model")
@click.option(
    "--macs",
    type=float,
    default=0.7,
    show_default=True,
    help="Share of its multiply-adds that may be left, 0.01..0.99.",
)
@opt.dataset(required=False)
@opt.split
@click.option("--size", type=opt.SizeType(), help="Height x width at which it is scored.")
@opt.skip_bad
@click.option("--output", required=True, type=opt.PATH, help="The .keras.")
@opt.json_and_force
def prune_command(
    model: str, output: Path, json_path: str | None, force: bool, macs: float, **data: Any
) -> None:
    """Cut the least important channels out of MODEL (.keras or run folder), whole ones.

    What is left is a narrower network of the same kind, which is then trained on by train
    --init-from OUTPUT, quantized and exported as any other. With --dataset it is scored before and
    right after.
    """
    from ..evaluation.evaluate import evaluate, load_model
    from ..evaluation.saving import save_model
    from ..model.prune import check_macs, prune

    check_macs(macs)
    if not data["dataset"] and (data["data_dir"] or data["size"]):
        raise click.UsageError("--data-dir and --size are for scoring: pass --dataset, too")
    opt.refuse_inputs(str(output), (model,), data["data_dir"])
    check_output(output, force, suffix=".keras")
    opt.check_json(json_path, force, model, str(output), data_dir=data["data_dir"])
    loaded = load_model(model)
    result = prune(loaded, macs)
    if data["dataset"]:
        bar = opt.progress("evaluating")
        before, after = (evaluate(m, progress=bar, **data).miou for m in (loaded, result.model))
        result = dataclasses.replace(result, miou=(before, after))
    save_model(result.model, output, force)
    text = f"{result}\n{output}: next, fastscnn train --init-from {output} ..."
    opt.write_result(result.to_dict(), json_path, text)


@click.command()
@click.argument("model", required=False)
@opt.setting_option(PretrainSettings, "preset")
@click.option("--classes", type=int, help="Number of classes. [default: the preset's]")
@opt.size
@opt.setting_option(PretrainSettings, "width")
@click.option("--aux/--no-aux", default=None, help="With the auxiliary heads.")
@opt.pad
@opt.json_and_force
def summary(model: str | None, json_path: str | None, force: bool, **rest: Any) -> None:
    """Print what each stage costs: of MODEL (.keras, .npz or run folder), or of a preset.

    Output shape, parameters, multiply-accumulates, receptive field and activation memory.
    """
    from ..model.summary import summary as count

    opt.check_json(json_path, force, model)
    size, pad, aux = (rest[name] for name in ("size", "pad", "aux"))
    opt.check_pad(pad, size)
    given = opt.given(rest, "preset", "classes", "width")
    if model is None:
        fields = {"classes": "num_classes", "width": "width"}
        counts = {fields[name]: given[name] for name in fields if name in given}
        config = FastSCNNConfig.preset(given.get("preset") or "paper", **counts)
    else:
        from ..evaluation.evaluate import load_model

        if given:
            raise ConfigError(f"{model} has its own architecture: leave out --{', --'.join(given)}")
        config = load_model(model).config
    changes: dict[str, Any] = {} if aux is None else {"aux_heads": aux}
    if size is not None:
        changes |= {"input_size": size, "pad": pad}
    result = count(config.replace(**changes))
    opt.write_result(result.to_dict(), json_path, result.table())
