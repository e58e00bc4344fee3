"""`fastscnn settings`: shows, writes and turns into code what travels with a .tflite."""

from __future__ import annotations

from typing import Any

import click

from ..core.console import echo, warn
from ..core.foreign_text import printable
from ..delegates.device import DEVICES, list_options
from ..delegates.kotlin import PACKAGE
from . import shared_options as opt


@click.command("settings")
@click.argument("model", metavar="M.TFLITE", required=False)
@click.option("--for", "device", help=f"Write those for {', '.join(DEVICES)}, and say why.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="OPTION=VALUE",
    help="Change one, such as gpu.inference_preference=sustained_speed; none leaves it to the "
    "runtime. May be repeated.",
)
@click.option("--flags", is_flag=True, help="Print commands for benchmark_model (adb for phones).")
@click.option("--kotlin", is_flag=True, help="Print Kotlin source for an Android app.")
@click.option("--package", help=f"Of the Kotlin source. [default: {PACKAGE}]")
@click.option("--options", "listing", is_flag=True, help="List all options with their sources.")
@click.option("--table", is_flag=True, help="Print what --for chooses, as Markdown.")
@click.option(
    "--json",
    "json_path",
    is_flag=False,
    flag_value="-",
    metavar="[PATH]",
    help="Write the settings as JSON; to stdout without a path.",
)
@opt.trust_settings
@opt.force
def settings_command(
    model: str | None, device: str | None, json_path: str | None, force: bool, **rest: Any
) -> None:
    """Show the settings that travel with M.TFLITE, or write M.TFLITE.settings.json.

    With --for or --set they are written; --flags, --kotlin and --json turn what then holds into
    commands, source or JSON. Paths hold where --set gave them on this machine; those that came with
    the file are named and ignored unless --trust-settings, or a folder in FASTSCNN_TRUST_SETTINGS,
    allows them.
    """
    from ..delegates.targets import decision_table

    changes, package = rest["changes"], rest["package"]
    listing, table, flags, kotlin = (rest[n] for n in ("listing", "table", "flags", "kotlin"))
    if package is not None and not kotlin:
        raise click.UsageError("--package is of the Kotlin source: pass --kotlin, too")
    shown = {"--options": listing, "--table": table, "--flags": flags, "--kotlin": kotlin}
    wanted = [name for name, value in {**shown, "--json": json_path}.items() if value]
    if len(wanted) > 1:
        raise click.UsageError(f"choose one of {' and '.join(wanted)}")
    if listing or table:
        if model or device or changes:
            raise click.UsageError(f"{wanted[0]} is the same for every model: leave the rest out")
        echo(list_options() if listing else decision_table(), keep="\n")
        return
    if not model:
        raise click.UsageError("name a .tflite, or ask for --options or --table")
    from ..runtime.model_settings import code_of, settings_of, write_new

    opt.check_json(json_path, force, model)
    quiet = flags or kotlin or json_path == "-"
    if device or changes:
        found = write_new(model, device, changes, force)
    else:
        found = settings_of(model)
    if not quiet:
        echo(found.text(), keep="\n")
    elif found.held.warning:
        warn(f"{found.model}: {found.held.warning}")
    if flags or kotlin:
        code = code_of(found, kotlin, PACKAGE if package is None else package)
        echo(code, end="", keep="\n")
    if json_path:
        result: dict[str, Any] = found.settings.to_dict()
        opt.write_result(result, json_path, f"{printable(json_path)}: settings")
