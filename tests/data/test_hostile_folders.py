"""Data sets in which a pipe, a device or a loop of links stands where a file is expected."""

import os

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import DataError
from fastscnn_tf.data.check.usable import open_usable
from fastscnn_tf.data.datasets.image_folders import ImageFolders

KINDS = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a loop of links": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["images/1.jpg", "labels/1.png"])
def test_it_is_a_bad_pair(own_data, kind, name, capsys):
    path = own_data / "train" / name
    path.unlink()
    KINDS[kind](path)
    report = fs.check_dataset("folder", own_data, ["train"])
    assert [(f.kind, f.path) for f in report.findings] == [("unreadable", str(path))]
    assert kind in report.findings[0].message
    with pytest.raises(DataError, match=f"{name}: {kind}"):
        open_usable("folder", own_data, "train")
    assert len(open_usable("folder", own_data, "train", skip_bad=True)) == 3
    assert f"{path}: {kind}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_bad_picture_of_a_class(tmp_path, kind):
    for name in ("car", "tree"):
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "train" / name / "b.png")
    KINDS[kind](tmp_path / "train" / "car" / "a.png")
    with pytest.raises(DataError, match=f"a.png: {kind}"):
        ImageFolders(tmp_path).read(0)
