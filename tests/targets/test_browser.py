"""Label maps that the page makes in headless Chromium, against Python's."""

import contextlib

import numpy as np
import pytest
from browser_page import choose, look, saved, shown_shares, start
from PIL import Image, ImageCms

import fastscnn_tf as fs


@pytest.mark.parametrize("backend", ["wasm-1", "wasm-2"])
def test_int8_label_maps_are_pythons(visit, browser, street_files, label_maps, backend):
    page = visit(browser, backend, "int8")
    for name, path in street_files.items():
        look(page, path)
        labels, expected = saved(page), label_maps["int8"][name]
        assert labels.shape == expected.shape
        if name == "street_own":  # the model's own size: integers from end to end
            np.testing.assert_array_equal(labels, expected)
        # Elsewhere float32 decides in Python where two classes are as good as equal.
        assert (labels != expected).mean() < 1e-4, name
        shares = np.bincount(labels.ravel(), minlength=11) / labels.size
        np.testing.assert_allclose(shown_shares(page), shares, atol=0.00051)


def test_real_pictures(visit, browser, camvid_dir, model_files):
    segmenter = fs.Segmenter(model_files["int8"], threads=1)
    page = visit(browser, "wasm-2")
    differ = pixels = 0
    for path in sorted((camvid_dir / "val").glob("*.png"))[::10]:
        look(page, path)
        expected = segmenter.predict(path)
        differ += (saved(page) != expected).sum()
        pixels += expected.size
    assert pixels > 1_000_000 and differ < 1e-5 * pixels


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_float_label_maps_agree(visit, browser, street_files, label_maps, kind):
    page = visit(browser, "wasm-2", kind)
    for name, path in street_files.items():
        look(page, path)
        assert (saved(page) == label_maps[kind][name]).mean() >= 0.999, name


@pytest.fixture
def gpu_browser(playwright):
    with contextlib.closing(start(playwright, "--enable-unsafe-webgpu")) as started:
        yield started


def test_webgpu_agrees(gpu_browser, visit, street_files, label_maps):
    """Floats on the GPU; int8 files compute in floating point there, and the page says so."""
    page = visit(gpu_browser, model="float16")
    choose(page, backend="webgpu-fp32")
    assert page.locator("#note").is_hidden()
    look(page, street_files["street_own"])
    assert (saved(page) == label_maps["float16"]["street_own"]).mean() >= 0.999
    choose(page, model="int8")
    assert "computes int8 files in floating point" in page.locator("#note").inner_text()
    assert (saved(page) == label_maps["int8"]["street_own"]).mean() >= 0.95


def test_letterbox_is_pythons(visit, browser, model_files, street_files):
    page = visit(browser)
    page.locator("#fit").select_option("letterbox")
    segmenter = fs.Segmenter(model_files["int8"], threads=1)
    for path in street_files.values():
        look(page, path)
        expected = segmenter.predict(path, fit="letterbox")
        assert (saved(page) != expected).mean() < 1e-4


def test_pictures_are_decoded_as_python_does(visit, browser, model_files, street_files, tmp_path):
    """Turned by EXIF, a JPEG, grey, a palette, half transparent, and with a colour profile."""
    picture = Image.open(street_files["street_small"]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    alpha = Image.linear_gradient("L").resize(picture.size)
    transparent = picture.copy()
    transparent.putalpha(alpha)
    files = {
        "turned.jpg": (picture, {"quality": 95, "exif": exif}),
        "grey.png": (picture.convert("L"), {}),
        "palette.png": (picture.quantize(64), {}),
        "profile.png": (picture, {"icc_profile": profile}),
        "transparent.png": (transparent, {}),
    }
    page = visit(browser)
    segmenter = fs.Segmenter(model_files["int8"], threads=1)
    for name, (image, options) in files.items():
        path = tmp_path / name
        image.save(path, **options)
        look(page, path)
        expected = segmenter.predict(path)
        labels = saved(page)
        assert labels.shape == expected.shape, name
        # Decoders of JPEG and mixtures with black may differ by a grey level.
        exact = name not in ("turned.jpg", "transparent.png")
        assert (labels != expected).mean() < (1e-4 if exact else 0.01), name
