"""Schedules at worked steps, and against formulas written down independently in float64."""

import math

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.keras_api import keras3, tf_keras
from fastscnn_tf.train.schedules import schedule, schedule_class
from fastscnn_tf.train.settings import SCHEDULES

BOTH = pytest.mark.parametrize("keras", [keras3, tf_keras], ids=["keras3", "tf_keras"])


def rates(rate, steps):
    return np.array([float(rate(step)) for step in steps])


@BOTH
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kind": "constant"}, {0: 0.2, 9: 0.2, 99: 0.2}),
        # 0.2 * (1 - 5 / 10) ** 2
        ({"kind": "poly", "power": 2.0}, {0: 0.2, 5: 0.05, 9: 0.002, 10: 0.0, 99: 0.0}),
        ({"kind": "cosine"}, {0: 0.2, 5: 0.1, 10: 0.0, 99: 0.0}),
        # Two cosines of 5 steps: at 5 the second one begins.
        ({"kind": "cosine", "cycles": 2}, {0: 0.2, 5: 0.2, 10: 0.0, 99: 0.0}),
        # A triangle from 0.05 to 0.2 over 5 steps and back.
        ({"kind": "cyclic", "cycles": 1}, {0: 0.05, 1: 0.08, 5: 0.2, 9: 0.08, 10: 0.05, 99: 0.05}),
        # The peak at 0.3 * 10 - 1 = 2, the end at 9.
        ({"kind": "one_cycle"}, {0: 0.008, 1: 0.104, 2: 0.2, 9: 8e-7, 10: 8e-7, 99: 8e-7}),
        # 4 steps of warm-up, then the whole poly in 6.
        (
            {"kind": "poly", "power": 1.0, "warmup_steps": 4},
            {0: 0.04, 1: 0.08, 3: 0.16, 4: 0.2, 7: 0.1, 10: 0.0, 99: 0.0},
        ),
        # The warm-up ends where the triangle begins.
        ({"kind": "cyclic", "warmup_steps": 4, "cycles": 1}, {0: 0.01, 4: 0.05, 7: 0.2}),
    ],
)
def test_values_worked_by_hand(keras, options, expected):
    rate = schedule(keras(), learning_rate=0.2, steps=10, **options)
    assert rates(rate, expected) == pytest.approx(list(expected.values()), rel=1e-6, abs=1e-8)


def one_cycle_of_pytorch(step, peak, total):
    """`OneCycleLR._get_lr` with its defaults, as its source has it."""
    initial, least = peak / 25.0, peak / 25.0 / 1e4
    phases = [(0.3 * total - 1, initial, peak), (total - 1, peak, least)]
    start = 0.0
    for i, (end, first, last) in enumerate(phases):
        if step <= end or i == 1:
            share = (step - start) / (end - start)
            return last + (first - last) / 2.0 * (math.cos(math.pi * share) + 1)
        start = end
    raise AssertionError


def triangle_of_smith(step, base, peak, half):
    """Smith 2017, section 3.2, with `stepsize` = half."""
    cycle = math.floor(1 + step / (2 * half))
    x = abs(step / half - 2 * cycle + 1)
    return base + (peak - base) * max(0.0, 1 - x)


def test_all_steps_follow_the_published_formulas():
    total, peak = 1000, 0.045
    steps = range(total)
    expected = {
        "poly": [peak * (1 - t / total) ** 0.9 for t in steps],
        "cosine": [peak * 0.5 * (1 + math.cos(math.pi * t / total)) for t in steps],
        "one_cycle": [one_cycle_of_pytorch(t, peak, total) for t in steps],
        "cyclic": [triangle_of_smith(t, peak / 4, peak, total / 8) for t in steps],
    }
    for kind, values in expected.items():
        rate = schedule(keras3(), kind, peak, total)
        found = np.asarray(rate(np.arange(total)))
        assert found.dtype == np.float32
        assert np.abs(found - values).max() < 2e-6 * peak, kind


def test_one_cycle_is_pytorchs():
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.zeros(1))
    rate = torch.optim.lr_scheduler.OneCycleLR(torch.optim.SGD([weight]), 0.1, total_steps=50)
    for step in range(50):
        assert one_cycle_of_pytorch(step, 0.1, 50) == pytest.approx(rate.get_last_lr()[0])
        rate.optimizer.step()
        rate.step()


@BOTH
@pytest.mark.parametrize("kind", SCHEDULES)
def test_finite_and_in_range_everywhere(keras, kind):
    for steps, warmup in ((4, 0), (5, 1), (7, 0), (1000, 30), (12_000_000, 1000)):
        rate = schedule(keras(), kind, 0.5, steps, warmup_steps=warmup)
        where = [0, 1, warmup, steps - 1, steps, steps + 1, 16_000_000]
        values = rates(rate, where)
        assert np.isfinite(values).all()
        assert (values >= 0).all() and (values <= 0.5).all()
        assert values[0] > 0
        assert values[3] > 0 or steps > 1000  # float32 rounds the end of a long cosine to 0


@BOTH
def test_the_step_may_be_a_variable_in_a_graph(keras):
    from fastscnn_tf.core.keras_api import tensorflow

    tf = tensorflow()
    step = tf.Variable(5, dtype=tf.int64)
    rate = schedule(keras(), "poly", 0.2, 10, power=2.0)
    assert float(tf.function(lambda: rate(step))()) == pytest.approx(0.05)


@BOTH
def test_saved_and_loaded_it_is_the_same(keras):
    schedules = keras().optimizers.schedules
    rate = schedule(keras(), "cosine", 0.1, 40, warmup_steps=3, cycles=2)
    again = schedules.deserialize(schedules.serialize(rate))
    assert isinstance(again, schedule_class(keras()))
    assert again.get_config() == rate.get_config()
    assert rates(again, range(45)).tolist() == rates(rate, range(45)).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "linear"}, "schedule must be one of poly, cosine"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"power": 0.0}, "power"),
        ({"steps": 0}, "at least 1 step"),
        ({"warmup_steps": 10}, "warmup_steps must be less than the 10 steps"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"kind": "one_cycle", "warmup_steps": 7}, "at least 4 steps after the warm-up, got 3"),
        ({"kind": "poly", "cycles": 2}, "cycles go with cosine and cyclic, not with poly"),
        ({"kind": "cosine", "cycles": 11}, "between 1 and the 10 steps left, got 11"),
    ],
)
def test_what_makes_no_schedule_is_refused(change, message):
    options = {"kind": "poly", "learning_rate": 0.1, "steps": 10, **change}
    with pytest.raises(ConfigError, match=message):
        schedule(keras3(), **options)
