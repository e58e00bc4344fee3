"""`fastscnn compile`: a .tflite for an NPU, by its vendor's compiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..delegates.device import ACCELERATORS
from . import declared
from . import shared_options as opt


@click.command("compile")
@click.argument("model", metavar="M.TFLITE")
@click.option(
    "--for",
    "accelerator",
    required=True,
    help=f"The NPU, and its multiply-accumulates per cycle: {', '.join(ACCELERATORS)}.",
)
@click.option("--output", required=True, type=opt.PATH, help="Folder for NAME_ACCELERATOR.tflite.")
@declared.flag("--allow-cpu", "Take a file of which the CPU runs a part.")
@declared.path("--vela", "The program; default: that of this environment, else on PATH.")
@declared.path("--config", "Vela's .ini file of systems; default: its own.")
@click.option("--system-config", "system", help="A system in it, such as Ethos_U65_High_End.")
@click.option("--memory-mode", "memory", help="A memory mode in it, such as Dedicated_Sram_512KB.")
@declared.above_zero("--timeout", "Seconds that Vela may take.", 86400, 600)
@opt.json_and_force
def compile_command(
    model: str, output: Path, json_path: str | None, force: bool, **arguments: Any
) -> None:
    """Compile an int8 M.TFLITE for an Arm Ethos-U NPU with Vela; all of it must run there.

    export --for ethos-u55, ethos-u65 or ethos-u85 writes such files. Printed are the placement and
    Vela's estimate of cycles and memory by stage; nothing is run.
    """
    from ..export.vela import compile_tflite

    opt.check_json(json_path, force, model)
    result = compile_tflite(model, output=output, force=force, **arguments)
    opt.write_result(result.to_dict(), json_path, str(result))
