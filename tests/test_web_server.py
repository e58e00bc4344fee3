"""The page's server among strangers: whom it answers, what it opens, how long it waits."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

WEB = Path(__file__).parents[1] / "tflite" / "web"
PATIENCE = 300  # seconds for what takes none, on a machine that has other work


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """The server's files with a stand-in for LiteRT.js, which this needs no more of."""
    web = tmp_path_factory.mktemp("site") / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    for folder in ("core/dist", "core/wasm", "wasm-utils/dist"):
        (web / "node_modules/@litertjs" / folder).mkdir(parents=True)
    return web


class Served:
    """A running serve.py."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    def ask(self, content, seconds=PATIENCE, context=None, host="127.0.0.1"):
        """What comes back for bytes, until the server closes."""
        plain = socket.create_connection((host, self.port), timeout=seconds)
        with context.wrap_socket(plain) if context else plain as connection:
            connection.sendall(content)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    def get(self, path="/", host="localhost", **headers):
        """(status, body)"""
        lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n"
        answer = self.ask(request.encode("latin-1"))
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def end(self):
        """Its stderr's lines."""
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err
        return err.splitlines()


@pytest.fixture
def serve(web, tmp_path):
    """Starts serve.py with arguments; every one of them ends well."""
    started = []

    def start(*arguments, models=None):
        (tmp_path / "models").mkdir(exist_ok=True)
        command = [sys.executable, web / "serve.py", "--port", 0]
        command += ["--models", models or tmp_path / "models", *arguments]
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What a shell starts in the background ignores interrupts, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        for line in process.stdout:
            if found := re.match(r"https?://.*:(\d+)  \(", line):
                return Served(process, int(found[1]))
        raise AssertionError(process.stderr.read())

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir(exist_ok=True)
    return folder


