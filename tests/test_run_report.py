"""Reports of runs: what they say, that they stand alone, and whose images are in them."""

import base64
import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError, InputError, OutputError
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.core.plots import class_bars, confusion, curves, pixels, row_shares
from fastscnn_tf.core.report_page import Page, Section, Table
from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.core.text_table import duration
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.evaluation.evaluate import load_predictor
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.io import save_keras
from fastscnn_tf.reports.run_report import greatest_confusions, write_run_report
from fastscnn_tf.reports.run_report_images import ImageRanking
from fastscnn_tf.runs.run_files import machine
from fastscnn_tf.runs.run_record import read_run
from fastscnn_tf.scoring.views import WholeImage

SIZE = (64, 96)


class Reader(HTMLParser):
    """What a browser would show or fetch."""

    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.tags, self.words = [], [], [], []
        self.changed, self._row = [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        if tag == "img":
            self.images.append((attributes["alt"], attributes["src"]))
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        if tag == "tr":
            self._row = [] if attributes.get("class") == "changed" else None

    def handle_data(self, data):
        self.words.append(data)
        if self._row is not None:
            self._row.append(data)

    def handle_endtag(self, tag):
        if tag == "tr" and self._row is not None:
            self.changed.append([word for word in self._row if word.strip()])


FEW = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
CONFIG = FastSCNNConfig.for_labels("toy", input_size=SIZE, **FEW)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An untrained network."""
    path = tmp_path_factory.mktemp("weights") / "best.keras"
    keras3().utils.set_random_seed(0)
    save_keras(fast_scnn(CONFIG), path, optimizer=False)
    return path


@pytest.fixture
def run_of(own_data, tmp_path):
    """A run on own data with a log of two epochs; its weights lie elsewhere."""

    def make(**changes):
        folder = tmp_path / "Lauf <1> | ä"
        folder.mkdir()
        settings = {
            "dataset": "folder",
            "data_dir": str(own_data),
            "size": list(SIZE),
            "epochs": 2,
            "learning_rate": 0.01,
            "momentum": 0.9,
            "seed": 3,
            "recipe": "paper",
        }
        run = {
            "settings": {**settings, **changes},
            "config": CONFIG.to_dict(),
            "versions": {"keras": "3.15.1"},
            "machine": {"processor": "A <fast> one", "cores": 2},
        }
        matrix = np.diag(np.arange(9) * 10)
        matrix[1, 2], matrix[4, 0] = 30, 10  # 75 % of class 1, 20 % of class 4
        state = {"epochs_done": 2, "best": 0.5, "best_epoch": 2, "confusion": matrix.tolist()}
        (folder / "run.json").write_text(json.dumps(run))
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "log.csv").write_text(
            "epoch,loss,learning_rate,val_miou,seconds\n1,2.5,0.01,0.25,60\n2,1.5,0.005,0.5,65\n"
        )
        return folder

    return make


def test_a_report_says_everything_and_needs_no_other_file(run_of):
    folder = run_of()
    path = write_run_report(folder)
    page = Reader(path.read_text(encoding="utf-8"))
    assert path == folder / "report" / "report.html"
    assert "script" not in page.tags
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert [alt.split()[0] for alt, _ in page.images] == ["Curves", "Bars", "Confusion"]
    assert page.images[0][0] == (
        "Curves over 2 epochs: loss from 2.5 to 1.5, learning rate from 0.01 to 0.005, "
        "validation mIoU from 25.00 to 50.00 %."
    )
    words = " ".join(page.words)
    titles = ("Result", "Curves", "Class IoU", "Confusion matrix", "Settings", "Programs and")
    assert [*map(words.index, titles)] == sorted(map(words.index, titles))
    _, *folded = path.read_text(encoding="utf-8").split("<details><summary>")
    assert [part.partition("</summary>")[0] for part in folded] == [
        *("<h2>Settings</h2>", "<h2>Programs and machine</h2>")
    ]
    for fact in ("finished", "2 of 2", "50.00 % (epoch 2)", "2 min 05 s", "A <fast> one", "3.15.1"):
        assert fact in words
    assert str(folder.name) in words
    assert sorted(p.name for p in path.parent.iterdir()) == [
        *("class_iou.png", "confusion.png", "curves.png", "report.html", "report.md")
    ]
    for (_, source), name in zip(page.images, ("curves", "class_iou", "confusion"), strict=True):
        content = base64.b64decode(source.partition(",")[2])
        assert content == (path.parent / f"{name}.png").read_bytes()


def test_what_differs_from_the_recipe_stands_out(run_of):
    path = write_run_report(run_of())
    page = Reader(path.read_text(encoding="utf-8"))
    assert page.changed == [["epochs", "2", "1000"], ["learning_rate", "0.01", "0.045"]]
    assert "2 settings differ from it" in " ".join(page.words)
    text = (path.parent / "report.md").read_text(encoding="utf-8")
    assert "| **learning_rate** | **0.01** | **0.045** |" in text
    assert "| momentum | 0.9 | 0.9 |" in text
    assert "| seed | 3 |  |" in text
    assert "](confusion.png)" in text


def test_the_picture_ranking_is_that_of_each_picture_alone(run_of, weights, own_data):
    folder = run_of()
    shutil.copy(weights, folder)
    ranking = ImageRanking(read_run(folder))
    data = open_dataset("folder", str(own_data), "val")
    look, expected = WholeImage(load_predictor(folder)), {}
    for index in range(3):
        image, label = data.read(index)
        matrix = confusion_matrix(label, look.label_map(image, label.shape), 9)
        expected[data.sample_name(index)] = scores(matrix).miou
    assert {item.name: item.iou for item in ranking.ranked} == expected
    assert [item.iou for item in ranking.ranked] == sorted(expected.values())
    worst, best = ranking.sections(pictures=False)
    assert worst.table.rows[0][1] == f"{min(expected.values()) * 100:.1f}"
    assert best.table.rows[0][1] == f"{max(expected.values()) * 100:.1f}"
    assert worst.figures == best.figures == ()


def test_pictures_are_in_it_only_if_asked_for(run_of, weights, own_data):
    folder = run_of()
    shutil.copy(weights, folder)
    shown = write_run_report(folder, pictures=True)
    pictures = sorted(p.name for p in shown.parent.glob("*t_*.png"))
    assert pictures == ["best_1.png", "best_2.png", "worst_1.png", "worst_2.png"]
    with Image.open(shown.parent / "worst_1.png") as picture:
        assert picture.width >= 3 * 160
    page = Reader(shown.read_text(encoding="utf-8"))
    assert sum("side by side" in alt for alt, _ in page.images) == 4
    hidden = write_run_report(folder, str(own_data), force=True)
    assert not list(hidden.parent.glob("*t_*.png"))
    page = Reader(hidden.read_text(encoding="utf-8"))
    assert len(page.images) == 3
    assert "Validation images with the worst IoU" in page.words


def test_nothing_is_replaced_unasked_or_lost_on_an_error(run_of, weights, tmp_path):
    folder = run_of(data_dir=str(tmp_path / "moved"))
    shutil.copy(weights, folder)
    path = write_run_report(folder)
    (path.parent / "notes.txt").write_text("mine")
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    with pytest.raises(OutputError, match="not empty"):
        write_run_report(folder)
    with pytest.raises(DataError, match="moved"):
        write_run_report(folder, pictures=True, force=True)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == before
    write_run_report(folder, force=True)
    assert (path.parent / "notes.txt").read_text() == "mine"


def test_the_command_writes_it(run_of, run):
    folder = run_of()
    path = folder / "report" / "report.html"
    assert run("runs", "report", folder)[:2] == (0, f"{path}\n")
    code, _, error = run("runs", "report", folder)
    assert (code, "--force" in error) == (2, True)
    code, _, error = run("runs", "report", folder.parent)
    assert (code, "is not a run" in error) == (2, True)


@pytest.mark.parametrize("settings", [{"model": "x", "dataset": "toy"}, {"data_dir": "IMAGENET"}])
def test_other_kinds_and_runs_before_their_first_epoch(tmp_path, settings):
    values = {**settings, "epochs": 5, "learning_rate": 0.045}
    (tmp_path / "run.json").write_text(json.dumps({"settings": values}))
    text = write_run_report(tmp_path).with_name("report.md").read_text(encoding="utf-8")
    assert "No epoch is finished yet." in text
    assert "0 of 5" in text
    # 5 epochs at 0.0001 are what quantize does by default, 90 at 0.045 what pretrain does.
    changed = "learning_rate" if "model" in settings else "epochs"
    marked = [line for line in text.splitlines() if line.startswith("| **")]
    assert marked[0].startswith(f"| **{changed}**")
    with pytest.raises(InputError):  # no weights, or no label maps
        write_run_report(tmp_path, pictures=True, force=True)


def test_a_pretrained_run_has_no_label_maps(tmp_path):
    (tmp_path / "run.json").write_text('{"settings": {"data_dir": "IMAGENET", "epochs": 5}}')
    with pytest.raises(ConfigError, match="pretrain"):
        ImageRanking(read_run(tmp_path))


def test_greatest_confusions_are_shares_of_the_true_class():
    matrix = np.array([[6, 2, 0, 2], [0, 0, 0, 0], [5, 0, 5, 0]])  # a last column: no class
    assert greatest_confusions(matrix) == [(2, 0, 0.5), (0, 1, 0.2), (0, 3, 0.2)]
    shares = row_shares(matrix)
    assert np.isnan(shares[1]).all()
    assert shares[0].tolist() == [0.6, 0.2, 0.0, 0.2]


def test_durations():
    assert [duration(s) for s in (None, 0.4, 59.6, 7385.2)] == [
        *("not recorded", "0 s", "1 min 00 s", "2 h 03 min 05 s")
    ]


def test_texts_cannot_break_the_page():
    evil = "<script>a|b*_`[x](y)\nz"
    page = Page(evil, (Section(evil, evil, table=Table((evil,), ((evil,),))),))
    assert "script" not in Reader(page.html()).tags
    for line in page.markdown().splitlines():
        assert line.replace("\\|", "").count("|") in (0, 2)
        assert "<script" not in line.replace("\\<", "")


def test_a_confusion_matrix_is_drawn_cell_by_cell():
    """White where nothing went, dark blue where everything did, grey without pixels."""
    picture = pixels(confusion(np.array([[7, 0], [0, 0]]), ("$road_", "車")))
    colors = {tuple(c) for c in np.unique(picture.reshape(-1, 3), axis=0).tolist()}
    assert {(8, 48, 107), (247, 251, 255), (211, 211, 211)} <= colors


def test_curves_have_a_panel_for_each_known_column():
    rows = [{"epoch": 1.0, "loss": 2.0, "val_miou": None}, {"epoch": 2.0, "loss": 1.0}]
    panels = {"loss": "loss", "val_miou": "mIoU"}
    one = pixels(curves([("", rows)], panels))
    rows[1]["val_miou"] = 0.5
    two = pixels(curves([("", rows)], panels))
    assert two.shape[0] == one.shape[0] + 220
    assert curves([("", [{"epoch": 1.0}])], panels) is None


def test_bars_are_as_long_as_the_iou():
    picture = pixels(class_bars({"a": 1.0, "b": 0.5, "never": None, "c": 0.0}))
    blue = (picture == (0x00, 0x72, 0xB2)).all(2).sum(1)
    lengths = [n for n in np.unique(blue).tolist() if n]
    assert lengths[0] == pytest.approx(lengths[-1] / 2, rel=0.02)
    assert len(lengths) <= 6  # two bars and their edges


def test_the_machine_is_described():
    facts = machine()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["cores"] >= 1
    assert facts["processor"]
