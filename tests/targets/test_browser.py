"""The page in headless Chromium, from the files of a person to pixels, against Python."""

import base64
import contextlib
import http.client
import io
import json
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "tflite" / "web" / "serve.py"
# Without these it would ask its maker for updates, and report.
QUIET = (
    *("--no-sandbox", "--no-first-run", "--disable-quic", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PATIENCE = 60_000  # milliseconds, of a step on a busy machine
GPU_PATIENCE = 240_000  # SwiftShader, which is a GPU on a CPU
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def tools(target_tools):
    folder = target_tools("browser")
    sys.path.insert(0, str(folder / "site"))
    yield folder
    sys.path.remove(str(folder / "site"))


@pytest.fixture(scope="module")
def address(tools, model_files):
    """The real server with the models of these tests."""
    command = [sys.executable, str(SERVER), "--port", "0", "--models", model_files["int8"].parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield re.match(r"http://localhost:\d+", server.stdout.readline())[0]
        server.terminate()


@pytest.fixture(scope="module")
def playwright(tools):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


def start(playwright, *arguments):
    """A browser."""
    path = shutil.which("chromium")
    return playwright.chromium.launch(executable_path=path, args=[*QUIET, *arguments])


@pytest.fixture(scope="module")
def browser(playwright):
    with contextlib.closing(start(playwright, "--disable-gpu")) as started:
        yield started


@pytest.fixture
def visit(address):
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
        page.goto(address)
        wait_for(page, "is ready")
        choose(page, backend=backend, model=model)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors
    ours = (f"{address}/", f"blob:{address}/", "data:")
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


# Numbers


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
    page.set_default_timeout(GPU_PATIENCE)
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
    from PIL import ImageCms

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


# What a person sees


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


# Mistakes


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
    pictures = np.random.default_rng(0).normal(0, 1, (4, 64, 96, 3)).astype(np.float32)
    fs.export_tflite(small, path, recipe="int8", input="int8", calibration=[pictures])
    page = visit(browser)
    page.set_input_files("#model-file", path)
    page.locator("#problem", has_text="takes int8 pictures, which LiteRT.js cannot feed").wait_for()
    assert "export it with a uint8 input" in problem(page)
    assert page.locator("#status").inner_text() == "int8.tflite runs as before."


# Keyboard, phone, screen reader


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
def test_accessible_and_no_wider_than_the_screen(visit, browser, tools, street_files, device):
    page = visit(browser, **device)
    for seen in (None, street_files["street_small"]):
        if seen:
            look(page, seen)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        page.evaluate((tools / "node_modules" / "axe-core" / "axe.min.js").read_text())
        found = page.evaluate("axe.run()")["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
    if device:
        for button in page.locator("main button:visible, main select:visible").all():
            assert button.bounding_box()["height"] >= 24, button.inner_text()


# Videos and cameras


@pytest.fixture(scope="module")
def film(tools, street_files, tmp_path_factory):
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


# The server


def get(address, path, **headers):
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def test_the_server_isolates_the_page_and_keeps_it_at_home(address):
    for path in ("/", "/worker.js", "/litert/core/wasm/litert_wasm_threaded_internal.js", "/none"):
        _, headers, _ = get(address, path)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        policy = headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy and "connect-src 'self'" in policy


def test_the_server_gives_each_file_its_type(address):
    types = {
        "/": "text/html; charset=utf-8",
        "/app.js": "text/javascript; charset=utf-8",
        "/style.css": "text/css; charset=utf-8",
        "/litert/core/dist/index.js": "text/javascript; charset=utf-8",
        "/litert/core/wasm/litert_wasm_internal.wasm": "application/wasm",
        "/models/int8.tflite": "application/octet-stream",
        "/models.json": "application/json",
    }
    for path, kind in types.items():
        status, headers, content = get(address, path)
        assert (status, headers["Content-Type"]) == (200, kind), path
        assert int(headers["Content-Length"]) == len(content)


def test_the_server_serves_nothing_else(address):
    paths = (
        *("/serve.py", "/../serve.py", "/models/../serve.py", "/package.json", "/README.md"),
        *("/%2e%2e/serve.py", "/models/%2e%2e%2fserve.py", "/models/", "/models/x.txt", "//etc"),
        "/litert/core/package.json",
    )
    for path in paths:
        assert get(address, path)[0] == 404, path


def test_the_server_lists_the_models(address, model_files):
    listed = json.loads(get(address, "/models.json")[2])
    sizes = {entry["name"]: entry["bytes"] for entry in listed}
    assert sizes == {path.name: path.stat().st_size for path in model_files.values()}


def test_a_file_that_has_not_changed_is_not_sent_again(address):
    _, headers, _ = get(address, "/app.js")
    again = get(address, "/app.js", **{"If-Modified-Since": headers["Last-Modified"]})
    assert again[0] == 304 and again[2] == b""


def test_https_for_other_devices(tools, model_files, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=fastscnn"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key]
    subprocess.run(command, check=True, capture_output=True)
    models = model_files["int8"].parent
    options = ("--port", "0", "--models", models, "--cert", certificate, "--key", key)
    command = [sys.executable, str(SERVER), *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        port = re.match(r"https://localhost:(\d+)", server.stdout.readline())[1]
        trust = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection("localhost", int(port), context=trust)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            assert b"Fast-SCNN" in connection.getresponse().read()
        server.terminate()


def test_the_server_says_what_is_wrong(address, tmp_path):
    def started_with(*arguments):
        command = [sys.executable, str(SERVER), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr

    port = address.rpartition(":")[2]
    code, message = started_with("--port", port)
    assert code == 1 and message.startswith(f"port {port}: ") and message.count("\n") == 1
    code, message = started_with("--models", tmp_path / "none")
    assert code == 1 and "no such folder of .tflite files" in message
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    code, message = started_with("--port", "0", "--cert", bad)
    assert code == 1 and message.startswith(f"{bad}: ")
