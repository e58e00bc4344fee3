"""Our scores against those of cityscapesScripts on the same files: equal to the last bit."""

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.labels import CITYSCAPES, IGNORE
from fastscnn_tf.core.scores.confusion import confusion_matrix, scores
from fastscnn_tf.core.scores.instances import InstanceCounts
from fastscnn_tf.data.datasets.published_sets import cityscapes
from fastscnn_tf.evaluation.prediction import predict_files
from fastscnn_tf.scoring.protocol import evaluate_predictor

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-cityscapes" / "bin" / "python"
SIZE = (32, 64)
CLASS_IDS = CITYSCAPES.raw_values
WITH_INSTANCES = (24, 25, 26, 27, 28, 29, 30, 31, 32, 33)
UNSCORED_VEHICLES = (29, 30)  # caravan, trailer: void as classes, vehicles as a category


def run_reference(truth: Path, results: Path) -> dict:
    """The scores of cityscapesScripts; nan as None."""
    if not PYTHON.exists():
        pytest.skip("no cityscapesScripts here: make cityscapes")
    command = [PYTHON, ROOT / "tests" / "cityscapes" / "reference.py", truth, results]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def known(values: dict) -> dict:
    """nan as None, and only the scored names."""
    return {k: None if math.isnan(v) else v for k, v in values.items()}


def random_scene(rng, ids):
    """Label ids in blocks, with single pixels among them, and instances of what has some."""
    blocks = rng.choice(ids, (8, 16)).astype(np.uint8)
    label = np.kron(blocks, np.ones((4, 4), np.uint8))
    loose = rng.random(SIZE) < 0.1
    label[loose] = rng.choice(ids, loose.sum())
    cell = np.kron(np.arange(128).reshape(8, 16), np.ones((4, 4), int)) // rng.integers(1, 9)
    crowd = rng.random(SIZE) < 0.05  # groups have the label id alone
    numbered = np.isin(label, WITH_INSTANCES) & ~crowd
    instances = np.where(numbered, label.astype(np.int32) * 1000 + cell % 50, label)
    return label, instances.astype(np.uint16)


def write_truth(root: Path, scenes) -> Path:
    folder = root / "gtFine" / "val"
    for i, (label, instances) in enumerate(scenes):
        stem = folder / f"city{i % 2}" / f"city{i % 2}_{i:06d}_000019_gtFine"
        stem.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(label).save(f"{stem}_labelIds.png")
        Image.fromarray(instances).save(f"{stem}_instanceIds.png")  # 16 bit
    return folder


def predicted_ids(rng, label, share, ids):
    """A result that agrees with most of the label map."""
    wrong = rng.random(label.shape) < share
    return np.where(wrong, rng.choice(ids, label.shape), label).astype(np.uint8)


def our_scores(samples):
    """Class, category and instance scores of (label ids, instances, predicted label ids)."""
    from_raw = CITYSCAPES.lookup_table()
    predicted_table = from_raw.copy()
    predicted_table[list(UNSCORED_VEHICLES)] = len(CITYSCAPES)
    matrix = np.zeros((19, 21), np.int64)
    counts = InstanceCounts(CITYSCAPES, extra=("vehicle",))
    for label, instances, result in samples:
        prediction = predicted_table[result]
        matrix += confusion_matrix(from_raw[label], prediction, 19, extra=2)
        counts.add(instances, prediction)
    return scores(matrix, CITYSCAPES.categories), counts.scores(matrix)


@pytest.mark.parametrize(
    ("seed", "labels", "results"),
    [
        (0, range(34), CLASS_IDS),
        (1, range(34), range(34)),  # results that name void labels, too
        (2, CLASS_IDS, range(34)),
        (3, (*CLASS_IDS[:11], 0, 3, 29), (7, 0, 29, 30, 26)),  # no instance, some classes never
        (4, (26, 24, 11, 0, 30), range(34)),
        (5, (26, 0), (24, 25)),  # nothing right
    ],
)
def test_class_category_and_instance_scores_equal_to_the_last_bit(tmp_path, seed, labels, results):
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng, list(labels)) for _ in range(5)]
    truth = write_truth(tmp_path, scenes)
    samples = []
    for path in sorted(truth.glob("*/*_labelIds.png")):
        label = np.asarray(Image.open(path))
        instances = np.asarray(Image.open(str(path).replace("labelIds", "instanceIds")))
        result = predicted_ids(rng, label, 0.4, list(results))
        samples.append((label, instances, result))
        name = path.name.replace("gtFine_labelIds", "pred_labelIds")
        (tmp_path / "results").mkdir(exist_ok=True)
        Image.fromarray(result).save(tmp_path / "results" / name)
    ours, instance_scores = our_scores(samples)
    theirs = run_reference(truth, tmp_path / "results")
    assert_equal(ours, instance_scores, theirs)