def test_other_names_get_nothing(serve, models):
    (models / "m.tflite").write_bytes(b"model")
    server = serve("--allow-host", "proxy.example", "--allow-host", "Straße.example")
    own = ("localhost", "LOCALHOST:80", "localhost.", "127.0.0.1", "[::1]:8000", "[0:0::1]")
    for host in (*own, "proxy.example:443", "xn--strae-oqa.example", "strasse.example"):
        expected = (
            host != "xn--strae-oqa.example"
        )  # IDNA 2003, as browsers do it, has no such letter
        assert (server.get("/models/m.tflite", host) == (200, b"model")) is expected, host
    for host, status in {
        "evil.example": 421,
        "evil.example:8000": 421,
        "localhost.evil.example": 421,
        "evil-localhost": 421,
        "192.168.1.20": 421,
        "127.1": 421,
        "2130706433": 421,
        "127.0.0.1.evil.example": 421,
        "localhost:99999": 400,
        "localhost:": 400,
        "": 400,
        "localhost, evil.example": 400,
        "evil@localhost": 400,
        "a\x1b[31m": 400,
        "\xff": 400,
    }.items():
        found, body = server.get("/models/m.tflite", host)
        assert found == status, host
        assert body.startswith(b"%d " % status) and body.count(b"\n") == 1
    asked = b"GET /models/m.tflite HTTP/1.1\r\n%bConnection: close\r\n\r\n"
    for host in (b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host : localhost\r\n"):
        assert server.ask(asked % host).startswith(b"HTTP/1.1 400 ")
    for target, host, status in (
        ("http://localhost/models/m.tflite", "localhost", 200),
        ("http://evil.example/models/m.tflite", "localhost", 421),
        ("http://localhost/models/m.tflite", "evil.example", 421),
        ("http:///models/m.tflite", "localhost", 400),
        ("ftp://localhost/models/m.tflite", "localhost", 400),
        ("localhost:80", "localhost", 400),
        ("*", "localhost", 400),
    ):
        assert server.get(target, host)[0] == status, (target, host)
    lines = server.end()
    assert all(line.startswith("serve.py: 127.0.0.1: 4") for line in lines)
    assert sum("evil.example is not this server: --allow-host evil.example" in x for x in lines) > 2
    assert len(lines) == 15 + 3 + 6 + 1


def test_at_every_address_its_own_names_count(serve):
    server = serve("--host", "0.0.0.0")
    name = socket.gethostname()
    for host in ("localhost", "127.0.0.1", name.upper(), f"{name}.local", "0.0.0.0"):
        assert server.get("/", host)[0] == 200, host
    assert server.get("/", "evil.example")[0] == 421
    # The address that a request reaches is the machine's own, whatever it knows of itself.
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.7\r\nConnection: close\r\n\r\n"
    assert server.ask(request, host="127.0.0.7").startswith(b"HTTP/1.1 200 ")
    assert server.ask(request).startswith(b"HTTP/1.1 421 ")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_an_address_of_six_words_is_listened_at(serve):
    server = serve("--host", "::1")
    request = b"GET / HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n"
    assert server.ask(request, host="::1").startswith(b"HTTP/1.1 200 ")


def test_pages_elsewhere_get_nothing(serve, models):
    (models / "m.tflite").write_bytes(b"model")
    server = serve()
    ours = f"localhost:{server.port}"
    for headers, status in (
        ({}, 200),
        ({"Origin": f"http://{ours}"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": f"http://localhost:{server.port + 1}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}, 200),
        ({"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate"}, 200),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, 403),
    ):
        assert server.get("/models/m.tflite", ours, **headers)[0] == status, headers
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert server.get("/", ours, **link, Sec_Fetch_Dest="document")[0] == 200
    assert server.get("/", ours, **link, Sec_Fetch_Dest="iframe")[0] == 403
    assert len(server.end()) == 7


def listed(server):
    return {entry["name"]: entry for entry in json.loads(server.get("/models.json")[1])}


def test_links_lead_to_nothing_outside_and_pipes_are_not_opened(serve, models, tmp_path):
    (models / "m.tflite").write_bytes(b"model")
    (tmp_path / "secret.tflite").write_bytes(b"secret")
    (tmp_path / "models-too").mkdir()
    (tmp_path / "models-too" / "m.tflite").write_bytes(b"secret")
    (models / "sub").symlink_to(tmp_path)
    (models / "folder.tflite").mkdir()
    for name, target in {
        "inside": "m.tflite",
        "twice": "inside.tflite",
        "around": "../models/m.tflite",
        "out": "../secret.tflite",
        "absolute": tmp_path / "secret.tflite",
        "through": "sub/secret.tflite",
        "beside": "../models-too/m.tflite",
        "loop": "loop.tflite",
        "nowhere": "no.tflite",
        "device": "/dev/zero",
        "descriptor": "/proc/self/fd/0",
    }.items():
        (models / f"{name}.tflite").symlink_to(target)
    os.mkfifo(models / "pipe.tflite")
    server = serve()
    inside = {"m.tflite", "inside.tflite", "twice.tflite", "around.tflite"}
    assert set(listed(server)) == inside
    assert set(listed(server)) == inside
    for path in models.glob("*.tflite"):
        status, body = server.get(f"/models/{path.name}")
        if path.name in inside:
            assert (status, body) == (200, b"model")
        else:
            assert status in (403, 404), path
            assert body.count(b"\n") == 1
    assert server.get("/models/sub/secret.tflite")[0] == 404
    lines = server.end()
    told = [line for line in lines if "is not offered" in line]
    assert len(told) == 10  # once each
    assert "serve.py: out.tflite is not offered: a link out of the folder" in told
    assert "serve.py: pipe.tflite is not offered: no regular file" in told


def test_a_file_that_becomes_a_link_while_it_is_opened_discloses_nothing(serve, models, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    ended = threading.Event()

    def swap():
        while not ended.wait(0.0005):
            for make in (lambda p: p.write_bytes(b"model"), lambda p: p.symlink_to("../secret")):
                make(models / "next")
                (models / "next").replace(models / "m.tflite")

    server = serve()
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        connection = http.client.HTTPConnection("localhost", server.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            found, asked, end = set(), 0, time.monotonic() + PATIENCE
            while asked < 1000 or (len(found) == 1 and time.monotonic() < end):
                asked += 1
                connection.request("GET", "/models/m.tflite")
                answer = connection.getresponse()
                body = answer.read()
                found.add((answer.status, body if answer.status == 200 else b""))
    finally:
        ended.set()
        thread.join()
    assert found <= {(200, b"model"), (403, b""), (404, b"")}
    assert len(found) > 1


def test_names_of_any_bytes_are_listed_and_served(serve, models):
    names = [b"m\xff.tflite", b"a b'\"<&>#?%41;.tflite", b"new\nline\x1b[31m.tflite", b"\\.tflite"]
    names += ["Stra\u00dfe.tflite".encode(), "\u202egnp.tflite".encode(), b"..tflite.tflite"]
    for name in names:
        Path(os.fsdecode(bytes(models) + b"/" + name)).write_bytes(name)
    server = serve("--verbose")
    found = listed(server)
    assert {"m\\udcff.tflite", "new\\nline\\x1b[31m.tflite", "Straße.tflite"} <= set(found)
    assert all(name.isprintable() for name in found)
    for entry in found.values():
        status, body = server.get(f"/{entry['url']}")
        assert status == 200
        names.remove(body)
    assert names == []
    assert server.get("/models/" + quote(b"other\xff\n\x1b[2J.tflite"))[0] == 404
    lines = server.end()
    assert all(line.isprintable() for line in lines)
    assert "GET /models/other\\udcff\\n\\x1b[2J.tflite" in lines[-1]


def test_no_request_ends_the_server(serve, models, tmp_path):
    (tmp_path / "secret.tflite").write_bytes(b"secret")
    (models / "m.tflite").write_bytes(b"model")
    server = serve()
    for path in (
        *(
            "//",
            "//app.js",
            "/models//m.tflite",
            "/%00",
            "/models/%00.tflite",
            "/models/m.tflite%00",
        ),
        *("/models/..%2fsecret.tflite", "/models/%2e%2e/secret.tflite", "/..%5csecret.tflite"),
        *("/models/../secret.tflite", "/%ff%fe.tflite", "/models/%F0%9F%98%80.tflite", "/\xe9.js"),
        *("/models/" + "x" * 8000 + ".tflite", "/" + "../" * 2000, "/models/%zz.tflite", "/%"),
        *("/models/", "/models", "/serve.py", "/package.json", "/http_request.py", "/?x#y/z"),
    ):
        status, body = server.get(path)
        assert (status, body[:4]) in ((404, b"404 "), (403, b"403 "), (200, b"<!do")), path
    get = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    for request, status in (
        (b"\0\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),  # TLS
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\nHost: evil\r\n\r\n", 400),
        (get + b" folded\r\n\r\n", 400),
        (get + b"no colon\r\n\r\n", 400),
        (get + b"Content-Length: 5\r\n\r\nhello", 413),
        (get + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        (get + b"X: y\r\n" * 100 + b"\r\n", 431),
        (get + b"X: " + b"y" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
    ):
        answer = server.ask(request)
        assert answer.startswith(b"HTTP/1.1 %d " % status), (request[:60], answer[:60])
        assert b"Content-Security-Policy: default-src 'none'" in answer
        assert b"Traceback" not in answer
    for changed in (-(2**40), 2**40):
        os.utime(models / "m.tflite", (0, changed))
        assert server.get("/models/m.tflite") == (200, b"model")
    assert not [line for line in server.end() if "internal" in line or "Traceback" in line]


def test_a_connection_is_used_again_and_two_requests_at_once_are_answered(serve, models):
    (models / "m.tflite").write_bytes(b"model")
    server = serve()
    connection = http.client.HTTPConnection("localhost", server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        for method, path, status, body in (
            ("GET", "/models/m.tflite", 200, b"model"),
            ("HEAD", "/models/m.tflite", 200, b""),
            ("HEAD", "/none", 404, b""),
            ("GET", "/models/m.tflite", 200, b"model"),
        ):
            connection.request(method, path)
            used = connection.sock
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (status, body)
            assert connection.sock is used
    one = b"GET /models/m.tflite HTTP/1.1\r\nHost: localhost\r\n"
    both = server.ask(one + b"\r\n" + one + b"Connection: close\r\n\r\n")
    assert both.count(b"HTTP/1.1 200 OK") == both.count(b"\r\n\r\nmodel") == 2
    old = server.ask(b"GET /models/m.tflite HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert old.endswith(b"\r\n\r\nmodel")


def count(folder):
    return len(list(folder.iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted by Linux")
def test_three_hundred_half_sent_requests_hold_up_nobody(serve):
    server = serve()
    own = Path(f"/proc/{server.process.pid}")
    assert server.get()[0] == 200
    before, begun = (count(own / "fd"), count(own / "task")), time.monotonic()
    with contextlib.ExitStack() as stack:
        for i in range(300):
            half = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
            stack.enter_context(half)
            half.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "[: 1 + i % 38])
        assert server.get()[0] == 200
        assert count(own / "task") == before[1]
        assert before[0] < count(own / "fd") <= before[0] + 101  # it waited for none of those
        until(lambda: count(own / "fd") <= before[0])  # the others are still there, and half-sent
    lines = server.end()
    minutes = 1 + int(time.monotonic() - begun) // 60
    assert 101 <= len(lines) <= 101 * minutes  # as many as a minute has
    assert all("no whole request" in line or "such lines" in line for line in lines)


def until(happened):
    """Waits for what the server does in its own thread."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def in_process(monkeypatch, web, models, context=None, **limits):
    """(port, lines of the log) of a server with limits of its own."""
    monkeypatch.syspath_prepend(str(web))
    from guarded_server import GuardedServer
    from http_request import Doors
    from limits import Limits
    from site_files import Site

    class Lines(list):
        refused = list.append

        def answered(self, line):
            pass

    lines, ready, stop = Lines(), threading.Event(), None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = GuardedServer(
            listener,
            Site(models, lines.refused),
            Doors("127.0.0.1"),
            lines,
            context,
            Limits(**limits),
        )

        async def run():
            nonlocal stop
            task = asyncio.create_task(server.run())
            loop = asyncio.get_running_loop()
            stop = lambda: loop.call_soon_threadsafe(task.cancel)  # noqa: E731
            ready.set()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield Served(None, listener.getsockname()[1]), lines
        finally:
            stop()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_who_sends_a_byte_now_and_then_is_sent_away(monkeypatch, web, models):
    with (
        in_process(monkeypatch, web, models, request=1, idle=3) as (server, lines),
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as slow,
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as silent,
    ):
        start = time.monotonic()
        slow.settimeout(0.1)
        answer = b""
        for letter in b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100:
            with contextlib.suppress(OSError):
                slow.sendall(bytes([letter]))
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(1 << 16)
                break
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - start > 0.9
        assert silent.recv(1) == b""
        until(lambda: lines)  # written once the answer is away
        assert lines == ["127.0.0.1: 408, no whole request in 1 seconds"]


def test_who_takes_no_answer_is_let_go(monkeypatch, web, models):
    with (models / "big.tflite").open("wb") as big:
        big.truncate(1 << 30)
    request = b"GET /models/big.tflite HTTP/1.1\r\nHost: localhost\r\n\r\n"
    limits = {"stalled": 1, "slowest": 1e9, "connections": 2}
    with in_process(monkeypatch, web, models, **limits) as (server, lines):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as deaf:
            deaf.sendall(request)
            until(lambda: lines)
        assert lines == ["127.0.0.1: closed, takes no answer in time"]
        with contextlib.ExitStack() as stack:  # slowly is not enough either
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            slow.sendall(request)
            slow.settimeout(PATIENCE)
            got, most = 0, 100 << 20
            with contextlib.suppress(OSError):
                while got < most and (part := slow.recv(20_000)):
                    got += len(part)
                    time.sleep(0.02)
            assert got < most


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (PATIENCE, "refused, 2 connections are at work"),
        (0, "closed, takes no answer; 2 were open"),  # they are those who keep others waiting
    ],
)
def test_beyond_the_greatest_number_at_work_one_is_told(monkeypatch, web, models, moment, said):
    with (models / "big.tflite").open("wb") as big:
        big.truncate(1 << 30)
    request = b"GET /models/big.tflite HTTP/1.1\r\nHost: localhost\r\n\r\n"
    limits = {"connections": 2, "moment": moment, "stalled": PATIENCE}
    with (
        in_process(monkeypatch, web, models, **limits) as (server, lines),
        socket.create_connection(("127.0.0.1", server.port)) as one,
        socket.create_connection(("127.0.0.1", server.port)) as two,
    ):
        for each in (one, two):
            each.sendall(request)
            assert each.recv(8) == b"HTTP/1.1"
        if moment:
            with contextlib.suppress(ConnectionError):
                answer = server.ask(b"")
                assert answer.startswith(b"HTTP/1.1 503 ")
        else:
            assert server.get()[0] == 200
        until(lambda: lines)
        assert lines == [f"127.0.0.1: {said}"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: no certificate is made")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    command += ["-out", folder / "cert.pem", "-keyout", folder / "key.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_handshakes_that_never_end_are_let_go(monkeypatch, web, models, certificate):
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(*certificate)
    theirs = ssl.create_default_context()
    theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
    good = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    limits = {"handshake": 5, "connections": 5}
    with (
        in_process(monkeypatch, web, models, context=ours, **limits) as (server, lines),
        contextlib.ExitStack() as stack,
    ):
        where = "127.0.0.1", server.port
        halves = [stack.enter_context(socket.create_connection(where, PATIENCE)) for _ in range(20)]
        for half in halves:
            with contextlib.suppress(ConnectionError):  # beyond the fifth the first ones go
                half.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert server.ask(good, context=theirs).startswith(b"HTTP/1.1 200 ")
        for half in halves:
            with contextlib.suppress(ConnectionError):
                assert half.recv(1) == b""
        assert server.ask(good, context=theirs).startswith(b"HTTP/1.1 200 ")
        until(lambda: len(lines) >= 20)
        assert len(lines) == 20
        assert {line.partition(":")[2] for line in lines} == {
            " closed, no whole request; 5 were open",
            " closed, no whole request in time",
        }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(serve, number):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(b"GET / ")
        assert server.get()[0] == 200
        server.process.send_signal(number)
        out, err = server.process.communicate(timeout=PATIENCE)
    assert (server.process.returncode, out, err) == (0, "", "")


def test_wrong_names_are_told(web, tmp_path):
    for arguments, message in (
        (("--allow-host", "a:80"), "expected a host's name without port, got 'a:80'"),
        (("--host", "x" * 300), "no host can have this name"),
        (("--models", tmp_path / "no\n\x1b[31m"), "no\\n\\x1b[31m: no such folder"),
    ):
        command = [sys.executable, web / "serve.py", "--port", 0, *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
