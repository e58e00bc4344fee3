"""Every augmentation by hand-made numbers, in NumPy; tf.data does the same (`test_tf_ops`)."""

import dataclasses
import math

import numpy as np
import pytest

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.data.augment import numpy_ops as ops
from fastscnn_tf.data.augment import pair as pairs
from fastscnn_tf.data.augment import photometric as lights
from fastscnn_tf.data.augment.augmentation import (
    _SLOTS,
    _STARTS,
    DRAWS,
    PRESETS,
    Augmentation,
    Draws,
)
from fastscnn_tf.data.augment.geometry import Window, choose_window, turned
from fastscnn_tf.data.augment.mix import mix_batch

CONFIG = FastSCNNConfig(num_classes=9, input_size=(64, 96))
GEOMETRY = Augmentation(
    scale=(0.5, 2.0),
    aspect=1.5,
    flip=True,
    rotation=(0.5, 45.0),
    cat_max_ratio=0.75,
    balance=0.5,
    cutout=(0.5, 0.5),
)


def augment_pair(image, label, vector, settings, config, ops):
    """An augmented pair with its image in 0..255."""
    image, label = pairs.augment_pair(image, label, vector, settings, config, ops)
    return image * np.float32(128) + np.float32(128), label


def draws(seed=0, **numbers):
    """A pair's numbers by chance, some of them given."""
    vector = np.random.default_rng(seed).random(DRAWS, np.float32)
    for name, values in numbers.items():
        vector[_STARTS[name] : _STARTS[name] + np.size(values)] = values
    return vector


