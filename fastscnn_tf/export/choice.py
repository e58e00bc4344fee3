"""`choose`: what to export for a device, by the decision table and what the user gave."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence

from ..core.errors import ConfigError
from ..delegates.device import COMPILED, DeviceSettings
from ..delegates.targets import target
from . import quantization_recipes as recipes


@dataclasses.dataclass(frozen=True)
class Choice:
    """What will be exported.

    Attributes:
        recipe: of the export.
        outputs: of the export.
        input: of the export.
        settings: that travel with the file.
        lines: what was chosen and why, for people.
    """

    recipe: str
    outputs: str
    input: str
    settings: DeviceSettings
    lines: tuple[str, ...]


def choose(
    device: str,
    recipe: str | None = None,
    outputs: str | None = None,
    input: str | None = None,
    quantization_aware: bool = False,
    calibration: bool = True,
    keep_float: Sequence[str] = (),
) -> Choice:
    """The decision table's choice for a device; what is given takes its place.

    Args:
        device: a name of `delegates.targets.TARGETS`.
        recipe: of the export, if given.
        outputs: of the export, if given.
        input: of the export, if given.
        quantization_aware: the model is: int8 becomes int8-qat.
        calibration: there are images to calibrate with.
        keep_float: layers that stay in float.

    Raises:
        ConfigError: no such device, recipe, output or input; or the table's recipe needs images; or
            floats for an NPU whose compiler takes none.
    """
    found = target(device)
    planned = "int8-qat" if found.recipe == "int8" and quantization_aware else found.recipe
    rules = recipes.recipe(recipe or planned)
    if recipe is None and rules.needs_calibration and not calibration:
        raise ConfigError(
            f"--for {device} chooses recipe {rules.name}, whose ranges are set by calibration "
            "images: pass --dataset and --data-dir, or a quantization-aware model (fastscnn "
            "quantize)"
        )
    chosen = {
        "recipe": rules.name,
        "outputs": outputs or found.outputs,
        "input": input or _fitting(found.input, recipes.recipe(planned), rules),
    }
    if device in COMPILED and (not rules.quantized or chosen["input"] == "float32"):
        raise ConfigError(
            f"{found.title} computes with integers, not by recipe {rules.name} with input "
            f"{chosen['input']}: leave them out, --for {device} chooses"
        )
    if device in COMPILED and keep_float:
        raise ConfigError(f"{found.title} computes with integers alone: leave --keep-float out")
    table = {"recipe": planned, "outputs": found.outputs, "input": found.input}
    what = ", ".join(f"{name} {value}" for name, value in chosen.items())
    lines = [f"for {device} ({found.title}): {what}; runs on {found.runs}"]
    lines += [f"  - {reason}" for reason in found.reasons]
    lines += [
        f"  - {name} {value} is not the table's, {table[name]}: not all of this need hold"
        for name, value in chosen.items()
        if value != table[name]
    ]
    return Choice(**chosen, settings=found.settings, lines=tuple(lines))


def _fitting(input: str, planned: recipes.Recipe, rules: recipes.Recipe) -> str:
    """The table's input, or what a recipe given instead of the table's takes by itself."""
    if planned.quantized == rules.quantized:
        with contextlib.suppress(ConfigError):
            return recipes.check_input(input, rules)
    return recipes.check_input(None, rules)
