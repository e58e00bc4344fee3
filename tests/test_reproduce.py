"""The table of published numbers: every claim, measuring by its protocol, the ledger."""

import dataclasses
import datetime
import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, DataError, ModelFileError, OutputError
from fastscnn_tf.core.labels import CITYSCAPES
from fastscnn_tf.core.published import PUBLISHED, SOURCES
from fastscnn_tf.core.sizes import padded_size
from fastscnn_tf.data.datasets.registry import NAMES
from fastscnn_tf.evaluation.reproduction_ledger import read_ledger
from fastscnn_tf.model.fast_scnn import fast_scnn
from fastscnn_tf.model.io import save_keras
from fastscnn_tf.model.zeroed_skip import without_skip

SIZE = (64, 128)
FEW = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
CLAIMS = {  # row: (claim, split that is scored, input size)
    "cityscapes-test": (68.0, None, (1024, 2048)),
    "cityscapes-test-category": (84.7, None, (1024, 2048)),
    "cityscapes-val": (68.62, "val", (1024, 2048)),
    "cityscapes-val-imagenet": (69.15, "val", (1024, 2048)),
    "cityscapes-val-coarse": (69.22, "val", (1024, 2048)),
    "cityscapes-val-imagenet-coarse": (69.19, "val", (1024, 2048)),
    "cityscapes-half": (62.8, "val", (512, 1024)),
    "cityscapes-quarter": (51.9, "val", (256, 512)),
    "cityscapes-zeroed-skip": (64.30, "val", (1024, 2048)),
    "dada-seg": (26.32, "val", (512, 1024)),
    "densepass": (24.6, "val", (400, 2048)),
    "eventscape": (44.27, "test", (256, 512)),
    "synpass": (21.3, "test", (1024, 2048)),
}
# The same protocols at an eighth of the sizes: 128x256, 64x128, 32x64, and 50x256 (padded).
SMALL = tuple(
    dataclasses.replace(row, size=(row.size[0] // 8, row.size[1] // 8)) for row in PUBLISHED
)


@pytest.fixture(scope="module")
def cityscapes_dir(tmp_path_factory):
    """Cityscapes' val in miniature: three images of 128x256 in two cities."""
    root = tmp_path_factory.mktemp("data") / "Städte und Straßen"
    rng = np.random.default_rng(0)
    for city, index in (("frankfurt", 0), ("frankfurt", 1), ("lindau", 0)):
        name = f"{city}/{city}_{index:06d}_000019"
        raw = rng.choice((0, *CITYSCAPES.raw_values), (8, 16)).astype(np.uint8)
        image = rng.integers(0, 256, (128, 256, 3), dtype=np.uint8)
        for path, pixels in (
            (root / "leftImg8bit" / "val" / f"{name}_leftImg8bit.png", image),
            (
                root / "gtFine" / "val" / f"{name}_gtFine_labelIds.png",
                raw.repeat(16, 0).repeat(16, 1),
            ),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return root


@pytest.fixture(scope="module")
def model(randomise, noise):
    """Random weights, the classes balanced: none of them wins everywhere."""
    config = fs.FastSCNNConfig.for_labels("cityscapes", input_size=SIZE, **FEW)
    model = randomise(fast_scnn(config))
    logits, head = np.asarray(model(noise(SIZE))), model.get_layer("classifier.logits")
    scale, shift = logits.std((0, 1, 2)), logits.mean((0, 1, 2))
    kernel, bias = head.get_weights()
    head.set_weights([kernel / scale, (bias - shift) / scale])
    return model


@pytest.fixture(scope="module")
def keras_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mein Modell.keras"
    save_keras(model, path)
    return path


@pytest.fixture(scope="module")
def tflite_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "half.tflite"
    fs.export_tflite(model, path, "float32")
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cells(result, key):
    """The cells of a row of the console table, by column."""
    lines = result.text().splitlines()
    head = next(line for line in lines if line.startswith("row "))
    starts = [m.start() for m in re.finditer(r"\S+( \S+)*", head)]
    line = next(line for line in lines if line.startswith(f"{key} "))
    assert len(starts) == 10
    return re.split(r"\s{2,}", line)


def test_every_claim_is_the_published_one():
    assert {r.key: (r.claimed, r.split, r.size) for r in PUBLISHED} == CLAIMS
    assert [r.printed for r in PUBLISHED] == [
        *("68.0", "84.7", "68.62", "69.15", "69.22", "69.19", "62.8", "51.9", "64.30"),
        *("26.32", "24.6", "44.27", "21.3"),
    ]
    scored = {r.key: r.scored for r in PUBLISHED}
    assert scored.pop("cityscapes-test-category") == "7 categories"
    assert scored.pop("eventscape") == "12 classes"
    assert scored.pop("synpass") == "22 classes"
    assert set(scored.values()) == {"19 classes"}


def test_every_row_can_be_run_and_says_where_it_is_from():
    assert {row.dataset for row in PUBLISHED} <= set(NAMES)
    assert {row.source for row in PUBLISHED} == set(SOURCES)
    for row in PUBLISHED:
        assert row.pad == (padded_size(row.size) != row.size)
        foreign = row.dataset != "cityscapes"
        assert ("not of the Fast-SCNN paper" in row.note) == foreign
    protocols = {row.key: row.protocol for row in PUBLISHED}
    assert protocols["cityscapes-val"] == "val, input 1024x2048, 19 classes"
    assert protocols["cityscapes-half"].startswith("claimed on test, scored on val, input 512x1024")
    assert protocols["cityscapes-test"].startswith("test (labels withheld), ")
    assert protocols["dada-seg"].endswith("border cut off, zero-shot from Cityscapes")


def test_without_a_model_nothing_is_measured():
    result = fs.reproduce()
    text = result.text()
    assert text.count("  not measured ") == len(CLAIMS)
    assert cells(result, "cityscapes-zeroed-skip") == [
        *("cityscapes-zeroed-skip", "cityscapes", "+ coarse labels, skip connection zeroed"),
        *("64.30", "not measured", "val, input 1024x2048, 19 classes", "paper"),
    ]
    assert "submit the images of `fastscnn predict --format cityscapes`" in text
    assert "arXiv:1902.04502" in text
    values = result.to_dict()["rows"]
    assert [(v["row"], v["claimed"]) for v in values] == [(k, c[0]) for k, c in CLAIMS.items()]
    assert {v["measured"] for v in values} == {None}
    assert [r.key for r in fs.reproduce(dataset="dada-seg").rows] == ["dada-seg"]
    assert [r.key for r in fs.reproduce(rows=["synpass"]).rows] == ["synpass"]


@pytest.mark.convert
def test_rows_of_one_training_are_measured_as_evaluate_does(
    model, keras_file, cityscapes_dir, tmp_path
):
    ledger, today = tmp_path / "Bücher" / "reproduced.json", datetime.datetime.now(datetime.UTC)
    sizes = {
        "cityscapes-val": (128, 256),
        "cityscapes-half": (64, 128),
        "cityscapes-quarter": (32, 64),
    }
    result = fs.reproduce(keras_file, None, cityscapes_dir, list(sizes), ledger=ledger, table=SMALL)
    assert result.measured == tuple(sizes)
    assert len({result.records[key].measured for key in sizes}) == 3
    for key, size in sizes.items():
        record = result.records[key]
        expected = fs.evaluate(model, "cityscapes", cityscapes_dir, "val", size=size)
        assert record.measured == 100 * expected.miou
        assert result.difference(key) == 100 * expected.miou - CLAIMS[key][0]
        assert (record.split, record.images) == ("val", 3)
        assert record.size == f"{size[0]}x{size[1]}"
        assert record.protocol == f"input {record.size}; {expected.protocol}"
        assert (record.model, record.sha256) == ("mein Modell.keras", digest(keras_file))
        assert datetime.date.fromisoformat(record.date) - today.date() <= datetime.timedelta(1)
    record = result.records["cityscapes-half"]
    assert cells(result, "cityscapes-half") == [
        *(
            "cityscapes-half",
            "cityscapes",
            "half input, + coarse labels",
            "62.8",
            f"{record.measured:.2f}",
        ),
        *(f"{record.measured - 62.8:+.2f}", record.date),
        f"mein Modell.keras {digest(keras_file)[:12]}",
        *("claimed on test, scored on val, input 64x128, 19 classes", "paper, benchmark"),
    ]
    assert "cityscapes-val: measured on 3 of 500 images, no reproduction" in result.text()
    assert read_ledger(ledger) == result.records
    assert fs.reproduce(ledger=ledger, table=SMALL).text().count(" mein Modell.keras ") == 3


def test_unnamed_rows_are_those_of_the_first_training(keras_file, cityscapes_dir):
    result = fs.reproduce(keras_file, "cityscapes", cityscapes_dir, table=SMALL)
    assert result.measured == ("cityscapes-val", "cityscapes-quarter")
    others = "cityscapes-val-imagenet, cityscapes-val-coarse, cityscapes-val-imagenet-coarse, "
    assert f"only if named (--row): {others}cityscapes-half, " in result.chosen


def test_a_tflite_is_measured_at_its_own_size_alone(tflite_file, cityscapes_dir):
    rows = ["cityscapes-val", "cityscapes-half", "cityscapes-quarter"]
    result = fs.reproduce(tflite_file, None, cityscapes_dir, rows, table=SMALL)
    assert result.measured == ("cityscapes-half",)
    expected = fs.evaluate(tflite_file, "cityscapes", cityscapes_dir, "val")
    assert result.records["cityscapes-half"].measured == 100 * expected.miou
    assert result.skipped["cityscapes-val"] == (
        "it needs 128x256 and this .tflite has 64x128: export it with --size 128x256"
    )
    assert set(result.skipped) == {"cityscapes-val", "cityscapes-quarter"}
    assert "cityscapes-quarter: skipped, it needs 32x64" in result.text()
    named = ["cityscapes-zeroed-skip", "cityscapes-test"]
    with pytest.raises(ConfigError, match=r"no row can be measured .*changes weights.*withheld"):
        fs.reproduce(tflite_file, None, cityscapes_dir, named, table=SMALL)


def test_the_zeroed_skip_row_scores_a_silenced_copy(model, keras_file, cityscapes_dir):
    rows = ["cityscapes-zeroed-skip", "cityscapes-val-coarse"]
    result = fs.reproduce(keras_file, None, cityscapes_dir, rows, table=SMALL)
    silenced, whole = (result.records[key] for key in rows)
    expected = fs.evaluate(without_skip(model, (128, 256)), "cityscapes", cityscapes_dir)
    assert silenced.measured == 100 * expected.miou != whole.measured
    assert silenced.protocol.endswith("; high-resolution branch of the fusion zeroed")
    assert "zeroed" not in whole.protocol
    assert result.chosen == f"measured: {', '.join(rows)}, as named"


@pytest.mark.parametrize(
    "architecture",
    [{}, {"conv_bias": ("fusion.high",)}, {"fusion_norm": "sum", "conv_bias": ("fusion.high",)}],
)
def test_without_skip_the_high_resolution_branch_is_gone(architecture, noise, randomise):
    import keras

    config = fs.FastSCNNConfig(num_classes=5, input_size=(64, 96), **FEW, **architecture)
    model, images = randomise(fast_scnn(config)), noise((64, 96))
    silent = without_skip(model)
    # Nothing but zeros comes from the branch, so that the sum is the deep branch alone.
    ending = "" if architecture.get("fusion_norm") == "sum" else ".bn"
    names = (f"fusion.high{ending}", f"fusion.low{ending}", "fusion.add")
    parts = keras.Model(silent.inputs, [silent.get_layer(name).output for name in names])
    high, low, total = (np.asarray(part) for part in parts([images]))
    assert not high.any()
    assert low.any()
    assert np.array_equal(total, low)
    # Other weights in the branch change the logits of the model, not those of the copy.
    logits = [np.asarray(m(images)) for m in (model, silent)]
    branch = model.get_layer("fusion.high")
    branch.set_weights([w + 1 for w in branch.get_weights()])
    assert np.abs(np.asarray(model(images)) - logits[0]).max() > 1e-3
    assert np.array_equal(np.asarray(without_skip(model)(images)), logits[1])


def test_zero_shot_rows_run_their_own_protocol(model, keras_file, tmp_path):
    """DADA-seg loses its border; DensePASS' 400 rows are no multiple of 32."""
    rng = np.random.default_rng(1)
    dada, dense = tmp_path / "dada", tmp_path / "dense"
    shapes = {dada: ((660, 1584), "a/1.jpg", "a/1_labelTrainIds.png")}
    shapes[dense] = ((50, 256), "a/1.png", "a/1_labelTrainIds.png")
    for root, (size, picture, label) in shapes.items():
        for kind, name in (("leftImg8bit", picture), ("gtFine", label)):
            (root / kind / "val" / name).parent.mkdir(parents=True)
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "leftImg8bit" / "val" / picture)
        ids = rng.integers(0, 19, size, dtype=np.uint8)
        Image.fromarray(ids).save(root / "gtFine" / "val" / label)
    scored = {}
    for name, root in (("dada-seg", dada), ("densepass", dense)):
        row = next(row for row in SMALL if row.key == name)
        record = fs.reproduce(keras_file, name, root, table=SMALL).records[name]
        expected = fs.evaluate(model, name, root, size=row.size, pad=row.pad)
        assert record.measured == 100 * expected.miou
        scored[name] = record
    assert "border cut off (left 162" in scored["dada-seg"].protocol
    assert (scored["dada-seg"].size, scored["densepass"].size) == ("64x128", "50x256")


def test_the_ledger_fills_over_runs_and_guards_other_models(
    keras_file, tflite_file, cityscapes_dir, tmp_path
):
    ledger, rows = tmp_path / "reproduced.json", ["cityscapes-half"]
    where = {"data_dir": cityscapes_dir, "ledger": ledger, "table": SMALL}
    fs.reproduce(tflite_file, rows=rows, **where)
    assert fs.reproduce(tflite_file, rows=rows, **where).measured == tuple(rows)  # renews its own
    content = ledger.read_bytes()
    with pytest.raises(OutputError, match=r"row cityscapes-half holds .* of another model \(half"):
        fs.reproduce(keras_file, rows=["cityscapes-quarter", *rows], **where)
    assert ledger.read_bytes() == content
    fs.reproduce(keras_file, rows=["cityscapes-quarter"], **where)
    kept = read_ledger(ledger)
    assert kept["cityscapes-half"].model == "half.tflite"
    assert kept["cityscapes-quarter"].model == "mein Modell.keras"
    fs.reproduce(keras_file, rows=rows, force=True, **where)
    assert {record.model for record in read_ledger(ledger).values()} == {"mein Modell.keras"}
    assert [p.name for p in tmp_path.iterdir()] == ["reproduced.json"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:100], "not valid JSON"),
        (lambda text: "[]", "expected object, got array"),
        (lambda text: text.replace("reproduce", "x"), "another kind of file"),
        (lambda text: text.replace('"rows"', '"lines"'), "missing required field rows"),
        (
            lambda text: text.replace('"date"', '"day"'),
            "row dada-seg: object missing required field date",
        ),
        (
            lambda text: text.replace("12.5", '"12.5"'),
            "row dada-seg: measured: expected float, got str",
        ),
        (lambda text: text.replace("12.5", "NaN"), "not valid JSON"),
        (lambda text: text.replace("252", "true"), "images: expected int, got bool"),
        (lambda text: text.replace("252", "-3"), "images: expected int >= 1"),
        (
            lambda text: text.replace("12.5", "1" + "0" * 400),
            "row dada-seg: measured: number out of range",
        ),
        (lambda text: text.replace("12.5", "-5"), "measured: expected float >= 0"),
        (lambda text: text.replace("2026-01-02", "yesterday"), "date: expected str matching"),
        (lambda text: text.replace("ab" * 32, ""), "sha256: expected str matching"),
        (lambda text: text.replace("m.keras", "m\\n.keras"), "is not printable"),
    ],
)
def test_a_damaged_ledger_is_one_clear_line(tmp_path, change, reason):
    ledger = tmp_path / "reproduced.json"
    row = {"measured": 12.5, "date": "2026-01-02", "model": "m.keras", "sha256": "ab" * 32}
    row |= {"split": "val", "size": "512x1024", "images": 252, "protocol": "p", "version": "0"}
    text = json.dumps({"ledger": "fastscnn reproduce", "rows": {"dada-seg": row}}, indent=2)
    ledger.write_text(text)
    assert fs.reproduce(ledger=ledger).difference("dada-seg") == 12.5 - 26.32
    other = fs.reproduce(ledger=ledger, table=SMALL).text()
    assert "dada-seg: measured on val at 512x1024, not by this protocol" in other
    ledger.write_text(change(text))
    with pytest.raises(OutputError, match="no usable ledger of fastscnn reproduce") as error:
        fs.reproduce(ledger=ledger)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)
    assert ledger.read_text() == change(text)


