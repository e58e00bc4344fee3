"""The Android app itself: compiled against Android's classes; its resources; its benchmark script.

Android's own classes are real (API level 23), as are the resources' compiler and the framework's
resources; CameraX, LiteRT and the rest are signatures (`jvm/stubs`).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib

import pytest
from hostile_texts import make_sources
from jvm_tools import ANDROID, JVM, ROOT, core_jar, kotlinc

from fastscnn_tf.delegates.settings_file import settings_path

STUBS = JVM / "stubs"
GOLDEN = ROOT / "tests" / "core" / "golden"
APP = ANDROID / "app" / "src"


@pytest.fixture(scope="session")
def resources(target_tools, tmp_path_factory):
    """R.java, made by aapt from the app's own manifest and resources."""
    folder = tmp_path_factory.mktemp("resources")
    manifest = (APP / "main" / "AndroidManifest.xml").read_text()
    package = '<manifest package="org.fastscnn.app" '  # which Gradle takes from the namespace
    (folder / "AndroidManifest.xml").write_text(manifest.replace("<manifest ", package, 1))
    framework = "/usr/share/android-framework-res/framework-res.apk"
    command = ["aapt", "package", "-f", "-m", "-J", folder, "-S", APP / "main" / "res"]
    command += ["-M", folder / "AndroidManifest.xml", "-I", framework, "-F", folder / "res.apk"]
    command += ["--min-sdk-version", "24", "--target-sdk-version", "29"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def libraries(target_tools, resources):
    """Classes that the app is compiled against: Android's, the app's R, and signatures."""
    tools = target_tools("jvm")
    android = tools / "android-23.jar"
    sources = [*STUBS.rglob("*.java"), *resources.rglob("R.java")]
    classes = resources / "classes"
    command = ["javac", "-Werror", "-Xlint:-options", "--release", "11", "-d", classes]
    subprocess.run([*command, "-classpath", android, *sources], check=True)
    made = resources / "libraries.jar"
    subprocess.run(["jar", "--create", "--no-manifest", "--file", made, "--date",
                    "2026-01-01T00:00:00Z", "-C", classes, "."], check=True)  # fmt: skip
    return (android, made)


def app_sources(build):
    extra = [STUBS / "LiteRt.kt"] if build == "compiled" else []
    return [*sorted((APP / "main").rglob("*.kt")), *sorted((APP / build).rglob("*.kt")), *extra]


def golden_sources(folder, build):
    """The Kotlin that `fastscnn settings` writes, each file in a package of its own."""
    sources = []
    for path in sorted(GOLDEN.glob("*.kt")):
        text = path.read_text()
        if ("CompiledModel" in text) == (build == "compiled"):
            name = path.stem.replace("-", "_")
            made = folder / f"{name}.kt"
            made.write_text(text.replace("package org.fastscnn\n", f"package golden.{name}\n", 1))
            sources.append(made)
    return sources


def hostile_sources(folder, build):
    """The same of settings and files with names that want to be code."""
    sources = []
    for name, text in make_sources().items():
        if name.endswith(".kt") and ("CompiledModel" in text) == (build == "compiled"):
            package = f"package hostile.{name.removesuffix('.kt')}\n"
            sources.append(folder / f"hostile_{name}")
            sources[-1].write_text(text.replace("package org.fastscnn\n", package, 1))
    assert sources
    return sources


@pytest.mark.parametrize(("build", "generated"), [("compiled", 5), ("classic", 3)])
def test_the_app_and_generated_kotlin_compile(target_tools, libraries, tmp_path, build, generated):
    golden = golden_sources(tmp_path, build)
    assert len(golden) == generated
    golden += hostile_sources(tmp_path, build)
    tools = target_tools("jvm")
    sources = [*app_sources(build), *golden]
    made = kotlinc(tools, build, sources, (*libraries, core_jar(tools)))
    listed = subprocess.run(["jar", "-tf", made], check=True, capture_output=True, text=True)
    classes = listed.stdout.splitlines()
    for name in ("MainActivity", "BenchmarkActivity", "Engine", "OverlayView"):
        assert f"org/fastscnn/app/{name}.class" in classes
    assert sum(name.endswith("/FastScnnModel.class") for name in classes) == len(golden)


def test_the_compiler_would_see_a_wrong_call(target_tools, libraries, tmp_path):
    """Against the same classes: an API that is not there is an error."""
    wrong = tmp_path / "Wrong.kt"
    wrong.write_text("fun f(view: androidx.camera.view.PreviewView) = view.setScale(2)\n")
    with pytest.raises(AssertionError, match="unresolved reference 'setScale'"):
        kotlinc(target_tools("jvm"), "wrong", [wrong], libraries)


def test_the_manifest_and_resources_are_whole(resources):
    dump = ["aapt", "dump", "badging", resources / "res.apk"]
    badging = subprocess.run(dump, check=True, capture_output=True, text=True).stdout
    assert "launchable-activity: name='org.fastscnn.app.MainActivity'" in badging
    assert "uses-permission: name='android.permission.CAMERA'" in badging
    assert "application-label:'Fast-SCNN'" in badging
    used = {
        name
        for path in (APP / "main").rglob("*.kt")
        for name in re.findall(r"R\.string\.(\w+)", path.read_text())
    }
    strings = (APP / "main" / "res" / "values" / "strings.xml").read_text()
    assert used == set(re.findall(r'name="(\w+)"', strings)) - {"app_name"}


def test_the_build_scripts_name_what_the_catalogue_has():
    catalogue = tomllib.loads((ANDROID / "gradle" / "libs.versions.toml").read_text())
    entries = [*catalogue["libraries"].values(), *catalogue["plugins"].values()]
    assert {entry["version"]["ref"] for entry in entries} == set(catalogue["versions"])
    known = {name.replace("-", ".") for name in catalogue["libraries"]}
    known |= {f"plugins.{name.replace('-', '.')}" for name in catalogue["plugins"]}
    scripts = "".join(path.read_text() for path in ANDROID.glob("**/build.gradle.kts"))
    assert set(re.findall(r"\blibs\.([a-z0-9.]+)", scripts)) == known


# benchmark.sh


@pytest.fixture
def bench(tmp_path):
    """Runs benchmark.sh with this package's commands and an adb server of its own."""
    command = tmp_path / "fastscnn"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m fastscnn_tf "$@"\n')
    command.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "FASTSCNN": str(command), "ANDROID_ADB_SERVER_PORT": port}
    env |= {"PYTHONPATH": path, "HOME": str(tmp_path)}
    env.pop("ANDROID_SERIAL", None)

    def run(*arguments, **changes):
        script = ["/bin/bash", ANDROID / "benchmark.sh", *arguments]
        return subprocess.run(
            script, env=env | changes, capture_output=True, text=True, check=False, cwd=tmp_path
        )

    yield run
    subprocess.run(["adb", "kill-server"], env=env, capture_output=True, check=False)


