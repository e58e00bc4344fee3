"""Options of the evaluation on a predictor of plain numpy: what is counted, left out and said."""

import dataclasses
import html
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.labels import CITYSCAPES, PANORAMA13, LabelSpace
from fastscnn_tf.core.scores.confusion import confusion_matrix
from fastscnn_tf.data.datasets.dataset import WHOLE_IMAGES, SegmentationDataset
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.evaluation.evaluate import evaluate, training_remark
from fastscnn_tf.scoring.averaged_views import AveragedViews
from fastscnn_tf.scoring.protocol import evaluate_predictor

SIZE = (8, 12)


class Streets(SegmentationDataset):
    """Images whose red channel holds the class; labels and instances given."""

    name, split = "streets", "val"

    def __init__(self, labels, pictures, space=CITYSCAPES, instances=None, protocol=WHOLE_IMAGES):
        self.maps, self.pictures, self.labels = labels, pictures, space
        self.instances, self.protocol = instances, protocol

    def __len__(self):
        return len(self.maps)

    def sample_name(self, index):
        return f"street_{index}.png"

    def read_image(self, index):
        if self.pictures[index] is None:
            raise DataError(f"street_{index}.png: not a readable image")
        return np.repeat(self.pictures[index][..., None], 3, axis=2)

    def read_label(self, index):
        return self.maps[index]

    def read_instances(self, index):
        return None if self.instances is None else self.instances[index]


class Reader:
    """Says the class that is in the red channel."""

    input_size = SIZE

    def __init__(self, space=CITYSCAPES):
        self.labels, self.num_classes = space, len(space)

    def run(self, image):
        return np.float32(image[..., :1] == np.arange(self.num_classes)) * 8


def filled(value):
    return np.full(SIZE, value, np.uint8)


