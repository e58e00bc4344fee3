"""The command line as a user's script sees it: files, keys, messages, exit codes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from forked import MAIN
from PIL import Image

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.model.folded import load_folded
from fastscnn_tf.train.settings import TrainSettings


def one_line(err: str) -> str:
    assert err.startswith("fastscnn: ")
    assert err.count("\n") == 1, err
    return err


TRAINED = (
    r"recipe .*\nbatch normalisation: momentum .*\n4 pairs are few .*\n"
    r"epoch 1/2  loss \S+  val mIoU \S+ %  best \S+ % \(epoch 1\)  .* left\n"
    r"epoch 2/2  loss \S+  val mIoU \S+ %  best \S+ % \(epoch [12]\)  .* in all\n"
    r".*best.keras: val mIoU \S+ % after 2 epochs; .*report.html\n"
)
FINE_TUNED = (
    r"epoch 1/1  loss \S+  val mIoU \S+ %  best \S+ % \(epoch [01]\)  .* in all\n"
    r".*best.npz: val mIoU \S+ % after 1 epoch\n"
)


@pytest.mark.train
def test_train_quantize_export_evaluate_predict_benchmark(
    own_data, one_bottleneck, tmp_path, run, monkeypatch
):
    """The whole chain on own data, with the interfaces scripts rely on, in a pipe."""
    data = ["--dataset", "folder", "--data-dir", own_data]
    folder = tmp_path / "run"
    small = ["--width", 0.25, "--no-aux", "--size", "64x96"]
    train = ["train", *data, *small, "--epochs", 2, "--batch-size", 2, "--output", folder]
    with one_bottleneck():
        code, out, err = run(*train)
    assert (code, err) == (0, "")
    assert re.fullmatch(TRAINED, out), out
    with monkeypatch.context() as patch:  # what is trained is whole without it, too
        patch.setitem(sys.modules, "matplotlib.figure", None)
        code, out, err = run(*train, "--resume")
    assert (code, out.endswith("after 2 epochs\n")) == (0, True)
    assert "no report: " in err and f"then: fastscnn runs report {folder}" in err
    for name in ("best.keras", "last.keras", "run.json", "log.csv"):
        assert (folder / name).is_file()
    tune = ["quantize", folder / "best.keras", *data, "--epochs", 1, "--batch-size", 2]
    tune += ["--output", folder / "qat"]
    code, out, err = run(*tune, "--freeze-ranges", 1)
    assert (code, err) == (0, "")
    assert re.fullmatch(FINE_TUNED, out), out
    check_held_ranges(folder / "qat")
    code, _, err = run(*tune, "--resume")
    assert code == 2
    assert f"cannot resume {folder / 'qat'} with --freeze-ranges None" in one_line(err)
    files = {}
    for recipe, model in (
        ("float32", folder / "best.keras"),
        ("int8", folder),
        ("int8-qat", folder / "qat"),
    ):
        files[recipe] = tmp_path / f"{recipe}.tflite"
        extra = data if recipe == "int8" else []
        code, out, err = run("export", model, "--recipe", recipe, *extra, "--output", files[recipe])
        assert (code, err) == (0, "")
        assert f"float tensors: {0 if recipe != 'float32' else ''}" in out
    for model in (folder / "best.keras", folder / "qat", *files.values()):
        result = tmp_path / f"scores_{Path(model).name}.json"
        code, out, err = run("evaluate", model, *data, "--json", result)
        assert (code, err) == (0, "")
        assert "protocol: whole images" in out
        values = json.loads(result.read_text())
        assert set(values) >= {"miou", "pixel_accuracy", "class_iou", "images", "latency_ms"}
        assert values["images"] == 3
        assert 0 <= values["miou"] <= 1
        assert set(values["latency_ms"]) == {"median", "p90"}
        assert next(iter(values["class_iou"])) == "road"
    code, out, _ = run("agreement", folder / "qat", files["int8-qat"], *data, "--json", "-")
    assert json.loads(out)["agreement"] >= 0.999
    code, out, _ = run("evaluate", files["int8"], *data, "--json", "-")
    assert json.loads(out)["images"] == 3
    code, _, err = run(
        "predict", files["int8"], own_data / "val" / "images", "--output", tmp_path / "p"
    )
    assert (code, err) == (0, "")
    label = Image.open(tmp_path / "p" / "4_labels.png")
    assert label.size == (160, 96)
    assert label.mode == "P"
    assert np.asarray(label).max() < 9
    assert (tmp_path / "p" / "4_overlay.png").exists()
    code, out, _ = run("benchmark", files["int8"], "--threads", 1, "--runs", 2, "--json", "-")
    assert json.loads(out)["threads"] == 1


def check_held_ranges(folder):
    """They are those of calibration, whichever epoch was the best."""
    first, last = (load_folded(folder / f"{name}.npz") for name in ("best", "last"))
    assert last.frozen
    assert first.ranges == last.ranges
    assert json.loads((folder / "run.json").read_text())["settings"]["freeze_ranges"] == 1


def test_outputs_that_exist_are_refused(own_data, tflite_files, tmp_path, run):
    model = tflite_files["int8", "logits"]
    out = tmp_path / "out.json"
    out.write_text("old")
    arguments = ["evaluate", model, "--dataset", "toy", "--json", out]
    code, _, err = run(*arguments)
    assert code == 2
    assert "exists" in one_line(err)
    assert out.read_text() == "old"
    pictures = own_data / "val" / "images"
    assert run("predict", model, pictures, "--output", tmp_path / "p")[0] == 0
    code, _, err = run("predict", model, pictures, "--output", tmp_path / "p")
    assert code == 2
    assert "--force" in one_line(err)
    assert run("predict", model, pictures, "--output", tmp_path / "p", "--force")[0] == 0


def break_label_value(root):
    path = root / "train" / "labels" / "0.png"
    label = np.asarray(Image.open(path)).copy()
    label[0, :5] = 99
    Image.fromarray(label).save(path)


def break_label_size(root):
    Image.new("L", (10, 10), 20).save(root / "train" / "labels" / "0.png")


def break_image(root):
    path = root / "train" / "images" / "0.jpg"
    path.write_bytes(path.read_bytes()[:300])


def remove_label(root):
    (root / "train" / "labels" / "2.png").unlink()


def empty_split(root):
    for path in (root / "train" / "images").iterdir():
        path.unlink()


def remove_folder(root):
    (root / "dataset.yaml").unlink()


@pytest.mark.train
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (break_label_value, "0.png: unknown label value 99 (5 pixels)"),
        (break_label_size, "image is 96x160 but its label map is 10x10"),
        (break_image, "0.jpg: not a readable image"),
        (remove_label, "(1 of 4 pairs cannot be used"),
        (empty_split, "no images in this split"),
        (remove_folder, "dataset.yaml: no such file"),
    ],
)
def test_bad_data_stops_training_with_one_line(own_data, tmp_path, run, spoil, message):
    spoil(own_data)
    code, _, err = run(
        *("train", "--dataset", "folder", "--data-dir", own_data, "--size", "64x96"),
        *("--epochs", 1, "--batch-size", 2, "--output", tmp_path / "run"),
    )
    assert code == 2
    assert message in one_line(err)
    assert not (tmp_path / "run").exists()


@pytest.mark.train
def test_bad_file_in_the_middle_of_training(own_data, small_weights, tmp_path, run):
    path = own_data / "train" / "images" / "3.jpg"
    path.write_bytes(path.read_bytes()[:300])
    code, _, err = run(
        *("train", "--dataset", "folder", "--data-dir", own_data, "--size", "64x96"),
        *("--epochs", 1, "--batch-size", 2, "--output", tmp_path / "run"),
        *("--init-from", small_weights, "--no-aux"),
    )
    assert code == 2
    assert "3.jpg: not a readable image" in one_line(err)


@pytest.mark.train
@pytest.mark.parametrize("spoil", [break_label_value, break_label_size, break_image])
def test_bad_file_in_calibration(own_data, run_folder, tmp_path, run, spoil):
    spoil(own_data)
    for kind, suffix in (("images", "jpg"), ("labels", "png")):  # the last pair, not the first
        folder = own_data / "train" / kind
        (folder / f"0.{suffix}").rename(folder / f"9.{suffix}")
    data = ["--dataset", "folder", "--data-dir", own_data]
    fine_tuning = ["quantize", run_folder, *data, "--batch-size", 2, "--output", tmp_path / "q"]
    export = ["export", run_folder, *data, "--recipe", "int8", "--output", tmp_path / "m.tflite"]
    # Calibration does not look at label maps.
    for arguments in (fine_tuning, export) if spoil is break_image else (fine_tuning,):
        code, _, err = run(*arguments)
        assert code == 2
        assert "9." in one_line(err)
        assert not (tmp_path / "m.tflite").exists()
        assert not list(tmp_path.glob("q/*"))


def test_a_mistake_with_force_keeps_the_run_that_was_there(own_data, run_folder, tmp_path, run):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    before = sorted(path.name for path in folder.iterdir())
    data = ["--dataset", "folder", "--data-dir", own_data, "--batch-size", 100, "--force"]
    for arguments in (
        ["train", *data, "--size", "64x96", "--output", folder],
        ["quantize", run_folder, *data, "--output", folder],
    ):
        code, _, err = run(*arguments)
        assert code == 2
        assert "batch size 100 is larger" in one_line(err)
        assert sorted(path.name for path in folder.iterdir()) == before
    code, _, err = run("quantize", folder, *data[:4], "--output", folder, "--force")
    assert code == 2
    assert "holds the model itself" in one_line(err)
    assert sorted(path.name for path in folder.iterdir()) == before


TOY = ["train", "--dataset", "toy", "--size", "64x96", "--output", "r"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--dataset", "toy", "--size", "360x480", "--output", "r"], "352 or 384"),
        (["train", "--dataset", "toy", "--size", "big", "--output", "r"], "HEIGHTxWIDTH"),
        (["train", "--dataset", "mars", "--size", "64x96", "--output", "r"], "unknown data set"),
        (["train", "--dataset", "camvid", "--size", "64x96", "--output", "r"], "--data-dir"),
        (
            [*TOY, "--extra-dataset", "folder"],
            "--extra-split train_extra: data set 'folder' needs its folder: pass --extra-data-dir",
        ),
        ([*TOY, "--batch-size", "999"], "larger than the 400 pairs"),
        (["train", "--dataset", "toy", "--size", "64x96", "--output", "/proc/r"], "cannot write"),
        (["quantize", "no.keras", "--dataset", "toy", "--output", "q"], "no such model file"),
        (["export", "no.keras", "--recipe", "int4", "--output", "m.tflite"], "unknown recipe"),
        (["export", "no.keras", "--recipe", "int8", "--output", "m.tflite"], "no such model"),
        (["evaluate", "no.tflite", "--dataset", "toy"], "no such model file"),
        (["evaluate", "setup.py", "--dataset", "toy"], "expected a .tflite"),
        (["benchmark", "README.md"], "not a .tflite file"),
        (["predict", "no.tflite", "x.png", "--output", "p"], "x.png: no such file"),
        (["export", "no.keras", "--recipe", "int8", "--output", "new/m.tflite"], "no such model"),
        ([*TOY, "--seed", "-1"], "seed"),
        (["evaluate", "no.tflite", "--dataset", "toy", "--json", ""], "--json needs a path"),
        (["benchmark", "no.tflite", "--threads", "100000"], "1<=x<=256"),
    ],
)
def test_users_mistakes_give_one_line_and_code_2(run, arguments, message, tmp_path, monkeypatch):
    for name in ("setup.py", "README.md"):
        (tmp_path / name).write_text("text")
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    assert code == 2
    assert message in one_line(err)
    assert out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "setup.py"]


def test_messages_call_settings_as_they_were_typed(run, tmp_path, monkeypatch):
    """As options of the command; what a file says keeps the file's names."""
    monkeypatch.chdir(tmp_path)
    train = "train", "--dataset", "toy", "--size", "64x96", "--output", "r"
    for given, said in (
        (("--save-every", "0s"), "--save-every must be such as 10m, 600s or 2h, or never; got"),
        (("--epochs", "0"), "--epochs must be at least 1, got 0"),
        (("--warmup-epochs", "5", "--epochs", "3"), "--warmup-epochs 5 leave nothing of 3 epochs"),
        (("--early-stopping", "2", "--validate-every", "0"), "set --validate-every to 1 or more"),
        (("--crop", "4x32"), "--crop: height 4 is not a multiple of 32"),
        (("--width", "9"), "--width must be 0.25..4, got 9.0"),
        (("--val-split", "0.2"), "toy has a split 'val': leave --val-split out"),
    ):
        code, _, err = run(*train, *given)
        assert code == 2
        assert said in one_line(err)
    (tmp_path / "r.json").write_text('{"format": 1, "name": "x", "settings": {"epochs": 0}}')
    code, _, err = run(*train, "--recipe", "r.json")
    assert code == 2
    assert one_line(err) == "fastscnn: r.json: epochs must be at least 1, got 0\n"
    with pytest.raises(ConfigError, match=r"^save_every must be such as"):
        TrainSettings("toy", None, (64, 96), save_every="0s")


