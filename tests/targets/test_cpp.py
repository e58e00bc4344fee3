"""`tflite/cpp`: built by CMake for this machine and for ARM64 (emulated), run beside Python.

Label maps of one and the same logits are equal on both; the programs run the real library.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from cpp_tools import NATIVE, PI4, PI5
from PIL import Image
from PIL.PngImagePlugin import putchunk

from fastscnn_tf.core.images.image_file import read_image, resize_image
from fastscnn_tf.core.images.interpolation import ALIGNED, HALF_PIXEL, NEAREST
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.settings_file import settings_path, write_settings
from fastscnn_tf.export.edits import Editor
from fastscnn_tf.export.npu_resizes import NATIVE as DEVICES
from fastscnn_tf.export.npu_resizes import resizes_to_convolutions
from fastscnn_tf.export.pack import pack
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.runtime.upsample import upsampled_labels
from fastscnn_tf.tflite.file import METADATA_NAME, unpack


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
            machine,
            "check",
            "labels",
            kind.split()[0],
            *shape,
            tmp_path / "logits",
            tmp_path / "labels",
        )
        assert done.returncode == 0, done.stderr
        found = np.fromfile(tmp_path / "labels", np.uint8).reshape(8 * shape[0], 8 * shape[1])
        np.testing.assert_array_equal(found, upsampled_labels(logits))


# What lies where: size of the input, what the network works at, where the picture begins in it, and
# the size of the label map; logits are (7, 9).
FRAMES = (
    ((56, 72), (56, 72), (0, 0), (56, 72)),
    ((50, 65), (56, 72), (0, 0), (50, 65)),
    ((56, 72), (56, 72), (0, 0), (101, 77)),
    ((56, 72), (56, 72), (0, 0), (13, 200)),
    ((31, 72), (56, 72), (12, 0), (62, 144)),
)


@pytest.mark.parametrize("machine", [NATIVE, PI4])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("sampling", [HALF_PIXEL, ALIGNED, NEAREST])
def test_label_maps_of_any_size_are_pythons(programs, tmp_path, machine, kind, sampling):
    logits = logits_of(kind, (7, 9, 5))
    (tmp_path / "logits").write_bytes(logits.tobytes())
    for size, padded, origin, target in FRAMES:
        numbers = (*size, *padded, *origin, *target)
        files = (tmp_path / "logits", tmp_path / "labels")
        done = programs(machine, "check", "frame", kind, *logits.shape, *files, *numbers, sampling)
        assert done.returncode == 0, done.stderr
        found = np.fromfile(tmp_path / "labels", np.uint8).reshape(target)
        frame = LogitsFrame(size, padded, sampling, origin)
        np.testing.assert_array_equal(found, labels_from_logits(logits, frame, target))


def saved(folder: Path, suffix: str, image: Image.Image, **options) -> Path:
    path = folder / f"picture.{suffix}"
    image.save(path, **options)
    return path


def picture(programs, path: Path, *size: int, machine: str = NATIVE) -> np.ndarray:
    """(H, W, 3), as the library reads and resizes it."""
    made = path.with_suffix(".rgb")
    done = programs(machine, "check", "picture", path, made, *size)
    assert done.returncode == 0, done.stderr
    return np.fromfile(made, np.uint8).reshape(*(size or map(int, done.stdout.split())), 3)


@pytest.mark.parametrize("machine", [NATIVE, PI4])
def test_pictures_are_resized_as_by_pillow(programs, tmp_path, machine):
    path = saved(tmp_path, "png", Image.fromarray(draw_scene((1, 2), (120, 97))[0]))
    for size in ((120, 97), (60, 97), (31, 40), (240, 200), (17, 300), (119, 5), (1, 1)):
        found = picture(programs, path, *size, machine=machine)
        np.testing.assert_array_equal(found, resize_image(read_image(path), size))


def test_pictures_of_every_kind_are_read_as_by_python(programs, tmp_path):
    scene = Image.fromarray(draw_scene((1, 3), (50, 63))[0])
    rgba = scene.convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(scene.size))
    exif = Image.Exif()
    kinds = {"RGB": scene, "L": scene.convert("L"), "P": scene.convert("P"), "RGBA": rgba}
    kinds |= {"LA": rgba.convert("LA"), "1": scene.convert("1")}
    for kind, image in kinds.items():
        path = saved(tmp_path, "png", image)
        np.testing.assert_array_equal(picture(programs, path), read_image(path), err_msg=kind)
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        path = saved(tmp_path, "png", scene, exif=exif)
        np.testing.assert_array_equal(picture(programs, path), read_image(path))
        # Decoders of JPEG round in their own ways.
        path = saved(tmp_path, "jpg", scene, exif=exif, quality=95, subsampling=0)
        found, expected = picture(programs, path).astype(int), read_image(path).astype(int)
        assert np.abs(found - expected).max() <= 3
    for options in ({}, {"progressive": True}, {"quality": 30}):
        path = saved(tmp_path, "jpg", scene, **options)
        found, expected = picture(programs, path).astype(int), read_image(path).astype(int)
        assert np.abs(found - expected).mean() < 0.6


def png_file(path: Path, kind: int, bits: int, *chunks: tuple[bytes, bytes]) -> Path:
    """23 rows of 61 pixels of a colour type, drawn, behind chunks: Pillow writes few such files."""
    samples = 61 * {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    draw = np.random.default_rng((kind, bits))
    if bits == 16:  # all of them, and those whose halves are alike
        values = draw.integers(0, 65536, (23, samples))
        values = np.where(values % 2, values, values % 4 * 85 * 257).astype(">u2").view(np.uint8)
    else:
        values = draw.integers(0, 256, (23, (samples * bits + 7) // 8), np.uint8)
        values[:12] &= 0x11
    rows = np.pad(values, ((0, 0), (1, 0))).tobytes()
    file = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    file.seek(8)
    putchunk(file, b"IHDR", struct.pack(">IIBBBBB", 61, 23, bits, kind, 0, 0, 0))
    for name, content in (*chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        putchunk(file, name, content)
    path.write_bytes(file.getvalue())
    return path


DEPTHS = [(0, bits) for bits in (1, 2, 4, 8, 16)]
DEPTHS += [(kind, bits) for kind in (2, 4, 6) for bits in (8, 16)]


@pytest.mark.parametrize(("kind", "bits"), DEPTHS)
def test_pngs_of_every_depth_are_read_as_by_python(programs, tmp_path, kind, bits):
    path = png_file(tmp_path / "p.png", kind, bits)
    expected = read_image(path)
    assert len(np.unique(expected)) >= min(150, 2**bits)
    np.testing.assert_array_equal(picture(programs, path), expected)


# Of Pillow, which compares the low byte with samples of 8 bits, and knows none of grey of 16 bits.
@pytest.mark.parametrize("key", [0, 1, 2, 17, 85 * 257, 255, 256])
@pytest.mark.parametrize(("kind", "bits"), [d for d in DEPTHS if d[0] < 6])
def test_the_transparent_colour_of_a_png_is_pythons(programs, tmp_path, kind, bits, key):
    samples = struct.pack(">3H", key, key, key)[: 6 if kind == 2 else 2]
    path = png_file(tmp_path / "p.png", kind, bits, (b"tRNS", samples))
    np.testing.assert_array_equal(picture(programs, path), read_image(path))


def test_a_transparent_colour_becomes_black(programs, tmp_path):
    pixels = np.full((5, 6, 3), (200, 100, 50), np.uint8)
    pixels[:, 3:] = 9
    path = saved(tmp_path, "png", Image.fromarray(pixels), transparency=(200, 100, 50))
    pixels[:, :3] = 0
    np.testing.assert_array_equal(picture(programs, path), pixels)


@pytest.mark.parametrize("most", [1, 7, 100, 255, 256, 1000, 65535])
def test_ppms_of_every_range_are_read_as_by_python(programs, tmp_path, most):
    path, kind = tmp_path / "p.ppm", np.dtype(np.uint8 if most < 256 else ">u2")
    values = np.random.default_rng(most).integers(0, np.iinfo(kind).max + 1, (40, 30, 3))
    path.write_bytes(b"P6\n30 40\n%d\n" % most + values.astype(kind).tobytes())
    np.testing.assert_array_equal(picture(programs, path), read_image(path))


def test_damaged_pictures_are_refused(programs, tmp_path):
    scene = Image.fromarray(draw_scene((1, 4), (50, 63))[0])
    png, jpg = saved(tmp_path, "png", scene), saved(tmp_path, "jpg", scene)
    wide = bytearray(png.read_bytes()[:33])
    wide[16:24] = struct.pack(">II", 60_000, 50_000)
    wide[29:33] = struct.pack(">I", zlib.crc32(wide[12:29]))
    changed = bytearray(png.read_bytes())
    changed[-40] ^= 1
    short = png_file(tmp_path / "key.png", 2, 8, (b"tRNS", bytes(5)))
    cases = {
        "cut.png": (png.read_bytes()[:-30], "truncated"),
        "endless.png": (png.read_bytes()[:-12], "truncated"),
        "key.png": (short.read_bytes(), "a damaged PNG: its transparent colour has 5 bytes"),
        "range.ppm": (b"P6 1 1 65536 000000", "its samples go to 65536, expected 1 to 65535"),
        "none.ppm": (b"P6 1 1 0 000000", "its samples go to 0, expected 1 to 65535"),
        "half.ppm": (b"P6 1 1 256 00000", "truncated"),
        "cut.jpg": (jpg.read_bytes()[:-30], "truncated"),
        "changed.png": (bytes(changed), "a damaged PNG: a checksum does not fit"),
        "wide.png": (bytes(wide) + png.read_bytes()[-12:], "50000x60000 pixels (height x width): "),
        "gif.png": (b"GIF89a" + bytes(99), "not a JPEG, PNG or binary PPM (P6)"),
        "scans.jpg": (
            jpg.read_bytes()[:-2] + b"\xff\xda" * 700_000 + b"\xff\xd9",
            "too many scans",
        ),
    }
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        done = programs(NATIVE, "check", "picture", tmp_path / name, tmp_path / "rgb")
        assert done.returncode == 2, name
        assert reason in done.stderr


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
    options = ["--trusted"] if machine == PI4 else []  # emulated: once is enough
    arguments = (model_files[kind], street, tmp_path / "labels.pgm", 1, *options)
    done = programs(machine, "segment", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("network ")
    assert done.stdout.endswith("medians of 1, 1 thread\n")
    found = np.asarray(Image.open(tmp_path / "labels.pgm"))
    expected = Segmenter(model_files[kind], threads=1).predict(street)
    assert len(np.unique(expected)) > 4
    assert np.mean(found == expected) >= AGREE[kind, machine]


@pytest.mark.parametrize("device", DEVICES)
def test_what_an_npus_compiler_takes_runs_as_in_python(
    programs, model_files, street, tmp_path, device
):
    """`export --for` turns interpolations into transpositions and convolutions."""
    content = model_files["int8"].read_bytes()
    edit = Editor(unpack(content))
    resizes_to_convolutions(edit, device)
    assert "TRANSPOSE" in map(edit.kind, edit.graph.operators)
    model = tmp_path / "m.tflite"
    model.write_bytes(pack(edit.model, len(content)))
    done = programs(NATIVE, "segment", model, street, tmp_path / "labels.pgm", 1)
    assert done.returncode == 0, done.stderr
    expected = Segmenter(model, threads=1).predict(street)
    assert len(np.unique(expected)) > 4
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "labels.pgm")), expected)


def with_metadata(source: Path, target: Path, changes: dict) -> Path:
    """A copy of a model with other entries in its metadata."""
    model = unpack(source.read_bytes())
    entry = next(e for e in model.metadata if e.name == METADATA_NAME.encode())
    held = json.loads(bytes(model.buffers[entry.buffer].data))
    content = json.dumps(held | changes).encode()
    model.buffers[entry.buffer].data = np.frombuffer(content, np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(builder.Output())
    return target


@pytest.mark.parametrize("fit", ["resize", "letterbox"])
@pytest.mark.parametrize("rule", ["none", "align_corners", "nearest"])
def test_a_picture_of_any_size_by_the_files_rule(
    programs, small_files, street_files, tmp_path, fit, rule
):
    config = {} if rule == "none" else {rule: ["logits"]}
    model = with_metadata(small_files / "bytes.tflite", tmp_path / "m.tflite", {"config": config})
    for name in ("street_small", "street_upright"):
        street = street_files[name]
        done = programs(NATIVE, "segment", model, street, tmp_path / "l.pgm", 1, "--fit", fit)
        assert done.returncode == 0, done.stderr
        found = np.asarray(Image.open(tmp_path / "l.pgm"))
        expected = Segmenter(model, threads=1).predict(street, fit=fit)
        assert len(np.unique(expected)) == 2
        np.testing.assert_array_equal(found, expected)


def test_settings_are_followed_or_said(programs, small_files, street_files, tmp_path):
    model = Path(shutil.copy(small_files / "bytes.tflite", tmp_path / "m.tflite"))
    cpu = CpuSettings(
        num_threads=256,
        kernel_mode="xnnpack",
        xnnpack_flags=("qs8", "qu8"),
        weight_cache_dir=str(tmp_path / "cache"),
        disable_delegate_clustering=True,
    )
    arguments = ("segment", model, street_files["street_small"], tmp_path / "l.pgm")
    write_settings(model, DeviceSettings(cpu=cpu), given=())
    done = programs(NATIVE, *arguments)
    cores = min(os.cpu_count(), 256)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"medians of 1, {cores} thread{'s' * (cores > 1)}\n")
    assert "segment: cpu.weight_cache_dir=" in done.stderr
    assert "segment: cpu.disable_delegate_clustering=true is not applied" in done.stderr
    assert not (tmp_path / "cache").exists()
    given = programs(NATIVE, *arguments, 1)
    assert given.stdout.endswith("1 thread\n")
    beside = settings_path(model)
    texts = {
        "{": "not a JSON object",
        "[" * 100_000: "not a JSON object",
        '{"format": 1}': "no settings file: expected sha256 and settings",
        beside.read_text().replace('"sha256": "', '"sha256": "0'): "belongs to another model",
        beside.read_text().replace('"format": 1', '"format": 2'): "settings of another format",
        beside.read_text().replace("256,", "257,"): "cpu.num_threads must be 1..256, got 257",
        beside.read_text().replace('"xnnpack"', '"turbo"'): "cpu.kernel_mode must be xnnpack, ",
        beside.read_text().replace('"xnnpack"', '"reference"'): "cpu.kernel_mode=reference is not "
        "supported here: LiteRT's CompiledModel has xnnpack and builtin alone",
        beside.read_text().replace('"qu8"', '"qx8"'): "cpu.xnnpack_flags must be names among",
        beside.read_text().replace("num_threads", "treads"): 'unknown option "cpu.treads"',
    }
    for text, reason in texts.items():
        beside.write_text(text)
        done = programs(NATIVE, *arguments)
        assert done.returncode == 2
        assert reason in done.stderr.splitlines()[-1]
    beside.unlink()
    inside = DeviceSettings(device="android-gpu", accelerator="gpu", cpu=CpuSettings(num_threads=1))
    with_metadata(model, model, {"settings": inside.to_dict()})
    done = programs(NATIVE, *arguments)
    assert done.stdout.endswith("1 thread\n")
    assert "segment: its settings are for Android; on this machine the CPU runs it" in done.stderr


def test_kernels_are_those_of_the_settings(programs, model_files, street, tmp_path):
    """Other kernels round otherwise: label maps differ here and there, as Python's do."""
    model = Path(shutil.copy(model_files["int8"], tmp_path / "m.tflite"))
    settings = DeviceSettings(api="compiled_model", cpu=CpuSettings(kernel_mode="builtin"))
    write_settings(model, settings)
    maps = []
    for path in (model, model_files["int8"]):
        done = programs(NATIVE, "segment", path, street, tmp_path / "l.pgm", 1)
        assert done.returncode == 0, done.stderr
        maps.append(np.asarray(Image.open(tmp_path / "l.pgm")))
    np.testing.assert_array_equal(maps[0], Segmenter(model, threads=1).predict(street))
    assert (maps[0] != maps[1]).any()


