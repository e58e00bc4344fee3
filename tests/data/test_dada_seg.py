import numpy as np
import pytest
from miniature import MAKERS, save
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.data.datasets.registry import find_pairs, open_dataset

PICTURE = "leftImg8bit/val/images_01_001_0011.jpg"
LABEL_MAP = "gtFine/val/images_01_001_0011_gtFine_labelTrainIds.png"


@pytest.fixture
def root(tmp_path):
    MAKERS["dada-seg"]().write(tmp_path)
    return tmp_path


def test_the_border_is_cut_off_before_resizing(root):
    """Grey 200 above row 300 and 80 below it inside the border, which is black."""
    pixels = np.zeros((660, 1584, 3), np.uint8)
    pixels[:300, 162:1422], pixels[300:600, 162:1422] = 200, 80
    Image.fromarray(pixels).save(root / PICTURE, quality=100, subsampling=0)
    image = open_dataset("dada-seg", root, "val").read_image(0)
    assert image.shape == (512, 1024, 3)
    assert np.abs(image[:254].astype(int) - 200).max() <= 10
    assert np.abs(image[258:].astype(int) - 80).max() <= 10


@pytest.mark.parametrize("size", [(599, 1584), (660, 1421)])
def test_pictures_must_be_large_enough(root, size):
    save(root / PICTURE, np.zeros((*size, 3), np.uint8))
    save(root / LABEL_MAP, np.zeros(size, np.uint8))
    dataset = open_dataset("dada-seg", root, "val")
    message = rf"expected at least 600x1422 pixels, .* got {size[0]}x{size[1]}$"
    for call in (dataset.read, dataset.read_image, dataset.read_label):
        with pytest.raises(DataError, match=message):
            call(0)


def test_sizes_are_compared_before_they_become_equal(root):
    save(root / LABEL_MAP, np.zeros((720, 1584), np.uint8))
    dataset = open_dataset("dada-seg", root, "val")
    for call in (dataset.read, dataset.read_label):
        with pytest.raises(DataError, match="label map is 720x1584 but its image is 660x1584"):
            call(0)


def test_a_broken_picture_is_not_blamed_on_its_label_map(root):
    label = open_dataset("dada-seg", root, "val").read_label(0)
    (root / PICTURE).write_bytes(b"JPEG?")
    dataset = open_dataset("dada-seg", root, "val")
    assert np.array_equal(dataset.read_label(0), label)
    with pytest.raises(DataError, match=r"0011\.jpg: not a readable image"):
        dataset.read(0)


@pytest.mark.parametrize(
    ("picture", "label_map"),
    [
        ("leftImg8bit/val/a b/0011.jpg", "gtFine/val/a b/0011_labelTrainIds.png"),
        ("leftImg8bit/val/1/2/Å.JPG", "gtFine/val/1/2/Å_gtFine_labelTrainIds.png"),
        ("leftImg8bit/val/9_leftImg8bit.jpg", "gtFine/val/9_gtFine_labelTrainIds.png"),
    ],
)
@pytest.mark.parametrize("inner", ["", "DADA_seg"])
def test_names_and_depths_that_are_understood(tmp_path, picture, label_map, inner):
    save(tmp_path / inner / picture, np.zeros((660, 1584, 3), np.uint8))
    save(tmp_path / inner / label_map, np.zeros((660, 1584), np.uint8))
    save((tmp_path / inner / label_map).with_name("x_labelIds.png"), np.zeros((9, 9), np.uint8))
    pairing = find_pairs("dada-seg", tmp_path, "val")
    assert pairing.pairs == ((tmp_path / inner / picture, tmp_path / inner / label_map),)
    assert (pairing.without_label, pairing.without_image) == ((), ())
