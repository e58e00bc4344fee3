"""Checks of arguments say what was expected."""

import pytest

from fastscnn_tf.core.arguments import check_name, check_number
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.text_table import percent


def test_numbers_of_a_range():
    assert check_number("count", 1, 1) == 1
    assert check_number("share", 1.0, 0, 1) == 1.0
    with pytest.raises(ConfigError, match=r"^count must be at least 1, got 0$"):
        check_number("count", 0, 1)
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match=r"^share must be 0\.\.1, got "):
            check_number("share", value, 0, 1)


def test_known_names():
    assert check_name("fit", "a", {"a": 1, "b": 2}) == "a"
    with pytest.raises(ConfigError, match=r"^unknown fit 'c': expected one of a, b$"):
        check_name("fit", "c", iter("ab"))


def test_shares_in_percent():
    assert (percent(0.12345), percent(None), percent(1, 0)) == ("12.35", "-", "100")
    assert (percent(0.1, 1, sign=True), percent(-0.1, 1, sign=True)) == ("+10.0", "-10.0")