def test_markdown_has_every_row_and_column(tflite_file, cityscapes_dir):
    rows = ["cityscapes-half"]
    result = fs.reproduce(tflite_file, None, cityscapes_dir, rows, table=SMALL)
    lines = [line for line in result.markdown().splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    assert len(table) == 2 + len(CLAIMS)
    assert {len(row) for row in table} == {10}
    measured = next(row for row in table if row[0] == "cityscapes-half")
    assert measured[3:5] == ["62.8", f"{result.records['cityscapes-half'].measured:.2f}"]
    assert table[-1][4:8] == ["not measured", "", "", ""]


def test_mistakes_are_one_clear_line(keras_file, cityscapes_dir, tmp_path):
    def refused(error, message, *arguments, **options):
        with pytest.raises(error, match=message) as caught:
            fs.reproduce(*arguments, **options)
        assert "\n" not in str(caught.value)

    known = "expected one of cityscapes-test, .*, synpass"
    refused(ConfigError, f"unknown row 'cityscapes': {known}", rows=["cityscapes"])
    refused(ConfigError, "no published number for data set 'camvid': expected", dataset="camvid")
    refused(ConfigError, "no model to score on it", data_dir=cityscapes_dir)
    refused(ConfigError, "which data set is it", keras_file, None, cityscapes_dir)
    refused(DataError, "needs its folder: pass data_dir", keras_file, "cityscapes")
    missing = tmp_path / "nothing"
    refused(DataError, "nothing: no such folder", keras_file, "cityscapes", missing)
    refused(ModelFileError, "no such model file", missing, "cityscapes", cityscapes_dir)
    rows = ["dada-seg", "cityscapes-val"]
    refused(ConfigError, "one data set a run", keras_file, None, cityscapes_dir, rows)
    refused(ConfigError, "cityscapes and dada-seg", keras_file, "cityscapes", missing, "dada-seg")


def test_a_model_of_other_classes_is_refused(keras_file, tmp_path):
    sequence = tmp_path / "Town05_test" / "sequence_0"
    for name in ("rgb/05_0_0000_image.png", "semantic/data/05_0_0000_gt_labelIds.png"):
        (sequence / name).parent.mkdir(parents=True)
        Image.new("RGB", (64, 32), (7, 0, 0)).save(sequence / name)
    with pytest.raises(
        ConfigError, match="the 19 classes of the model and the 12 of eventscape differ"
    ):
        fs.reproduce(keras_file, "eventscape", tmp_path, table=SMALL)
