"""Videos and cameras on the page: drawn streets as films, and a camera that shows one."""

import contextlib
import re
import subprocess

import numpy as np
import pytest
from browser_page import saved, set_slider, start, wait_for
from PIL import Image


@pytest.fixture(scope="module")
def film(browser_tools, street_files, tmp_path_factory):
    """Makes a film of a still street in a format that ffmpeg knows."""
    folder = tmp_path_factory.mktemp("films")

    def make(name, *options):
        still = street_files["street_small"]
        command = ["ffmpeg", "-loglevel", "error", "-loop", "1", "-r", "10", "-i", str(still)]
        subprocess.run([*command, "-t", "1", *options, str(folder / name)], check=True)
        return folder / name

    return make


def running(page):
    """Waits until the page counts pictures per second."""
    page.locator("#times tr:last-child td", has_text=re.compile(r"\d")).wait_for()


def test_a_video_runs_pauses_and_is_sought(visit, browser, film, label_maps):
    page = visit(browser, "wasm-2")
    page.set_input_files("#file", film("street.webm", "-c:v", "libvpx", "-b:v", "2M"))
    running(page)
    expected = label_maps["int8"]["street_small"]
    assert (saved(page) == expected).mean() > 0.9  # what the codec leaves of the picture
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").wait_for()
    set_slider(page, "#seek", 0.5)
    page.locator("#times tr:last-child td:empty").wait_for()
    assert (saved(page) == expected).mean() > 0.9
    page.get_by_role("button", name="Play").click()
    running(page)


def test_a_turned_video_is_seen_upright(visit, browser, film, label_maps):
    """As phones store films: lying, with a note how to turn them."""
    options = ("-vf", "transpose=2,format=yuv420p", "-c:v", "libx264", "-movflags", "faststart")
    lying = film("lying.mp4", *options)
    turned = lying.with_name("turned.mp4")
    command = ["ffmpeg", "-loglevel", "error", "-i", str(lying), "-c", "copy"]
    subprocess.run([*command, "-metadata:s:v", "rotate=270", str(turned)], check=True)
    page = visit(browser, "wasm-2")
    page.set_input_files("#file", turned)
    running(page)
    labels = saved(page)
    assert labels.shape == (360, 480)
    assert (labels == label_maps["int8"]["street_small"]).mean() > 0.85


@pytest.fixture
def camera_browser(playwright, film):
    """Its camera shows a film of a street."""
    path = film("camera.y4m", "-pix_fmt", "yuv420p")
    arguments = (
        *("--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--use-file-for-fake-video-capture={path}",
    )
    with contextlib.closing(start(playwright, *arguments)) as started:
        yield started


def test_a_camera_runs(camera_browser, visit, label_maps):
    page = visit(camera_browser, "wasm-2", permissions=["camera"])
    page.get_by_role("button", name="Start camera").click()
    running(page)
    labels = saved(page)
    expected = label_maps["int8"]["street_small"]
    if labels.shape != expected.shape:  # the camera may enlarge
        shape = labels.shape[::-1]
        expected = np.asarray(Image.fromarray(expected).resize(shape, Image.Resampling.NEAREST))
    assert (labels == expected).mean() > 0.85
    assert page.locator("#cameras option").count() >= 1
    assert page.locator("#status").inner_text() == "Camera is running."
    page.get_by_role("button", name="Stop camera").click()
    wait_for(page, "The camera is off.")
    assert page.get_by_role("button", name="Start camera").is_visible()


def test_a_camera_that_is_refused_or_missing_gives_a_message(visit, browser):
    page = visit(browser)
    page.get_by_role("button", name="Start camera").click()
    page.locator("#problem", has_text=re.compile("camera")).wait_for()
    assert page.get_by_role("button", name="Start camera").is_visible()