def test_debug_shows_the_traceback(run, monkeypatch):
    monkeypatch.setenv("FASTSCNN_DEBUG", "")
    for arguments in (["--debug", "evaluate", "no.tflite"], ["evaluate", "no.tflite", "--debug"]):
        code, _, err = run(*arguments, "--dataset", "toy")
        assert code == 2
        assert "Traceback" in err


def test_usage_errors_are_one_line(run):
    for arguments in (
        ["train", "--epochs", "x"],
        ["predict", "m"],
        ["bogus"],
        ["benchmark", "--no"],
    ):
        code, _, err = run(*arguments)
        assert code == 2
        assert "--help" in one_line(err)


# In a group of its own, where an interrupt means what it does on a terminal; says stderr alone.
IN_A_GROUP = f"""
import os, signal
os.setsid()
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
signal.signal(signal.SIGINT, signal.default_int_handler)
{MAIN}
"""


@pytest.mark.process
def test_ctrl_c_keeps_the_last_checkpoint(shared_data, small_weights, fork, tmp_path):
    """A real process, interrupted after its first epoch: exit code 130, and it resumes."""
    folder = tmp_path / "run"
    command = ["train", "--dataset", "folder", "--data-dir", shared_data, "--output", folder]
    command += ["--size", "32x32", "--batch-size", 2, "--init-from", small_weights]
    process = fork([*command, "--epochs", 500, "--validate-every", 500], tmp_path / "s", IN_A_GROUP)
    state = folder / "state.json"
    process.wait_for(lambda: state.exists() and json.loads(state.read_text())["epochs_done"])
    os.killpg(process.number, signal.SIGINT)
    waits, ended = process.finish(130).splitlines()
    assert waits.startswith("fastscnn: ends when the running step")
    assert ended.endswith("kept, --resume goes on")  # all until a step, or finished epochs
    from fastscnn_tf.model.io import load_keras

    assert load_keras(folder / "last.keras").config.aux_heads
    assert not list(folder.glob(".*part*"))


