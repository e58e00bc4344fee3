"""Names in any script: drawn where a font of the system has the letters, else numbered."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.images import fonts
from fastscnn_tf.core.images.fonts import drawable, font_with, foreign_letters, lettering
from fastscnn_tf.core.images.visualize import legend
from fastscnn_tf.core.labels import LabelSpace

RUSSIAN = ("небо", "дорога")
CHINESE = ("天空", "路面")


@pytest.fixture
def places(monkeypatch):
    """Sets where fonts are looked for."""

    def look_in(*folders):
        monkeypatch.setattr(fonts, "PLACES", tuple(map(str, folders)))
        for cached in (fonts._font_files, fonts.font_with):
            cached.cache_clear()

    yield look_in
    monkeypatch.undo()
    look_in(*fonts.PLACES)


@pytest.fixture
def dejavu():
    """The folder of DejaVu, which has Cyrillic letters and no Chinese ones."""
    found = importlib.util.find_spec("matplotlib")
    if found is None:
        pytest.skip("matplotlib, which brings DejaVu, is not installed")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def space(*names):
    return LabelSpace.make("own", len(names), names)


def test_letters_that_ascii_stands_for_need_no_other_font():
    assert foreign_letters(("Straße", "Fußgänger?", "road")) == frozenset()
    assert foreign_letters(("Straße 車",)) == {"車"}
    assert drawable("Straße für 車") == "Strasse fur ?"


def test_a_font_with_the_letters_is_found(places, dejavu, tmp_path):
    (tmp_path / "noto-cjk.ttf").write_bytes(b"no font")
    places(tmp_path, dejavu)
    assert font_with(frozenset("небо")) == str(dejavu / "DejaVuSans.ttf")
    assert font_with(frozenset("天")) is None
    texts, face = lettering(RUSSIAN, 20)
    assert texts == list(RUSSIAN)
    drawn = [bytes(face.getmask(letter)) for letter in "небодрга"]
    assert len(set(drawn)) == len(drawn)
    shown = legend(space(*RUSSIAN))
    places(tmp_path)
    assert not np.array_equal(shown[:, :50], legend(space(*RUSSIAN))[:, :50])


def test_names_that_no_font_has_are_numbered(places, tmp_path):
    places(tmp_path)
    assert font_with(frozenset("天")) is None
    assert lettering(CHINESE, 20)[0] == ["??", "??"]
    first, second = legend(space(*CHINESE))[:18], legend(space(*CHINESE))[18:]
    # The colours aside they differ by their numbers alone.
    assert not np.array_equal(first[:, 26:], second[:, 26:])
    assert np.array_equal(legend(space("?", "?"))[:18, 26:], legend(space("?", "?"))[18:, 26:])


def test_plots_write_them_too(places, dejavu, tmp_path):
    from fastscnn_tf.core import plots

    places(tmp_path)
    assert plots.axis_name("небо") == "небо"  # matplotlib's own font has it
    assert plots.axis_name("天空") == "??"


def test_a_contact_sheet_lists_what_it_cannot_write(places, tmp_path, run, own_data):
    (yaml,) = own_data.glob("dataset.yaml")
    first = yaml.read_text().split("name: ")[2].split(",")[0]
    yaml.write_text(yaml.read_text().replace(f"name: {first},", "name: 天空,"), "utf-8")
    places(tmp_path / "none")
    sheet = ["data", "show", "--dataset", "folder", "--data-dir", own_data]
    code, _, err = run(*sheet, "--output", tmp_path / "s.png")
    assert code == 0
    assert f"{tmp_path / 's.txt'} lists them" in err
    assert (tmp_path / "s.txt").read_text("utf-8").startswith("0: 天空\n1: ")
    code, _, err = run(*sheet, "--output", tmp_path / "s.png", "--force")
    assert code == 0
    (tmp_path / "s.png").unlink()
    assert run(*sheet, "--output", tmp_path / "s.png")[0] == 2  # the names are there already
