"""Downloads from a real HTTP server on this machine that can be told to misbehave."""

import hashlib
import http.server
import itertools
import json
import threading
import time

import numpy as np
import pytest

from fastscnn_tf.core.errors import DataError, FastSCNNError, Interrupted, OutputError
from fastscnn_tf.data.prepare.download import Patience, download

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
QUICK = Patience(timeout=60.0, tries=3, wait=0.01)  # nobody keeps it waiting


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path, with the faults that a test switches on."""

    daemon_threads = False  # each one's end is waited for, and with it what it says on stderr

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag = CONTENT, '"one"'
        self.ranges = True
        self.length: bool | int = True  # whether to tell it, or what to claim
        self.cut_after: list[int] = []  # bytes of the body to send in the next answers
        self.answers: list[int] = []  # status codes of the next answers
        self.pause = 0.0  # seconds before the body
        self.seen: list[tuple[str | None, str | None]] = []  # Range and If-Range of each request
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.zip"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        server = self.server
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        server.seen.append((wanted, condition))
        if server.answers:
            return self.send_error(server.answers.pop(0))
        start = 0
        if wanted and server.ranges and condition == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        size = len(server.content)
        if start >= size > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.length:
            told = size - start if server.length is True else server.length
            self.send_header("Content-Length", str(told))
        self.end_headers()
        time.sleep(server.pause)
        body = server.content[start:]
        if server.cut_after:
            body = body[: server.cut_after.pop(0)]
        server.sent += len(body)
        self.wfile.write(body)
        return None

    def log_message(self, *arguments): ...


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_with_progress_and_checksum(server, tmp_path):
    seen = []
    path = tmp_path / "größe 1" / "data.zip"
    digest = hashlib.sha256(CONTENT).hexdigest()
    got = download(server.url, path, digest.upper(), QUICK, lambda *now: seen.append(now))
    assert got == path
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["data.zip"]
    assert seen[0] == (0, 300_000)
    assert seen[-1] == (300_000, 300_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_cut_connection_goes_on_from_where_it_stopped(server, tmp_path):
    server.cut_after = [100_000, 50_000]
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.seen == [
        (None, None),
        ("bytes=100000-", '"one"'),
        ("bytes=150000-", '"one"'),
    ]
    assert server.sent == 300_000  # no byte twice


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    server.cut_after = [100_000, 0, 0, 0]
    with pytest.raises(FastSCNNError, match=r"100,000 bytes stay in .*data\.zip\.part") as error:
        download(server.url, tmp_path / "data.zip", None, QUICK)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 1
    assert names(tmp_path) == ["data.zip.part", "data.zip.part.json"]
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.sent == 300_000


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    server.ranges, server.cut_after = False, [100_000]
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.sent == 400_000


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(server, tmp_path):
    server.ranges, server.cut_after = False, [100_000] * 20
    with pytest.raises(FastSCNNError, match="connection lost after 100,000 of 300,000 bytes"):
        download(server.url, tmp_path / "data.zip", None, QUICK)
    assert len(server.seen) == 4  # the first brought something, three more did not


@pytest.mark.parametrize("mark", [None, 'W/"one"'])
def test_without_a_strong_mark_nothing_is_joined(server, tmp_path, mark):
    server.etag, server.cut_after = mark, [100_000]
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.seen == [(None, None), (None, None)]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    server.cut_after = [100_000, 0, 0, 0]
    with pytest.raises(FastSCNNError):
        download(server.url, tmp_path / "data.zip", None, QUICK)
    server.content, server.etag = CONTENT[::-1], '"two"'
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT[::-1]
    assert server.seen[-1] == ("bytes=100000-", '"one"')


def test_the_part_of_another_address_is_not_used(server, tmp_path):
    server.cut_after = [100_000, 0, 0, 0]
    with pytest.raises(FastSCNNError):
        download(server.url, tmp_path / "data.zip", None, QUICK)
    download(server.url + "?other", tmp_path / "data.zip", None, QUICK)
    assert server.seen[-1] == (None, None)


def test_a_part_that_is_whole_already_is_recognised(server, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    note = {"url": server.url, "mark": '"one"'}
    (tmp_path / "data.zip.part.json").write_text(json.dumps(note))
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.sent == 0


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(CONTENT + b"more")
    note = {"url": server.url, "mark": '"one"'}
    (tmp_path / "data.zip.part.json").write_text(json.dumps(note))
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_errors_that_pass_are_tried_again(server, tmp_path):
    server.answers = [500, 503]
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert len(server.seen) == 3


def test_404_is_told_at_once(server, tmp_path):
    server.answers = [404]
    with pytest.raises(DataError, match=r"data\.zip: the server answers 404 \(Not Found\)"):
        download(server.url, tmp_path / "data.zip", None, QUICK)
    assert len(server.seen) == 1
    assert names(tmp_path) == []


def test_a_server_that_stays_silent_is_given_up(server, tmp_path):
    server.pause = 0.6
    with pytest.raises(FastSCNNError, match="timed out"):
        download(server.url, tmp_path / "data.zip", None, Patience(0.1, 2, 0.01))


def test_a_body_without_length_is_taken_to_its_end(server, tmp_path):
    server.length = False
    seen = []
    download(server.url, tmp_path / "data.zip", None, QUICK, lambda *now: seen.append(now))
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert seen[-1] == (300_000, None)


def test_nobody_listens(server, tmp_path):
    url = server.url
    server.socket.close()
    with pytest.raises(FastSCNNError, match=r"no connection \(.*refused"):
        download(url, tmp_path / "data.zip", None, Patience(1.0, 2, 0.01))


def test_a_wrong_checksum_leaves_nothing_but_what_was_there(server, tmp_path):
    (tmp_path / "data.zip").write_bytes(b"old")
    with pytest.raises(DataError, match=f"expected a file of SHA-256 {'0' * 64}, got [0-9a-f]"):
        download(server.url, tmp_path / "data.zip", "0" * 64, QUICK)
    assert names(tmp_path) == ["data.zip"]
    assert (tmp_path / "data.zip").read_bytes() == b"old"


def test_ctrl_c_keeps_what_has_come(server, tmp_path):
    def stop(done, total):
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="run the same command again") as error:
        download(server.url, tmp_path / "data.zip", None, QUICK, stop)
    assert error.value.exit_code == 130
    assert (tmp_path / "data.zip.part").stat().st_size > 100_000
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert server.sent < 600_000


def test_a_disk_too_small_is_told_before_anything_comes(server, tmp_path):
    server.length = 10**15
    with pytest.raises(OutputError, match=r"1,000,000,000,000,000 bytes are to come but only"):
        download(server.url, tmp_path / "data.zip", None, QUICK)


def test_a_disk_that_fills_up_keeps_what_has_come(server, tmp_path):
    resource = pytest.importorskip("resource")
    server.length = False  # or it would be refused before
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*: File too large; 1"):
            download(server.url, tmp_path / "data.zip", None, QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    download(server.url, tmp_path / "data.zip", None, QUICK)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["ftp://host/x.zip", "file:///etc/passwd", "x.zip"])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(DataError, match="begins with http"):
        download(url, tmp_path / "x.zip")


def test_waiting_doubles(server, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.answers = list(itertools.repeat(503, 9))
    with pytest.raises(FastSCNNError, match="503"):
        download(server.url, tmp_path / "data.zip", None, Patience(1.0, 5, 10.0))
    assert waits == [10.0, 20.0, 40.0, 60.0]


@pytest.mark.parametrize("url", ["http://[bad/x.zip", "http:///x.zip", "ftp://h/x.zip", "x.zip"])
def test_what_is_no_address_is_refused_at_once(url, tmp_path):
    with pytest.raises(DataError, match="address"):
        download(url, tmp_path / "x.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_is_refused_before_the_first_byte(tmp_path):
    with pytest.raises(DataError, match="64 hexadecimal digits, got 'xyz'"):
        download("http://127.0.0.1:9/x.zip", tmp_path / "x.zip", sha256="xyz")


def test_addresses_may_hold_spaces_and_umlauts():
    from fastscnn_tf.data.prepare.download import plain_address

    assert plain_address("http://h:8/mit leer/ü%20.zip?a=b c") == (
        "http://h:8/mit%20leer/%C3%BC%20.zip?a=b%20c"
    )
