"""Options of `evaluate` and `predict` on small real models, as a user's script sees them."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.labels import CITYSCAPES

SIZE = (64, 96)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Untrained models: own data's 9 classes as .keras and .tflite, Cityscapes' as .keras."""
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.core.keras_api import keras3
    from fastscnn_tf.export.export_tflite import export_tflite
    from fastscnn_tf.model.fast_scnn import fast_scnn
    from fastscnn_tf.model.io import save_keras

    keras3().utils.set_random_seed(0)  # some weights leave classes within rounding of each other
    folder = tmp_path_factory.mktemp("models")
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    for name in ("toy", "cityscapes"):
        config = FastSCNNConfig.for_labels(name, input_size=SIZE, **few)
        model = fast_scnn(config)
        save_keras(model, folder / f"{name}.keras")
        export_tflite(model, folder / f"{name}.tflite", "float32")
    return folder


def scores(run, model, data, *options):
    arguments = ("--dataset", "folder", "--data-dir", data, "--json", "-")
    code, out, err = run("evaluate", model, *arguments, *options)
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.convert
def test_keras_and_tflite_see_the_same_in_every_way(own_data, models, run):
    keras, tflite = models / "toy.keras", models / "toy.tflite"
    plain = scores(run, keras, own_data)
    assert scores(run, keras, own_data, "--scales", "1.0")["miou"] == plain["miou"]
    for options, said in (
        (["--flip"], "64x96 and each mirrored"),
        (["--window", "64x96", "--stride", "16x32"], "windows of 64x96 every 16x32"),
        (["--window", "64x96", "--flip"], "windows of 64x96 every 32x48"),
    ):
        a, b = scores(run, keras, own_data, *options), scores(run, tflite, own_data, *options)
        assert a["protocol"] == b["protocol"]
        assert said in a["protocol"]
        assert a["miou"] == pytest.approx(b["miou"], abs=0.002)
        assert a["confusion_matrix"] != plain["confusion_matrix"]


@pytest.mark.convert
def test_a_keras_model_runs_at_several_scales(own_data, models, run):
    result = scores(run, models / "toy.keras", own_data, "--scales", "0.5,1.0,1.3", "--flip")
    # 64 x 96 halved and times 1.3 = 83.2 x 124.8, in steps of 32
    assert "resized bilinearly to 32x64, 64x96, 96x128 and each mirrored" in result["protocol"]
    padded = ["--scales", "0.5,1.0", "--size", "60x90", "--pad"]
    assert "30x45, 60x90," in scores(run, models / "toy.keras", own_data, *padded)["protocol"]


def test_boundary_is_an_option(own_data, models, run):
    result = scores(run, models / "toy.tflite", own_data, "--boundary")
    assert [item["tolerance"] for item in result["boundary_f"]] == [
        *(0.00088, 0.001875, 0.00375, 0.005)
    ]
    code, out, _ = run(
        "evaluate", models / "toy.tflite", "--dataset", "folder", "--data-dir", own_data
    )
    assert code == 0
    assert "frequency-weighted IoU" in out
    assert "boundary" not in out