def assert_equal(ours, instance_scores, theirs):
    class_iou = known(theirs["classScores"])
    assert [class_iou[name] for name in CITYSCAPES.names] == list(ours.class_iou)
    categories = known(theirs["categoryScores"])
    assert categories.pop("void") is None
    assert categories == ours.category_iou
    means = {k: theirs[f"averageScore{k}"] for k in ("Classes", "Categories")}
    assert known(means) == {"Classes": ours.miou, "Categories": ours.category_miou}
    class_iiou = {k: v for k, v in known(theirs["classInstScores"]).items() if v is not None}
    assert class_iiou == {k: v for k, v in instance_scores.class_iiou.items() if v is not None}
    category_iiou = known(theirs["categoryInstScores"])
    assert {k: v for k, v in category_iiou.items() if v is not None} == {
        k: v for k, v in instance_scores.category_iiou.items() if v is not None
    }
    means = {k: theirs[f"averageScoreInst{k}"] for k in ("Classes", "Categories")}
    assert known(means) == {
        "Classes": instance_scores.mean,
        "Categories": instance_scores.category_mean,
    }


class ByColour:
    """A network of its own kind: the class is in the red channel, with a share of mistakes."""

    input_size, num_classes, labels = SIZE, 19, CITYSCAPES

    def run(self, image):
        logits = np.zeros((*SIZE, 19), np.float32)
        np.put_along_axis(logits, (image[..., :1] // 13).astype(int), 5.0, axis=2)
        return logits


@pytest.fixture
def tree(tmp_path):
    """A Cityscapes val split whose images hold nearly the label in their red channel."""
    rng, root = np.random.default_rng(9), tmp_path / "Städte und Dörfer"
    truth = write_truth(root, [random_scene(rng, list(range(34))) for _ in range(4)])
    for path in truth.glob("*/*_labelIds.png"):
        classes = CITYSCAPES.lookup_table()[np.asarray(Image.open(path))]
        guess = rng.integers(0, 19, SIZE)
        classes = np.where((classes == IGNORE) | (rng.random(SIZE) < 0.3), guess, classes)
        name = path.name.replace("gtFine_labelIds", "leftImg8bit")
        picture = root / "leftImg8bit" / "val" / path.parent.name / name
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(classes[..., None] * 13 + [0, 1, 2])).save(picture)
    return root


def test_evaluate_and_a_submission_give_what_cityscapes_scripts_give(tree, tmp_path):
    """The same network, once scored here, once written as a submission and scored by them."""
    results = tmp_path / "results"
    written = predict_files(
        ByColour(), [tree / "leftImg8bit" / "val"], results, format="cityscapes", recursive=True
    )
    assert [p.name for p in written] == [
        "city0_000000_000019_pred_labelIds.png",
        "city0_000002_000019_pred_labelIds.png",
        "city1_000001_000019_pred_labelIds.png",
        "city1_000003_000019_pred_labelIds.png",
    ]
    assert sorted(results.iterdir()) == sorted(written)  # nothing that their search would find too
    image = Image.open(written[0])
    assert image.mode == "L"
    assert set(np.unique(np.asarray(image))) <= set(CLASS_IDS)
    ours = evaluate_predictor(ByColour(), cityscapes(tree, "val"), instances=True)
    assert 0.5 < ours.miou < 0.9
    theirs = run_reference(tree / "gtFine" / "val", results)
    assert_equal(ours.scores, ours.instances, theirs)
    assert ours.to_dict()["iiou"]["mean"] == theirs["averageScoreInstClasses"]