USAGE = (
    "usage: segment MODEL.tflite PICTURE LABELS.pgm [THREADS] [RUNS] [--fit resize|letterbox] "
    "[--settings FILE] [--trusted]"
)


def test_help_is_no_error(programs):
    done = programs(NATIVE, "segment", "--help")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{USAGE}\n", "")


def test_bad_input_is_one_line(programs, model_files, street, tmp_path):
    model, out = model_files["int8"], tmp_path / "labels.pgm"
    text, short = tmp_path / "text", tmp_path / "short.ppm"
    text.write_text("no picture")
    short.write_bytes(street.read_bytes()[:5000])
    cases = {
        (): USAGE,
        (model, street): USAGE,
        (model, street, out, "--fit"): USAGE,
        (model, street, out, "--fit", "crop"): "--fit must be resize or letterbox, got crop",
        (text, street, out): f"{text}: not a .tflite file (no TFL3 mark at byte 4)",
        (tmp_path, street, out): f"{tmp_path}: not a regular file, expected a model file",
        (model, text, out): f"{text}: not a JPEG, PNG or binary PPM (P6)",
        (model, short, out): f"{short}: truncated",
        (model, "a\x1b[2J\u202e\n", out): "a\\x1b[2J\\xe2\\x80\\xae\\x0a: no such picture",
        (
            model,
            "stra\u00dfe\u8857e\u0301.png",
            out,
        ): "stra\u00dfe\u8857e\u0301.png: no such picture",
        (text, tmp_path / "none.ppm", out): f"{tmp_path / 'none.ppm'}: no such picture",
        (model, street, out, "0"): "THREADS must be 1..256, got 0",
        (model, street, tmp_path / "no" / "l.pgm"): f"{tmp_path / 'no' / 'l.pgm'}: cannot be "
        "written (No such file or directory)",
        (model, street, tmp_path): f"{tmp_path}: cannot be written (Is a directory)",
    }
    for arguments, message in cases.items():
        done = programs(NATIVE, "segment", *arguments)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == f"segment: {message}"
        assert not out.exists()