def test_skip_bad_warns_once(own_data, models, run):
    pictures = own_data / "val" / "images"
    (pictures / "4.jpg").write_bytes((pictures / "4.jpg").read_bytes()[:300])
    Image.new("L", (10, 10), 20).save(own_data / "val" / "labels" / "5.png")
    arguments = ["evaluate", models / "toy.tflite", "--dataset", "folder", "--data-dir", own_data]
    code, _, err = run(*arguments)
    assert code == 2
    assert "4.jpg: not a readable image" in err
    code, out, err = run(*arguments, "--skip-bad", "--json", "-")
    assert code == 0
    assert err.startswith("fastscnn: skipped 2 of 3 pairs that cannot be used (first: ")
    assert "4.jpg: not a readable image" in err
    assert err.count("\n") == 1
    values = json.loads(out)
    assert (values["images"], values["skipped"]) == (1, 2)
    (own_data / "val" / "labels" / "4.png").unlink()
    code, out, err = run(*arguments, "--skip-bad", "--json", "-")
    assert code == 0
    assert "skipped 2 of 3 pairs" in err
    assert "4.png: no such file" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scales", "0.5,1.0"], "one size and cannot run at other scales"),
        (["--scales", "half"], "expected numbers such as 0.5,1.0"),
        (["--window", "64x64"], "the window of a .tflite is its input size 64x96"),
        (["--stride", "8x8"], "a stride needs a window"),
        (["--pad"], "has one size: export it with --size HxW --pad instead"),
        (["--pad", "--window", "64x96"], "has one size: export it with --size HxW --pad instead"),
        (["--instances"], "iIoU is defined for the 19 classes of Cityscapes"),
    ],
)
def test_options_that_do_not_fit_give_one_line(own_data, models, run, options, message):
    data = ["--dataset", "folder", "--data-dir", own_data]
    code, out, err = run("evaluate", models / "toy.tflite", *data, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_padding_without_a_size_is_refused(own_data, models, run):
    data = ["--dataset", "folder", "--data-dir", own_data]
    for command in (
        ["evaluate", models / "toy.keras", *data],
        ["save-logits", models / "toy.keras", *data, "--output", own_data / "logits"],
        ["export", models / "toy.keras", "--recipe", "float32", "--output", own_data / "m.tflite"],
        ["summary", models / "toy.keras"],
    ):
        code, out, err = run(*command, "--pad")
        assert (code, out) == (2, "")
        assert "--pad is for a size that is not a multiple of 32: pass --size" in err


def test_an_empty_output_is_no_folder(own_data, models, run):
    for command in (
        ["predict", models / "toy.tflite", own_data / "val" / "images"],
        ["watch", own_data / "val" / "images", models / "toy.tflite"],
        ["card", models / "toy.tflite"],
        ["data", "pack", "--dataset", "toy"],
    ):
        code, _, err = run(*command, "--output", "")
        assert code == 2
        assert "expected a path, got an empty one" in err


def test_bad_pairs_are_left_out_of_every_comparison(own_data, models, run, tmp_path):
    """Half an image, and an image without its label map."""
    picture = own_data / "val" / "images" / "5.jpg"
    picture.write_bytes(picture.read_bytes()[:300])
    (own_data / "val" / "labels" / "4.png").unlink()
    data = ["--dataset", "folder", "--data-dir", own_data]
    both = [models / "toy.keras", models / "toy.tflite"]
    for command in (["evaluate", both[1]], ["compare", *both], ["size-table", both[1]]):
        code, _, err = run(*command, *data)
        assert code == 2
        assert "4.png" in err.splitlines()[-1]
        assert "(2 of 3 pairs cannot be used; see fastscnn data check, or leave them out" in err
        assert "--skip-bad" in err
    for command, found in (
        (["evaluate", both[1]], ""),
        (["compare", *both, "--json", tmp_path / "c.json"], "of 1 images agree"),
        # Two classes may be as good as equal somewhere.
        (["agreement", *both], r"(100\.000|99\.99\d) % of the pixels agree"),
        (["size-table", both[1], "--rounds", 1], ""),
    ):
        code, out, err = run(*command, *data, "--skip-bad")
        assert code == 0, err
        assert err.count("skipped 2 of 3 pairs that cannot be used") == 1
        assert re.search(found, out)
    assert json.loads((tmp_path / "c.json").read_text())["images"] == 1
    code, _, err = run("compare", *both, *data, "--pictures", 2)
    assert code == 2
    assert "--pictures would do nothing without --output" in err


def test_a_cityscapes_model_is_scored_zero_shot(models, tmp_path, run):
    """Names come from the file: the 19 classes as they are, and mapped to 13."""
    pictures, labels = (tmp_path / kind / "val" / "1" for kind in ("leftImg8bit", "gtFine"))
    pictures.mkdir(parents=True)
    labels.mkdir(parents=True)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 205, 3), dtype=np.uint8)
    Image.fromarray(image).save(pictures / "1.png")
    label = rng.integers(0, 19, (40, 205), dtype=np.uint8)
    Image.fromarray(label).save(labels / "1_labelTrainIds.png")
    for name, classes, scored in (
        ("densepass", 19, 40 * 205),
        ("densepass13", 13, np.count_nonzero(label != 16)),
    ):
        results = []
        for model in ("cityscapes.tflite", "cityscapes.keras"):
            data = ["--dataset", name, "--data-dir", tmp_path, "--json", "-"]
            code, out, err = run("evaluate", models / model, *data)
            assert (code, err) == (0, "")
            results.append(json.loads(out))
        assert results[0]["protocol"] == results[1]["protocol"]
        assert ("19 classes of the model mapped to the 13" in results[0]["protocol"]) == (
            classes == 13
        )
        matrix = np.array(results[0]["confusion_matrix"])
        assert len(matrix) == classes
        assert matrix.sum() == scored
    code, _, err = run("evaluate", models / "toy.tflite", "--dataset", name, "--data-dir", tmp_path)
    assert code == 2
    assert (
        "the 9 classes of the model and the 13 of panorama13 differ (only the model has pavement"
        in err
    )
    assert "--class-map FILE" in err


