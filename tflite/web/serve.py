"""Serves the page, LiteRT.js and the .tflite files; needs Python and nothing else.

    python tflite/web/serve.py                      # http://localhost:8000
    python tflite/web/serve.py --models FOLDER      # other files to choose from

Cameras and threads want a "secure context": https, or the browser's own machine under the name
localhost. An Android phone gets the latter by `adb reverse tcp:8000 tcp:8000`; any other device
needs `--host 0.0.0.0 --cert CERT.pem --key KEY.pem`.

It answers to localhost, to the addresses it is reached at, to the name that --host gives, with
0.0.0.0 to this machine's name, and to those of --allow-host: a page elsewhere cannot reach it under
a name of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import NoReturn

from guarded_server import GuardedServer
from http_request import Doors, printable, spelled
from limits import Log
from site_files import HERE, LITERT, Site


def main(arguments: list[str] | None = None) -> None:
    """Serves until Ctrl-C or SIGTERM."""
    options = _options(arguments)
    if not (LITERT / "core/wasm").is_dir():
        _refuse(f"LiteRT.js is not installed: npm ci --prefix {HERE}  (or: make web)")
    if not options.models.is_dir():
        _refuse(f"{options.models}: no such folder of .tflite files")
    if options.key and not options.cert:
        _refuse("--key is the key of a certificate: pass --cert, too")
    context = _tls(options.cert, options.key or options.cert) if options.cert else None
    if not any(f.is_file() for f in options.models.glob("*.tflite")):
        _say(f"{options.models}: no .tflite file there; the page takes dropped ones")
    log = Log(options.verbose)
    with _listen(options.host, options.port) as listener:
        address, port = listener.getsockname()[:2]
        doors = Doors(address, [options.host, *options.allow_host])
        server = GuardedServer(listener, Site(options.models, log.refused), doors, log, context)
        local = options.host in ("localhost", "127.0.0.1", "::1")
        name = "localhost" if local else f"[{address}]" if ":" in options.host else options.host
        _say(f"{'https' if context else 'http'}://{name}:{port}  (Ctrl-C ends)")
        if not (local or context):
            _say("without --cert other devices get neither camera nor threads")
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_until_told(server))


async def _until_told(server: GuardedServer) -> None:
    task = asyncio.create_task(server.run())
    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    for file in (certificate, key):
        if not file.is_file():
            _refuse(f"{file}: no such PEM file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, rather than a question: `make web` may have nobody to answer.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        reason = error.reason or error
        _refuse(f"{certificate}: {reason}: expected a certificate and its key in PEM")
    except OSError as error:
        _refuse(f"{certificate}: {error.strerror}: expected a certificate and its key in PEM")
    return context


def _listen(host: str, port: int) -> socket.socket:
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(address[:2], family=family, backlog=128)
    except socket.gaierror as error:
        _refuse(f"host {host}: {error.strerror}")
    except UnicodeError:
        _refuse(f"host {host}: no host can have this name")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        _refuse(f"port {port}: {reason}; choose another by --port")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody may read it
        print(printable(line), flush=True)


def _refuse(message: str) -> NoReturn:
    """One line, and the exit code of a user's mistake."""
    print(f"serve.py: {printable(message)}", file=sys.stderr)
    sys.exit(2)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, got {port}")
    return port


def _name(text: str) -> str:
    if spelled(text) is None:
        raise argparse.ArgumentTypeError(f"expected a host's name without port, got {text!r}")
    return text


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: other devices may come, too")
    parser.add_argument("--port", type=_port, default=8000, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--allow-host",
        type=_name,
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this server, such as that of a proxy before it; may be repeated",
    )
    parser.add_argument("--models", type=Path, default=HERE.parent, help="folder of .tflite files")
    parser.add_argument("--cert", type=Path, help="PEM file of the certificate: https")
    parser.add_argument("--key", type=Path, help="PEM file of its key, if it lies apart")
    parser.add_argument("--verbose", action="store_true", help="a line for each request")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