def segment_to(programs, model, street, out, **options) -> subprocess.CompletedProcess:
    command = [programs.folder / "segment", model, street, out, "1"]
    return subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, **options)


def test_an_older_file_outlives_a_full_disk(programs, small_files, street_files, tmp_path):
    """Its size limit stands for the disk's."""
    out = tmp_path / "out" / "l.pgm"
    out.parent.mkdir()
    out.write_bytes(b"older")
    done = segment_to(
        *(programs, small_files / "bytes.tflite", street_files["street_small"], out),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
        stdout=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"segment: {out}: cannot be written (File too large)"
    assert out.read_bytes() == b"older"
    assert list(out.parent.iterdir()) == [out]


def test_links_and_devices_are_written_through(programs, small_files, street_files, tmp_path):
    model, street = small_files / "bytes.tflite", street_files["street_small"]
    out, link = tmp_path / "l.pgm", tmp_path / "link.pgm"
    out.write_bytes(b"older")
    link.symlink_to(out)
    assert segment_to(programs, model, street, link, stdout=subprocess.DEVNULL).returncode == 0
    assert link.readlink() == out
    assert out.read_bytes().startswith(b"P5\n480 360\n255\n")
    done = segment_to(programs, model, street, "/dev/full", stdout=subprocess.DEVNULL)
    full = "cannot be written (No space left on device)"
    assert done.returncode == 2
    assert done.stderr.endswith(f"\nsegment: /dev/full: {full}\n")
    with Path("/dev/full").open("w") as nowhere:
        done = segment_to(programs, model, street, out, stdout=nowhere)
    assert done.returncode == 2
    assert done.stderr.endswith(f"\nsegment: standard output: {full}\n")


STRANGER = """
#include <fcntl.h>
__attribute__((constructor)) static void run(void) { creat("%s", 0600); }
"""


def test_a_strangers_settings_load_nothing(programs, model_files, street, tmp_path, monkeypatch):
    """Paths in settings do not count, and no library is taken from the current folder."""
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