def test_the_result_has_every_score_and_json_takes_it():
    road_and_car = filled(0)
    road_and_car[:, 6:] = 13
    ids = np.where(road_and_car == 13, 26001, 7)
    said = road_and_car.copy()
    said[:4, 6:] = 14  # half of the car is called a truck
    data = Streets([road_and_car], [said], instances=[ids], protocol="border cut off")
    result = evaluate_predictor(Reader(), data, boundary=True, instances=True)
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["class_iou"]["car"] == 0.5
    assert values["class_iou"]["truck"] == 0.0
    assert values["class_iou"]["bus"] is None
    assert values["miou"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert len(values["category_iou"]) == 7
    assert {k: v for k, v in values["category_iou"].items() if v is not None} == {
        "flat": 1.0,
        "vehicle": 1.0,
    }
    assert values["category_miou"] == 1.0
    assert values["pixel_accuracy"] == 0.75
    assert values["class_accuracy"]["car"] == 0.5
    assert values["mean_accuracy"] == 0.75
    assert values["frequency_weighted_iou"] == 0.75
    assert values["iiou"]["class_iiou"]["car"] == 0.5
    assert values["iiou"]["category_mean"] == 1.0
    assert values["boundary_f"][0]["tolerance"] == 0.00088
    assert values["boundary_f"][0]["class_f"]["road"] == 1.0
    assert values["boundary_f"][0]["class_f"]["truck"] == 0.0
    assert values["skipped"] == 0
    assert values["protocol"].startswith("whole images, none dropped")
    assert values["protocol"].endswith("; data: border cut off")
    rows = dict(line.rsplit("  ", 1) for line in result.table().splitlines()[:-1])
    table = {name.strip(): value.strip() for name, value in rows.items()}
    assert table["mean category IoU"] == "100.0"
    assert table["mean iIoU"] == "25.0"  # car 0.5, truck 0.0
    assert table["bus"] == "-"
    assert "boundary F at 0.088 %" in table
    said = f"{result.table()}\nprotocol: {result.protocol}\nnever in the labels: sidewalk, "
    assert str(result).startswith(said)
    shown = result._repr_html_()
    assert shown.count("<tr>") == len(table)  # as many rows as on the console
    assert '<th scope="row">mean iIoU</th><td>25.0</td>' in shown
    assert html.escape(result.protocol) in shown


def test_a_prediction_of_no_class_is_a_miss_and_no_false_positive():
    """Of 96 pixels of road half are said to be nothing; the column appears only then."""

    class LabelMap(Reader):
        def run(self, image):
            return np.where(np.arange(12) < 6, 0, 255).repeat(8).reshape(12, 8).T

    result = evaluate_predictor(LabelMap(), Streets([filled(0)], [filled(0)]))
    assert result.class_iou["road"] == 0.5
    assert result.pixel_accuracy == 0.5
    assert result.scores.matrix.shape == (19, 20)
    assert result.scores.matrix[0, 19] == 48
    plain = evaluate_predictor(Reader(), Streets([filled(0)], [filled(0)]))
    assert plain.scores.matrix.shape == (19, 19)


def test_costly_scores_are_left_out_by_default():
    result = evaluate_predictor(Reader(), Streets([filled(0)], [filled(0)]))
    assert not {"iiou", "boundary_f"} & set(result.to_dict())


def test_instances_are_needed_for_iiou():
    data = Streets([filled(0)], [filled(0)])
    with pytest.raises(DataError, match=r"street_0\.png: no instance ids, which iIoU needs"):
        evaluate_predictor(Reader(), data, instances=True)
    data.instances = [np.zeros((4, 4), np.int32)]
    with pytest.raises(DataError, match="its instance ids are 4x4 but its label map is 8x12"):
        evaluate_predictor(Reader(), data, instances=True)


def test_bad_pairs_are_named_or_left_out_and_counted():
    pictures, labels = [filled(0), None, filled(1), filled(1)], [filled(0)] * 3 + [filled(9)[:4]]
    data = Streets(labels, pictures)
    with pytest.raises(DataError, match=r"street_1\.png: not a readable image"):
        evaluate_predictor(Reader(), data)
    result = evaluate_predictor(Reader(), data, skip_bad=True)
    assert (result.images, result.skipped) == (2, 2)
    assert result.pixel_accuracy == 0.5
    assert result.skip_warning() == (
        "skipped 2 of 4 pairs that cannot be used (first: street_1.png: not a readable image; "
        "street_3.png: image is 8x12 but its label map is 4x12)"
    )
    assert (len(result.skipped_pairs), result.skipped_first) == (2, result.skipped_pairs[0])
    assert result.to_dict()["skipped"] == 2
    assert evaluate_predictor(Reader(), Streets([filled(0)], [filled(0)])).skip_warning() is None
    with pytest.raises(DataError, match=r"none of the 2 pairs can be used \(first: street_0"):
        evaluate_predictor(Reader(), Streets([filled(0)] * 2, [None] * 2), skip_bad=True)


def test_another_way_to_look_is_used_and_said():
    data = Streets([filled(3)], [filled(3)])
    reader = Reader()
    result = evaluate_predictor(reader, data, inference=AveragedViews([reader], flip=True))
    assert result.miou == 1.0
    assert "8x12 and each mirrored" in result.protocol


def test_evaluate_takes_a_predictor():
    toy = evaluate(Reader(LabelSpace.make("model", 9)), "toy", flip=True)
    assert toy.images == 60
    assert toy.details["model"] == "Reader"


def test_a_cityscapes_model_is_scored_on_the_13_classes_of_panoramas():
    """Truck (14) and bus (15) count as cars (12); a train (16) has no counterpart: a miss."""
    labels, said = filled(12), filled(14)
    said[0], said[1], said[2] = 15, 16, 0
    data = Streets([labels], [said], PANORAMA13)
    result = evaluate_predictor(Reader(), data, boundary=True)
    assert result.class_iou[PANORAMA13.names[12]] == 72 / 96  # 6 of 8 rows
    assert result.class_iou[PANORAMA13.names[0]] == 0.0
    assert result.pixel_accuracy == 0.75
    assert result.scores.matrix.shape == (13, 14)
    assert result.scores.matrix[12, 13] == 12
    assert "; 19 classes of the model mapped to the 13 of " in result.protocol
    assert "(train: no counterpart, a miss wherever predicted)" in result.protocol


def test_classes_with_other_names_are_matched_by_index_only_where_that_is_said():
    german = LabelSpace.make("streets", 2, ("Straße", "Auto"))
    english = LabelSpace.make("model", 2, ("road", "car"))
    data = Streets([filled(1)], [filled(1)], german)
    with pytest.raises(ConfigError, match="--match index"):
        evaluate_predictor(Reader(english), data)
    result = evaluate_predictor(Reader(english), data, match="index")
    assert result.class_iou == {"Straße": None, "Auto": 1.0}
    assert "matched by index with those of streets: as asked for" in result.protocol
    nameless = evaluate_predictor(Reader(LabelSpace.make("model", 2)), data)
    assert nameless.class_iou == result.class_iou
    assert "by index with those of streets: the model's classes have no names" in nameless.protocol


def test_the_same_names_in_another_order_score_alike():
    english = LabelSpace.make("model", 2, ("road", "car"))
    data = Streets([filled(0)], [filled(1)], LabelSpace.make("streets", 2, ("car", "road")))
    result = evaluate_predictor(Reader(english), data)
    assert result.class_iou == {"car": 1.0, "road": None}
    assert "classes matched by name with those of streets" in result.protocol


def test_other_classes_are_refused_naming_both():
    data = Streets(
        [filled(0)], [filled(0)], LabelSpace.make("farm", 4, ("cow", "pig", "hen", "ox"))
    )
    with pytest.raises(ConfigError, match=r"19 classes of .* and the 4 of farm .* road, .* cow"):
        evaluate_predictor(Reader(), data)
    with pytest.raises(ConfigError, match="has 5 classes but farm has 4"):
        evaluate_predictor(Reader(LabelSpace.make("model", 5)), data)


def test_steps_overlap_and_the_result_is_that_of_one_after_the_other():
    """The second image is read while the network looks at the first: they meet at a barrier."""
    before, rng = set(threading.enumerate()), np.random.default_rng(0)
    labels = [rng.integers(0, 19, SIZE, dtype=np.uint8) for _ in range(12)]
    said = [rng.integers(0, 19, SIZE, dtype=np.uint8) for _ in range(12)]
    meeting = threading.Barrier(2, timeout=300)

    class Meeting(Streets):
        def read_image(self, index):
            if index == 1:
                meeting.wait()
            return super().read_image(index)

    class Waiting(Reader):
        looks = 0

        def run(self, image):
            self.looks += 1
            if self.looks == 2:  # the first image's run after the warm-up
                meeting.wait()
            return super().run(image)

    order = []

    def progress(indices):
        for index in indices:
            order.append((index, threading.current_thread() is threading.main_thread()))
            yield index

    result = evaluate_predictor(Waiting(), Meeting(labels, said), progress)
    expected = sum(confusion_matrix(a, b, 19) for a, b in zip(labels, said, strict=True))
    assert np.array_equal(result.scores.matrix, expected)
    assert order == [(i, True) for i in range(12)]
    assert set(threading.enumerate()) <= before


def test_the_first_bad_pair_ends_the_work_with_no_thread_left():
    before, pictures = set(threading.enumerate()), [filled(0)] * 6
    pictures[3] = pictures[5] = None
    with pytest.raises(DataError, match=r"street_3\.png"):
        evaluate_predictor(Reader(), Streets([filled(0)] * 6, pictures))
    foreign = filled(0)
    foreign[0] = 77
    with pytest.raises(DataError, match="label value 77"):
        evaluate_predictor(Reader(), Streets([filled(0), foreign, filled(0)], [filled(0)] * 3))
    assert set(threading.enumerate()) <= before


def test_scores_on_training_data_say_so(run_folder, tmp_path):
    said = "The model saw train of toy in training: scores on it say nothing of new images."
    assert training_remark(run_folder, "toy", "train") == said
    assert training_remark(run_folder / "best.keras", "toy", "train") == said
    assert training_remark(run_folder, "toy", "val") == ""
    own = json.loads((run_folder / "run.json").read_text())
    own["settings"]["dataset"] = "folder"
    (tmp_path / "run.json").write_text(json.dumps(own))
    shutil.copy(run_folder / "state.json", tmp_path)
    doubtful = training_remark(tmp_path, "folder", "train")
    assert "saw train of folder in training, if it was this data set: scores" in doubtful
    shipped = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
    assert "train of camvid" in training_remark(shipped, "camvid", "train")
    assert training_remark(shipped, "camvid", "test") == ""
    (tmp_path / "run.json").write_text("[")
    copied = shutil.copy(run_folder / "best.keras", tmp_path)
    assert training_remark(copied, "toy", "train") == ""  # a damaged run says nothing
    assert training_remark(object(), "toy", "train") == ""


def test_the_remark_is_printed_and_not_in_the_json():
    result = evaluate_predictor(Reader(), Streets([filled(0)], [filled(0)]))
    noted = dataclasses.replace(result, remark="seen <before>")
    assert str(noted) == f"{result}\nseen <before>"
    assert "seen &lt;before&gt;" in noted._repr_html_()
    assert noted.to_dict() == result.to_dict()


@pytest.mark.skipif("FASTSCNN_CASES" not in os.environ, reason="FASTSCNN_CASES is not set")
def test_a_data_set_with_its_classes_in_another_order_scores_as_before():
    class Shades(Reader):
        """Says a class by brightness: anything that does not depend on the data set."""

        def run(self, image):
            return np.float32(image[..., :1] // 86 == np.arange(3)) * 8

    cases = Path(os.environ["FASTSCNN_CASES"])
    before = open_dataset("folder", cases / "tiny-set-batch-norm", "val")
    after = open_dataset("folder", cases / "class-order-changed", "val")
    assert before.labels.names == after.labels.names[::-1]
    model = Shades(before.labels)
    first, second = (evaluate_predictor(model, data) for data in (before, after))
    assert len({round(iou, 3) for iou in first.class_iou.values()}) == 3
    assert second.class_iou == first.class_iou
    assert second.pixel_accuracy == first.pixel_accuracy
