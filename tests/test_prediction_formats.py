"""What `predict` writes: formats, sub-folders, and what it says of images that it leaves out."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.core.files.written_files import LIST
from fastscnn_tf.core.labels import CAMVID, CITYSCAPES, LabelSpace
from fastscnn_tf.scoring.prediction_files import WHAT, Results, coco_annotations

MODEL = Path(__file__).parents[1] / "tflite" / "fastscnn_camvid_int8.tflite"


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 15, 3), np.uint8)
    Image.fromarray(pixels.repeat(4, 0).repeat(4, 1)).save(path)
    return path


def pixels(path):
    """Mode and values of an image."""
    with Image.open(path) as image:
        return image.mode, np.asarray(image)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Every format of two images: format -> folder."""
    from fastscnn_tf.evaluation.prediction import predict_files

    root = tmp_path_factory.mktemp("formats")
    for i, name in enumerate("ab"):
        picture(root / "in" / f"{name}.png", i)
    formats = [format for format in WHAT if format not in ("cityscapes", "parquet")]
    return {f: predict_files(MODEL, [root / "in"], root / f, format=f) for f in formats}


def test_the_formats_show_the_same_classes(outputs):
    names = {f: sorted(p.name for p in paths[0].parent.iterdir()) for f, paths in outputs.items()}
    labels, shown = ["a_labels.png", "b_labels.png"], ["a_overlay.png", "b_overlay.png"]
    assert names == {
        "pictures": sorted(labels + shown),
        "index": labels,
        "palette": labels,
        "color": ["a_color.png", "b_color.png"],
        "overlay": shown,
        "coco": ["coco.json"],
    }
    for i in range(2):
        read = {f: pixels(p[i]) for f, p in outputs.items() if f != "coco"}
        modes = {"pictures": "P", "palette": "P", "index": "L", "color": "RGB", "overlay": "RGB"}
        assert {f: mode for f, (mode, _) in read.items()} == modes
        index = read["index"][1]
        assert len(np.unique(index)) > 1
        assert index.max() < len(CAMVID)
        assert np.array_equal(index, read["palette"][1])
        assert np.array_equal(read["color"][1], CAMVID.palette()[index])
        overlay = outputs["pictures"][i].parent / shown[i]
        assert overlay.read_bytes() == outputs["overlay"][i].read_bytes()


def decoded(annotation):
    """The mask of an uncompressed RLE, as COCO defines it."""
    counts = annotation["segmentation"]["counts"]
    values = np.arange(len(counts)) % 2
    return np.repeat(values, counts).reshape(annotation["segmentation"]["size"], order="F") > 0


def test_coco_holds_every_class_of_every_picture(outputs):
    content = json.loads(outputs["coco"][0].read_text())
    assert [c["name"] for c in content["categories"]] == list(CAMVID.names)
    assert [image["file_name"] for image in content["images"]] == ["a.png", "b.png"]
    numbers = [a["id"] for a in content["annotations"]]
    assert numbers == list(range(1, len(numbers) + 1))
    for image, path in zip(content["images"], outputs["index"], strict=True):
        index = pixels(path)[1]
        assert (image["height"], image["width"]) == index.shape
        drawn = np.full(index.shape, 255, np.uint8)
        for annotation in content["annotations"]:
            if annotation["image_id"] == image["id"]:
                mask = decoded(annotation)
                assert annotation["area"] == mask.sum()
                drawn[mask] = annotation["category_id"] - 1
        assert np.array_equal(drawn, index)


def test_runs_begin_with_what_is_not_the_class_and_void_is_in_none():
    labels = np.uint8([[0, 255, 1], [0, 0, 1]])
    found = coco_annotations(labels, 3)["annotations"]
    assert [a["category_id"] for a in found] == [1, 2]
    assert [a["segmentation"]["counts"] for a in found] == [[0, 2, 1, 1, 2], [4, 2]]
    assert [a["bbox"] for a in found] == [[0, 0, 2, 2], [2, 0, 1, 2]]
    assert [a["area"] for a in found] == [3, 2]
    whole = coco_annotations(np.full((2, 3), 2, np.uint8), 3)["annotations"]
    assert whole[0]["segmentation"]["counts"] == [0, 6]


