"""What a person sees and does on the page: with a mouse, the keyboard, a phone, and bad files."""

import re
import shutil

import numpy as np
import pytest
from browser_page import ROOT, canvas, choose, drop, look, problem, saved, set_slider, wait_for
from PIL import Image

import fastscnn_tf as fs

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def test_the_overlay_is_seen_and_fades(visit, browser, street_files, model_files, label_maps):
    page = visit(browser)
    look(page, street_files["street_own"])
    picture = np.asarray(Image.open(street_files["street_own"])).astype(float)
    space = fs.Segmenter(model_files["int8"], threads=1).labels
    colors = np.array(space.colors)[label_maps["int8"]["street_own"]]
    for percent in (60, 0, 100, 25):
        if percent != 60:  # where it begins
            set_slider(page, "#opacity", percent)
        assert page.locator("#opacity-value").inner_text() == f"{percent} %"
        mixed = picture * (1 - percent / 100) + colors * percent / 100
        assert np.abs(canvas(page) - mixed).max() <= 2
    np.testing.assert_array_equal(saved(page, "#save-overlay")[..., :3], canvas(page))


def test_a_drawn_street_is_one_tap_away(visit, browser):
    page = visit(browser, **PHONE)
    assert page.locator(".legend .measure").count() == 11
    seen = page.locator(".legend .measure:visible")
    assert seen.count() == 0  # nothing was looked at yet
    page.tap("#sample")
    page.locator("#status", has_text=re.compile(r"^street\.jpg, .*%")).wait_for()
    labels = saved(page)
    assert labels.shape == (448, 608)
    assert 1 < seen.count() <= len(np.unique(labels))
    assert page.locator(".legend .share").first.inner_text().endswith(" %")


def test_a_class_can_be_hidden_and_is_named_under_the_pointer(
    visit, browser, street_files, model_files, label_maps
):
    page = visit(browser)
    look(page, street_files["street_own"])
    set_slider(page, "#opacity", 100)
    labels = label_maps["int8"]["street_own"]
    space = fs.Segmenter(model_files["int8"], threads=1).labels
    road = space.names.index("Road")
    row, column = (int(n[len(n) // 2]) for n in np.nonzero(labels == road))
    box = page.locator("#view").bounding_box()
    scale = min(box["width"] / labels.shape[1], box["height"] / labels.shape[0])
    left = box["x"] + (box["width"] - scale * labels.shape[1]) / 2
    top = box["y"] + (box["height"] - scale * labels.shape[0]) / 2
    page.mouse.move(left + scale * (column + 0.5), top + scale * (row + 0.5))
    assert page.locator("#probe").inner_text() == "Road"
    page.mouse.move(2, 2)
    assert page.locator("#probe").is_hidden()

    page.get_by_role("button", name="Road").click()
    picture = np.asarray(Image.open(street_files["street_own"]))
    shown = canvas(page)
    assert np.abs(shown[labels == road].astype(int) - picture[labels == road]).max() <= 1
    others = np.array(space.colors)[labels][labels != road]
    assert np.abs(shown[labels != road].astype(int) - others).max() <= 1


def test_switching_model_and_backend_looks_again(visit, browser, street_files, label_maps):
    page = visit(browser, "wasm-2", "int8")
    look(page, street_files["street_small"])
    choose(page, model="float16")
    page.locator("#status", has_text="%").wait_for()
    assert (saved(page) == label_maps["float16"]["street_small"]).mean() >= 0.999
    choose(page, backend="wasm-1")
    page.locator("#status", has_text="%").wait_for()
    assert (saved(page) == label_maps["float16"]["street_small"]).mean() >= 0.999
    cells = page.locator("#times td").all_inner_texts()
    assert all(re.fullmatch(r"\d+\.\d ms", cell) for cell in cells[:6]), cells


def test_a_model_of_ones_own(visit, browser, street_files, label_maps, model_files, tmp_path):
    path = tmp_path / "mine.tflite"
    shutil.copy(model_files["float16"], path)
    page = visit(browser)
    page.set_input_files("#model-file", path)
    wait_for(page, "mine.tflite is ready")
    look(page, street_files["street_small"])
    assert (saved(page) == label_maps["float16"]["street_small"]).mean() >= 0.999


def test_a_dropped_file_is_taken(visit, browser, street_files, label_maps):
    page = visit(browser)
    path = street_files["street_own"]
    drop(page, path, "image/png")
    page.locator("#status", has_text="%").wait_for()
    np.testing.assert_array_equal(saved(page), label_maps["int8"]["street_own"])


def test_bad_files_give_a_message_and_the_page_goes_on(
    visit, browser, street_files, label_maps, model_files, tmp_path
):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    half = tmp_path / "half.tflite"
    half.write_bytes(model_files["int8"].read_bytes()[:700_000])
    note = tmp_path / "note.txt"
    note.write_text("neither")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    refused = {
        text: "text.png is not a picture that this browser can read.",
        half: "half.tflite is a damaged or truncated .tflite file: copy it again.",
        note: "note.txt is neither a picture, a video nor a .tflite file.",
        broken: "broken.mp4 is not a video that this browser can play.",
    }
    page = visit(browser)
    for path, message in refused.items():
        page.set_input_files("#file", path)
        page.locator("#problem", has_text=message).wait_for()
        assert page.get_by_role("alert").inner_text() == message
        assert page.locator("#model").input_value() == "int8.tflite"
    look(page, street_files["street_own"])
    assert problem(page) == ""
    np.testing.assert_array_equal(saved(page), label_maps["int8"]["street_own"])


def test_int8_inputs_are_refused_with_what_to_do(visit, browser, tmp_path):
    model = fs.load_model(ROOT / "tflite" / "fastscnn_camvid.keras")
    path = tmp_path / "int8_io.tflite"
    small = fs.resize_model(model, (64, 96))
    pictures = np.random.default_rng(0).uniform(-1, 0.99, (4, 64, 96, 3)).astype(np.float32)
    fs.export_tflite(small, path, recipe="int8", input="int8", calibration=[pictures])
    page = visit(browser)
    page.set_input_files("#model-file", path)
    page.locator("#problem", has_text="takes int8 pictures, which LiteRT.js cannot feed").wait_for()
    assert "export it with a uint8 input" in problem(page)
    assert page.locator("#status").inner_text() == "int8.tflite runs as before."


def test_everything_can_be_done_from_the_keyboard(visit, browser, street_files):
    page = visit(browser)
    look(page, street_files["street_small"])
    reached = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "document.activeElement.id || document.activeElement.closest('[id]')?.id || ''"
        )
        visible = page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle !== 'none' || "
            "document.activeElement === document.body"
        )
        assert visible, name
        reached.append(name)
    controls = "open camera opacity fit save-labels save-overlay model open-model backend legend"
    assert set(controls.split()) <= set(reached)

    page.locator("#opacity").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#opacity-value").inner_text() == "61 %"
    page.locator("#open").focus()
    with page.expect_file_chooser():
        page.keyboard.press("Enter")
    road = page.get_by_role("button", name="Road")
    road.focus()
    page.keyboard.press("Space")
    assert road.get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_accessible_and_no_wider_than_the_screen(
    visit, browser, browser_tools, street_files, device
):
    page = visit(browser, **device)
    for seen in (None, street_files["street_small"]):
        if seen:
            look(page, seen)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        page.evaluate((browser_tools / "node_modules" / "axe-core" / "axe.min.js").read_text())
        found = page.evaluate("axe.run()")["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
    if device:
        for button in page.locator("main button:visible, main select:visible").all():
            assert button.bounding_box()["height"] >= 24, button.inner_text()
