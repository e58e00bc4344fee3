"""Two models compared: figures worked by hand, images of what differs, the command."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import OutputError
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.evaluation.model_comparison import compare_models
from fastscnn_tf.evaluation.model_comparison_report import (
    FIRST_RIGHT,
    NEITHER,
    NO_LABEL,
    SECOND_RIGHT,
    comparison_sheet,
    difference,
)

TFLITE = Path(__file__).parents[1] / "tflite"
SPACE = LabelSpace.make("own", 3, ("road", "car", "sky"))
SIZE = (8, 12)


class Reader:
    """Says the class that a channel holds."""

    input_size, num_classes, labels = SIZE, 3, SPACE

    def __init__(self, channel):
        self.channel = channel

    def run(self, image):
        return np.float32(image[..., self.channel, None] == np.arange(3)) * 8


@pytest.fixture
def streets(tmp_path):
    """Two images of road; in the second the models see other things in parts.

    Rows of the second image: 0 the first is wrong, 1-2 the second is, 3 both are, 4 both say
    nothing alike where there is no label.
    """
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    picture, label = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8)
    Image.fromarray(picture).save(root / "images" / "a.png")
    Image.fromarray(label).save(root / "labels" / "a.png")
    picture[0, :, 0] = 1
    picture[1:3, :, 1] = 1
    picture[3, :, 0], picture[3, :, 1] = 1, 2
    picture[4, :, 1] = 2
    label[4] = 255
    Image.fromarray(picture).save(root / "images" / "b.png")
    Image.fromarray(label).save(root / "labels" / "b.png")
    classes = "".join(f"  - {{name: {name}}}\n" for name in SPACE.names)
    (root / "dataset.yaml").write_text(
        f"name: own\nclasses:\n{classes}splits:\n  val: {{images: images, labels: labels}}\n"
    )
    return root


def test_figures_are_those_of_the_hand(streets, tmp_path):
    result = compare_models(
        Reader(0), Reader(1), "folder", streets, output=tmp_path / "out", pictures=5
    )
    assert result.agreement == 1 - 5 * 12 / (2 * 96)
    assert [Path(p.name).name for p in result.pictures] == ["b.png", "a.png"]
    assert [p.agreement for p in result.pictures] == [3 / 8, 1.0]
    # labelled: 8 + 7 rows of road; the first calls 2 of them car, the second 2 car and 1 sky
    assert result.scores[0].class_iou == (13 / 15, 0.0, None)
    assert result.scores[1].class_iou == (12 / 15, 0.0, 0.0)
    assert result.scores[0].miou == 13 / 30
    assert result.right == (2 / 4, 1 / 4, 1 / 4)
    said = {(d.first, d.second): d.share for d in result.departures}
    assert said == {
        ("road", "car"): 24 / 192,
        ("road", "sky"): 12 / 192,
        ("car", "road"): 12 / 192,
        ("car", "sky"): 12 / 192,
    }
    assert result.departures[0].second == "car"
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert written == json.loads(json.dumps(result.to_dict()))
    assert written["class_iou"]["road"]["delta"] == pytest.approx(-1 / 15)
    assert written["class_iou"]["sky"]["delta"] is None
    assert written["miou_delta"] == pytest.approx(4 / 15 - 13 / 30)
    # an image on which they agree is not drawn
    assert [p.name for p in (tmp_path / "out").glob("*.png")] == ["worst_1.png"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img") == 1
    assert "b.png, agreement 37.50 %" in page
    assert "first right 50.0 %, second 25.0 %, neither 25.0 %" in result.text()
    with pytest.raises(OutputError, match="is not empty"):
        compare_models(Reader(0), Reader(1), "folder", streets, output=tmp_path / "out")
    again = compare_models(
        Reader(0), Reader(0), "folder", streets, output=tmp_path / "out", force=True
    )
    assert (again.agreement, again.right, again.departures) == (1.0, None, ())
    assert list((tmp_path / "out").glob("*.png")) == []


def test_differences_have_the_colour_of_who_is_right():
    label = np.array([[0, 0, 0, 0, 255]], np.uint8)
    first = np.array([[0, 0, 1, 1, 1]], np.uint8)
    second = np.array([[0, 2, 0, 2, 2]], np.uint8)
    image = np.full((1, 5, 3), 90, np.uint8)
    expected = [(30, 30, 30), FIRST_RIGHT, SECOND_RIGHT, NEITHER, NO_LABEL]
    assert difference(image, label, first, second).tolist() == [[list(c) for c in expected]]
    assert (image == 90).all()
    for size in ((3, 5), (40, 30), (900, 1700)):
        part = np.zeros(size, np.uint8)
        sheet = comparison_sheet(np.zeros((*size, 3), np.uint8), part, part, part, SPACE)
        assert sheet.shape[1] <= 1400
        assert sheet.dtype == np.uint8


@pytest.mark.convert
def test_the_command_compares_two_files(tmp_path, run, camvid_dir):
    first, second = (TFLITE / f"fastscnn_camvid_{kind}.tflite" for kind in ("float16", "int8"))
    arguments = ["compare", first, second, "--dataset", "camvid", "--data-dir", camvid_dir]
    arguments += ["--output", tmp_path / "out", "--pictures", 2, "--json", tmp_path / "c.json"]
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    result = json.loads((tmp_path / "c.json").read_text())
    assert 0.99 < result["agreement"] < 1
    assert abs(result["miou_delta"]) < 0.005
    assert result["images"] == 101
    assert f"{result['agreement'] * 100:.3f} % of the pixels of 101 images agree" in out
    assert len(list((tmp_path / "out").glob("worst_*.png"))) == 2


def test_bad_input_gives_one_line(tmp_path, run):
    model = TFLITE / "fastscnn_camvid_int8.tflite"
    code, _, err = run("compare", model, "no.tflite", "--dataset", "toy")
    assert (code, err) == (2, "fastscnn: no.tflite: no such model file\n")
    code, _, err = run("compare", model, model, "--dataset", "toy")
    assert code == 2
    assert "the 11 classes of Fast-SCNN, CamVid and the 9 of toy differ" in err