def coded(size=(80, 130)):
    """A label map with big and small parts, and an image that encodes it in its red channel."""
    label = np.zeros(size, np.uint8)
    label[10:40, 20:70] = 3
    label[50:, :60] = 5
    label[:, 100:] = 8
    label[60:66, 80:84] = 7
    label[:5] = 255
    return np.stack([label * 20 % 251, 255 - label // 2, label * 0 + 50], -1), label


def interior(label, radius=3):
    """Where everything around has the same label: bilinear blends only elsewhere."""
    wide = np.pad(label.astype(int), radius, constant_values=-1)  # nothing is known beyond
    h, w = label.shape
    parts = [
        wide[i : i + h, j : j + w] for i in range(2 * radius + 1) for j in range(2 * radius + 1)
    ]
    return np.ptp(np.stack(parts), axis=0) == 0


@pytest.mark.parametrize("settings", [GEOMETRY, PRESETS["paper"], PRESETS["strong"]])
def test_no_label_is_invented_and_sizes_hold(settings):
    image, label = coded()
    for seed in range(60):
        out, out_label = augment_pair(image, label, draws(seed), settings, CONFIG, ops)
        assert out.shape == (64, 96, 3)
        assert out.dtype == np.float32
        assert out_label.shape == (64, 96)
        assert out_label.dtype == np.uint8
        assert -1e-3 <= out.min() <= out.max() <= 255 + 1e-3
        assert set(np.unique(out_label)) <= {0, 3, 5, 7, 8, 255}


def test_the_picture_decodes_to_the_label_after_any_geometry():
    image, label = coded()
    decoded_pixels = 0
    for seed in range(200):
        out, out_label = augment_pair(image, label, draws(seed), GEOMETRY, CONFIG, ops)
        sure = interior(out_label) & (out_label != 255)
        assert np.array_equal(np.rint(out[..., 0][sure] / 20), out_label[sure])
        decoded_pixels += sure.sum()
    assert decoded_pixels > 200 * 64 * 96 * 0.3


def test_the_picture_decodes_to_the_label_after_any_chain():
    label = coded()[1]
    bright = (label == 3) | (label == 8)
    image = np.repeat(np.where(bright, 230, 20).astype(np.uint8)[..., None], 3, 2)
    settings = dataclasses.replace(PRESETS["strong"], cutmix=0.0, classmix=0.0, blur=(0.5, 1.0))
    for seed in range(150):
        out, out_label = augment_pair(image, label, draws(seed), settings, CONFIG, ops)
        sure = interior(out_label, 5) & (out_label != 255)
        is_bright = np.isin(out_label, (3, 8))
        grey = out.mean(-1)
        lit, dark = grey[sure & is_bright], grey[sure & ~is_bright]
        if lit.size and dark.size:
            assert lit.min() > dark.max()


def test_light_leaves_the_label_and_the_padding_alone():
    image, label = coded((40, 60))
    light = dataclasses.replace(PRESETS["strong"], rotation=(0.0, 0.0), cutout=(0.0, 0.0))
    plain = Augmentation(
        **{name: getattr(light, name) for name in ("scale", "aspect", "flip", "balance")}
    )
    for seed in range(20):
        lit, lit_label = augment_pair(image, label, draws(seed), light, CONFIG, ops)
        out, out_label = augment_pair(image, label, draws(seed), plain, CONFIG, ops)
        assert np.array_equal(lit_label, out_label)
        padded = np.all(out == 128, -1)
        assert np.all(lit[padded] == 128)


# --- geometry -------------------------------------------------------------------------------------


def window(settings, vector, size=(100, 200), label=None):
    label = np.zeros(size, np.uint8) if label is None else label
    return choose_window(label, Draws(vector), settings, CONFIG, ops)


def test_scale_by_hand():
    both = Augmentation(scale=(0.5, 2.0))
    grown = window(both, draws(scale=1.0 - 2**-24, places=(0.0, 0.999)))
    assert grown.size.tolist() == [32, 48]  # half of 64x96, shown at twice its size
    assert grown.shown.tolist() == [64, 96]
    assert grown.start.tolist() == [0, 152]
    shrunk = window(both, draws(scale=0.0, places=(0.5, 0.0)))
    assert shrunk.size.tolist() == [100, 192]  # 128 rows are wanted, 100 are there
    assert shrunk.shown.tolist() == [50, 96]
    assert shrunk.before.tolist() == [7, 0]  # 14 missing rows, half of them above


def test_aspect_by_hand():
    wide = window(Augmentation(aspect=4.0), draws(aspect=1.0 - 2**-24))
    assert wide.size.tolist() == [100, 48]  # rows at half size, columns at twice their size
    assert wide.shown.tolist() == [50, 96]
    high = window(Augmentation(aspect=4.0), draws(aspect=0.0))
    assert high.size.tolist() == [32, 192]
    assert high.shown.tolist() == [64, 96]


def test_a_place_where_one_class_fills_the_crop_is_tried_again():
    label = np.zeros((64, 296), np.uint8)
    label[:, 200:248] = 1  # only windows that begin at 152 or later show much of it
    places = np.zeros(_SLOTS["places"])
    places[[1, 3, 5]] = 0.0, 0.3, 0.999  # the third place begins at column 200
    vector = draws(places=places)
    picky = Augmentation(cat_max_ratio=0.75)
    assert window(Augmentation(), vector, label=label).start.tolist() == [0, 0]
    assert window(picky, vector, label=label).start.tolist() == [0, 200]
    nowhere = np.zeros((64, 296), np.uint8)
    assert window(picky, vector, label=nowhere).start.tolist() == [0, 0]  # the last one tried


def test_balanced_crops_show_each_present_class_as_often():
    label = np.zeros((400, 400), np.uint8)
    label[10:20, 10:20], label[300:304, 380:390], label[200, 200] = 1, 2, 3
    settings = Augmentation(balance=1.0, rare=())
    config = CONFIG.replace(num_classes=9)
    seen = np.zeros(4)
    for seed in range(300):
        w = choose_window(label, Draws(draws(seed)), settings, config, ops)
        part = label[w.start[0] : w.start[0] + 64, w.start[1] : w.start[1] + 96]
        seen += [(part == c).any() for c in range(4)]
    assert seen[1] == pytest.approx(100, abs=30)  # a third each of 0, 1, 2
    assert seen[2] == pytest.approx(100, abs=30)
    assert seen[3] < 40  # one pixel is not worth a crop


def test_balance_prefers_the_named_classes():
    config = FastSCNNConfig.for_labels("camvid", input_size=(64, 96))
    assert [config.labels.names[i] for i in Augmentation().rare_classes(config.labels.names)] == [
        "Pole",
        "SignSymbol",
        "Fence",
        "Pedestrian",
        "Bicyclist",
    ]
    assert Augmentation(rare=("nothing",)).rare_classes(config.labels.names) == tuple(range(11))
    label = np.zeros((400, 400), np.uint8)
    label[100:120, 100:110] = 2  # a pole
    for seed in range(20):
        w = choose_window(label, Draws(draws(seed)), Augmentation(balance=1.0), config, ops)
        part = label[w.start[0] : w.start[0] + 64, w.start[1] : w.start[1] + 96]
        assert (part == 2).any()


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact(quarters):
    config = CONFIG.replace(input_size=(64, 64))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    label = rng.integers(0, 9, (64, 64)).astype(np.uint8)
    whole = Window(*(np.array(v) for v in ((0, 0), (64, 64), (64, 64), (0, 0))))
    angle = np.float32(quarters * math.pi / 2)
    out, out_label = turned(image, label, whole, angle, config, ops)
    assert np.abs(out - np.rot90(image, -quarters)).max() < 0.05
    assert np.array_equal(out_label, np.rot90(label, -quarters))


def test_no_turn_is_a_resize():
    image, label = coded()
    w = window(Augmentation(scale=(0.5, 2.0)), draws(3), label=label)
    out, out_label = turned(image, label, w, np.float32(0), CONFIG, ops)
    resized = ops.resize_bilinear(ops.crop(image, w.start, w.size), w.shown)
    inner = np.s_[4 : w.shown[0] - 4, 4 : w.shown[1] - 4]
    top, left = w.before
    part = np.s_[top : top + w.shown[0], left : left + w.shown[1]]
    assert np.abs(out[part][inner] - resized[inner]).max() < 0.02
    nearest = ops.resize_nearest(ops.crop(label, w.start, w.size), w.shown)
    assert (out_label[part] == nearest).mean() > 0.99


def test_mirroring_and_cutout():
    image, label = coded((64, 96))
    out, out_label = augment_pair(
        image, label, draws(flip=0.1), Augmentation(flip=True), CONFIG, ops
    )
    assert np.array_equal(out, image[:, ::-1])
    assert np.array_equal(out_label, label[:, ::-1])
    vector = draws(cutout=(0.0, 0.5, 0.25, 0.0, 0.0))
    cut = Augmentation(cutout=(1.0, 0.5))
    out, out_label = augment_pair(image, label, vector, cut, CONFIG, ops)
    assert np.all(out_label[:16, :12] == 255)  # 0.5 * 0.5 of 64 rows, 0.25 * 0.5 of 96 columns
    assert np.all(out[:16, :12] == 128)
    assert np.array_equal(out_label[16:], label[16:])
    assert np.array_equal(out_label[:16, 12:], label[:16, 12:])


# --- light ----------------------------------------------------------------------------------------

PIXEL = np.array([[[200.0, 100.0, 50.0]]], np.float32)
GREY = 0.299 * 200 + 0.587 * 100 + 0.114 * 50  # 124.2
HIGHEST = 1.0 - 2**-24


def light(settings, image=PIXEL, **numbers):
    return lights.relit(image, Draws(draws(**numbers)), settings, CONFIG, ops) * 128 + 128


def test_linear_changes_by_hand():
    assert light(Augmentation(brightness=32.0), brightness=0.75) == pytest.approx(PIXEL + 16)
    gains = light(Augmentation(channel_noise=0.1), channel_noise=(0.0, 0.5, HIGHEST))
    assert gains.ravel() == pytest.approx([180, 100, 55], abs=1e-3)
    grey = light(Augmentation(saturation=1.0), saturation=0.0)
    assert grey.ravel() == pytest.approx([GREY] * 3, abs=1e-3)
    two = np.array([[[100.0] * 3, [200.0] * 3]], np.float32)
    flat = light(Augmentation(contrast=0.5), two, contrast=0.0)
    assert flat[0, :, 0] == pytest.approx([125, 175], abs=1e-3)  # half way to the mean, 150


def test_hue_turns_colours_and_keeps_their_grey():
    half = light(Augmentation(hue=0.5), hue=HIGHEST)
    luma = np.array([0.299, 0.587, 0.114])
    assert half.ravel() @ luma == pytest.approx(GREY, abs=0.05)
    assert half.ravel() - GREY == pytest.approx(GREY - PIXEL.ravel(), abs=0.1)  # complementary
    neutral = np.full((1, 1, 3), 90, np.float32)
    assert light(Augmentation(hue=0.5), neutral, hue=0.7).ravel() == pytest.approx(
        [90] * 3, abs=0.1
    )


def test_the_order_is_the_pictures_own():
    both = Augmentation(brightness=40.0, channel_noise=0.5)
    numbers = {"brightness": HIGHEST, "channel_noise": (HIGHEST,) * 3}
    first_gain = light(both, PIXEL / 4, order=(0.1, 0.9), **numbers)
    first_shift = light(both, PIXEL / 4, order=(0.9, 0.1), **numbers)
    assert first_gain.ravel() == pytest.approx([115, 77.5, 58.75], abs=1e-3)  # 1.5 x + 40
    assert first_shift.ravel() == pytest.approx([135, 97.5, 78.75], abs=1e-3)  # 1.5 (x + 40)


def test_contrast_pivots_on_the_mean_that_it_finds():
    both = Augmentation(brightness=40.0, contrast=0.5)
    two = np.array([[[100.0] * 3, [200.0] * 3]], np.float32)
    numbers = {"brightness": HIGHEST, "contrast": 0.0}
    for order in ((0.1, 0.9), (0.9, 0.1)):
        out = light(both, two, order=order, **numbers)
        assert out[0, :, 0] == pytest.approx([165, 215], abs=1e-2)


def test_night_by_hand():
    # Exponent 1 + 0.5 * (3 - 1) = 2, and 1 - 0.5 * 0.5 = 0.75 of the light.
    out = light(Augmentation(night=(1.0, 3.0)), night=(0.0, 0.5, 0.5))
    assert out.ravel() == pytest.approx((PIXEL.ravel() / 255) ** 2 * 255 * 0.75, abs=1e-2)
    untouched = light(Augmentation(night=(0.3, 3.0)), night=(0.4, 0.5, 0.5))
    assert np.array_equal(untouched, PIXEL)


def test_blur_spreads_a_point_as_a_gaussian():
    point = np.zeros((21, 21, 3), np.float32)
    point[10, 10] = 255
    out = light(Augmentation(blur=(1.0, 2.0)), point, blur=(0.0, 0.5))  # sigma 1
    assert out.sum() == pytest.approx(point.sum(), rel=1e-4)
    assert out[10, 11, 0] / out[10, 10, 0] == pytest.approx(math.exp(-0.5), rel=1e-4)
    assert out[12, 11, 0] / out[10, 10, 0] == pytest.approx(math.exp(-2.5), rel=1e-4)
    flat = np.full((3, 40, 3), 77, np.float32)
    assert light(Augmentation(blur=(1.0, 2.0)), flat, blur=(0.0, 0.9)) == pytest.approx(
        flat, abs=0.01
    )


def test_noise_has_its_strength_and_goes_with_the_night():
    grey = np.full((200, 200, 3), 128, np.float32)
    out = light(Augmentation(noise=(1.0, 20.0)), grey, noise=(0.0, 0.5, 0.3))
    assert out.std() == pytest.approx(10, rel=0.02)
    assert out.mean() == pytest.approx(128, abs=0.2)
    other = light(Augmentation(noise=(1.0, 20.0)), grey, noise=(0.0, 0.5, 0.4))
    assert abs(np.corrcoef(out.ravel(), other.ravel())[0, 1]) < 0.02
    night = Augmentation(night=(1.0, 1.0), noise=(0.001, 20.0))
    assert light(night, grey, night=(0.0, 0.0, 0.0), noise=(0.9, 0.5, 0.3)).std() > 9


def test_jpeg_is_the_encoders_own():
    image = coded()[0].astype(np.float32)
    good = light(Augmentation(jpeg=(1.0, 95)), image, jpeg=(0.0, 0.0))
    bad = light(Augmentation(jpeg=(1.0, 5)), image, jpeg=(0.0, 0.0))
    assert 0 < np.abs(good - image).mean() < 4 < np.abs(bad - image).mean()
    assert np.array_equal(good, np.rint(good))


def test_shares_are_kept():
    image, label = coded()
    settings = Augmentation(cutout=(0.3, 0.3))
    plain = Augmentation()
    hits = 0
    for seed in range(400):
        cut = augment_pair(image, label, draws(seed), settings, CONFIG, ops)[1]
        hits += not np.array_equal(
            cut, augment_pair(image, label, draws(seed), plain, CONFIG, ops)[1]
        )
    assert hits == pytest.approx(120, abs=28)  # three standard deviations


# --- mixing ---------------------------------------------------------------------------------------


def batch(count=6):
    """Images whose colour says who they are and what their label is."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, (count, 32, 48)).astype(np.uint8)
    labels[:, :4] = 255
    who = np.broadcast_to(np.arange(count)[:, None, None], labels.shape)
    images = np.stack([labels, who, labels * 0], -1).astype(np.float32)
    return images, labels, np.stack([draws(seed) for seed in range(count)])


@pytest.mark.parametrize(("cutmix", "classmix"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_pixels_and_labels_travel_together(cutmix, classmix):
    images, labels, vectors = batch()
    settings = Augmentation(cutmix=cutmix, classmix=classmix)
    mixed, mixed_labels = mix_batch(images, labels, vectors, settings, ops)
    assert np.array_equal(mixed[..., 0], mixed_labels)
    who = mixed[..., 1].astype(int)
    own = np.arange(6)[:, None, None]
    assert np.all((who == own) | (who == (own - 1) % 6))
    pasted = who != own
    assert pasted.any(axis=(1, 2)).sum() >= 4  # all coins of an image may fall on one side
    assert not pasted[:, :4].any()  # void is never pasted
    assert mixed.dtype == np.float32
    assert mixed_labels.dtype == np.uint8


def test_cutmix_pastes_a_rectangle_and_classmix_whole_classes():
    images, labels, vectors = batch()
    vectors[:, _STARTS["mix"] : _STARTS["mix"] + 4] = 0.0, 0.25, 0.5, 0.5
    mixed, _ = mix_batch(images, labels, vectors, Augmentation(cutmix=1.0), ops)
    pasted = mixed[..., 1] != np.arange(6)[:, None, None]
    expected = np.zeros((32, 48), bool)
    expected[8:24, 12:36] = True  # half of each side, in the middle
    assert np.array_equal(pasted, np.broadcast_to(expected, pasted.shape))
    mixed, _ = mix_batch(images, labels, vectors, Augmentation(classmix=1.0), ops)
    for i in range(6):
        pasted = mixed[i, ..., 1] != i
        partner = labels[i - 1]
        coins = vectors[i, _STARTS["classes"] :][:5] < 0.5
        assert np.array_equal(pasted, np.isin(partner, np.flatnonzero(coins)))


def test_a_balanced_crop_always_shows_its_pixel():
    label = np.zeros((400, 600), np.uint8)
    label[101:107, 300:306] = 4
    pole = np.zeros((400, 600), np.uint8)
    pole[100:300, 301] = 4  # one pixel wide, in an odd column
    settings = Augmentation(balance=1.0, rare=("class_4",))
    config = CONFIG.replace(input_size=(32, 32))
    for seed in range(500):
        for picture in (label, pole):
            w = choose_window(picture, Draws(draws(seed)), settings, config, ops)
            part = picture[w.start[0] : w.start[0] + 32, w.start[1] : w.start[1] + 32]
            assert (part == 4).any()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"scale": (2.0, 0.5)}, "scale must be"),
        ({"scale": (0.0, 1.0)}, r"scale must be 0\.05\.\.20"),
        ({"scale": 1.5}, "scale must be two numbers, got 1.5"),
        ({"scale": (0.5, 1, 2)}, "scale must be two numbers"),
        ({"scale": ("a", 1)}, "scale must be 0"),
        ({"hue": 0.7}, "hue"),
        ({"brightness": "32"}, "brightness must be 0..255, got '32'"),
        ({"rotation": (2.0, 10.0)}, "rotation's share must be 0..1, got 2.0"),
        ({"rotation": 10}, "rotation must be two numbers"),
        ({"night": (0.5,)}, "night must be two numbers"),
        ({"night": (0.5, 0.5)}, "night's strength must be 1..5"),
        ({"jpeg": (1.0, 0)}, "jpeg's strength must be 1..95"),
        ({"blur": (0.5, 9.0)}, "blur"),
        ({"flip": "yes"}, "flip must be True or False"),
        ({"rare": "pole"}, "rare must be parts of class names, got 'pole'"),
        ({"rare": (1, 2)}, "rare must be parts of class names"),
        ({"cutmix": 0.6, "classmix": 0.6}, "together at most 1"),
    ],
)
def test_wrong_strengths_are_named(wrong, text):
    with pytest.raises(ConfigError, match=text):
        Augmentation(**wrong)


def test_a_list_serves_as_a_pair():
    assert Augmentation(scale=[0.5, 2]) == Augmentation(scale=(0.5, 2))
