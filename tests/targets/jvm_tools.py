"""A Kotlin compiler, and the Android app's core run on the desktop with it."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import subprocess
from pathlib import Path

import fastscnn_tf as fs
from fastscnn_tf.core.keras_api import keras3
from fastscnn_tf.export.model_metadata import append_files
from fastscnn_tf.export.pack import pack
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.file import unpack

ROOT = Path(__file__).parents[2]
ANDROID = ROOT / "tflite" / "android"
JVM = Path(__file__).parent / "jvm"
CORE = ANDROID / "core" / "src" / "main" / "kotlin"
# What runs once and briefly: its optimisation by the JVM would not pay.
BRIEF = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
QUICK = {"JAVA_OPTS": " ".join(("-Xmx1g", *BRIEF))}


def kotlinc(tools: Path, name: str, sources: list[Path], classpath: tuple[Path, ...] = ()) -> Path:
    """Compiles sources into a jar, warnings being errors; the same sources only once."""
    digest = hashlib.sha256()
    for path in (*sources, *classpath):
        digest.update(path.read_bytes())
    made = tools / f"{name}-{digest.hexdigest()[:16]}.jar"
    with made.with_suffix(".lock").open("w") as lock:  # another process may be at it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _compile(tools, sources, made, classpath)
    return made


def _compile(tools: Path, sources: list[Path], made: Path, classpath: tuple[Path, ...]) -> None:
    fresh = made.with_name(f"new-{made.name}")
    command = [tools / "kotlin" / "bin" / "kotlinc", *sources, "-d", fresh]
    command += ["-Werror", "-no-reflect", "-jvm-target", "17"]
    command += ["-language-version", "2.3", "-api-version", "2.3"]  # of the app's Gradle build
    if classpath:
        command += ["-classpath", os.pathsep.join(map(str, classpath))]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **QUICK}
    )
    assert done.returncode == 0, done.stderr[-6000:]
    fresh.replace(made)


def core_jar(tools: Path) -> Path:
    """The core with what answers `asked`."""
    return kotlinc(tools, "core", [*sorted(CORE.rglob("*.kt")), JVM / "Harness.kt"])


def asked(tools: Path, *requests):
    """Requests -> the answers of Kotlin."""
    stdlib = tools / "kotlin" / "lib" / "kotlin-stdlib.jar"
    command = ["java", *BRIEF, "-cp", f"{core_jar(tools)}{os.pathsep}{stdlib}", "HarnessKt"]
    done = subprocess.run(
        command, input=json.dumps(requests), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@functools.cache
def opened(model):
    return Segmenter(model, threads=1)


def without_metadata(content, labels=b""):
    """A file as it comes from elsewhere, with labels behind it if there are any."""
    model = unpack(content)
    model.metadata = [entry for entry in model.metadata if entry.name != b"fastscnn_tf"]
    files = {"labels.txt": labels, "colors.csv": b"index,red,green,blue\n0,1,2,3\n1,255,0,9\n"}
    bare = pack(model, len(content))
    return append_files(bare, files) if labels else bare


def export_small(folder: Path) -> None:
    """Two classes, 64x96: bytes in, floats in, and finished labels out; each with its sidecar."""
    folder.mkdir()
    config = fs.FastSCNNConfig(2, (64, 96), width=0.25, mean=(120, 110, 100), std=(60, 50, 40))
    keras3().utils.set_random_seed(0)  # not one with which a class has nearly all pixels
    model = fs.fast_scnn(config)
    for name, options in (
        ("bytes", {}),
        ("floats", {"input": "float32"}),
        ("finished", {"outputs": "labels"}),
    ):
        fs.export_tflite(model, folder / f"{name}.tflite", recipe="float16", **options)
