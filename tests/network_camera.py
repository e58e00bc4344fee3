"""A network camera on this machine: JPEG images over HTTP without end or length (MJPEG)."""

from __future__ import annotations

import contextlib
import http.server
import io
import itertools
import threading
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

PICTURES = 12


@contextlib.contextmanager
def network_camera(files: dict[str, bytes] | None = None) -> Iterator[str]:
    """Its address, such as `http://127.0.0.1:1234`.

    `/ended` sends `PICTURES`, red, green and blue in turns; `/broken` stops within the next one,
    `/endless` when nobody listens. Names in `files` are sent as they are.

    Hostile ones: `/silent` never answers, `/nothing` sends headers alone, `/header` sends them
    without end, `/half` stops within the image after the first ones and waits, `/slow` sends a
    byte now and then, `/huge` and `/grows` send an image of 100 megapixels, at once and later.
    """

    class Camera(_Camera):
        contents, over = files or {}, threading.Event()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            Camera.over.set()
            server.shutdown()


class _Camera(http.server.BaseHTTPRequestHandler):
    contents: dict[str, bytes]
    over: threading.Event

    def do_GET(self):
        if self.path == "/silent":
            self.over.wait(60)
            return
        self.send_response(200)
        if self.path in self.contents:
            self.send_header("Content-Length", str(len(self.contents[self.path])))
            self.end_headers()
            self.wfile.write(self.contents[self.path])
            return
        if self.path == "/header":
            self._send(itertools.repeat(b"X: y\r\n" * 100))
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        if self.path in ("/nothing", "/slow", "/huge"):
            parts = {
                "/nothing": [],
                "/slow": (bytes([b]) for b in _part(0) * 9),
                "/huge": [_huge()],
            }
            self._send(parts[self.path])
            self.over.wait(60)
            return
        count = itertools.count() if self.path == "/endless" else range(PICTURES)
        with contextlib.suppress(OSError):
            for i in count:
                self.wfile.write(_part(i))
                time.sleep(0.02)
            if self.path in ("/broken", "/half"):
                self.wfile.write(_part(0)[:300])
            if self.path == "/half":
                self.over.wait(60)
            if self.path == "/grows":
                self.wfile.write(_huge())
                self.over.wait(60)

    def _send(self, parts):
        with contextlib.suppress(OSError):
            for part in parts:
                self.wfile.write(part)
                if self.over.wait(0.05):
                    break

    def log_message(self, *_):
        pass


def _part(index: int) -> bytes:
    picture = np.full((64, 96, 3), 30, np.uint8)
    picture[..., index % 3] = 200
    return _sent(Image.fromarray(picture))


def _huge() -> bytes:
    return _sent(Image.new("L", (10_000, 10_000)))


def _sent(picture: Image.Image) -> bytes:
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=90)
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.tell()}\r\n\r\n"
    return head.encode() + jpeg.getvalue() + b"\r\n"
