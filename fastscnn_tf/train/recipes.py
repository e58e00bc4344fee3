"""Recipes: named settings of a training, which may be overridden one by one, saved and read."""

from __future__ import annotations

import os
import typing
from pathlib import Path
from typing import Any

import msgspec

from ..core.aliases import StrPath
from ..core.arguments import called, spelled
from ..core.console import warn
from ..core.errors import ConfigError, retold
from ..core.fields import declared, defaults
from ..core.files.json_text import Name, convert, read_json
from ..core.files.writing import write_json
from ..core.sizes import format_size
from .settings import FIELDS, TrainSettings, check_names

FORMAT = 1
PLACES = tuple(name for name, field in declared(TrainSettings).items() if field.place)
DEFAULTS = {name: value for name, value in defaults(TrainSettings).items() if name not in PLACES}
TYPES = typing.get_type_hints(TrainSettings)


class _RecipeKind(msgspec.Struct):
    format: Any


class _Recipe(msgspec.Struct):
    """The content of `recipe.json`; later versions may say more."""

    name: Name
    settings: dict[Name, Any]


# What the recipes for few images have in common.
_FEW: dict[str, Any] = {
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "cosine",
}
_LATE = {**_FEW, "loss": "0.5*cross_entropy + lovasz", "warmup_epochs": 1.0, "ema": 0.99}
RECIPES: dict[str, dict[str, Any]] = {
    "paper": {},  # the defaults of `TrainSettings`
    # For few images, from scratch: that of the CamVid model (see its card under tflite/).
    "strong": {
        **_FEW,
        "bn_momentum": 0.9,
        "epochs": 150,
        "learning_rate": 0.003,
        "class_weights": "enet",
        "warmup_epochs": 5.0,
        "augment": "strong",
        "ema": 0.998,
        "validate_every": 15,
    },
    # From weights that are good already (--init-from), on the same or other streets; 8 epochs of
    # it after `strong` brought the CamVid model 2.3 points of mIoU.
    "finetune": {
        **_LATE,
        "epochs": 20,
        "learning_rate": 0.0005,
        "class_weights": "enet",
        "augment": "strong",
    },
    # The last stage after both: classes as frequent as in the data, augmented as in the paper.
    # Class weights and crops laid around rare classes make these likelier than they are: before it
    # the CamVid model found 98 % of the fences, and half of what it called a fence was none.
    "settle": {**_LATE, "epochs": 16, "learning_rate": 0.001},
}


def recipe_settings(choice: StrPath) -> tuple[str, dict[str, Any]]:
    """Name and settings of a recipe.

    Args:
        choice: a name of `RECIPES`, a file that `write_recipe` wrote (`recipe.json`), or the run
            folder that holds one.

    Returns:
        The name, and every setting that a recipe decides.

    Raises:
        ConfigError: no such recipe, or a file of another version.
    """
    text = os.fspath(choice)
    if text in RECIPES:
        return text, {**DEFAULTS, **RECIPES[text]}
    path = Path(text)
    if path.is_dir():
        path = path / "recipe.json"
    if not os.path.lexists(path):
        if path.suffix or len(path.parts) > 1:
            raise ConfigError(f"{path}: no such file: name a recipe.json, or {', '.join(RECIPES)}")
        raise ConfigError(
            f"unknown recipe {text!r}: expected one of {', '.join(RECIPES)}, or a recipe.json"
        )
    return _read_recipe(path)


def _read_recipe(path: Path) -> tuple[str, dict[str, Any]]:
    kind: _RecipeKind = _decoded(path, _RecipeKind)
    if kind.format != FORMAT:
        raise ConfigError(
            f"{path}: a recipe of format {kind.format!r}, this version reads {FORMAT}: write it "
            "anew, or name a recipe and give the options that differ"
        )
    content: _Recipe = _decoded(path, _Recipe)
    name, values = content.name, content.settings
    with retold(ConfigError, f"{path}: ", of=ConfigError):
        check_names(values)
        if misplaced := [key for key in values if key in PLACES]:
            raise ConfigError(f"{misplaced[0]} belongs to a run, not to a recipe")
    types = {key: kind for key, kind in TYPES.items() if key in values}
    schema = msgspec.defstruct("Settings", list(types.items()))
    checked: msgspec.Struct = convert(values, f"{path}: settings", schema, error=ConfigError)
    return name, {**DEFAULTS, **msgspec.structs.asdict(checked)}


def _decoded(path: Path, schema: Any) -> Any:
    with retold(ConfigError, after="; not a recipe: take a run's recipe.json", of=ConfigError):
        return read_json(path, schema, what="recipe", error=ConfigError)


def write_recipe(path: StrPath, settings: TrainSettings) -> None:
    """Writes what of a run's settings another run may take as its recipe."""
    values = {name: getattr(settings, name) for name in FIELDS if name not in PLACES}
    write_json(path, {"format": FORMAT, "name": settings.recipe, "settings": values})


def train_settings(recipe: StrPath = "paper", **overrides: Any) -> TrainSettings:
    """The settings of a run: a recipe, and what differs from it.

    Args:
        recipe: as for `recipe_settings`.
        **overrides: fields of `TrainSettings`; `dataset` and `size` are needed.

    Raises:
        ConfigError: unknown or missing names, or values out of range.
    """
    check_names(overrides)
    name, values = recipe_settings(recipe)
    values.setdefault("data_dir", None)
    if missing := [n for n in ("dataset", "size") if n not in values | overrides]:
        raise ConfigError(f"train_settings needs {' and '.join(missing)}, too")
    values = _fitting_warmup(name, values, overrides)
    values = {**values, "recipe": name, **overrides}
    if os.fspath(recipe) in RECIPES:
        return TrainSettings(**values)
    try:
        with spelled(str):
            return TrainSettings(**values)
    except ConfigError as error:
        TrainSettings(**overrides)  # raises where the fault is not the file's
        raise ConfigError(f"{recipe}: {error}") from None


def _fitting_warmup(name: str, values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A recipe's values with its warm-up's share of the epochs, where these would not hold it."""
    epochs, usual = overrides.get("epochs"), values.get("warmup_epochs", 0.0)
    if "warmup_epochs" in overrides or not isinstance(epochs, int) or not 0 < epochs <= usual:
        return values
    shorter = epochs * usual / max(values.get("epochs", DEFAULTS["epochs"]), usual)
    warn(
        f"recipe {name}: warm-up of {usual:g} epochs shortened to {shorter:.2g} for a run of "
        f"{epochs} ({called('warmup_epochs')} sets it)"
    )
    return {**values, "warmup_epochs": shorter}


def differences(settings: TrainSettings) -> dict[str, tuple[Any, Any]]:
    """Settings that are not the paper's: name -> (the paper's, this run's)."""
    return {
        name: (default, getattr(settings, name))
        for name, default in DEFAULTS.items()
        if getattr(settings, name) != default
    }


def describe(settings: TrainSettings) -> str:
    """One line: the recipe, and every setting that is not the paper's."""
    values = {name: value for name, (_, value) in differences(settings).items()}
    if settings.crop:
        values["crop"] = format_size(settings.crop)
    changed = [f"{name} {value}" for name, value in values.items()]
    return f"recipe {settings.recipe}: {', '.join(changed) or 'the paper, unchanged'}"
