"""The range test: its arithmetic on curves worked by hand, and one real test from the command."""

import json
import math
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fastscnn_tf.cli.commands import cli
from fastscnn_tf.core.errors import ConfigError, InputError, OutputError
from fastscnn_tf.data.datasets import toy_streets
from fastscnn_tf.train.lr_finder import find_learning_rate, judge, smooth
from fastscnn_tf.train.recipes import write_recipe
from fastscnn_tf.train.settings import TrainSettings

STEPS, LOW, HIGH = 14, 1e-3, 1e5


def test_smoothing_worked_by_hand():
    # (0.9 * 0.1 * 1 + 0.1 * 3) / (1 - 0.81)
    assert smooth([1.0, 3.0]) == pytest.approx([1.0, 0.39 / 0.19])
    assert smooth([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smooth([1.0, math.nan, 1.0]) == [1.0]


def rising(count):
    return [1e-4 * 1.2**i for i in range(count)]


def test_a_tenth_of_where_the_loss_was_lowest():
    losses = [3.0 - 0.05 * i for i in range(30)] + [1.5 + 0.5 * i for i in range(10)]
    finding = judge(rising(40), losses)
    best = int(np.argmin(finding.smoothed))
    assert 29 <= best < 35  # the running average turns later than the loss
    assert finding.suggestion == pytest.approx(1e-5 * 1.2**best)
    assert finding.reason.endswith("where the loss was lowest")


@pytest.mark.parametrize(
    ("losses", "suggested", "reason"),
    [
        ([3.0 - 0.05 * i for i in range(30)], True, "still fell: a higher end"),
        ([3.0] * 30, False, "hardly fell, from 3 to 3: take more steps"),
        ([3.0, 2.0, 1.0, math.nan], False, "blew up within 3 updates: start lower"),
    ],
)
def test_what_a_curve_does_not_show_is_said(losses, suggested, reason):
    finding = judge(rising(len(losses)), losses)
    assert (finding.suggestion is not None) == suggested
    assert reason in finding.reason


@pytest.mark.train
def test_the_command_trains_until_the_loss_blows_up(one_bottleneck, monkeypatch, tmp_path):
    monkeypatch.setattr(toy_streets, "SPLITS", {"train": (0, 10), "val": (1, 6)})
    recipe, picture, result = (tmp_path / name for name in ("recipe.json", "lr.png", "lr.json"))
    write_recipe(
        recipe, TrainSettings("toy", None, (64, 96), width=0.25, accumulate=2, aux_heads=False)
    )
    arguments = ["--dataset", "toy", "--size", "64x96", "--recipe", recipe, "--batch-size", 2]
    arguments += ["--low", LOW, "--high", HIGH, "--steps", STEPS, "--cache", "none"]
    arguments += ["--output", picture, "--json", result]
    with one_bottleneck():
        done = CliRunner().invoke(cli, ["find-lr", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.startswith("learning rate ")
    found = json.loads(result.read_text())
    rates, losses, smoothed = (found[name] for name in ("learning_rates", "losses", "smoothed"))
    assert 5 < len(rates) < STEPS  # 28 batches, of 5 in an epoch, were not needed
    assert np.allclose(
        rates, LOW * (HIGH / LOW) ** (np.arange(len(rates)) / (STEPS - 1)), rtol=1e-4
    )
    assert len(losses) == len(rates)
    assert len(smoothed) < len(losses) or smoothed[-1] > 4 * min(smoothed)
    with Image.open(picture) as image:
        assert image.size == (700, 400)
        assert len(np.unique(np.asarray(image.convert("L")))) > 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lr.json", "lr.png", "recipe.json"]


def test_what_exists_is_kept_before_anything_is_trained(tmp_path):
    picture = tmp_path / "lr.png"
    picture.write_bytes(b"kept")
    arguments = ["--dataset", "toy", "--size", "64x96", "--output", str(picture)]
    done = CliRunner().invoke(cli, ["find-lr", *arguments])
    assert isinstance(done.exception, OutputError)
    assert picture.read_bytes() == b"kept"


def test_a_plot_without_matplotlib_names_the_extra(monkeypatch, tmp_path):
    finding = judge(rising(12), [2.0] * 12)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r'which plots need: pip install "fastscnn-tf\[train\]"'):
        finding.plot(tmp_path / "lr.png")
    assert not list(tmp_path.iterdir())


def test_json_has_no_number_that_json_does_not_know():
    finding = judge(rising(12), [2.0] * 11 + [math.inf])
    assert json.loads(json.dumps(finding.to_dict(), allow_nan=False))["losses"][-1] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.0}, "low must be above 0 and below high"),
        ({"low": 2.0}, "low must be above 0 and below high, got 2.0 and 1.0"),
        ({"high": math.inf}, "below high"),
        ({"steps": 9}, "at least 10 steps, got 9"),
    ],
)
def test_a_test_that_could_show_nothing_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        find_learning_rate(TrainSettings("toy", None, (64, 96)), **options)
