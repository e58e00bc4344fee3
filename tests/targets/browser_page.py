"""The page in headless Chromium: fixtures that open it, and what a person does there."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "tflite" / "web" / "serve.py"
# Without these it would ask its maker for updates, and report.
QUIET = (
    *("--no-sandbox", "--no-first-run", "--disable-quic", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PATIENCE = 600_000  # milliseconds, of a step on a busy machine


@pytest.fixture(scope="module")
def browser_tools(target_tools):
    folder = target_tools("browser")
    sys.path.insert(0, str(folder / "site"))
    yield folder
    sys.path.remove(str(folder / "site"))


@pytest.fixture(scope="module")
def page_address(browser_tools, model_files):
    """The real server with the models of these tests."""
    command = [sys.executable, str(SERVER), "--port", "0", "--models", model_files["int8"].parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield re.match(r"http://localhost:\d+", server.stdout.readline())[0]
        server.terminate()


@pytest.fixture(scope="module")
def playwright(browser_tools):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


def start(playwright, *arguments):
    """A browser."""
    path = shutil.which("chromium")
    options = {"executable_path": path, "timeout": PATIENCE}
    return playwright.chromium.launch(**options, args=[*QUIET, *arguments])


@pytest.fixture(scope="module")
def browser(playwright):
    with contextlib.closing(start(playwright, "--disable-gpu")) as started:
        yield started


@pytest.fixture
def visit(page_address):
    """Opens the page, ready; what went wrong in it, or left the server's origin, fails the test."""
    errors, requests, contexts = [], [], []

    def open_page(browser, backend="wasm-1", model="int8", **device):
        context = browser.new_context(**device)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        # From the beginning: Playwright takes dialogs over some time after it is asked to.
        page.on("filechooser", lambda chooser: None)
        page.goto(page_address)
        wait_for(page, "is ready")
        choose(page, backend=backend, model=model)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
    ours = (f"{page_address}/", f"blob:{page_address}/", "data:")
    assert [url for url in requests if not url.startswith(ours)] == []
    assert len(requests) > 10


def wait_for(page, text):
    page.locator("#status", has_text=text).wait_for()


def choose(page, backend=None, model=None):
    if model and page.locator("#model").input_value() != f"{model}.tflite":
        page.locator("#model").select_option(f"{model}.tflite")
        page.locator("#status", has_text=re.compile(rf"^({model}.tflite is ready|.*%)")).wait_for()
    if backend and page.locator("#backend").input_value() != backend:
        page.locator("#backend").select_option(backend)
        page.locator("#status:not(:has-text('Loading'))").wait_for()
    assert problem(page) == ""


def problem(page):
    return page.locator("#problem").inner_text()


def look(page, path):
    page.set_input_files("#file", path)
    page.locator("#status", has_text=re.compile(rf"^{re.escape(path.name)}, .*%")).wait_for()


def saved(page, button="#save-labels"):
    with page.expect_download() as download:
        page.click(button)
    with Image.open(download.value.path()) as image:
        return np.asarray(image)


def shown_shares(page):
    texts = page.locator("#legend .share").all_inner_texts()
    return [float(text.removesuffix(" %")) / 100 for text in texts]


def canvas(page):
    """(H, W, 3) what the canvas shows."""
    url = page.locator("#view").evaluate("(view) => view.toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def set_slider(page, name, value):
    slider = page.locator(name)
    slider.evaluate("(slider, value) => { slider.value = value }", value)
    slider.dispatch_event("input")


def drop(page, path, kind):
    page.evaluate(
        """([content, name, type]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], name, { type }));
            const target = document.getElementById('stage');
            target.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
        }""",
        [base64.b64encode(path.read_bytes()).decode(), path.name, kind],
    )
