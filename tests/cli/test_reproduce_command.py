"""`fastscnn reproduce` as a user's script sees it."""

import json

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.cli.main import main
from fastscnn_tf.core.labels import CITYSCAPES


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Runs a command in this process, in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["reproduce", *(str(a) for a in arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """A narrow untrained model and one image of Cityscapes' val."""
    from fastscnn_tf.core.config import FastSCNNConfig
    from fastscnn_tf.model.fast_scnn import fast_scnn
    from fastscnn_tf.model.io import save_keras

    folder = tmp_path_factory.mktemp("material")
    few = {"width": 0.25, "repeats": (1, 1, 1), "pyramid_bins": (1, 2)}
    config = FastSCNNConfig.for_labels("cityscapes", input_size=(32, 64), **few)
    (folder / "run").mkdir()
    save_keras(fast_scnn(config), folder / "run" / "best.keras")
    rng, data = np.random.default_rng(0), folder / "data"
    name = "lindau/lindau_000000_000019"
    for kind, ending, pixels in (
        ("leftImg8bit", "leftImg8bit", rng.integers(0, 256, (64, 128, 3))),
        ("gtFine", "gtFine_labelIds", rng.choice(CITYSCAPES.raw_values, (64, 128))),
    ):
        path = data / kind / "val" / f"{name}_{ending}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder / "run", data


def test_the_bare_command_prints_the_table_and_writes_nothing(run, tmp_path):
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.count("  not measured ") == 13
    assert list(tmp_path.iterdir()) == []


def test_a_run_fills_its_row_and_a_later_one_shows_it(run, material, tmp_path):
    model, data = material
    arguments = (model, "--data-dir", data, "--row", "cityscapes-quarter")
    code, out, err = run(*arguments, "--json", "-", "--markdown", "table.md")
    assert (code, err) == (0, "")
    values = json.loads(out)
    assert values["measured_now"] == ["cityscapes-quarter"]
    row = next(v for v in values["rows"] if v["row"] == "cityscapes-quarter")
    assert row["difference"] == row["measured"] - 51.9
    assert row["measurement"]["size"] == "256x512"
    assert row["measurement"]["model"] == "run/best.keras"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["reproduced.json", "table.md"]
    assert f"| {row['measured']:.2f} |" in (tmp_path / "table.md").read_text()
    code, out, _ = run("--row", "cityscapes-quarter")
    assert code == 0
    assert f" run/best.keras {row['measurement']['sha256'][:12]} " in out
    assert "measured on 1 of 500 images" in out
    code, out, err = run(*arguments, "--markdown", "table.md")
    assert (code, out) == (2, "")
    assert "table.md exists" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--row", "cityscapes-full"],
            "unknown row 'cityscapes-full': expected one of cityscapes-",
        ),
        (["--dataset", "camvid"], "no published number for data set 'camvid'"),
        (["no.keras", "--dataset", "dada-seg"], "needs its folder: pass --data-dir"),
        (["--data-dir", "."], "no model to score on it"),
        (
            ["--json", "./reproduced.json"],
            "is an input or another output of this command: name another file",
        ),
        (["--markdown", "reproduced.json", "--force"], "is an input or another output"),
    ],
)
def test_mistakes_give_one_line_and_code_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_damaged_ledger_stops_at_once(run, tmp_path):
    (tmp_path / "reproduced.json").write_text("{")
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "reproduced.json: no usable ledger of fastscnn reproduce" in err
    assert err.count("\n") == 1
    assert run("--ledger", "other.json")[0] == 0
