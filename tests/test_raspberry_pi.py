"""What lies in tflite/raspberry_pi: the script on this machine, the service as systemd reads it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.runtime.segmenter import Segmenter

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tflite" / "raspberry_pi"
MODEL = ROOT / "tflite" / "fastscnn_camvid_int8.tflite"


def script(*arguments):
    command = [sys.executable, FOLDER / "segment.py", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)


def test_the_script_gives_predicts_label_maps_of_upright_frames(tmp_path):
    scene = draw_scene((4,), (120, 200))[0]
    Image.fromarray(np.rot90(scene).copy()).save(tmp_path / "a.png")  # anticlockwise
    done = script(tmp_path, MODEL, "--rotate", 90, "--fit", "letterbox", "--output", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["frame"] == "a"
    assert sum(line["lower_half"].values()) == pytest.approx(1, abs=0.01)
    found = np.asarray(Image.open(tmp_path / "o" / "a_labels.png"))
    assert np.array_equal(found, Segmenter(MODEL).predict(scene, fit="letterbox"))
    again = script(tmp_path, MODEL, "--output", tmp_path / "o")
    assert again.returncode == 2
    assert again.stderr.splitlines()[-1].endswith("exists: name a new folder")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("picamera", "the Pi's camera needs picamera2: sudo apt install -y python3-picamera2"),
        ("nothing", "no such file or folder"),
        ("a\x1b[2J\n\u202e", "a\\x1b[2J \\u202e: no file has a name of"),
    ],
)
def test_the_script_says_in_one_line_what_is_missing(source, said):
    done = script(source, MODEL)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("segment.py: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_service(tmp_path):
    """With its programs where it looks for them."""
    unit = tmp_path / "fastscnn-watch.service"
    home = tmp_path / "home"
    python = home / "fastscnn" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/true")
    unit.write_text((FOLDER / unit.name).read_text().replace("%h", str(home)))
    verify = ["systemd-analyze", "--user", "--man=no", "verify", str(unit)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(verify, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    unit.write_text(unit.read_text().replace("KillSignal=SIGINT", "KillSignal=SIGNONE"))
    done = subprocess.run(verify, capture_output=True, text=True, env=environment)
    assert "SIGNONE" in done.stderr
