"""`data check`, `data show` and `--skip-bad` as a user's script sees them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def broken(own_data):
    """Own data whose train split has a cut JPEG."""
    path = own_data / "train" / "images" / "1.jpg"
    path.write_bytes(path.read_bytes()[:700])
    return own_data


def data(root):
    return ["--dataset", "folder", "--data-dir", root]


def test_check_says_0_for_clean_and_1_for_findings(own_data, run):
    code, out, err = run("data", "check", *data(own_data))
    assert (code, err) == (0, "")
    assert out.endswith("nothing is wrong\n")
    label = own_data / "val" / "labels" / "5.png"
    Image.fromarray(np.full((96, 160), 77, np.uint8)).save(label)
    code, out, err = run("data", "check", *data(own_data))
    assert (code, err) == (1, "")
    assert f"  {label}: unknown label value 77 (15360 pixels)" in out
    assert out.endswith("\n1 finding\n")
    assert run("data", "check", *data(own_data), "--split", "train")[0] == 0


def test_check_writes_json(broken, tmp_path, run):
    path = tmp_path / "Prüfung.json"
    code, out, err = run("data", "check", *data(broken), "--json", path)
    assert (code, err) == (1, "")
    assert "files that cannot be read: 1" in out
    values = json.loads(path.read_text())
    assert values["totals"]["unreadable"] == 1
    assert values["splits"]["train"]["usable"] == 3
    code, out, _ = run("data", "check", *data(broken), "--json", "-", "--split", "val")
    assert (code, list(json.loads(out)["splits"])) == (0, ["val"])
    code, _, err = run("data", "check", *data(broken), "--json", path)
    assert code == 2
    assert "exists" in err
    assert run("data", "check", *data(broken), "--json", path, "--force")[0] == 1


def test_only_the_first_findings_of_a_kind_are_printed(own_data, run):
    for i in range(25):
        (own_data / "val" / "images" / f"n{i:02}.jpg").write_text("")
        Image.new("L", (8, 8), 20).save(own_data / "val" / "labels" / f"n{i:02}.png")
    code, out, _ = run("data", "check", *data(own_data))
    assert code == 1
    assert "files that cannot be read: 25" in out
    assert "n19.jpg" in out
    assert "n20.jpg" not in out
    assert "... and 5 more (all of them in --json)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "camvid", "--data-dir", "nowhere"], "nowhere"),
        (["--dataset", "camvid"], "--data-dir"),
        (["--dataset", "nope", "--data-dir", "."], "unknown data set"),
        (["--dataset", "toy", "--split", "dev"], "dev"),
        (["--dataset", "toy", "--workers", "0"], "workers"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(run, arguments, message):
    code, out, err = run("data", "check", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_show_draws_a_sheet(own_data, tmp_path, run):
    path = tmp_path / "Bögen" / "sheet one.png"
    call = ["data", "show", *data(own_data), "--augment", "strong", "--size", "64x96"]
    call += ["--count", 3, "--columns", 2, "--output", path]
    code, out, err = run(*call)
    assert (code, out, err) == (0, f"{path}: 3 samples\n", "")
    first = Image.open(path).tobytes()
    code, _, err = run(*call)
    assert code == 2
    assert "exists" in err
    assert run(*call, "--force")[0] == 0
    assert Image.open(path).tobytes() == first  # the same seed
    assert run(*call, "--force", "--seed", 1)[0] == 0
    assert Image.open(path).tobytes() != first


def test_no_output_replaces_a_file_of_the_data_set(own_data, run):
    description = own_data / "dataset.yaml"
    data = ("--dataset", "folder", "--data-dir")
    before = {p: p.read_bytes() for p in own_data.rglob("*") if p.is_file()}
    for place in (own_data, description):
        code, _, err = run("data", "check", *data, place, "--json", description, "--force")
        assert code == 2 and "name another file" in err
    sheet = next(p for p in before if p.suffix == ".png" and "val" in p.parts)
    code, _, err = run(
        "data",
        "show",
        *data,
        description,
        "--split",
        "val",
        "--size",
        "64x96",
        "--output",
        sheet,
        "--force",
    )
    assert code == 2 and "is a file of the data set" in err
    assert {p: p.read_bytes() for p in own_data.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("command", [["show", "--augment", "none"], ["pack"]], ids=str)
def test_a_bad_pair_says_how_to_go_on(command, broken, tmp_path, run):
    line = ["data", *command, *data(broken), "--output", tmp_path / "out.png"]
    code, _, err = run(*line)
    assert code == 2
    assert "1.jpg: not a readable image (image file is truncated" in err
    assert err.endswith("; --skip-bad goes on without such pairs\n")
    assert run(*line, "--skip-bad")[0] == 0


@pytest.mark.train
def test_training_and_quantization_stop_before_the_first_step_or_go_on(
    broken, small_weights, tmp_path, run
):
    folder = tmp_path / "run"
    short = ["--epochs", 1, "--batch-size", 3]
    train = ["train", *data(broken), "--init-from", small_weights, "--no-aux", "--size", "64x96"]
    train += [*short, "--output", folder]
    code, out, err = run(*train)
    bad = broken / "train" / "images" / "1.jpg"
    assert (code, out) == (2, "")
    assert err.startswith(f"fastscnn: {bad}: not a readable image (image file is truncated")
    assert "(1 of 4 pairs cannot be used; see fastscnn data check" in err
    assert not folder.exists()
    code, out, err = run(*train, "--skip-bad")
    assert code == 0
    assert err.startswith(f"fastscnn: skipped 1 of 4 pairs that cannot be used (first: {bad}: ")
    assert err.count("\n") == 1
    code, _, err = run(*train, "--skip-bad", "--resume")  # the same pairs are left out
    assert code == 0
    assert err.count("skipped 1 of 4") == 1
    quantize = ["quantize", folder, *data(broken), *short, "--output", tmp_path / "qat"]
    code, _, err = run(*quantize)
    assert code == 2
    assert "--skip-bad" in err
    assert not (tmp_path / "qat").exists()
    assert run(*quantize, "--skip-bad")[0] == 0
    _older_runs_resume(folder, train, bad, run)


def _older_runs_resume(folder, train, bad, run):
    """Those whose run.json does not know `skip_bad` yet."""
    bad.with_suffix(".jpg").write_bytes((bad.parent / "0.jpg").read_bytes())
    path = folder / "run.json"
    values = json.loads(path.read_text())
    del values["settings"]["skip_bad"]
    path.write_text(json.dumps(values))
    code, _, err = run(*train, "--resume")
    assert (code, err) == (0, "")
    code, _, err = run(*train, "--resume", "--skip-bad")
    assert code == 2
    assert "with --skip-bad True: it began with False" in err


MODEL = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"


def test_bad_pairs_are_left_out_where_they_are_shown_packed_and_taught(broken, tmp_path, run):
    for command in (
        ["data", "show", *data(broken), "--size", "64x96", "--output", tmp_path / "sheet.png"],
        ["data", "pack", *data(broken), "--output", tmp_path / "packed"],
        ["save-logits", MODEL, *data(broken), "--output", tmp_path / "logits"],
    ):
        code, _, err = run(*command)
        assert code == 2
        assert "1.jpg: not a readable image" in err
        code, _, err = run(*command, "--skip-bad")
        assert code == 0, err
        assert err.startswith("fastscnn: skipped 1 of 4 pairs that cannot be used (first: ")
        assert err.count("\n") == 1
    index = json.loads((tmp_path / "packed" / "records.json").read_text())
    assert index["splits"]["train"]["pairs"] == 3
    index = json.loads((tmp_path / "logits" / "logits.json").read_text())
    assert len(index["samples"]) == len(list((tmp_path / "logits").glob("*.npy"))) == 3


@pytest.mark.parametrize("processes", [1, 2])
def test_pictures_that_cannot_be_read_are_left_out_of_predictions(broken, tmp_path, run, processes):
    pictures, folder = broken / "train" / "images", tmp_path / "out"
    command = ["predict", MODEL, pictures, "--output", folder, "--processes", processes]
    code, _, err = run(*command)
    assert code == 2
    assert "1.jpg: not a readable image" in err
    code, out, err = run(*command, "--skip-bad", "--force")
    assert (code, out) == (0, f"{folder}: label map and overlay of 3 images\n")
    assert err.startswith(f"fastscnn: skipped 1 of 4 images (first: {pictures / '1.jpg'}: ")
    assert sorted(p.name for p in folder.glob("*_labels.png")) == [
        *("0_labels.png", "2_labels.png", "3_labels.png")
    ]
    code, _, err = run("predict", MODEL, pictures / "1.jpg", "--output", folder, "--skip-bad")
    assert code == 2
    assert "none of the 1 images can be read" in err
