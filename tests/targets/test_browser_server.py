"""What the page's server sends, with which headers, and what it keeps."""

import contextlib
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys

from browser_page import PATIENCE, SERVER, start, wait_for


def get(address, path, **headers):
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def test_the_server_isolates_the_page_and_keeps_it_at_home(page_address):
    for path in ("/", "/worker.js", "/litert/core/wasm/litert_wasm_threaded_internal.js", "/none"):
        _, headers, _ = get(page_address, path)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        policy = headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy and "connect-src 'self'" in policy


def test_the_server_gives_each_file_its_type(page_address):
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
        status, headers, content = get(page_address, path)
        assert (status, headers["Content-Type"]) == (200, kind), path
        assert int(headers["Content-Length"]) == len(content)


def test_the_server_serves_nothing_else(page_address):
    paths = (
        *("/serve.py", "/../serve.py", "/models/../serve.py", "/package.json", "/README.md"),
        *("/%2e%2e/serve.py", "/models/%2e%2e%2fserve.py", "/models/", "/models/x.txt", "//etc"),
        "/litert/core/package.json",
    )
    for path in paths:
        assert get(page_address, path)[0] == 404, path


def test_the_server_lists_the_models(page_address, model_files):
    listed = json.loads(get(page_address, "/models.json")[2])
    sizes = {entry["name"]: entry["bytes"] for entry in listed}
    assert sizes == {path.name: path.stat().st_size for path in model_files.values()}


def test_a_file_that_has_not_changed_is_not_sent_again(page_address):
    _, headers, _ = get(page_address, "/app.js")
    again = get(page_address, "/app.js", **{"If-Modified-Since": headers["Last-Modified"]})
    assert again[0] == 304 and again[2] == b""


def test_https_for_other_devices(browser_tools, model_files, tmp_path):
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


def test_the_server_says_what_is_wrong(page_address, tmp_path):
    def started_with(*arguments):
        command = [sys.executable, str(SERVER), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr

    port = page_address.rpartition(":")[2]
    code, message = started_with("--port", port)
    assert code == 2 and message.startswith(f"serve.py: port {port}: ") and message.count("\n") == 1
    code, message = started_with("--models", tmp_path / "none")
    assert code == 2 and "no such folder of .tflite files" in message
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    code, message = started_with("--port", "0", "--cert", bad)
    assert code == 2 and message.startswith(f"serve.py: {bad}: ")
    code, message = started_with("--port", "99999")
    assert code == 2 and "expected 0 to 65535, got 99999" in message
    code, message = started_with("--port", "0", "--key", bad)
    assert (code, message) == (2, "serve.py: --key is the key of a certificate: pass --cert, too\n")
    code, message = started_with("--port", "0", "--cert", tmp_path / "none.pem")
    assert (code, message) == (2, f"serve.py: {tmp_path / 'none.pem'}: no such PEM file\n")


def test_a_model_with_a_name_of_any_bytes_runs(browser, model_files, tmp_path):
    odd = os.fsencode(tmp_path) + b"/a'\"<b>#?%41\n\xff.tflite"
    shutil.copy(model_files["int8"], odd)
    command = [sys.executable, str(SERVER), "--port", "0", "--models", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = re.match(r"http://localhost:\d+", server.stdout.readline())[0]
        with contextlib.closing(browser.new_context()) as context:
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(address)
            wait_for(page, "is ready")
            assert (
                page.locator("#status").inner_text().startswith("a'\"<b>#?%41\\n\\udcff.tflite is")
            )
            assert page.locator("b").count() == 0
        server.terminate()


def test_a_browser_gives_nothing_to_other_names_and_pages(playwright, page_address):
    """The name that is pointed here by its owner, and a page of another port of this machine."""
    port = page_address.rpartition(":")[2]
    rebound = f"http://rebound.example:{port}"
    rules = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
    with contextlib.closing(start(playwright, "--disable-gpu", rules)) as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        answer = page.goto(f"{rebound}/models.json")
        assert answer.status == 421
        assert "this server has another name" in page.inner_text("body")
        page.goto(f"{page_address}/none")  # of the server itself: its errors have no scripts
        reads = "async (url) => (await fetch(url).catch((error) => error)).status"
        assert page.evaluate(reads, f"{page_address}/models.json") == 200
        page.route("http://127.0.0.1:9/", lambda route: route.fulfill(body="elsewhere"))
        page.goto("http://127.0.0.1:9/")
        for url in (f"{page_address}/models.json", f"{rebound}/models.json"):
            for mode in ("cors", "no-cors"):
                seen = page.evaluate(
                    """async ([url, mode]) => {
                        try { return await (await fetch(url, { mode })).text(); }
                        catch (error) { return 'refused'; }
                    }""",
                    [url, mode],
                )
                assert "int8" not in seen
        loads = """(url) => new Promise((done) => {
            const script = document.createElement('script');
            script.onload = () => done('loaded');
            script.onerror = () => done('refused');
            script.src = url;
            document.head.append(script);
        })"""
        assert page.evaluate(loads, f"{page_address}/times.js") == "refused"
