"""`TrainSettings`: everything that decides a run, saved beside its weights."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..core.errors import ConfigError
from ..core.sizes import Size, check_size
from ..data.augment import augmentation
from ..data.cache import check_cache


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """A training run; the defaults are the paper's (section 4).

    Args:
        dataset: as for `open_dataset`.
        data_dir: where it lies.
        size: (height, width) of the crops and of the model.
        epochs: passes over the training split.
        batch_size: pairs per step.
        learning_rate: start of the polynomial schedule, which steps every batch.
        power: its exponent.
        momentum: of SGD.
        augment: augmentation preset.
        aux_heads: train with the auxiliary losses, weight 0.4 each; None: where the wiring has
            such heads.
        bn_momentum: of batch normalisation, None for the wiring's own; shorter runs need a
            smaller one.
        seed: weights, order and augmentation.
        validate_every: epochs between validations; the last epoch always validates.
        preset: wiring, see `FastSCNNConfig.preset`; None for the paper's, or that of `init_from`.
        width: factor of all channel counts; None for 1, or that of `init_from`.
        init_from: a `.keras` file, run folder or checkpoint of another implementation to take
            weights, wiring and normalisation from.
        extra_dataset: a second data set with the same classes, added to the training split.
        extra_data_dir: where it lies; `data_dir` by default.
        extra_split: which split of it.
        skip_bad: go on without pairs that cannot be used, with a counted warning.
        cache: where decoded pairs are kept: `auto`, `memory`, `none` or a folder, as for
            `load_dataset`; changes no batch.
    """

    dataset: str
    data_dir: str | None
    size: Size
    epochs: int = 1000
    batch_size: int = 12
    learning_rate: float = 0.045
    power: float = 0.9
    momentum: float = 0.9
    augment: str = "paper"
    aux_heads: bool | None = None
    bn_momentum: float | None = None
    seed: int = 0
    validate_every: int = 1
    preset: str | None = None
    width: float | None = None
    init_from: str | None = None
    extra_dataset: str | None = None
    extra_data_dir: str | None = None
    extra_split: str = "train_extra"
    skip_bad: bool = False
    cache: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size(self.size))
        check_settings(self)
        if self.init_from and (self.preset or self.width):
            raise ConfigError("init_from brings its own wiring: leave out preset and width")
        if self.extra_data_dir and not self.extra_dataset:
            raise ConfigError("extra_data_dir needs extra_dataset: the name of that data set")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainSettings:
        """Reads what `to_dict` wrote.

        Raises:
            ConfigError: fields of another version.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"unknown settings {unknown}: saved by another version?")
        return cls(**values)


def check_settings(settings: Any) -> None:
    """Checks what training and fine-tuning settings have in common.

    Raises:
        ConfigError: a value is out of range.
    """
    augmentation(settings.augment)
    check_cache(settings.cache)
    check_common(settings)


def check_common(settings: Any) -> None:
    """Checks what every kind of training has in common.

    Raises:
        ConfigError: a value is out of range.
    """
    for name in ("epochs", "batch_size", "validate_every"):
        if getattr(settings, name) < 1:
            raise ConfigError(f"{name} must be at least 1, got {getattr(settings, name)}")
    if not 0 < settings.learning_rate < 100:
        raise ConfigError(f"learning_rate must be between 0 and 100, got {settings.learning_rate}")
    if not 0 <= settings.seed < 1 << 32:
        raise ConfigError(f"seed must be between 0 and {(1 << 32) - 1}, got {settings.seed}")