def test_label_ids_are_those_of_the_names(tmp_path):
    own = LabelSpace.make("own", 3, ("car", "Road", "traffic_light"))
    labels = np.uint8([[0, 1], [2, 255]])
    write = Results("cityscapes", own)
    target = tmp_path / write.stem(Path("aachen_000001_000019_leftImg8bit.png"))
    write(np.zeros((2, 2, 3), np.uint8), labels, target)
    _, written = pixels(tmp_path / "aachen_000001_000019_pred_labelIds.png")
    wanted = [CITYSCAPES.raw_values[CITYSCAPES.names.index(n)] for n in ("car", "road")]
    wanted.append(CITYSCAPES.raw_values[CITYSCAPES.names.index("traffic light")])
    assert written.ravel().tolist() == [*wanted, 0]
    with pytest.raises(ConfigError, match="Pavement among them"):
        Results("cityscapes", CAMVID)


def test_sub_folders_are_kept(tmp_path, run):
    for i, name in enumerate(("seq1/0.jpg", "seq2/0.jpg", "1.jpg")):
        picture(tmp_path / "in" / name, i)
    out = tmp_path / "out"
    command = ["predict", MODEL, tmp_path / "in", "--recursive", "--format", "index"]
    code, said, err = run(*command, "--output", out)
    assert (code, said, err) == (0, f"{out}: label map (grey) of 3 images\n", "")
    found = sorted(str(p.relative_to(out)) for p in out.rglob("*.png"))
    assert found == ["1_labels.png", "seq1/0_labels.png", "seq2/0_labels.png"]
    first = (out / "seq1" / "0_labels.png").read_bytes()
    assert first != (out / "seq2" / "0_labels.png").read_bytes()
    # Among the images each sub-folder has a list of its own.
    for again in ([], ["--force"]):
        code, _, err = run(*command, "--output", tmp_path / "in", *again)
        assert code == 0
        assert (tmp_path / "in" / "seq2" / LIST).exists()
    assert "left out 1 result (first: " in err
    assert (tmp_path / "in" / "seq1" / "0_labels.png").read_bytes() == first


def test_a_folder_gives_what_is_read_and_counts_the_rest(tmp_path, run):
    folder = tmp_path / "in"
    picture(folder / "1.jpg")
    shutil.copy(folder / "1.jpg", folder / "2.jfif")
    picture(folder / "3.gif")
    picture(folder / "4.PNM".lower())
    (folder / "photo.heic").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    code, said, err = run("predict", MODEL, folder, "--output", tmp_path / "out")
    assert (code, said) == (0, f"{tmp_path / 'out'}: label map and overlay of 4 images\n")
    others = f"2 files (first: {folder / 'notes.txt'})"
    assert err == f"fastscnn: left out {others} whose names are not those of images\n"


def test_a_bad_picture_says_how_to_go_on(tmp_path, run, monkeypatch):
    folder = tmp_path / "in"
    picture(folder / "1.png")
    (folder / "2.png").write_bytes(b"nothing")
    command = ["predict", MODEL, folder, "--output"]
    code, _, err = run(*command, tmp_path / "out")
    assert code == 2
    assert err.endswith("; --skip-bad goes on without it\n")
    code, _, err = run(*command, tmp_path / "out", "--skip-bad", "--force")
    assert code == 0
    assert "skipped 1 of 2 images" in err
    (folder / "2.png").unlink()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # of 2400
    code, _, err = run(*command, tmp_path / "large")
    assert code == 2
    assert "--window HxW looks at larger images in windows" in err
    window = ["--window", "448x608", "--format", "index"]
    assert run(*command, tmp_path / "large", *window)[0] == 0
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    code, _, err = run(*command, tmp_path / "larger", *window)
    assert code == 2
    assert "exceeds limit of 1800" in err
    assert "--window" not in err
    monkeypatch.undo()
    assert pixels(tmp_path / "large" / "1_labels.png")[1].shape == (40, 60)


def test_a_video_is_pointed_to_watch(tmp_path, run):
    video = tmp_path / "v.mp4"
    video.write_bytes(b"\0\0\0\x18ftypmp42")
    code, _, err = run("predict", MODEL, video, "--output", tmp_path / "out")
    assert code == 2
    assert f"{video}: a video: fastscnn watch {video} M.TFLITE --output v_overlay.mp4" in err


@pytest.mark.skipif("FASTSCNN_CASES" not in os.environ, reason="FASTSCNN_CASES is not set")
def test_the_cases(tmp_path, run):
    cases = Path(os.environ["FASTSCNN_CASES"])
    for case, options, count in (
        ("recursive-same-names", ["--recursive"], 4),
        ("jfif-in-folder", [], 4),
    ):
        out = tmp_path / case
        code, said, _ = run("predict", MODEL, cases / case, *options, "--output", out)
        assert (code, said) == (0, f"{out}: label map and overlay of {count} images\n")
