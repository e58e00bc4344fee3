"""`TrainSettings` and `PretrainSettings`: everything that decides a run, kept with its weights."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ..core.arguments import called
from ..core.class_maps import MATCHES
from ..core.config import RANGES
from ..core.errors import ConfigError
from ..core.fields import Declared, check_values, defaults, like, nearest, setting
from ..core.presets import PRESETS
from ..core.sizes import Size, format_size
from ..data.augment.augmentation import PRESETS as AUGMENTATIONS
from ..data.augment.augmentation import Augmentation
from ..data.cache import check_cache
from ..data.class_weights import KINDS as CLASS_WEIGHT_KINDS
from .losses.loss_terms import OPTIONS as LOSSES
from .losses.loss_terms import parse_terms

NONE, MIRRORED, MULTI_WORKER = STRATEGIES = ("none", "mirrored", "multi-worker")
OPTIMIZERS = ("sgd", "adamw")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
SCHEDULES = ("poly", "cosine", "one_cycle", "cyclic", "constant")
MANY = 1 << 20  # more repetitions than any run has
SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(save_every: Any) -> float:
    """Seconds of a time above 0 such as `10m`, `600s` or `2h`; 0 of `never`.

    Raises:
        ConfigError: it is none of these.
    """
    text = str(save_every)
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)([smh])", text)
    seconds = float(found[1]) * SECONDS[found[2]] if found else 0.0
    if not seconds and text != "never":
        name = called("save_every")
        raise ConfigError(f"{name} must be such as 10m, 600s or 2h, or never; got {text[:40]!r}")
    return seconds


class RunSettings(Declared):
    """Base of the settings of runs that train on pairs: what their data need is checked, too."""

    augment: str
    cache: str
    extra_dataset: str | None
    extra_data_dir: str | None
    save_every: str

    def __post_init__(self) -> None:
        super().__post_init__()
        check_cache(self.cache)
        seconds_of(self.save_every)
        if self.extra_data_dir and not self.extra_dataset:
            folder, name = called("extra_data_dir"), called("extra_dataset")
            raise ConfigError(f"{folder} needs {name}: the name of that data set")

    @property
    def augmentation(self) -> Augmentation | None:
        """What `augment` names; None for none."""
        return AUGMENTATIONS[self.augment]


@dataclasses.dataclass(frozen=True)
class TrainSettings(RunSettings):
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
        l2: L2 regularisation of the paper's kind, None for the architecture's own (4e-5).
        clip_norm: greatest global norm of the gradients; None: no clipping.
        crop: (height, width) of smaller training crops; the same weights then run at `size`, where
            they are validated. Half the area trains twice as fast.
        accumulate: batches whose gradients make one update.
        loss: terms of `SegmentationLoss`, such as `cross_entropy` or `ohem + 0.5*dice`.
        class_weights: weights of the classes in the cross-entropy by their frequency in the
            training split: `none`, `enet` or `median`.
        label_smoothing: share of the target that is spread over all classes, 0..1.
        aux_heads: train with the auxiliary losses; None: where the architecture has such heads.
        aux_weight: weight of each auxiliary loss.
        dropout: rate before the logits, None for the architecture's own (0.1).
        bn_momentum: of batch normalisation; None for the architecture's own, less in a run of few
            steps (see `build.fitting_momentum`).
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
        strategy: `none`, or on JAX `mirrored` (devices of this machine) or `multi-worker`.
        preset: architecture, see `FastSCNNConfig.preset`; None for the paper's, or that of
            `init_from`.
        width: factor of all channel counts; None for 1, or that of `init_from`.
        init_from: a `.keras` file, run folder or checkpoint of another implementation to take
            weights, architecture and normalisation from.
        match: how the classes of `init_from` become the data set's: `name` (others start anew)
            or `index`.
        class_map: YAML file of `class of init_from: data set's class`, where names differ.
        extra_dataset: a second data set with the same classes, added to the training split.
        extra_data_dir: where it lies; `data_dir` by default.
        extra_split: which split of it.
        val_split: share of the training split that validates instead, where the data set has no
            `val` (see `data.datasets.held_out`): the same images in every run.
        skip_bad: go on without pairs that cannot be used, with a counted warning.
        cache: where decoded pairs are kept: `auto`, `memory`, `none` or a folder, as for
            `load_dataset`; changes no batch.
        save_every: time between checkpoints within an epoch, such as `10m`, `600s` or `2h`;
            `never`: at its end alone.
    """

    dataset: str = setting(place=True)
    data_dir: str | None = setting(place=True)
    size: Size = setting(place=True)
    epochs: int = setting(1000, "Passes over the training split.", 1)
    batch_size: int = setting(12, "Pairs per step, over all replicas.", 1)
    learning_rate: float = setting(
        0.045, "Start of the schedule, or its peak.", 0, 100, between=True
    )
    power: float = setting(0.9, "Exponent of poly.", 0.01, 10)
    momentum: float = setting(0.9, "Of SGD; beta 1 of AdamW.", 0, 0.9999)
    augment: str = setting("paper", choices=tuple(AUGMENTATIONS))
    aux_heads: bool | None = setting(None)
    bn_momentum: float | None = setting(
        None, "Of batch normalisation.", 0, 0.9999999, shown="0.99, less for few steps"
    )
    seed: int = setting(0, "Weights, order and augmentation.", 0, (1 << 32) - 1, place=True)
    validate_every: int = setting(
        1, "Epochs between validations; 0: none, the last weights stay.", 0
    )
    preset: str | None = setting(
        None,
        f"Architecture: {', '.join(PRESETS)} (of KD-WSI-sTILs-Scoring).",
        choices=tuple(PRESETS),
        shown="paper",
    )
    width: float | None = setting(
        None,
        "Factor of all channel counts, {:g}..{:g}.".format(*RANGES["width"]),
        *RANGES["width"],
        shown="1",
    )
    init_from: str | None = setting(
        None, "Start from a .keras file, run folder or checkpoint.", place=True
    )
    match: str = setting(
        "name",
        "How classes are matched: name, or index (whatever the names).",
        choices=MATCHES,
        place=True,
    )
    class_map: str | None = setting(
        None, "YAML of MODEL'S CLASS: DATA SET'S CLASS, where names differ.", place=True
    )
    extra_dataset: str | None = setting(
        None, "More training data, such as cityscapes-coarse.", place=True
    )
    extra_data_dir: str | None = setting(None, "Where it lies.", shown="--data-dir", place=True)
    extra_split: str = setting("train_extra", "Which split of it.", place=True)
    val_split: float | None = setting(
        None,
        "Share of train that validates where there is no val.",
        0,
        1,
        between=True,
        shown="none",
        place=True,
    )
    skip_bad: bool = setting(False, place=True)
    cache: str = setting(
        "auto",
        "Where decoded pairs are kept: auto (memory, while they fit), memory, none, or a folder.",
        place=True,
    )
    save_every: str = setting(
        "10m",
        "Time between checkpoints within an epoch, such as 10m, 600s or 2h; never.",
        place=True,
    )
    recipe: str = setting("paper", place=True)
    optimizer: str = setting("sgd", choices=OPTIMIZERS)
    schedule: str = setting("poly", choices=SCHEDULES)
    cycles: int | None = setting(
        None, "Repetitions of cosine and cyclic.", 1, MANY, shown="1 and 4"
    )
    warmup_epochs: float = setting(0.0, "Epochs of linear rise before the schedule.", 0, 1e6)
    weight_decay: float = setting(0.0, "Decoupled decay of the kernels.", 0, 0.9999)
    l2: float | None = setting(None, "L2 regularisation as the paper's.", 0, 1, shown="4e-5")
    clip_norm: float | None = setting(
        None, "Greatest global norm of the gradients.", 1e-12, 1e12, shown="none"
    )
    accumulate: int = setting(1, "Batches whose gradients make one update.", 1, MANY)
    crop: Size | None = setting(
        None, "Training crops smaller than --size, height x width.", shown="--size"
    )
    loss: str = setting(
        "cross_entropy",
        f"Sum of {', '.join(LOSSES)}, as in 'ohem + 0.5*dice'.",
    )
    class_weights: str = setting(
        "none", "none, enet or median (frequency).", choices=CLASS_WEIGHT_KINDS
    )
    label_smoothing: float = setting(0.0, "Share of the target spread over all classes.", 0, 0.9999)
    aux_weight: float = setting(0.4, "Weight of each auxiliary loss.", 0, 100)
    dropout: float | None = setting(
        None, "Rate before the logits.", *RANGES["dropout"], shown="0.1"
    )
    ema: float = setting(
        0.0, "Momentum of averaged weights, which are scored and kept as the best.", 0, 0.9999999
    )
    precision: str = setting("float32", choices=PRECISIONS)
    teacher: str | None = setting(
        None, "A Keras segmentation model, or what save-logits wrote, to learn from.", place=True
    )
    distill_weight: float = setting(1.0, "Weight of --teacher's loss.", 0, 1e6)
    distill_temperature: float = setting(1.0, "Temperature of its softmax.", 0.01, 1000)
    early_stopping: int = setting(
        0, "End after this many epochs without a better score.", 0, MANY, shown="never"
    )
    deterministic: bool = setting(False, "The same bits each time; slower.", place=True)
    strategy: str = setting(
        "none",
        "none; on JAX mirrored (this machine's devices) or multi-worker.",
        choices=STRATEGIES,
        place=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_terms(self.loss)
        self._check_together()

    def _check_together(self) -> None:
        """Refuses settings of which one leaves the other without a meaning."""
        if self.warmup_epochs >= self.epochs:
            raise ConfigError(
                f"{called('warmup_epochs')} {self.warmup_epochs:g} leave nothing of {self.epochs} "
                f"epochs: give fewer, or more {called('epochs')}"
            )
        if self.crop and any(c > s for c, s in zip(self.crop, self.size, strict=True)):
            crop, size = (f"{called(n)} {format_size(getattr(self, n))}" for n in ("crop", "size"))
            raise ConfigError(f"{crop} is larger than {size}: take a smaller one")
        start = called("init_from")
        if self.init_from and (self.preset or self.width):
            own = f"{called('preset')} and {called('width')}"
            raise ConfigError(f"{start} brings its own architecture: leave out {own}")
        if not self.init_from and (self.match != "name" or self.class_map):
            about = f"{called('match')} and {called('class_map')}"
            raise ConfigError(f"{about} are about the classes of {start}: give that")
        for name in () if self.teacher else ("distill_weight", "distill_temperature"):
            if getattr(self, name) != defaults(TrainSettings)[name]:
                teacher = called("teacher")
                raise ConfigError(f"{called(name)} needs a teacher to learn from: give {teacher}")
        if self.early_stopping and not self.validate_every:
            stopping, every = called("early_stopping"), called("validate_every")
            raise ConfigError(f"{stopping} needs validations: set {every} to 1 or more")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainSettings:
        """Reads what `to_dict` wrote.

        Raises:
            ConfigError: fields of another version.
        """
        check_names(values)
        return cls(**values)


FIELDS = tuple(field.name for field in dataclasses.fields(TrainSettings))


def check_run_values(**values: Any) -> None:
    """Refuses values that no run could have; the names are those of `TrainSettings`.

    Raises:
        ConfigError: naming the first one and what it may be.
    """
    check_values(TrainSettings, values)


def check_names(values: dict[str, Any]) -> None:
    """Refuses names that are no settings.

    Raises:
        ConfigError: naming the first one and what comes nearest.
    """
    for name in values:
        if name not in FIELDS:
            hint = nearest(name, FIELDS) or ": saved by another version?"
            raise ConfigError(f"unknown setting {name!r}{hint}")


@dataclasses.dataclass(frozen=True)
class PretrainSettings(Declared):
    """A pre-training run. The paper names the data (ImageNet) but no recipe; this is a usual one.

    Args:
        data_dir: folder with `train/<class>/` and `val/<class>/`.
        size: (height, width) of the images.
        epochs: passes over `train`.
        batch_size: images per step.
        learning_rate: start of the polynomial schedule, which steps every batch.
        power: its exponent.
        momentum: of SGD.
        preset: architecture, see `FastSCNNConfig.preset`.
        width: factor of all channel counts.
        bn_momentum: as in `TrainSettings`.
        seed: weights, order and augmentation.
        validate_every: epochs between validations; the last epoch always validates.
        save_every: as in `TrainSettings`.
    """

    data_dir: str = setting(help="Folder with train/<class>/ and val/<class>/.")
    size: Size = setting((224, 224), "Height x width.")
    epochs: int = setting(90, "Passes over train.", 1)
    batch_size: int = setting(64, "Images per step.", 1)
    learning_rate: float = like(TrainSettings, "learning_rate", help="Start of the schedule.")
    power: float = like(TrainSettings, "power", help="")
    momentum: float = like(TrainSettings, "momentum", help="")
    preset: str = setting("paper", choices=tuple(PRESETS))
    width: float = like(TrainSettings, "width", 1.0, shown="")
    bn_momentum: float | None = like(TrainSettings, "bn_momentum")
    seed: int = like(TrainSettings, "seed")
    validate_every: int = setting(1, "Epochs between validations; the last always validates.", 1)
    save_every: str = like(TrainSettings, "save_every")

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds_of(self.save_every)
