"""`TrainSettings`: everything that decides a run, saved beside its weights."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from ..core.errors import ConfigError
from ..core.sizes import Size, check_size, format_size
from ..data.augment import augmentation
from ..data.cache import check_cache
from ..data.class_weights import KINDS as CLASS_WEIGHT_KINDS
from .distribute import STRATEGIES
from .loss_terms import parse_terms
from .optimizers import OPTIMIZERS, PRECISIONS
from .schedules import KINDS as SCHEDULES


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """A training run; the defaults are the paper's (section 4).

    Args:
        dataset: as for `open_dataset`.
        data_dir: where it lies.
        size: (height, width) of the model, and of its training crops.
        recipe: the recipe that the settings began with; a name only, see `train.recipes`.
        epochs: passes over the training split.
        batch_size: pairs per step, over all replicas.
        optimizer: `sgd` (with momentum) or `adamw`.
        learning_rate: start of the schedule, or its peak.
        schedule: `poly` (the paper's), `cosine`, `one_cycle`, `cyclic` or `constant`; it steps
            with every update.
        power: exponent of `poly`.
        cycles: repetitions of `cosine` (None: 1) and `cyclic` (None: 4).
        warmup_epochs: epochs in which the rate rises linearly before the schedule begins.
        momentum: of SGD; beta 1 of AdamW.
        weight_decay: share of each kernel that an update takes away, times the learning rate;
            beside `l2`, which is part of the loss.
        l2: L2 regularisation of the paper's kind, None for the wiring's own (4e-5).
        clip_norm: greatest global norm of the gradients; None: no clipping.
        crop: (height, width) of smaller training crops; the same weights then run at `size`, where
            they are validated. Half the area trains twice as fast.
        accumulate: batches whose gradients make one update.
        loss: terms of `SegmentationLoss`, such as `cross_entropy` or `ohem + 0.5*dice`.
        class_weights: weights of the classes in the cross-entropy by their frequency in the
            training split: `none`, `enet` or `median`.
        label_smoothing: share of the target that is spread over all classes, 0..1.
        aux_heads: train with the auxiliary losses; None: where the wiring has such heads.
        aux_weight: weight of each auxiliary loss.
        dropout: rate before the logits, None for the wiring's own (0.1).
        bn_momentum: of batch normalisation, None for the wiring's own; shorter runs need a
            smaller one.
        ema: momentum of the moving average of all weights that is validated and saved as the
            best; 0: no average.
        precision: `float32`, `mixed_float16` or `mixed_bfloat16` arithmetic; weights are float32.
        augment: augmentation preset.
        teacher: a Keras segmentation model whose logits the network learns as well, or a folder
            of saved logits (see `saved_logits`).
        distill_weight: weight of that loss.
        distill_temperature: temperature of its softmax.
        early_stopping: end after this many epochs without a better validation; 0: never.
        validate_every: epochs between validations; the last epoch always validates. 0: no
            validation, the last weights are the best.
        seed: weights, order and augmentation.
        deterministic: only operations that give the same bits each time.
        strategy: `none`, `mirrored` (devices of this machine) or `multi-worker`.
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
    recipe: str = "paper"
    optimizer: str = "sgd"
    schedule: str = "poly"
    cycles: int | None = None
    warmup_epochs: float = 0.0
    weight_decay: float = 0.0
    l2: float | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    crop: Size | None = None
    loss: str = "cross_entropy"
    class_weights: str = "none"
    label_smoothing: float = 0.0
    aux_weight: float = 0.4
    dropout: float | None = None
    ema: float = 0.0
    precision: str = "float32"
    teacher: str | None = None
    distill_weight: float = 1.0
    distill_temperature: float = 1.0
    early_stopping: int = 0
    deterministic: bool = False
    strategy: str = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size(self.size))
        if self.crop is not None:
            object.__setattr__(self, "crop", check_size(self.crop))
        check_settings(self, least_validations=0)
        parse_terms(self.loss)
        _check_choices(self)
        _check_ranges(self)
        _check_sources(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainSettings:
        """Reads what `to_dict` wrote.

        Raises:
            ConfigError: fields of another version.
        """
        check_names(values)
        return cls(**values)


FIELDS = tuple(field.name for field in dataclasses.fields(TrainSettings))
_CHOICES = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
    "class_weights": CLASS_WEIGHT_KINDS,
    "strategy": STRATEGIES,
}
_RANGES: dict[str, tuple[float, float]] = {  # inclusive
    "power": (0.01, 10.0),
    "momentum": (0.0, 0.9999),
    "cycles": (1, 1 << 20),
    "warmup_epochs": (0.0, 1e6),
    "weight_decay": (0.0, 0.9999),
    "l2": (0.0, 1.0),
    "clip_norm": (1e-12, 1e12),
    "accumulate": (1, 1 << 20),
    "label_smoothing": (0.0, 0.9999),
    "aux_weight": (0.0, 100.0),
    "dropout": (0.0, 0.9999),
    "bn_momentum": (0.0, 0.9999999),
    "ema": (0.0, 0.9999999),
    "distill_weight": (0.0, 1e6),
    "distill_temperature": (0.01, 1000.0),
    "early_stopping": (0, 1 << 20),
}


