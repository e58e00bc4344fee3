"""SGD and AdamW as a run's settings describe them, and the precision that a model computes in."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

from ..core.errors import ConfigError
from ..core.keras_api import is_keras3, of_keras
from ..model.layers import registered
from .schedules import schedule_class
from .settings import check_run_values


def optimizer(
    keras: ModuleType,
    name: str,
    schedule: Any,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
    accumulate: int = 1,
    nesterov: bool = False,
) -> Any:
    """An optimizer of Keras for a run.

    Args:
        keras: the Keras namespace, Keras 3 or tf_keras.
        name: `sgd` (paper) or `adamw` (Loshchilov and Hutter 2019).
        schedule: what `schedules.schedule` returned for the same namespace, or a fixed rate. It
            counts updates, however many batches each takes.
        momentum: of SGD; beta_1 of AdamW, 0..1.
        weight_decay: every update takes away this share of a weight, times the learning rate
            (decoupled from the gradient, in SGD too). Kernels alone decay: biases and the scales
            and offsets of batch normalisation stay. It comes on top of `config.l2`.
        clip_norm: greatest norm of all gradients together, after accumulation; None for no limit.
        accumulate: batches whose gradients are averaged for one update. Batch normalisation
            and the mean over labelled pixels still see one batch at a time.
        nesterov: look ahead in SGD.

    Raises:
        ConfigError: a value is out of range, tf_keras cannot accumulate, or a schedule of another
            kind is to be used with accumulation.
    """
    check_run_values(
        optimizer=name,
        momentum=momentum,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        accumulate=accumulate,
    )
    if nesterov and name != "sgd":
        raise ConfigError(f"nesterov goes with sgd, not with {name}")
    if accumulate > 1 and not is_keras3(keras):
        raise ConfigError(f"tf_keras cannot accumulate {accumulate} batches: use 1")
    common: dict[str, Any] = {"global_clipnorm": clip_norm}
    if accumulate > 1:
        schedule = _counting_updates(keras, schedule, accumulate)
        common["gradient_accumulation_steps"] = accumulate
    own = optimizers_for(keras)
    if name == "adamw":
        return own.AdamW(schedule, weight_decay=weight_decay, beta_1=momentum, **common)
    common |= {"momentum": momentum, "nesterov": nesterov}
    if not weight_decay:  # Keras' own, which PyTorch runs in one go for all weights
        return keras.optimizers.SGD(schedule, **common)
    return own.SGD(schedule, weight_decay=weight_decay, **common)


def _counting_updates(keras: ModuleType, schedule: Any, accumulate: int) -> Any:
    """The same schedule for Keras' count, which is of batches (`_get_current_learning_rate`)."""
    if isinstance(schedule, float):
        return schedule
    own = schedule_class(keras)
    if not isinstance(schedule, own):
        raise ConfigError(
            f"accumulate needs a schedule of train.schedules, got {type(schedule).__name__}: "
            "it would count batches instead of updates"
        )
    return own(**{**schedule.get_config(), "batches_per_step": accumulate})


class KernelDecay:
    """Leaves vectors out of the weight decay of an optimizer.

    A class, because Keras does not save what `exclude_from_weight_decay` was told: a loaded run
    would go on with other decay. All biases, scales and offsets are vectors; no kernel is.
    """

    def _use_weight_decay(self, variable):
        return len(variable.shape) > 1


class SGD(KernelDecay):
    """SGD with decoupled weight decay of the kernels."""


class AdamW(KernelDecay):
    """AdamW whose weight decay is that of the kernels."""


@functools.cache
def optimizers_for(keras: Any) -> SimpleNamespace:
    """`SGD` and `AdamW` of a namespace with the weight decay of `KernelDecay`."""
    own = (of_keras(kind, getattr(keras.optimizers, kind.__name__)) for kind in (SGD, AdamW))
    return SimpleNamespace(**{kind.__name__: registered(keras, kind) for kind in own})


@contextlib.contextmanager
def precision_policy(keras: ModuleType, name: str) -> Iterator[None]:
    """Models made inside compute in this precision; what is made outside does not change.

    Weights and their updates are float32 in each. `model.compile` adds dynamic loss scaling to the
    optimizer of a `mixed_float16` model by itself (Micikevicius et al. 2018). A model that is
    loaded to go on training must be loaded inside as well; loaded outside it computes in float32.

    Args:
        keras: the Keras namespace, Keras 3 or tf_keras.
        name: one of `settings.PRECISIONS`.

    Raises:
        ConfigError: unknown precision.
    """
    check_run_values(precision=name)
    if is_keras3(keras):
        read, write = keras.config.dtype_policy, keras.config.set_dtype_policy
    else:
        read, write = keras.mixed_precision.global_policy, keras.mixed_precision.set_global_policy
    before = read()
    write(name)
    try:
        yield
    finally:
        write(before)
