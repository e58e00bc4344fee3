"""Model cards: what is on disk, and nothing else."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import flatbuffers
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, DataError, InputError, ModelFileError
from fastscnn_tf.model.checkpoints.keras_archive import MEMBER, add_about
from fastscnn_tf.reports.card import model_card
from fastscnn_tf.runs.about import about_model
from fastscnn_tf.tflite.file import unpack

SHIPPED = Path(__file__).parents[1] / "tflite"
RUN = SHIPPED / "camvid" / "width_0.5" / "train_more_10"
WEIGHTS = RUN.with_name("train_averaged.keras")
INT8 = SHIPPED / "fastscnn_camvid_int8.tflite"


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.json"
    values = {
        "miou": 0.5,
        "pixel_accuracy": None,
        "class_iou": {"Sky": 0.25, "Pole": None},
        "protocol": "whole images",
        "model": "elsewhere/fastscnn_camvid_int8.tflite",
        "dataset": "camvid",
        "split": "val",
        "images": 101,
    }
    path.write_text(json.dumps(values))
    return path


def test_of_a_run(bare_run):
    card = model_card(bare_run, license="CC BY-NC 4.0")
    state = json.loads((RUN / "state.json").read_text())
    assert "# Model card: run\n" in card
    assert "| best | val_miou 64.07 %, epoch 40 |" in card
    assert "| epochs | 40 of 40, finished |" in card
    assert "| licence of the weights | CC BY-NC 4.0 |" in card
    for name, value in state["class_iou"].items():
        assert f"| {name} | {value * 100:.2f} |" in card
    assert r"| loss | 0.5\*cross_entropy + lovasz |" in card
    weights = (bare_run / "best.keras").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    assert f"| `best.keras` | {len(weights):,} | `{digest}` |" in card
    assert "fastscnn export" in card and "## Scores" not in card


def test_of_a_file(scores):
    card = model_card(INT8, [scores])
    digest = hashlib.sha256(INT8.read_bytes()).hexdigest()
    assert f"| SHA-256 | `{digest}` |" in card
    assert f"`{INT8.name}`, {INT8.stat().st_size:,} bytes" in card
    for text in ("author", "version"):
        assert f"| {text} | not stated |" in card
    assert "| licence of the weights | CC BY-NC 4.0 (trained on CamVid): research use |" in card
    assert "| extra_split | val |" in card
    assert "**The model saw `val` of camvid in training: scores on it say nothing of new" in card
    assert "| Sky | 128, 128, 128 |" in card
    assert "| mean IoU | 50.00 |" in card
    assert "| pixel accuracy | - |" in card
    assert "| Sky | 25.00 |" in card and "| Pole | - |" in card
    assert "Protocol: whole images." in card
    assert "| CONV_2D | 31 |" in card
    assert 'Segmenter("fastscnn_camvid_int8.tflite")' in card


def test_scores_on_what_a_run_never_saw_stand_for_themselves(scores):
    values = json.loads(scores.read_text())
    scores.write_text(json.dumps(values | {"split": "test"}))
    assert "The model saw" not in model_card(INT8, [scores])
    scores.write_text(json.dumps(values | {"dataset": "camvid32-11"}))
    assert "The model saw" not in model_card(INT8, [scores])
    scores.write_text(json.dumps(values | {"split": "train"}))
    assert "**The model saw `train` of camvid" in model_card(RUN, [scores])
    scores.write_text(json.dumps(values))
    assert "The model saw" not in model_card(RUN, [scores])  # trained on train alone


def test_a_run_without_validation_has_no_best_score():
    card = model_card(SHIPPED / "camvid" / "trainval_settle")
    assert "| best | epoch 16, which was not scored |" in card


def test_scores_of_another_file_are_refused(scores):
    with pytest.raises(DataError, match=r"are those of elsewhere/fastscnn_camvid_int8\.tflite"):
        model_card(SHIPPED / "fastscnn_camvid_float16.tflite", [scores])
    scores.write_text("{}")
    with pytest.raises(DataError, match="evaluate --json"):
        model_card(INT8, [scores])


def test_scores_of_other_weights_of_that_name_are_refused(scores):
    values = json.loads(scores.read_text())
    values["sha256"] = "0" * 64
    scores.write_text(json.dumps(values))
    with pytest.raises(DataError, match="other content"):
        model_card(INT8, [scores])
    values["sha256"] = hashlib.sha256(INT8.read_bytes()).hexdigest()
    scores.write_text(json.dumps(values))
    assert "| mean IoU | 50.00 |" in model_card(INT8, [scores])


def test_what_has_no_card(tmp_path):
    for source, message in (
        (tmp_path, "expected a run folder"),
        (SHIPPED / "README.md", "expected a run folder"),
        (tmp_path / "no.tflite", "no such model file"),
    ):
        with pytest.raises(InputError, match=message):
            model_card(source)


@pytest.fixture(scope="module")
def bare_run(tmp_path_factory):
    """A run whose weights say nothing of themselves, as before they are made to ship."""
    run = tmp_path_factory.mktemp("bare") / "run"
    shutil.copytree(RUN, run, ignore=shutil.ignore_patterns("*.keras", "*.png"))
    with zipfile.ZipFile(WEIGHTS) as shipped, zipfile.ZipFile(run / "best.keras", "w") as bare:
        for name in set(shipped.namelist()) - {MEMBER}:
            bare.writestr(name, shipped.read(name))
    return run


def test_about_a_model_in_a_run_and_elsewhere(bare_run, tmp_path):
    run = about_model(bare_run / "best.keras", author="Ada", license=None)
    assert run["author"] == "Ada" and "license" not in run
    assert run["run"]["dataset"] == "camvid" and run["run"]["best_epoch"] == 40
    assert run["run"]["best"] == pytest.approx(0.64070, abs=1e-5)
    assert run == about_model(bare_run, author="Ada")
    copy = shutil.copy(bare_run / "best.keras", tmp_path / "best.keras")
    assert about_model(copy) == {}
    with pytest.raises(ConfigError, match="unknown text 'autor'"):
        about_model(copy, autor="Ada")


def test_a_keras_file_says_itself_what_it_is_about(bare_run, tmp_path):
    about = about_model(bare_run, name="Streets", license="research")
    path = Path(shutil.copy(bare_run / "best.keras", tmp_path / "m.keras"))
    add_about(path, about)
    assert about_model(path) == about
    assert about_model(path, license="MIT")["license"] == "MIT"
    before, after = (zipfile.ZipFile(p) for p in (bare_run / "best.keras", path))
    assert after.read("model.weights.h5") == before.read("model.weights.h5")
    for content in (b"no JSON", b"[1]", b'{"license": 1, "run": "x", "other": 2}', b"[" * 100_000):
        spoilt = Path(shutil.copy(bare_run / "best.keras", tmp_path / "spoilt.keras"))
        with zipfile.ZipFile(spoilt, "a") as archive:
            archive.writestr(MEMBER, content)
        with pytest.raises(
            ModelFileError, match=rf"spoilt\.keras: {MEMBER}: "
        ):  # no licence is lost
            about_model(spoilt)


def test_a_run_that_began_with_licensed_weights_has_their_licence(bare_run, tmp_path):
    weights = Path(shutil.copy(bare_run / "best.keras", tmp_path / "m.keras"))
    add_about(weights, {"license": "research"})
    for number, (name, source) in enumerate((("init_from", weights), ("model", tmp_path / "0"))):
        folder = tmp_path / str(number)
        shutil.copytree(bare_run, folder, ignore=shutil.ignore_patterns("*.keras"))
        record = json.loads((folder / "run.json").read_text())
        record["settings"] |= {"init_from": None, name: str(source)}
        (folder / "run.json").write_text(json.dumps(record))
        assert about_model(folder)["license"] == "research"
        assert about_model(folder, license="mine")["license"] == "mine"
    weights.unlink()
    assert "license" not in about_model(folder)


def test_a_file_whose_metadata_say_less_than_ours_is_named(tmp_path):
    model = unpack(INT8.read_bytes())
    entry = next(e for e in model.metadata if e.name == b"fastscnn_tf")
    metadata = json.loads(bytes(model.buffers[entry.buffer].data))
    del metadata["class_names"], metadata["recipe"]
    model.buffers[entry.buffer].data = list(json.dumps(metadata).encode())
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "m.tflite"
    path.write_bytes(builder.Output())
    with pytest.raises(ModelFileError, match="its metadata of this package lacks recipe, class_na"):
        model_card(path)


def test_what_comes_of_the_shipped_weights_has_their_licence(tmp_path):
    licence = about_model("camvid")["license"]
    assert "CC BY-NC 4.0" in licence
    model = fs.load_model("camvid", num_classes=3)
    assert fs.load_model("camvid").licence == model.licence == licence
    written = fs.export_tflite(model, tmp_path / "m.tflite", size=(64, 96))
    assert written.metadata["license"] == licence
    assert f"| licence of the weights | {licence} |" in model_card(tmp_path / "m.tflite")
    fs.save_model(model, tmp_path / "m.keras")
    assert about_model(tmp_path / "m.keras")["license"] == licence
    run = tmp_path / "run"
    shutil.copytree(RUN, run, ignore=shutil.ignore_patterns("*.keras", "*.png"))
    record = json.loads((run / "run.json").read_text())
    record["settings"] |= {"init_from": "camvid", "model": None}
    (run / "run.json").write_text(json.dumps(record))
    assert about_model(run)["license"] == licence
    assert f"| licence of the weights | {licence} |" in model_card(run)
