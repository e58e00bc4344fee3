"""A network camera on this machine: JPEG pictures over HTTP without end or length (MJPEG)."""

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
    """

    class Camera(_Camera):
        contents = files or {}

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class _Camera(http.server.BaseHTTPRequestHandler):
    contents: dict[str, bytes]

    def do_GET(self):
        self.send_response(200)
        if self.path in self.contents:
            self.send_header("Content-Length", str(len(self.contents[self.path])))
            self.end_headers()
            self.wfile.write(self.contents[self.path])
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        count = itertools.count() if self.path == "/endless" else range(PICTURES)
        with contextlib.suppress(OSError):
            for i in count:
                self.wfile.write(_part(i))
                time.sleep(0.02)
            if self.path == "/broken":
                self.wfile.write(_part(0)[:300])

    def log_message(self, *_):
        pass


def _part(index: int) -> bytes:
    picture = np.full((64, 96, 3), 30, np.uint8)
    picture[..., index % 3] = 200
    jpeg = io.BytesIO()
    Image.fromarray(picture).save(jpeg, "JPEG", quality=90)
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {jpeg.tell()}\r\n\r\n"
    return head.encode() + jpeg.getvalue() + b"\r\n"
