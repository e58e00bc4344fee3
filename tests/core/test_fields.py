"""Settings that are declared once: what they may be, and the table of them for people."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.fields import (
    Declared,
    declared,
    default_text,
    fields_table,
    kinds,
    like,
    setting,
)
from fastscnn_tf.core.sizes import Size
from fastscnn_tf.quantize.run_settings import QuantizeSettings
from fastscnn_tf.train.settings import PretrainSettings, TrainSettings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


@dataclasses.dataclass(frozen=True)
class Some(Declared):
    count: int = setting(1, "How many.", 1)
    share: float | None = setting(None, "A part.", 0, 1, shown="all")
    rate: float = setting(0.5, "A rate.", 0, 10.0, between=True)
    kind: str = setting("a", choices=("a", "b", "c"))
    free: str = setting("x")
    on: bool | None = setting(None)
    size: Size = setting((32, 64))
    crop: Size | None = setting(None)


@dataclasses.dataclass(frozen=True)
class Other(Declared):
    share: float = like(Some, "share", 0.25, help="Another part.", shown="")


@pytest.mark.parametrize(
    "good",
    [{}, {"count": 7}, {"share": 0}, {"share": 1.0}, {"rate": 9}, {"kind": "c"}, {"on": False}],
    ids=str,
)
def test_what_a_setting_may_be(good):
    assert Some(**good).to_dict() == {**Some().to_dict(), **good}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"count": 1.5}, "count must be at least 1, got 1.5"),
        ({"count": True}, "count must be at least 1, got True"),
        ({"count": None}, "count must be at least 1, got None"),
        ({"share": 1.01}, r"share must be 0\.\.1, got 1.01"),
        ({"share": float("nan")}, r"share must be 0\.\.1, got nan"),
        ({"share": "1"}, r"share must be 0\.\.1, got '1'"),
        ({"rate": 0}, "rate must be above 0 and below 10, got 0"),
        ({"rate": 10}, "rate must be above 0 and below 10, got 10"),
        ({"kind": "d"}, "kind must be one of a, b, c, got 'd'"),
        ({"free": 5}, "free must be a text, got 5"),
        ({"free": None}, "free must be a text, got None"),
        ({"on": "no"}, "on must be True or False, got 'no'"),
        ({"on": 1}, "on must be True or False, got 1"),
        ({"size": "big"}, r"^size must be \(height, width\) in whole pixels, got 'big'"),
        ({"size": None}, r"^size must be \(height, width\) in whole pixels, got None"),
        ({"size": (32, 40)}, "^width 40 is not a multiple of 32"),
        ({"crop": (40, 32)}, "^crop: height 40 is not a multiple of 32"),
    ],
    ids=str,
)
def test_what_it_may_not_be_is_named(bad, message):
    with pytest.raises(ConfigError, match=message):
        Some(**bad)


def test_a_size_is_two_whole_numbers():
    assert Some(size=[np.int64(64), 96]).size == (64, 96)
    assert type(Some(size=[np.int64(64), 96]).size[0]) is int


@pytest.mark.parametrize("cls", [TrainSettings, QuantizeSettings, PretrainSettings])
def test_settings_of_runs_are_checked_by_their_types(cls):
    good = {name: "x" for name in ("model", "dataset", "data_dir") if name in declared(cls)}
    good = {**good, "size": (64, 96)}
    assert cls(**good).size == (64, 96)
    for name, known in kinds(cls).items():
        wrong: object = 5 if str in known else "no"
        with pytest.raises(ConfigError, match=f"{name} must be "):
            cls(**{**good, name: wrong})


def test_a_setting_like_another_one():
    assert (Other().share, default_text(Other, "share")) == (0.25, "0.25")
    with pytest.raises(ConfigError, match=r"share must be 0\.\.1, got 2"):
        Other(2)


def test_the_table_shows_what_is_declared():
    assert fields_table(Some).splitlines()[2:] == [
        "| `count` | 1 | at least 1 | How many. |",
        "| `share` | all | 0..1 | A part. |",
        "| `rate` | 0.5 | above 0 and below 10 | A rate. |",
        "| `kind` | a | one of a, b, c | a, b or c. |",
    ]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"dropout": 0.995}, r"dropout must be 0\.\.0\.99, got 0\.995"),
        ({"width": 9.0}, r"width must be 0\.25\.\.4, got 9"),
        ({"width": "wide"}, r"width must be 0\.25\.\.4, got 'wide'"),
        ({"preset": "nosuch"}, "preset must be one of paper, mmseg, .*, got 'nosuch'"),
        ({"augment": "wild"}, "augment must be one of paper, .*, got 'wild'"),
    ],
    ids=str,
)
def test_what_the_network_would_refuse_is_refused_before(bad, message):
    with pytest.raises(ConfigError, match=message):
        TrainSettings("toy", None, (64, 96), **bad)


PAGE = """# Settings of runs, as the code declares them

`python tests/core/test_fields.py` writes this page from the classes of settings: change it there.
"""


def settings_page() -> str:
    """`docs/settings.md`; `python tests/core/test_fields.py` writes it anew."""
    kinds = {"train": TrainSettings, "quantize": QuantizeSettings, "pretrain": PretrainSettings}
    parts = [f"## {name}\n\n{fields_table(kind)}\n" for name, kind in kinds.items()]
    return "\n".join([PAGE, *parts])


def test_the_page_of_settings_is_that_of_the_code():
    assert DOCS.read_text() == settings_page()


if __name__ == "__main__":
    DOCS.write_text(settings_page())