@pytest.fixture
def test_split(tmp_path):
    """leftImg8bit/test of two cities, in a folder with a space and an umlaut."""
    root = tmp_path / "Städte im Test" / "leftImg8bit" / "test"
    rng = np.random.default_rng(0)
    for name in ("berlin/berlin_000000_000019", "bonn/bonn_000001_000019"):
        (root / name).parent.mkdir(parents=True)
        image = rng.integers(0, 256, (64, 128, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / f"{name}_leftImg8bit.png")
    (root / "bonn" / "._bonn_000001_000019_leftImg8bit.png").write_bytes(b"macOS")
    return root


def test_a_submission_to_cityscapes(models, test_split, tmp_path, run):
    output = tmp_path / "results"
    arguments = ["predict", models / "cityscapes.keras", test_split, "--recursive"]
    code, out, err = run(*arguments, "--format", "cityscapes", "--output", output)
    assert (code, err) == (0, "")
    assert out == f"{output}: label ids of 2 images\n"
    assert sorted(p.name for p in output.iterdir()) == [
        "berlin_000000_000019_pred_labelIds.png",
        "bonn_000001_000019_pred_labelIds.png",
    ]
    label_ids = Image.open(output / "berlin_000000_000019_pred_labelIds.png")
    assert (label_ids.mode, label_ids.size) == ("L", (128, 64))
    assert set(np.unique(np.asarray(label_ids))) <= set(CITYSCAPES.raw_values)
    pictures = tmp_path / "pictures"
    assert run(*arguments, "--output", pictures)[0] == 0
    classes = Image.open(pictures / "berlin" / "berlin_000000_000019_leftImg8bit_labels.png")
    raw = np.array(CITYSCAPES.raw_values)[np.asarray(classes)]
    assert np.array_equal(raw, np.asarray(label_ids))
    code, _, err = run(*arguments, "--format", "cityscapes", "--output", output)
    assert code == 2
    assert "exists" in err
    again = [*arguments, "--format", "cityscapes", "--output", output, "--force", "--flip"]
    assert run(*again)[0] == 0


def test_what_is_no_submission_is_refused(models, test_split, tmp_path, run):
    submission = ["--format", "cityscapes", "--output", tmp_path / "r"]
    code, _, err = run("predict", models / "toy.tflite", test_split, "--recursive", *submission)
    assert code == 2
    assert "needs a model with the classes of Cityscapes, got 9 (road, ...)" in err
    picture = next(test_split.rglob("berlin*.png"))
    shutil.copy(picture, tmp_path / "street.png")
    code, _, err = run(
        "predict", models / "cityscapes.tflite", tmp_path / "street.png", *submission
    )
    assert code == 2
    assert "street.png: expected <city>_<sequence>_<frame>_leftImg8bit.png" in err
    code, _, err = run("predict", models / "toy.tflite", picture, "--format", "x", "--output", "r")
    assert code == 2
    assert "unknown format 'x': expected one of pictures, index, palette, color, overlay" in err
    code, _, err = run("predict", models / "toy.tflite", test_split, "--output", tmp_path / "r")
    assert code == 2
    assert "no images in this folder" in err
    assert not (tmp_path / "r").exists()


def test_an_output_is_never_the_model(run, tmp_path):
    model = tmp_path / "m.tflite"
    model.write_bytes(b"a model")
    for command in (["evaluate", "--dataset", "toy"], ["benchmark"]):
        code, _, err = run(command[0], model, *command[1:], "--json", model, "--force")
        assert code == 2
        assert "m.tflite is an input or another output of this command" in err
    assert model.read_bytes() == b"a model"
