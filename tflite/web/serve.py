"""Serves the page, LiteRT.js and the .tflite files; needs Python and nothing else.

    python tflite/web/serve.py                      # http://localhost:8000
    python tflite/web/serve.py --models FOLDER      # other files to choose from

Cameras and threads want a "secure context": https, or the browser's own machine under the name
localhost. An Android phone gets the latter by `adb reverse tcp:8000 tcp:8000`; any other device
needs `--host 0.0.0.0 --cert CERT.pem --key KEY.pem`.
"""

from __future__ import annotations

import argparse
import http.server
import json
import shutil
import socket
import ssl
import sys
from email.utils import formatdate
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import quote, unquote, urlsplit

HERE = Path(__file__).resolve().parent
PAGE = HERE / "page"
LITERT = HERE / "node_modules" / "@litertjs"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",  # any other type keeps browsers from compiling while they load
    ".tflite": "application/octet-stream",
}
HEADERS = {
    # Both together give the page SharedArrayBuffer, which WebAssembly's threads live on.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What the page sees stays on the device: it may talk to this server alone.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
        "connect-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
# A worker has no import map: the package's only bare import becomes a path.
BARE = (b'"@litertjs/wasm-utils"', b'"../../wasm-utils/dist/index.js"')


class Site:
    """What is served under which path.

    Args:
        models: the folder whose .tflite files the page offers.
    """

    def __init__(self, models: Path):
        self._models = models

    def open(self, path: str) -> tuple[BinaryIO, str, float] | None:
        """The content under a path, its type, and when it last changed; None where nothing is."""
        if path == "/models.json":
            return BytesIO(self._list()), TYPES[".json"], 0.0
        file = self._find(path)
        if file is None or not file.is_file():
            return None
        changed = file.stat().st_mtime
        if file == LITERT / "core/dist/index.js":
            return BytesIO(file.read_bytes().replace(*BARE)), TYPES[".js"], changed
        return file.open("rb"), TYPES[file.suffix], changed

    def _find(self, path: str) -> Path | None:
        """A file of one of three folders, and of a type that belongs there."""
        path = "/index.html" if path == "/" else path
        folders = {
            "litert/core/dist": (LITERT / "core/dist", (".js",)),
            "litert/core/wasm": (LITERT / "core/wasm", (".js", ".wasm")),
            "litert/wasm-utils/dist": (LITERT / "wasm-utils/dist", (".js",)),
            "models": (self._models, (".tflite",)),
            "": (PAGE, (".html", ".css", ".js", ".svg")),
        }
        parent, _, name = path.removeprefix("/").rpartition("/")
        if parent not in folders or name != Path(name).name or "\\" in name or "\0" in name:
            return None
        folder, suffixes = folders[parent]
        return folder / name if Path(name).suffix in suffixes else None

    def _list(self) -> bytes:
        files = sorted(f for f in self._models.glob("*.tflite") if f.is_file())
        return json.dumps(
            [
                {"name": f.name, "url": f"models/{quote(f.name)}", "bytes": f.stat().st_size}
                for f in files
            ]
        ).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD from a `Site`, which the server holds."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Sends a file."""
        content = self._head()
        if content is not None:
            with content:
                shutil.copyfileobj(content, self.wfile)

    def do_HEAD(self) -> None:
        """Sends what `do_GET` sends before the file."""
        content = self._head()
        if content is not None:
            content.close()

    def _head(self) -> BinaryIO | None:
        found = self.server.site.open(unquote(urlsplit(self.path).path))
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        content, kind, changed = found
        stamp = formatdate(changed, usegmt=True)
        fresh = changed > 0 and self.headers.get("If-Modified-Since") == stamp
        self.send_response(HTTPStatus.NOT_MODIFIED if fresh else HTTPStatus.OK)
        if changed > 0:
            self.send_header("Last-Modified", stamp)
        if not fresh:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(content.seek(0, 2)))
            content.seek(0)
        self.end_headers()
        if fresh:
            content.close()
            return None
        return content

    def end_headers(self) -> None:
        """Adds the headers that every answer has, errors among them."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Only what went wrong is worth a line."""
        if self.server.verbose:
            super().log_message(format, *args)


class Server(http.server.ThreadingHTTPServer):
    """A server of a `Site`.

    Args:
        address: host and port; port 0 takes a free one.
        site: what is served.
        certificate: PEM files of the certificate and its key, for https.
        verbose: a line for each request.
    """

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        site: Site,
        certificate: tuple[Path, Path] | None = None,
        verbose: bool = False,
    ):
        self.site, self.verbose = site, verbose
        super().__init__(address, Handler)
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # The handshake is then made by the thread of the connection, not by the one that waits.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
            self.scheme = "https"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away, or dislikes the certificate, is no error of the server."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main(arguments: list[str] | None = None) -> None:
    """Serves until Ctrl-C."""
    options = _options(arguments)
    if not (LITERT / "core/wasm").is_dir():
        _refuse(f"LiteRT.js is not installed: npm ci --prefix {HERE}  (or: make web)")
    if not options.models.is_dir():
        _refuse(f"{options.models}: no such folder of .tflite files")
    if options.key and not options.cert:
        _refuse("--key is the key of a certificate: pass --cert, too")
    certificate = (options.cert, options.key or options.cert) if options.cert else None
    for file in certificate or ():
        if not file.is_file():
            _refuse(f"{file}: no such PEM file")
    if not any(f.is_file() for f in options.models.glob("*.tflite")):
        print(f"{options.models}: no .tflite file there; the page takes dropped ones", flush=True)
    try:
        site = Site(options.models.resolve())
        server = Server((options.host, options.port), site, certificate, options.verbose)
    except ssl.SSLError as error:
        _refuse(
            f"{options.cert}: {error.reason or error}: expected a certificate and its key in PEM"
        )
    except socket.gaierror as error:
        _refuse(f"host {options.host}: {error.strerror}")
    except OSError as error:
        _refuse(f"port {options.port}: {error.strerror}; choose another by --port")
    local = options.host in ("localhost", "127.0.0.1", "::1")
    name = "localhost" if local else options.host
    print(f"{server.scheme}://{name}:{server.server_port}  (Ctrl-C ends)", flush=True)
    if not (local or certificate):
        print("without --cert other devices get neither camera nor threads", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


def _refuse(message: str) -> NoReturn:
    """One line, and the exit code of a user's mistake."""
    print(f"serve.py: {message}", file=sys.stderr)
    sys.exit(2)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, got {port}")
    return port


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: other devices may come, too")
    parser.add_argument("--port", type=_port, default=8000, help="0 takes a free one (%(default)s)")
    parser.add_argument("--models", type=Path, default=HERE.parent, help="folder of .tflite files")
    parser.add_argument("--cert", type=Path, help="PEM file of the certificate: https")
    parser.add_argument("--key", type=Path, help="PEM file of its key, if it lies apart")
    parser.add_argument("--verbose", action="store_true", help="a line for each request")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
