"""`kotlin_source`: settings as Kotlin for an Android app.

Two APIs, two generations of Maven packages: `CompiledModel` is in com.google.ai.edge.litert:litert
2.x, its GPU in litert-gpu of the same version (from 2.3 on); `Interpreter` with `GpuDelegate` or
`NnApiDelegate` needs litert and litert-gpu 1.4.x, since 2.x has no delegates. Names are those of
litert/kotlin/.../Model.kt and Environment.kt, and of GpuDelegateFactory.java, NnApiDelegate.java
and InterpreterApi.java.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from ..core.errors import ConfigError
from ..core.foreign_text import comment
from .device import COMPILED_MODEL, LITERT_JS, DeviceSettings
from .kotlin_compiled import compiled_model
from .kotlin_interpreter import interpreter

PACKAGE = "org.fastscnn"
# Hard keywords: kotlinlang.org/docs/keyword-reference.html, and Java's (JLS 3.9), whose rules those
# of Android's namespaces are.
_KOTLIN = (
    "as break class continue do else false for fun if in interface is null object package return "
    "super this throw true try typealias typeof val var when while"
)
_JAVA = (
    "abstract assert boolean byte case catch char const default double enum extends final finally "
    "float goto implements import instanceof int long native new private protected public short "
    "static strictfp switch synchronized throws transient void volatile"
)
KEYWORDS = frozenset(f"{_KOTLIN} {_JAVA}".split())
LITERT = "com.google.ai.edge.litert:litert"


def kotlin_source(
    settings: DeviceSettings, model: PurePath, sha256: str, package: str = PACKAGE
) -> str:
    """Kotlin source that opens a model from the app's assets with its settings.

    Args:
        settings: that travel with the model.
        model: the .tflite, an asset of the app by that name.
        sha256: of the file; it names entries in caches.
        package: of the source file.

    Returns:
        The source; options that the API has no place for stand in a comment at its end.

    Raises:
        ConfigError: settings for a browser, or no name of a package.
    """
    check_package(package)
    if settings.api == LITERT_JS:
        raise ConfigError("a browser runs no Kotlin: choose settings for another device")
    write = compiled_model if settings.api == COMPILED_MODEL else interpreter
    written = write(settings, model, sha256)
    lines = [
        f"// {comment(model.name)}, SHA-256 {sha256}",
        f"// Needs {_packages(settings)}.",
        f"package {package}",
        "",
        *(f"import {name}" for name in sorted(written.imports)),
        "",
        *written.lines,
    ]
    if written.missing:
        lines += ["", "// Options that this API has no place for:"]
        lines += [f"//   {comment(item)}" for item in written.missing]
    return "\n".join(lines) + "\n"


def check_package(name: str) -> None:
    """Makes sure that a name can be a package's, in Kotlin and in the Java that Android adds.

    Raises:
        ConfigError: it is not made of identifiers and dots, or one of them is a keyword.
    """
    parts = name.split(".")
    if not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part) and part.strip("_") for part in parts):
        raise ConfigError(f"package must be names with dots between, as {PACKAGE}, got {name!r}")
    for part in parts:
        if part in KEYWORDS:
            raise ConfigError(f"package {name!r}: {part!r} is a keyword of Kotlin or Java")


def _packages(settings: DeviceSettings) -> str:
    version = "2.x" if settings.api == COMPILED_MODEL else "1.4.x"
    gpu = f" and {LITERT}-gpu:{version}" if settings.accelerator == "gpu" else ""
    return f"{LITERT}:{version}{gpu}"
