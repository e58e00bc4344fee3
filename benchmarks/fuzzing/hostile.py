"""Numbers and texts that programs have stumbled over, and files that are none."""

from __future__ import annotations

import enum
import os
from pathlib import Path

OUTSIDE = "../outside"  # beside the folder of a case; nothing in it may be touched
PRECIOUS = f"{OUTSIDE}/precious.txt"
MARK = "fuzzed"  # in every script below, to be found again in pages and Markdown
SCRIPT = f"<script>{MARK}()</script>"
IMAGE = f'"><img src=x onerror={MARK}()>'

INTEGERS = (
    *(-1, 0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 254, 255, 256, 257, 1000, 32767, 32768, 65535, 65536),
    *(100_000, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 53) + 1),
    *((1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -(1 << 15), -(1 << 31), -(1 << 63), 10**40),
)
FLOATS = (0.0, -0.0, 0.5, -1.5, 1e-320, 1e-45, 3.5e38, 1e308, -1e308)
TEXTS = (
    *(
        "",
        " ",
        "\n",
        "\t",
        "0",
        "-1",
        "None",
        "null",
        "true",
        "nan",
        "../..",
        "/",
        ".",
        "~",
        "C:\\",
    ),
    *(
        "a\x00b",
        "a\nb: c",
        "a\r\nfastscnn: done",
        "\x1b[2J\x1b]0;owned\x07",
        "\x9b31m",
        "\x7f\x08\x08",
    ),
    *("\ud800", "\udfff\ud800", "a\u202egnp.exe", "\u2028", "\ufeff", "e\u0301" * 40, "\U0001f6a6"),
    *(PRECIOUS, f"{OUTSIDE}/plugins", "/proc/self/cwd/" + PRECIOUS, "/dev/zero", "/proc/self/mem"),
    *(
        f"{OUTSIDE}/new-file",
        "/nonexistent/" + "d" * 40,
        "a" * 254,
        "b" * 5000,
        "../" * 40 + "etc/passwd",
    ),
    *(
        SCRIPT,
        IMAGE,
        f"](javascript:{MARK}())",
        f"`{SCRIPT}`",
        "a|b|c",
        "**a**",
        "# a",
        "&lt;",
        "a]]>",
    ),
    *(
        "$(touch ../outside/ran)",
        "`touch ../outside/ran`",
        "a; touch ../outside/ran",
        "'\"",
        "${HOME}",
    ),
    *(
        '"); exec("',
        "*/ fun x() {",
        "%s%n%d",
        "{0.__class__}",
        "%(name)s",
        "\\",
        "\\x1b[2J",
        "@file",
        "-o",
    ),
    *("http://localhost:9/", "file:///etc/passwd", "1e999", "0x10", "१२", "0" * 5000),
)
NAMES = (
    *(
        "a\x1b[2Jb",
        "a\nb",
        "-o",
        "--force",
        "$(touch ran)",
        "a'b\"c",
        "a;b",
        "ä" * 100,
        "a\u202eb",
        " a ",
    ),
    *(
        "a" * 240,
        "n" * 225,
        "%s%n",
        SCRIPT.replace("/", "_"),
        "~",
        "a*?[b]",
        "\udcff\udcfe",
        "a\\b",
        "CON",
    ),
)


class Special(enum.Enum):
    """What may lie in the place of a file."""

    PIPE = "a pipe"
    DEVICE = "a link to a device that never ends"
    LOOP = "a loop of links"
    FOLDER = "a folder"
    NOTHING = "a link to nothing"
    OTHER = "a link to a file outside"
    ABSENT = "no file"
    SPARSE = "a file of many gigabytes without a byte on the disk"

    def put(self, path: Path) -> None:
        """Makes it at a path, where nothing is."""
        if self is Special.PIPE:
            os.mkfifo(path)
        elif self is Special.FOLDER:
            path.mkdir()
        elif self is Special.SPARSE:
            with path.open("wb") as file:
                file.truncate(40 << 30)
        elif self is not Special.ABSENT:
            target = {"DEVICE": "/dev/zero", "LOOP": path.name, "OTHER": PRECIOUS}
            depth = "../" * path.as_posix().count("/") if self is Special.OTHER else ""
            path.symlink_to(depth + target.get(self.name, "nothing here"))