def test_benchmark_says_in_one_line_what_is_missing(target_tools, bench, model_files, tmp_path):
    target_tools("jvm")
    model = str(model_files["int8"])
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("basename", "cat", "dirname", "grep", "mktemp", "rm", "sh"):
        (bare / name).symlink_to(shutil.which(name))
    found = [
        bench(),
        bench("missing.tflite"),
        bench(model, "--fast"),
        bench(model, "--for"),
        bench(model, PATH=str(bare)),
        bench(model),
        bench(model, "--for", "android-gpu"),
    ]
    assert all(done.returncode == 2 and not done.stdout for done in found)
    lines = [done.stderr.splitlines() for done in found]
    assert all(len(each) == 1 for each in lines), lines
    starts = [
        "benchmark.sh: usage: benchmark.sh MODEL.tflite",
        "benchmark.sh: missing.tflite: no such model file",
        "benchmark.sh: unknown option --fast; usage:",
        "benchmark.sh: --for needs a device; usage:",
        "benchmark.sh: adb is missing: install Android's platform tools",
        f"benchmark.sh: the settings of {model} are not for a phone: say --for android-gpu",
        "benchmark.sh: no phone: no devices/emulators found (USB debugging on",
    ]
    for (line,), start in zip(lines, starts, strict=True):
        assert line.startswith(start)


def test_benchmark_sends_what_the_settings_ask_for(bench, model_files, tmp_path):
    """What would go to a phone: an `adb` that writes down its arguments stands for the cable."""
    bin_folder, log = tmp_path / "bin", tmp_path / "log"
    bin_folder.mkdir()
    adb = bin_folder / "adb"
    answers = 'case "$*" in get-state) echo device;; *manufacturer) echo Maker;; esac'
    adb.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{log}\n{answers}\n')
    adb.chmod(0o755)
    (tmp_path / "tool").write_text("a program")
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    arguments = (str(model_files["float16"]), "--for", "android-gpu", "--tool", "tool")
    done = bench(*arguments, PATH=path)
    assert done.returncode == 0, done.stderr
    assert "# phone: Maker" in done.stdout
    phone = "/data/local/tmp"
    sent = [line for line in log.read_text().splitlines() if not line.startswith("shell getprop")]
    assert sent[:5] == [
        "start-server",
        "get-state",
        f"push tool {phone}/benchmark_model",
        f"shell chmod 755 {phone}/benchmark_model",
        f"shell test -x {phone}/benchmark_model",
    ]
    assert re.fullmatch(rf"push /\S+/float16.tflite {phone}/float16.tflite", sent[5])
    flags = "--use_gpu=true --use_cpu=false --require_full_delegation=true --allow_fp16=true"
    graph = f"--graph={phone}/float16.tflite"
    assert sent[6:] == [f"shell {phone}/benchmark_model {graph} {flags}"]
    assert not settings_path(model_files["float16"]).exists()