def test_ctrl_c_during_the_imports_ends_without_a_traceback():
    """The interrupt comes just when numpy is imported, the longest of what every command needs."""
    driver = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, *rest):
        if name == "numpy":
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from fastscnn_tf.cli.main import main
assert not {"numpy", "click"} & set(sys.modules)  # it is there before they are
main(["inspect", "m.tflite"])
"""
    done = subprocess.run([sys.executable, "-c", driver], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "fastscnn: interrupted\n")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN, lambda *_: None])
def test_ctrl_c_means_afterwards_what_it_meant_before(run, handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert run("settings", "--table")[0] == 0
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_help_texts_name_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    for name in (
        "train",
        "quantize",
        "export",
        "evaluate",
        "predict",
        "benchmark",
        "agreement",
        "demo",
    ):
        assert f"  {name} " in out
        assert run(name, "--help")[0] == 0


@pytest.mark.process
def test_export_ends_where_the_first_calibration_picture_is_bad(own_data, fork, tmp_path):
    """In a process of its own: an iterator of tf.data that outlives Python keeps it from ending."""
    import fastscnn_tf as fs

    first = own_data / "train" / "images" / "0.jpg"
    first.write_text("bad")
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = fs.FastSCNNConfig(9, (64, 96), **few)
    fs.save_model(fs.fast_scnn(config), tmp_path / "m.keras")
    command = ["export", tmp_path / "m.keras", "--recipe", "int8", "--dataset", "folder"]
    command += ["--data-dir", own_data, "--output", tmp_path / "m.tflite"]
    said = fork(command, tmp_path / "said.txt").finish(2)
    assert f"{first.name}: not a readable image" in one_line(said)
