"""`tflite/cpp`: built by CMake for this machine and for ARM64 (emulated), run beside Python.

Label maps of one and the same logits are equal on both; the programs run the real library.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import ai_edge_litert
import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.runtime.upsample import upsampled_labels

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tflite" / "cpp"
NATIVE, PI4, PI5 = "native", "cortex-a72", "cortex-a76"
CROSS = ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64")


def build(tools: Path, name: str, library: Path, compiler: str, *options: str) -> Path:
    folder = tools / f"build-{name}"
    cmake = ["cmake", "-S", SOURCE, "-B", folder, f"-DLITERT_LIBRARY={library}", *options]
    check = [compiler, "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"]
    check += ["-I", SOURCE / "include", Path(__file__).parent / "cpp" / "check.cpp"]
    for command in (
        [*cmake, f"-DCMAKE_CXX_COMPILER={compiler}"],
        ["cmake", "--build", folder],
        [*check, "-o", folder / "check"],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + done.stdout
    return folder


@pytest.fixture(scope="session")
def programs(target_tools):
    """machine -> what runs a program of the build there."""
    tools = target_tools("cpp")
    native = Path(ai_edge_litert.__path__[0]) / "libLiteRt.so"
    arm = tools / "aarch64" / "ai_edge_litert" / "libLiteRt.so"
    built = {NATIVE: build(tools, NATIVE, native, "g++")}
    for cpu in (PI4, PI5):
        built[cpu] = build(tools, "aarch64", arm, "aarch64-linux-gnu-g++", *CROSS)

    def run(machine: str, program: str, *arguments) -> subprocess.CompletedProcess:
        command = [built[machine] / program, *map(str, arguments)]
        if machine != NATIVE:
            emulator = ["qemu-aarch64-static", "-cpu", machine, "-L", tools / machine]
            command = [*emulator, "-E", f"LD_LIBRARY_PATH={arm.parent}", *command]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    return run


def logits_of(kind, shape):
    draw = np.random.default_rng((5, *shape))
    ties = draw.integers(0, 3, shape)
    return {
        "uint8": draw.integers(0, 256, shape).astype(np.uint8),
        "int8": draw.integers(-128, 128, shape).astype(np.int8),
        "int8 ties": (ties - 128).astype(np.int8),
        "uint8 ends": draw.choice(np.array([0, 255], np.uint8), shape),
        "float32": draw.normal(size=shape).astype(np.float32),
        "float32 ties": ties.astype(np.float32),
        "float32 huge": (draw.normal(size=shape) * 1e30).astype(np.float32),
    }[kind]


KINDS = ("uint8", "int8", "int8 ties", "uint8 ends", "float32", "float32 ties", "float32 huge")


@pytest.mark.parametrize("machine", [NATIVE, PI4])
@pytest.mark.parametrize("kind", KINDS)
def test_label_maps_are_pythons(programs, tmp_path, machine, kind):
    for shape in ((1, 1, 3), (1, 5, 2), (7, 9, 1), (12, 16, 19), (6, 5, 254)):
        logits = logits_of(kind, shape)
        (tmp_path / "logits").write_bytes(logits.tobytes())
        done = programs(
            machine, "check", kind.split()[0], *shape, tmp_path / "logits", tmp_path / "labels"
        )
        assert done.returncode == 0, done.stderr
        found = np.fromfile(tmp_path / "labels", np.uint8).reshape(8 * shape[0], 8 * shape[1])
        np.testing.assert_array_equal(found, upsampled_labels(logits))


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    path = tmp_path_factory.mktemp("street") / "street.ppm"
    Image.fromarray(draw_scene((2026, 7), (448, 608))[0]).save(path)
    return path


# What agrees at least. int8 files differ between Arm and x86 where XNNPACK rounds an operation
# differently there; float sums are taken in another order.
AGREE = {
    ("int8", NATIVE): 1,
    ("float16", NATIVE): 1,
    ("int8", PI4): 0.98,
    ("int8", PI5): 0.98,
    ("float16", PI4): 0.999,
}


@pytest.mark.parametrize(("kind", "machine"), AGREE)
def test_pictures_are_segmented_as_by_python(
    programs, model_files, street, tmp_path, machine, kind
):
    done = programs(machine, "segment", model_files[kind], street, tmp_path / "labels.pgm", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("network ")
    assert done.stdout.endswith("medians of 1, 1 threads\n")
    found = np.asarray(Image.open(tmp_path / "labels.pgm"))
    expected = Segmenter(model_files[kind], threads=1).predict(street)
    assert len(np.unique(expected)) > 4
    assert np.mean(found == expected) >= AGREE[kind, machine]


def test_bad_input_is_one_line(programs, model_files, street, tmp_path):
    model, out = model_files["int8"], tmp_path / "labels.pgm"
    small, text, short = tmp_path / "small.ppm", tmp_path / "text", tmp_path / "short.ppm"
    Image.new("RGB", (32, 16)).save(small)
    text.write_text("no picture")
    short.write_bytes(street.read_bytes()[:5000])
    cases = {
        (): "usage: segment MODEL.tflite PICTURE.ppm LABELS.pgm [THREADS] [RUNS]",
        (text, street, out): f"{text}: not a .tflite file that can be read (LiteRT's status 500)",
        (model, small, out): f"{small}: 32x16, the model takes 608x448: convert IN -resize "
        "608x448! OUT.ppm",
        (model, text, out): f"{text}: not a PPM picture (P6): convert it with ImageMagick",
        (model, short, out): f"{short}: truncated",
        (model, "a\x1b[2J\u202e\n", out): "a\\x1b[2J\\xe2\\x80\\xae\\x0a: no such picture",
        (model, tmp_path / "none.ppm", out): f"{tmp_path / 'none.ppm'}: no such picture",
        (model, street, out, "0"): "THREADS must be 1..256, got 0",
        (model, street, tmp_path / "no" / "l.pgm"): f"{tmp_path / 'no' / 'l.pgm'}: cannot be "
        "written",
    }
    for arguments, message in cases.items():
        done = programs(NATIVE, "segment", *arguments)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == f"segment: {message}"
        assert not out.exists()


STRANGER = """
#include <fcntl.h>
__attribute__((constructor)) static void run(void) { creat("%s", 0600); }
"""


def test_a_strangers_settings_load_nothing(programs, model_files, street, tmp_path, monkeypatch):
    """The program reads no settings, and takes no library from the current folder."""
    folder, witness = tmp_path / "archive", tmp_path / "witness"
    folder.mkdir()
    model = Path(shutil.copy(model_files["int8"], folder / "m.tflite"))
    (tmp_path / "stranger.c").write_text(STRANGER % witness)
    library = folder / "libLiteRtCompilerPlugin_Stranger.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "stranger.c"], check=True)
    for name in ("LiteRtDispatch_Stranger", "LiteRtGpuAccelerator", "LiteRtWebGpuAccelerator"):
        shutil.copy(library, folder / f"lib{name}.so")
    content = {"format": 1, "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    npu = {"compiler_plugin_dir": str(folder), "dispatch_library_dir": str(folder)}
    cpu = {"weight_cache_dir": str(tmp_path / "chosen")}
    content["settings"] = {"accelerator": "npu", "api": "compiled_model", "npu": npu, "cpu": cpu}
    (folder / "m.tflite.settings.json").write_text(json.dumps(content))
    monkeypatch.chdir(folder)
    done = programs(NATIVE, "segment", model, street, tmp_path / "labels.pgm", 1)
    assert done.returncode == 0, done.stderr
    assert not witness.exists()
    assert not (tmp_path / "chosen").exists()
    subprocess.run(
        [sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(library)!r})"], check=True
    )
    assert witness.exists()  # the library would have said so