def check_names(values: dict[str, Any]) -> None:
    """Refuses names that are no settings.

    Raises:
        ConfigError: naming the first one and what comes nearest.
    """
    for name in values:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, 1)
            hint = f"; did you mean {near[0]}?" if near else ": saved by another version?"
            raise ConfigError(f"unknown setting {name!r}{hint}")


def _check_choices(settings: TrainSettings) -> None:
    for name, choices in _CHOICES.items():
        if (value := getattr(settings, name)) not in choices:
            raise ConfigError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _check_ranges(settings: TrainSettings) -> None:
    for name, (low, high) in _RANGES.items():
        value = getattr(settings, name)
        optional = _DEFAULTS[name] is None
        if value is None and optional:
            continue
        if not _is_number(value) or not low <= value <= high:
            raise ConfigError(f"{name} must be {low:.7g}..{high:.7g}, got {value!r}")
    if settings.warmup_epochs >= settings.epochs:
        raise ConfigError(
            f"warmup_epochs {settings.warmup_epochs:g} leave nothing of {settings.epochs} "
            "epochs: give fewer --warmup-epochs, or more --epochs"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_sources(settings: TrainSettings) -> None:
    if settings.crop and any(c > s for c, s in zip(settings.crop, settings.size, strict=True)):
        sizes = format_size(settings.crop), format_size(settings.size)
        raise ConfigError(f"crop {sizes[0]} is larger than size {sizes[1]}: take a smaller one")
    if settings.init_from and (settings.preset or settings.width):
        raise ConfigError("init_from brings its own wiring: leave out preset and width")
    if settings.extra_data_dir and not settings.extra_dataset:
        raise ConfigError("extra_data_dir needs extra_dataset: the name of that data set")
    if not settings.teacher:
        for name in ("distill_weight", "distill_temperature"):
            if getattr(settings, name) != _DEFAULTS[name]:
                raise ConfigError(f"{name} needs a teacher to learn from: give --teacher")
    if settings.early_stopping and not settings.validate_every:
        raise ConfigError("early_stopping needs validations: set validate_every to 1 or more")


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainSettings)}


def check_settings(settings: Any, least_validations: int = 1) -> None:
    """Checks what training and fine-tuning settings have in common.

    Raises:
        ConfigError: a value is out of range.
    """
    augmentation(settings.augment)
    check_cache(settings.cache)
    check_common(settings, least_validations)


def check_common(settings: Any, least_validations: int = 1) -> None:
    """Checks what every kind of training has in common.

    Args:
        settings: with epochs, batch_size, learning_rate, seed and validate_every.
        least_validations: 0 where a run may do without validation.

    Raises:
        ConfigError: a value is out of range.
    """
    least = {"epochs": 1, "batch_size": 1, "validate_every": least_validations}
    for name, low in least.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise ConfigError(f"{name} must be at least {low}, got {value}")
    if not _is_number(settings.learning_rate) or not 0 < settings.learning_rate < 100:
        raise ConfigError(
            f"learning_rate must be above 0 and below 100, got {settings.learning_rate}"
        )
    if not isinstance(settings.seed, int) or not 0 <= settings.seed < 1 << 32:
        raise ConfigError(f"seed must be between 0 and {(1 << 32) - 1}, got {settings.seed}")
