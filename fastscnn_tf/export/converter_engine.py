"""Which engine makes an int8 file, and which layers it leaves in float."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType

from ..core.arguments import check_name
from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError, InputError, retold
from ..core.extras import pip_install
from ..model.complexity import complexity
from .quantization_recipes import Recipe

OWN, AI_EDGE = "own", "ai-edge-quantizer"
ENGINES = (OWN, AI_EDGE)


def check_engine(
    engine: str, rules: Recipe, keep_float: Sequence[str] = (), method: str = "minmax"
) -> None:
    """Makes sure that the engine makes files of this recipe, with these options, and is installed.

    Raises:
        ConfigError: unknown engine, or what it cannot do.
        InputError: it is not installed.
    """
    if check_name("engine", engine, ENGINES) == OWN:
        if keep_float:
            raise ConfigError(f"layers can stay in float with engine {AI_EDGE} only: pass it too")
        return
    if rules.name != "int8":
        raise ConfigError(f"engine {AI_EDGE} makes recipe int8 (post-training): not {rules.name}")
    if method != "minmax":
        raise ConfigError(
            f"engine {AI_EDGE} sets ranges its own way: calibration method {method} needs "
            "engine own"
        )
    ai_edge_module("quantizer")


def kept_layers(config: FastSCNNConfig, patterns: Sequence[str]) -> tuple[str, ...]:
    """The layers that patterns name, in the network's order.

    Args:
        config: the network.
        patterns: names of layers as `quantization_report` has them, or regular expressions that
            match whole names.

    Raises:
        ConfigError: one is not a regular expression or matches no layer, or all match together.
    """
    names = [layer.name for layer in complexity(config.replace(aux_heads=False)).layers]
    kept: set[str] = set()
    for pattern in patterns:
        with retold(ConfigError, f"{pattern!r} is not a regular expression: ", of=re.error):
            found = {name for name in names if name == pattern or re.fullmatch(pattern, name)}
        if not found:
            near = difflib.get_close_matches(pattern, names, 3, 0.4) or names[:3]
            raise ConfigError(f"no layer is named {pattern!r}: such as {', '.join(near)}")
        kept |= found
    if len(kept) == len(names):
        raise ConfigError("every layer stays in float: use recipe float32 instead")
    return tuple(name for name in names if name in kept)


def engine_version() -> str:
    """`ai-edge-quantizer <version>`, for the metadata."""
    return f"{AI_EDGE} {version(AI_EDGE)}"


def ai_edge_module(name: str) -> ModuleType:
    """A module of ai-edge-quantizer.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(f"ai_edge_quantizer.{name}")
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if missing.startswith("ai_edge_quantizer"):
            missing = AI_EDGE
        raise InputError(
            f"{missing} is not installed, which engine {AI_EDGE} needs: {pip_install('quantizer')}"
        ) from None
