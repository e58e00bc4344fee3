"""Learning rates over the updates of a run: one schedule class for each Keras namespace.

The step of a schedule is the number of updates done before, so the rate of the first update is the
value at 0 and that of the last one is the value at `steps - 1`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..core.errors import ConfigError
from ..core.keras_api import keras3, of_keras
from ..model.layers import registered
from .settings import check_run_values

CYCLES = {"cosine": 1, "cyclic": 4}  # by default; "4 or more" (Smith 2017, section 3.2)

# Of `torch.optim.lr_scheduler.OneCycleLR`.
RISE = 0.3  # share of the steps on the way to the peak
START = 1 / 25.0  # of the peak
END = START / 1e4

TRIANGLE_BASE = 1 / 4.0  # of the peak: "1/3 or 1/4" (Smith 2017, section 3.3)


def schedule(keras: ModuleType, kind: str, learning_rate: float, steps: int, **options: Any) -> Any:
    """A learning rate for every update of a run, as a serialisable Keras schedule.

    | kind | from the first update to the last |
    |---|---|
    | `constant` | `learning_rate` |
    | `poly` | falls to 0 as (1 - t / steps) ** power (paper, section 4: 0.045, power 0.9) |
    | `cosine` | falls to 0 as half a cosine, `cycles` times (Loshchilov and Hutter 2017) |
    | `one_cycle` | rises from 1/25 and falls to 1/250,000 (Smith 2018, PyTorch's `OneCycleLR`) |
    | `cyclic` | `cycles` triangles from a quarter up and back (Smith 2017) |

    The values beyond the last step are those that the kind ends with: 0 for `poly` and `cosine`.

    Args:
        keras: the Keras namespace, Keras 3 or tf_keras.
        kind: one of `settings.SCHEDULES`.
        learning_rate: the highest rate, above 0.
        steps: updates of the run, warm-up included.
        **options: `power`, the exponent of `poly`, above 0 (0.9 by default); `warmup_steps`,
            updates over which the rate rises linearly from 0 to the first value of the
            schedule, which then has the steps that are left (Goyal et al. 2017, section 2.2).
            `cycles`, repetitions of `cosine` (1 by default) and `cyclic` (4).

    Returns:
        A `keras.optimizers.schedules.LearningRateSchedule` from an integer step to a float32
        scalar.

    Raises:
        ConfigError: a value is out of range, or the kind has no cycles.

    Example:
        >>> rate = schedule(keras3(), "poly", 0.1, steps=10, power=1.0, warmup_steps=4)
        >>> [round(float(rate(step)), 4) for step in (0, 3, 4, 7, 10)]
        [0.02, 0.08, 0.1, 0.05, 0.0]
    """
    return schedule_class(keras)(kind, learning_rate, steps, **options)


class Schedule:
    """See `schedule`.

    Args:
        kind, learning_rate, steps, power, warmup_steps, cycles: as for `schedule`.
        batches_per_step: batches that make one update. Keras counts batches where it
            accumulates gradients, and asks its schedule with that number.
    """

    def __init__(
        self,
        kind: str,
        learning_rate: float,
        steps: int,
        power: float = 0.9,
        warmup_steps: int = 0,
        cycles: int | None = None,
        batches_per_step: int = 1,
    ):
        super().__init__()
        check_run_values(schedule=kind, learning_rate=learning_rate, power=power)
        if steps < 1:
            raise ConfigError(f"a schedule needs at least 1 step, got {steps}")
        if not 0 <= warmup_steps < steps:
            raise ConfigError(
                f"warmup_steps must be less than the {steps} steps, got {warmup_steps}"
            )
        left = steps - warmup_steps
        if kind == "one_cycle" and left < 4:
            raise ConfigError(f"one_cycle needs at least 4 steps after the warm-up, got {left}")
        if cycles is not None and kind not in CYCLES:
            raise ConfigError(f"cycles go with {' and '.join(CYCLES)}, not with {kind}")
        if cycles is not None and not 1 <= cycles <= left:
            raise ConfigError(f"cycles must be between 1 and the {left} steps left, got {cycles}")
        self.kind, self.learning_rate, self.steps = kind, float(learning_rate), steps
        self.power, self.warmup_steps, self.cycles = float(power), warmup_steps, cycles
        self.batches_per_step = batches_per_step
        self._share = _shape(kind, left, power, cycles)

    def __call__(self, step):
        ops = keras3().ops
        step = ops.convert_to_tensor(step)
        if self.batches_per_step > 1:
            step = ops.floor_divide(step, self.batches_per_step)
        step = ops.cast(step, "float32")
        after = ops.maximum(step - self.warmup_steps, 0.0)
        warm = ops.minimum((step + 1.0) / (self.warmup_steps + 1.0), 1.0)
        return self.learning_rate * warm * self._share(ops, after)

    def get_config(self):
        names = ("kind", "learning_rate", "steps", "power", "warmup_steps", "cycles")
        return {name: getattr(self, name) for name in (*names, "batches_per_step")}


@functools.cache
def schedule_class(keras: ModuleType) -> Any:
    """The schedule of one Keras namespace; making it also makes it known to Keras' loader."""
    return registered(keras, of_keras(Schedule, keras.optimizers.schedules.LearningRateSchedule))


def _shape(kind: str, steps: int, power: float, cycles: int | None) -> Callable[[Any, Any], Any]:
    """From (ops, float32 updates after the warm-up) to the share of the highest rate."""
    number = cycles or CYCLES.get(kind, 1)

    def constant(ops, t):
        return ops.ones_like(t)

    def poly(ops, t):
        return ops.power(1.0 - ops.minimum(t / steps, 1.0), power)

    def cosine(ops, t):
        # At the end of the last cycle the next one would begin.
        part = ops.where(t < steps, ops.mod(t * number / steps, 1.0), 1.0)
        return (1.0 + ops.cos(math.pi * part)) / 2.0

    def one_cycle(ops, t):
        peak, last = RISE * steps - 1.0, steps - 1.0
        up = START + (1.0 - START) * (1.0 - ops.cos(math.pi * ops.minimum(t / peak, 1.0))) / 2.0
        part = ops.clip((t - peak) / (last - peak), 0.0, 1.0)
        down = END + (1.0 - END) * (1.0 + ops.cos(math.pi * part)) / 2.0
        return ops.where(t <= peak, up, down)

    def cyclic(ops, t):
        part = ops.where(t < steps, ops.mod(t * number / steps, 1.0), 1.0)
        return TRIANGLE_BASE + (1.0 - TRIANGLE_BASE) * (1.0 - ops.absolute(2.0 * part - 1.0))

    shapes = (constant, poly, cosine, one_cycle, cyclic)
    return {shape.__name__: shape for shape in shapes}[kind]
