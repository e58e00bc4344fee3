"""Options and small helpers that several commands share."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..core.console import StatusLine, echo
from ..core.errors import ConfigError
from ..core.fields import declared, default_text, defaults, kinds
from ..core.files.addresses import shown
from ..core.files.json_text import dump_json
from ..core.files.writing import check_output, write_bytes
from ..core.named_weights import KERAS, TFLITE, named_weights
from ..core.sizes import Size, parse_size
from ..core.text_table import counted as counted
from ..core.text_table import duration
from ..delegates.cpu import KERNELS
from ..delegates.kernels import using_kernels
from ..delegates.trust import trusting
from ..runtime import MAX_PROCESSES, MAX_THREADS, RUNTIMES
from .declared import PATH as PATH
from .declared import choice, flag, text, whole


class SizeType(click.ParamType):
    """`352x480` -> (352, 480); what uses it asks for multiples of 32, unless it pads."""

    name = "HxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> Size:
        try:
            return parse_size(value, pad=True) if isinstance(value, str) else value
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class Numbers(click.ParamType):
    """`0.5,1.0` -> (0.5, 1.0).

    Args:
        name: what `--help` calls them.
        expected: how the message calls them.
        count: how many; 0: any number.
    """

    def __init__(self, name: str, expected: str, count: int = 0):
        self.name, self.expected, self.count = name, expected, count

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if not isinstance(value, str):
            return value
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if not numbers or (self.count and len(numbers) != self.count):
            self.fail(f"expected {self.expected}, got {value!r}", param, ctx)
        return numbers


def options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator, in the order given."""

    def apply(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def setting_options(settings: Any, *names: str, label: str = "") -> Callable[[Any], Any]:
    """An option for each of some settings, as they declare it.

    None has a default: what is not given (see `given`) is left to the settings.

    Args:
        settings: their class.
        names: of its fields.
        label: what `--help` calls the value that holds otherwise; empty: `default`.
    """
    return options(*(setting_option(settings, name, label=label) for name in names))


def setting_option(settings: Any, name: str, help: str = "", label: str = "") -> Any:
    """The option of one setting; `help` replaces what the setting says of itself."""
    field, kind = declared(settings)[name], next(iter(kinds(settings)[name] - {type(None)}))
    text, otherwise = help or field.help, default_text(settings, name)
    if otherwise and kind is not bool:
        # Two spaces where click would show a default of its own.
        gap = " " if label or field.shown else "  "
        otherwise = otherwise.removesuffix(".0") if label else otherwise
        text += f"{gap}[{label or 'default'}: {otherwise}]"
    needed = name not in defaults(settings)
    shown: Any = {"is_flag": True} if kind is bool else {"type": TYPES.get(kind, kind)}
    return click.option(f"--{name.replace('_', '-')}", required=needed, help=text, **shown)


def given(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """The options that were given; of some names, if there are any."""
    known = {name: values[name] for name in names or values}
    return {name: value for name, value in known.items() if value is not None}


def taken(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Some options, which are removed from the others."""
    return {name: values.pop(name) for name in names}


TYPES: dict[Any, Any] = {Size: SizeType()}

size = click.option("--size", type=SizeType(), help="Height x width, multiples of 32.")
model_size = click.option(
    "--size", type=SizeType(), help="Run a Keras model at another height x width."
)
pad = flag("--pad", "Take any --size: pad to multiples of 32, cut off the result.")
output = click.option("--output", required=True, type=PATH, help="Run folder.")
resume = flag("--resume", "Go on with the run in --output; begin it if there is none yet.")
force = flag("--force", "Replace what is there already.")
trust_settings = click.option(
    "--trust-settings",
    is_flag=True,
    expose_value=False,
    callback=lambda context, _, given: given and context.with_resource(trusting()),
    help="Load and write what settings name that came with a .tflite.",
)


def _of_foreign(name: str, type: Any, help: str) -> Any:
    """An option for the .tflite files from elsewhere that a command opens."""

    def hold(context: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None:
            from ..tflite.foreign_options import foreign_options

            context.with_resource(foreign_options(**{str(param.name): value}))

    return click.option(name, type=type, expose_value=False, callback=hold, help=help)


def _run_by(context: click.Context, param: click.Parameter, runtime: str | None) -> None:
    if runtime:
        from ..runtime.other_runtime import using_runtime

        context.with_resource(using_runtime(runtime))


_COLOUR = Numbers("N or R,G,B", "a number or three, such as 123.7,116.3,103.5")
tflite = options(  # of commands that open a .tflite or .onnx
    _of_foreign("--mean", _COLOUR, "Of a file from elsewhere that does not say it, in 0..255."),
    _of_foreign("--std", _COLOUR, "Likewise: it takes (x - mean) / std."),
    _of_foreign("--scale", float, "Likewise: 255 for 0..1, or with a mean and std of 0..1."),
    _of_foreign("--output-tensor", str, "Name of its output that segments, of several."),
    _of_foreign("--threshold", float, "Of its single channel's probability. [default: 0.5]"),
    click.option(
        "--runtime",
        type=click.Choice(RUNTIMES),
        expose_value=False,
        callback=_run_by,
        help="What runs it. [default: litert for .tflite, onnxruntime for .onnx]",
    ),
    trust_settings,
)


def _threads(help: str) -> Callable[[Any], Any]:
    number = click.option("--threads", type=click.IntRange(1, MAX_THREADS), help=help)
    return options(number, tflite)


threads = _threads("CPU threads of a .tflite. [default: its settings', else 2]")
threads_each = _threads(
    "CPU threads of a .tflite, in each process. [default: its settings', else 2; 1 with several]"
)
kernels = click.option(
    "--kernels",
    type=click.Choice(KERNELS),
    metavar="NAME",
    expose_value=False,
    callback=lambda context, _, given: context.with_resource(using_kernels(given)),
    help=f"Of a .tflite, instead of its settings': {', '.join(KERNELS)} (TFLite Micro).",
)
_crew = options(
    whole(
        "--processes",
        "Share the work among so many processes: one per core is fastest.",
        high=MAX_PROCESSES,
        default=1,
    ),
    choice(
        "--engine",
        "Processes of this machine, or actors of Ray, whose machines see the same paths.",
        ("processes", "ray"),
        "processes",
    ),
    click.option(
        "--address",
        metavar="HOST:PORT",
        help="Of a Ray cluster; auto: the one here. [default: RAY_ADDRESS, else starts one]",
    ),
)


def fleet(command: Callable[..., Any]) -> Any:
    """`--processes`, `--engine` and `--address`: the command gets a `Fleet` as `processes`.

    Its `threads`, if none are given, are one where the work is shared. One with `workers`, which
    are threads or a `Fleet`, has no `processes`.
    """

    @functools.wraps(command)
    def with_fleet(*, processes: int, engine: str, address: str | None, **arguments: Any) -> Any:
        from ..runtime.actors import LOCAL
        from ..runtime.fleet import Fleet

        if address is not None and engine != "ray":
            raise click.UsageError("--address is for --engine ray")
        ray = (address or os.environ.get("RAY_ADDRESS") or LOCAL) if engine == "ray" else None
        shared = Fleet(processes, ray)
        if "threads" in arguments:
            arguments["threads"] = arguments["threads"] or (None if shared.alone else 1)
            arguments["processes"] = shared
        elif not shared.alone:
            if arguments["workers"]:
                raise click.UsageError("--workers are threads of one process: leave them out")
            arguments["workers"] = shared
        return command(**arguments)

    return _crew(with_fleet)


workers = options(whole("--workers", "Threads of one process. [default: one per core]"), fleet)
skip_bad_images = flag(
    "--skip-bad", "Go on without images that are missing or cannot be read, and list them."
)
skip_bad = flag("--skip-bad", "Go on without pairs that cannot be used, and count them.")
split = text("--split", "train, val, test, train_extra, or what the YAML names.", "val")
calibration_method = text(
    "--calibration-method", "How they set them: minmax, percentile (99.99) or mse.", "minmax"
)
json_and_force = options(  # of commands that print a result
    click.option(
        "--json", "json_path", metavar="PATH", help="Write the result as JSON; - for stdout."
    ),
    force,
)


def matching(command: Callable[..., Any]) -> Any:
    """`--match` and `--class-map`, of commands that bring a model and a data set together."""
    from ..core.class_maps import MATCHES

    class_map = click.option(
        "--class-map",
        metavar="FILE",
        help="YAML of MODEL'S CLASS: DATA SET'S CLASS, where names differ.",
    )
    about = "How classes are matched: index does so whatever their names are."
    return options(choice("--match", about, MATCHES, "name"), class_map)(command)


def dataset(required: bool = True) -> Callable[[Any], Any]:
    """`--dataset` and `--data-dir`."""
    from ..data.datasets.registry import NAMES

    return options(
        click.option("--dataset", required=required, help=f"{', '.join(NAMES)}."),
        click.option("--data-dir", help="Where the data set lies (or its YAML file)."),
    )


def check_pad(pad: bool, size: Size | None) -> None:
    """Refuses `--pad` where it would do nothing."""
    if pad and size is None:
        raise click.UsageError("--pad is for a size that is not a multiple of 32: pass --size, too")


def is_given(name: str) -> bool:
    """Whether the command line itself has this option."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def check_runtime(*models: str | None) -> None:
    """Refuses `--runtime` where it would do nothing: Keras computes all of the models."""
    params = click.get_current_context().params
    views = params.get("size"), params.get("window"), params.get("scales", (1.0,)) != (1.0,)
    kind = KERAS if any(views) else TFLITE  # of weights by name
    files = [named_weights(model, kind) for model in models if model]
    if is_given("runtime"):
        from ..runtime.other_runtime import check_run_here

        check_run_here(*files)


def check_json(
    path: str | None, force: bool, *inputs: str | None, data_dir: str | None = None
) -> None:
    """Refuses an existing JSON file, and always one of the inputs, before the work starts."""
    if path == "":
        raise click.UsageError("--json needs a path, or - for stdout")
    if path and path != "-":
        refuse_inputs(path, inputs, data_dir)
        check_output(path, force)


def refuse_inputs(path: str, inputs: Iterable[str | None], data_dir: str | None = None) -> None:
    """Refuses an output that is one of the inputs, which --force would destroy.

    Args:
        path: the output.
        inputs: files that the command reads, or writes besides.
        data_dir: a data set, or its description: what lies in its folder is not replaced.
    """
    # `Path.resolve` fails at a loop of links, which whoever reads the input will name.
    target = os.path.realpath(path)
    if target in {os.path.realpath(given) for given in (*inputs, data_dir) if given}:
        raise click.UsageError(
            f"{path} is an input or another output of this command: name another file"
        )
    data = os.path.realpath(data_dir) if data_dir else ""
    if os.path.isdir(data) and os.path.exists(path) and Path(target).is_relative_to(data):  # noqa: PTH110, PTH112
        raise click.UsageError(f"{path} lies in the data set {data_dir}: name another file")


def write_result(result: dict[str, Any], path: str | None, text: str) -> None:
    """Prints `text`, or the JSON alone where it goes to stdout; writes the JSON file."""
    if path == "-":
        echo(dump_json(result, 2), keep="\n")
        return
    echo(text, keep="\n\t")
    if path:
        write_bytes(path, shown(dump_json(result, 2) + "\n").encode())


def progress(label: str) -> Callable[[Iterable[int]], Iterator[int]]:
    """Wraps indices in a line on stderr with what is left, which is gone at the end.

    One for several loops shows one line. It is silent where stderr is not a terminal.
    """

    def wrap(items: Iterable[int]) -> Iterator[int]:
        known = list(items)
        line, first = StatusLine(), 0.0  # when it came: until then processes and models start

        def said() -> str:
            left = (time.monotonic() - first) / max(done - 1, 1) * (len(known) - done)
            return f"{label} {done} of {len(known)}{f', {duration(left)} left' if done > 1 else ''}"

        try:
            for done, item in enumerate(known):
                first = time.monotonic() if done == 1 else first
                line.show(said)
                yield item
        finally:
            line.clear()

    return wrap
