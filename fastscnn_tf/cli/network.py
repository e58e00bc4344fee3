"""Commands about the network itself: import, export-weights, summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.config import FastSCNNConfig
from ..core.console import echo
from ..core.errors import ConfigError
from ..core.files.writing import check_output
from ..core.sizes import Size
from . import shared_options as opt


class Colour(click.ParamType):
    """`123.675,116.28,103.53` -> three floats."""

    name = "R,G,B"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        try:
            numbers = tuple(float(v) for v in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != 3:
            self.fail(f"expected three numbers such as 123.675,116.28,103.53, got {value!r}")
        return numbers


@click.command("import")
@click.argument("checkpoint")
@click.option(
    "--from",
    "source",
    default="auto",
    show_default=True,
    help="mmseg, tramac, paddleseg, gluon, zh320, fastscnn (a .npz), or auto.",
)
@click.option("--classes", type=int, help="Number of classes; read from the file by default.")
@opt.size
@click.option("--labels", help="Class names and colours of a data set: cityscapes, camvid or toy.")
@click.option("--mean", type=Colour(), help="Of the training, 0..255; the source's by default.")
@click.option("--std", type=Colour(), help="Of the training, 0..255; the source's by default.")
@click.option("--aux/--no-aux", default=False, help="Keep auxiliary heads, to go on training.")
@click.option("--ema", is_flag=True, help="Take the averaged weights where the file has both.")
@click.option("--output", required=True, type=opt.PATH, help="The .keras.")
@opt.force
def import_command(
    checkpoint: str,
    source: str,
    classes: int | None,
    size: Size | None,
    labels: str | None,
    aux: bool,
    ema: bool,
    output: Path,
    force: bool,
    **colours: Any,
) -> None:
    """Read weights of another implementation: .pth, .pdparams, .safetensors (or our .npz).

    Nothing that a checkpoint asks for is executed.
    """
    from ..evaluation.saving import save_model
    from ..model.checkpoints.import_checkpoint import import_checkpoint

    if output.suffix != ".keras":
        raise ConfigError(f"{output}: the output must end in .keras")
    check_output(output, force)
    changes = {name: value for name, value in colours.items() if value is not None}
    if size is not None:
        changes["input_size"] = size
    if labels:
        space = FastSCNNConfig.for_labels(labels)
        changes |= {"class_names": space.class_names, "class_colors": space.class_colors}
        classes = classes or space.num_classes
    model = import_checkpoint(checkpoint, source, classes, aux_heads=aux, ema=ema, **changes)
    save_model(model, output, force)
    config = model.config
    heads = "kept" if config.aux_heads else "left out"
    named = "" if config.class_names else " without names (--labels gives them)"
    echo(
        f"{output}: {config.num_classes} classes{named}, {model.count_params():,} weights; "
        f"auxiliary heads {heads}; mean {config.mean}, std {config.std}"
    )


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
    echo(f"{output}: {opt.count(count, 'array')}")


@click.command()
@click.argument("model", required=False)
@click.option("--preset", help=f"{opt.PRESET_NAMES}. [default: paper]")
@click.option("--classes", type=int, help="Number of classes. [default: 19]")
@opt.size
@click.option("--width", type=float, help="Factor of all channel counts, 0.25..4.")
@click.option("--aux/--no-aux", default=None, help="With the auxiliary heads.")
@opt.pad
@opt.json_path
@opt.force
def summary(
    model: str | None,
    preset: str | None,
    classes: int | None,
    size: Size | None,
    width: float | None,
    aux: bool | None,
    pad: bool,
    json_path: str | None,
    force: bool,
) -> None:
    """Print what each stage costs: of MODEL (.keras, .npz or run folder), or of a preset.

    Output shape, parameters, multiply-accumulates, receptive field and activation memory.
    """
    from ..model.summary import summary as count

    opt.check_json(json_path, force, model)
    opt.check_pad(pad, size)
    wiring = {"preset": preset, "classes": classes, "width": width}
    given = [name for name, value in wiring.items() if value is not None]
    if model is None:
        classes = 19 if classes is None else classes
        width = 1.0 if width is None else width
        config = FastSCNNConfig.preset(preset or "paper", num_classes=classes, width=width)
    else:
        from ..evaluation.evaluate import load_model

        if given:
            raise ConfigError(f"{model} has its own wiring: leave out --{', --'.join(given)}")
        config = load_model(model).config
    changes: dict[str, Any] = {} if aux is None else {"aux_heads": aux}
    if size is not None:
        changes |= {"input_size": size, "pad": pad}
    result = count(config.replace(**changes))
    opt.write_result(result.to_dict(), json_path, result.table())


COMMANDS = (import_command, export_weights_command, summary)
