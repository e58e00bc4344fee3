"""The Android app's segmentation core, compiled by a real Kotlin compiler and run on the desktop.

Label maps must be those of Python, pixel by pixel; so must what is read from models and settings.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.delegates.options import Settings
from fastscnn_tf.core.delegates.settings_file import settings_path, write_settings
from fastscnn_tf.core.delegates.targets import TARGETS
from fastscnn_tf.core.interpolation import interpolation_matrix
from fastscnn_tf.core.labels.space import generated_palette
from fastscnn_tf.export.converter import pack
from fastscnn_tf.export.model_metadata import append_files
from fastscnn_tf.runtime.fit import Box, Fitted, fitted
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits, logit_strips
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.runtime.tflite_file import unpack

ROOT = Path(__file__).parents[2]
ANDROID = ROOT / "tflite" / "android"
JVM = Path(__file__).parent / "jvm"
STUBS = JVM / "stubs"
GOLDEN = ROOT / "tests" / "core" / "golden"
APP = ANDROID / "app" / "src"
CORE = ANDROID / "core" / "src" / "main" / "kotlin"
# The compiler runs once and briefly: its optimisation by the JVM would not pay.
QUICK = {"JAVA_OPTS": "-Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1"}


def kotlinc(tools: Path, name: str, sources: list[Path], classpath: tuple[Path, ...] = ()) -> Path:
    """Compiles sources into a jar, warnings being errors; the same sources only once."""
    digest = hashlib.sha256()
    for path in (*sources, *classpath):
        digest.update(path.read_bytes())
    made = tools / f"{name}-{digest.hexdigest()[:16]}.jar"
    if made.exists():
        return made
    command = [tools / "kotlin" / "bin" / "kotlinc", *sources, "-d", made]
    command += ["-Werror", "-no-reflect", "-jvm-target", "17"]
    if classpath:
        command += ["-classpath", os.pathsep.join(map(str, classpath))]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, **QUICK}
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return made


@pytest.fixture(scope="session")
def core_jar(target_tools):
    sources = [*sorted(CORE.rglob("*.kt")), JVM / "Harness.kt"]
    return kotlinc(target_tools("jvm"), "core", sources)


@pytest.fixture
def ask(target_tools, core_jar):
    """Requests -> the answers of Kotlin."""
    stdlib = target_tools("jvm") / "kotlin" / "lib" / "kotlin-stdlib.jar"

    def answers(*requests):
        command = ["java", "-cp", f"{core_jar}{os.pathsep}{stdlib}", "HarnessKt"]
        done = subprocess.run(
            command, input=json.dumps(requests), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return [json.loads(line) for line in done.stdout.splitlines()]

    return answers


def label_request(folder, logits, frame, box=None, target=None):
    """A request for a label map, and where it will lie."""
    number = len(list(folder.iterdir()))
    source, made = folder / f"{number}.logits", folder / f"{number}.labels"
    source.write_bytes(np.ascontiguousarray(logits).tobytes())
    box = box or (0, 0, *frame.size)
    request = {"op": "labels", "logits": str(source), "output": str(made), "box": box}
    request |= {"type": str(logits.dtype), "shape": logits.shape, "size": frame.size}
    return request | {"aligned": frame.aligned, "target": target or box[2:]}


def label_map(request):
    return np.fromfile(request["output"], np.uint8).reshape(request["target"])


@functools.cache
def opened(model):
    return Segmenter(model, threads=1)


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_label_maps_of_real_logits_are_pythons(ask, model_files, street_files, tmp_path, kind, fit):
    segmenter = opened(model_files[kind])
    requests, expected = [], []
    for path in street_files.values():
        image = np.asarray(Image.open(path))
        seen = fitted(image, segmenter.input_size, fit, segmenter.mean_color)
        box = seen.box or Box(0, 0, *segmenter.input_size)
        logits = segmenter.run(seen.image)
        requests.append(label_request(tmp_path, logits, segmenter.frame, box))
        expected.append(segmenter.predict(image, (box.height, box.width), fit))
    answers = ask(*requests)
    for request, labels, answer in zip(requests, expected, answers, strict=True):
        np.testing.assert_array_equal(label_map(request), labels)
        shares = np.bincount(labels.reshape(-1), minlength=11) / labels.size
        np.testing.assert_allclose(answer["shares"], shares, atol=1e-15)
        assert 2 <= len(np.unique(labels))


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_label_maps_at_the_pictures_size_differ_from_pythons_only_in_ties(
    ask, model_files, street_files, tmp_path, kind, fit
):
    segmenter = opened(model_files[kind])
    for path in street_files.values():
        image = np.asarray(Image.open(path))
        seen = fitted(image, segmenter.input_size, fit, segmenter.mean_color)
        logits = segmenter.run(seen.image)
        request = label_request(tmp_path, logits, segmenter.frame, seen.box, image.shape[:2])
        ask(request)
        assert_equal_but_for_ties(label_map(request), logits, seen, segmenter.frame)


def assert_equal_but_for_ties(found, logits, seen, frame):
    """Python's labels come of float32 sums: where two classes' differ by their rounding alone,
    either may win."""
    expected = seen.labels(logits, frame, found.shape)
    placed, frame = seen.placed(logits, frame)
    strips = list(logit_strips(placed, frame, found.shape))
    scores = np.concatenate([values for _, values in strips])
    y, x = np.nonzero(found != expected)
    gap = abs(scores[y, x, found[y, x]] - scores[y, x, expected[y, x]])
    assert (gap <= 1e-5 * abs(scores).max()).all(), gap
    assert len(y) < 1e-3 * found.size


def random_logits(kind, shape, seed):
    draw = np.random.default_rng((7, seed))
    ties = draw.integers(0, 3, shape)  # most cells have several winners
    if kind == "int8":
        return draw.integers(-128, 128, shape).astype(np.int8)
    if kind == "uint8":
        return draw.integers(0, 256, shape).astype(np.uint8)
    if kind == "int8 ties":
        return (ties - 128).astype(np.int8)
    if kind == "uint8 ties":
        return (253 + ties).astype(np.uint8)
    if kind == "int8 extremes":
        return draw.choice(np.array([-128, 127], np.int8), shape)
    if kind == "float32 ties":
        return ties.astype(np.float32)
    if kind == "float32 huge":
        return (draw.normal(size=shape) * 1e30).astype(np.float32)
    return draw.normal(size=shape).astype(np.float32)


KINDS = ("int8", "uint8", "int8 ties", "uint8 ties", "int8 extremes")
KINDS += ("float32", "float32 ties", "float32 huge")
# Of the input; what is no multiple of 32 the network pads.
INPUTS = ((32, 32, 3), (27, 40, 2), (33, 33, 1), (96, 128, 19), (64, 37, 254))


@pytest.mark.parametrize("kind", KINDS)
def test_adversarial_logits_give_pythons_labels(ask, tmp_path, kind):
    requests, expected = [], []
    for seed, (*size, classes) in enumerate(INPUTS):
        frame = LogitsFrame.of(tuple(size))
        eighths = [n // 8 for n in frame.padded]
        logits = random_logits(kind, (*eighths, classes), seed)
        requests.append(label_request(tmp_path, logits, frame))
        expected.append(labels_from_logits(logits, frame, frame.size))
    ask(*requests)
    for request, labels in zip(requests, expected, strict=True):
        np.testing.assert_array_equal(label_map(request), labels)


def test_aligned_and_full_logits_are_interpolated_and_cut(ask, tmp_path):
    size, draw = (60, 100), np.random.default_rng(3)
    aligned = LogitsFrame.of(size, aligned=True)
    coarse = draw.normal(size=(8, 16, 4)).astype(np.float32)
    full = draw.integers(0, 256, (*size, 4)).astype(np.uint8)
    box = Box(10, 20, 40, 60)
    for logits, frame in ((coarse, aligned), (full, LogitsFrame.of(size))):
        for inside, target in ((None, size), (box, (40, 60)), (box, (90, 31))):
            seen = Fitted(np.zeros((*size, 3), np.uint8), inside)
            request = label_request(tmp_path, logits, frame, inside, target)
            ask(request)
            assert_equal_but_for_ties(label_map(request), logits, seen, frame)


def test_broken_logits_are_one_line(ask, tmp_path):
    frame = LogitsFrame.of((32, 32))
    bad = np.zeros((4, 4, 3), np.float32)
    bad[2, 1, 1] = np.nan
    infinite = np.full((4, 4, 3), np.inf, np.float32)
    short = label_request(tmp_path, np.zeros((4, 4, 3), np.float32), frame)
    requests = [label_request(tmp_path, x, frame) for x in (bad, infinite)]
    answers = ask(*requests, short | {"shape": (4, 4, 4)})
    assert all("NaN or infinite" in answer["failure"] for answer in answers[:2])
    assert answers[2]["failure"].startswith(
        "the network gave 48 values, the file says [1, 4, 4, 4]"
    )


def test_boxes_are_pythons(ask):
    sizes = [(720, 1280, 256, 512), (1, 999, 448, 608), (999, 1, 448, 608), (480, 640, 448, 608)]
    sizes += [(5, 2, 2, 3), (640, 480, 448, 608), (448, 608, 448, 608), (3, 7, 5, 5)]
    answers = ask(*({"op": "box", "sizes": each} for each in sizes))
    assert answers == [list(Box.letterbox(s[:2], s[2:])) for s in sizes]


# A camera's frames.


def planes(y, u, v, interleaved, slack=0):
    """Memory of a frame, and where its planes lie in it: rows may be longer than the picture."""
    height, width = y.shape
    half_height, half_width = u.shape
    memory = np.full((height, width + slack), 77, np.uint8)
    memory[:, :width] = y
    luma = memory.reshape(-1)[: (height - 1) * (width + slack) + width]
    if interleaved:  # NV21: V and U alternate, and each plane begins with its own first byte
        stride = 2 * half_width + slack
        chroma = np.full((half_height, stride), 77, np.uint8)
        chroma[:, 0 : 2 * half_width : 2], chroma[:, 1 : 2 * half_width : 2] = v, u
        chroma = chroma.reshape(-1)[: (half_height - 1) * stride + 2 * half_width]
        offsets = (0, luma.size + 1, luma.size)
        lengths, strides = (luma.size, chroma.size - 1, chroma.size - 1), (stride, 2, stride, 2)
        content = np.concatenate([luma, chroma])
    else:
        stride = half_width + slack
        parts = np.full((2, half_height, stride), 77, np.uint8)
        parts[0, :, :half_width], parts[1, :, :half_width] = u, v
        size = half_height * stride
        offsets = (0, luma.size, luma.size + size)
        lengths, strides = (luma.size, size - slack, size - slack), (stride, 1, stride, 1)
        content = np.concatenate([luma, parts.reshape(-1)])
    return content, offsets, lengths, (width + slack, 1, *strides)


def frame_request(folder, y, u, v, interleaved=True, slack=0, crop=None, **values):
    number = len(list(folder.iterdir()))
    content, offsets, lengths, strides = planes(y, u, v, interleaved, slack)
    (folder / f"{number}.planes").write_bytes(content.tobytes())
    request = {"op": "convert", "planes": str(folder / f"{number}.planes"), "rotation": 0}
    request |= {"frame": y.shape[::-1], "offsets": offsets, "lengths": lengths}
    request |= {"strides": strides, "crop": crop or (0, 0, *y.shape), "mirrored": False}
    request |= {"output": str(folder / f"{number}.rgb"), "fit": "stretch", "fill": (9, 8, 7)}
    return request | {"size": y.shape} | values


def to_rgb(y, u, v):
    """JFIF's equations in float64; (H, W) planes of one size."""
    u, v = u - 128, v - 128
    channels = (y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u)
    return np.clip(np.stack(channels, -1), 0, 255)


def expected_rgb(y, u, v, rotation, mirrored, size):
    """The planes turned, mirrored and resized, then converted, all in float64."""
    turned = [np.rot90(plane, -rotation // 90) for plane in (y, u, v)]
    turned = [plane[:, ::-1] if mirrored else plane for plane in turned]
    resized = [
        interpolation_matrix(plane.shape[0], size[0]).astype(float)
        @ plane.astype(float)
        @ interpolation_matrix(plane.shape[1], size[1]).astype(float).T
        for plane in turned
    ]
    return to_rgb(*resized)


def drawn_planes(height, width):
    """Smooth in places, noise in others, with the ends of the range."""
    draw = np.random.default_rng((height, width))
    y = draw.integers(0, 256, (height, width)).astype(np.uint8)
    y[: height // 2] = np.linspace(0, 255, width).astype(np.uint8)
    u, v = draw.integers(0, 256, (2, (height + 1) // 2, (width + 1) // 2)).astype(np.uint8)
    u[:, :3], v[:, :3], v[:, -3:] = 0, 255, 0
    return y, u, v


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_turned_mirrored_resized_and_converted(ask, tmp_path, rotation, mirrored):
    y, u, v = drawn_planes(48, 64)
    how = {"rotation": rotation, "mirrored": mirrored}
    for interleaved in (True, False):
        for slack in (0, 13):
            for size in ((48, 64), (37, 90), (20, 21)):
                request = frame_request(tmp_path, y, u, v, interleaved, slack, size=size, **how)
                (box,) = ask(request)
                assert box == [0, 0, *size]
                found = np.fromfile(request["output"], np.uint8).reshape(*size, 3)
                wanted = expected_rgb(y, u, v, rotation, mirrored, size)
                error = abs(found - wanted)
                assert error.max() <= 1.0, (interleaved, slack, size)
                assert error.mean() < 0.3


def test_a_letterboxed_crop_leaves_the_rest_to_the_mean(ask, tmp_path):
    y, u, v = drawn_planes(60, 80)
    crop = (4, 10, 40, 50)  # top, left, height, width
    request = frame_request(
        tmp_path, y, u, v, crop=crop, rotation=90, fit="letterbox", size=(32, 64)
    )
    (box,) = ask(request)
    assert box == list(Box.letterbox((50, 40), (32, 64))) == [0, 19, 32, 26]
    found = np.fromfile(request["output"], np.uint8).reshape(32, 64, 3)
    part = y[4:44, 10:60], u[2:22, 5:30], v[2:22, 5:30]
    wanted = expected_rgb(*part, 90, False, (32, 26))
    assert abs(found[:, 19:45] - wanted).max() <= 1.0
    outside = np.delete(found, np.s_[19:45], axis=1)
    assert (outside == (9, 8, 7)).all()


def test_an_odd_crop_reads_the_chroma_of_its_own_pixels(ask, tmp_path):
    y, u, v = drawn_planes(24, 31)
    top, left, height, width = crop = (3, 5, 9, 15)
    request = frame_request(tmp_path, y, u, v, crop=crop, size=(height, width))
    ask(request)
    found = np.fromfile(request["output"], np.uint8).reshape(height, width, 3)

    def chroma(plane):
        result = np.zeros((height, width))
        for i in range(height):
            for j in range(width):
                a, b = (top + i + 0.5) / 2 - 0.5, (left + j + 0.5) / 2 - 0.5
                for di, wi in ((0, 1 - a % 1), (1, a % 1)):
                    for dj, wj in ((0, 1 - b % 1), (1, b % 1)):
                        row = np.clip(int(a // 1) + di, top // 2, (top + height - 1) // 2)
                        column = np.clip(int(b // 1) + dj, left // 2, (left + width - 1) // 2)
                        result[i, j] += wi * wj * plane[row, column]
        return result

    part = y[top : top + height, left : left + width].astype(float)
    assert abs(found - to_rgb(part, chroma(u), chroma(v))).max() <= 1.0


def street_planes(path, size):
    """A drawn street as a camera would give it; the colours are converted by Pillow."""
    image = Image.open(path).convert("RGB").resize(size[::-1])
    y, u, v = np.moveaxis(np.asarray(image.convert("YCbCr")), -1, 0)
    halves = [p.reshape(size[0] // 2, 2, size[1] // 2, 2).mean((1, 3)) for p in (u, v)]
    return np.asarray(image), y, *(np.rint(half).astype(np.uint8) for half in halves)


def test_colours_are_those_that_pillow_takes_for_jpeg(ask, street_files, tmp_path):
    size = (240, 320)
    image, y, u, v = street_planes(street_files["street_own"], size)
    request = frame_request(tmp_path, y, u, v, slack=64)
    ask(request)
    found = np.fromfile(request["output"], np.uint8).reshape(*size, 3)
    # Chroma at half the size blurs at edges; elsewhere the colours come back.
    error = abs(found.astype(int) - image)
    assert np.median(error) <= 1
    assert error.mean() < 3


def test_bad_frames_are_one_line(ask, tmp_path):
    y, u, v = drawn_planes(16, 16)
    request = frame_request(tmp_path, y, u, v)
    short = request | {"lengths": (100, *request["lengths"][1:])}
    answers = ask(request | {"rotation": 45}, request | {"crop": (0, 8, 16, 9)}, short)
    assert [answer["failure"] for answer in answers] == [
        "a frame's rotation must be 0, 90, 180 or 270 degrees, got 45",
        "a frame of 16x16 was to be cropped to Box(top=0, left=8, height=16, width=9)",
        "a camera's plane has 100 bytes, expected 256",
    ]


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_a_camera_frame_becomes_pythons_label_map(ask, model_files, street_files, tmp_path, kind):
    """The whole way: YUV, rotation, letterbox, network (Python's), labels, colours, shares."""
    segmenter = opened(model_files[kind])
    _, y, u, v = street_planes(street_files["street_own"], (480, 640))
    turned = [np.rot90(plane) for plane in (y, u, v)]  # the phone is held upright
    common = {"rotation": 90, "fit": "letterbox", "size": segmenter.input_size}
    request = frame_request(tmp_path, *turned, fill=(128, 128, 128), **common)
    (box,) = ask(request)
    rgb = np.fromfile(request["output"], np.uint8).reshape(*segmenter.input_size, 3)
    logits = segmenter.run(rgb)
    (tmp_path / "logits").write_bytes(logits.tobytes())
    made = {"logits": str(tmp_path / "logits"), "output": str(tmp_path / "labels")}
    (answer,) = ask(request | made | {"op": "segment", "model": str(model_files[kind])})
    assert answer["size"] == box[2:] == [448, 597]
    found = np.fromfile(tmp_path / "labels", np.uint8).reshape(box[2:])
    expected = Fitted(rgb, Box(*box)).labels(logits, segmenter.frame, tuple(box[2:]))
    np.testing.assert_array_equal(found, expected)
    shares = np.bincount(expected.reshape(-1), minlength=11) / expected.size
    np.testing.assert_allclose(answer["shares"], shares, atol=1e-15)
    assert answer["pixels"] == expected.size
    assert answer["input"] == rgb.size
    assert answer["steps"] == dict.fromkeys(["convert", "network", "labels", "draw", "total"], 1)


def test_a_network_that_fails_is_one_line(ask, small_files, tmp_path):
    y, u, v = drawn_planes(16, 16)
    request = frame_request(tmp_path, y, u, v) | {"op": "segment"}
    (answer,) = ask(request | {"model": str(small_files / "bytes.tflite")})
    assert answer["failure"] == (
        "replay failed on bytes.tflite (out of memory): choose another accelerator (fastscnn "
        "settings bytes.tflite --for DEVICE)"
    )


def test_benchmark_times_every_step_and_reports_it(ask, small_files, tmp_path):
    (tmp_path / "logits").write_bytes(np.zeros((8, 12, 2), np.float32).tobytes())
    model = small_files / "bytes.tflite"
    request = {"op": "benchmark", "model": str(model), "logits": str(tmp_path / "logits")}
    (answer,) = ask(request | {"output": str(tmp_path / "table")})
    report = answer["report"]
    assert answer["done"] == [60, 60]
    assert report["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert [report[k] for k in ("model", "runs", "frame", "notes")] == [
        "bytes.tflite", "replay", "640x480", ["a note"]
    ]  # fmt: skip
    steps = report["steps"]
    assert list(steps) == ["convert", "network", "labels", "draw", "total"]
    assert all(step["count"] == 50 and step["median_ms"] >= 0 for step in steps.values())
    assert steps["total"]["mean_ms"] >= steps["convert"]["mean_ms"]
    table = (tmp_path / "table").read_text().splitlines()
    assert table[:2] == ["bytes.tflite", "replay"]
    assert table[2].startswith("convert  median ")
    assert table[-1] == "a note"


def test_overlay_colours_classes_and_leaves_the_rest_clear(ask):
    request = {"op": "overlay", "labels": [0, 1, 2, 255], "colors": [0x804020, 0xFFFFFF]}
    (pixels,) = ask(request | {"percent": 50})
    assert [p & 0xFFFFFFFF for p in pixels] == [0x80804020, 0x80FFFFFF, 0, 0]


def test_step_times(ask):
    times = [int(1e6 * t) for t in (5, 1, 2, 4, 3, 10, 9, 8, 7, 6)]
    (answer,) = ask({"op": "times", "times": times})
    assert answer == {
        "count": 10, "median_ms": 5.5, "mean_ms": 5.5, "p90_ms": 9.0, "min_ms": 1.0, "max_ms": 10.0
    }  # fmt: skip


# What models and settings say.


def test_models_say_the_same_as_to_python(ask, model_files):
    requests = [{"op": "model", "model": str(path)} for path in model_files.values()]
    for path, answer in zip(model_files.values(), ask(*requests), strict=True):
        segmenter = opened(path)
        assert answer["input"] == [1, 448, 608, 3]
        assert answer["output"] == [1, 56, 76, 11]
        assert answer["types"] == ["UINT8", "UINT8" if path.stem == "int8" else "FLOAT32"]
        assert answer["names"] == list(segmenter.labels.names)
        colors = [r << 16 | g << 8 | b for r, g, b in segmenter.labels.colors]
        assert answer["colors"] == colors
        assert answer["mean"] == answer["std"] == [128.0] * 3
        assert answer["aligned"] is False
        assert answer["source"] == "inside the file"
        assert answer["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def without_metadata(content, labels=b""):
    """A file as it comes from elsewhere, with labels behind it if there are any."""
    model = unpack(content)
    model.metadata = [entry for entry in model.metadata if entry.name != b"fastscnn_tf"]
    files = {"labels.txt": labels, "colors.csv": b"index,red,green,blue\n0,1,2,3\n1,255,0,9\n"}
    bare = pack(model, len(content))
    return append_files(bare, files) if labels else bare


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """Two classes, 64x96: bytes in, floats in, and finished labels out; each with its sidecar."""
    folder = tmp_path_factory.mktemp("small")
    config = fs.FastSCNNConfig(2, (64, 96), width=0.25, mean=(120, 110, 100), std=(60, 50, 40))
    model = fs.fast_scnn(config)
    for name, options in (
        ("bytes", {}),
        ("floats", {"input": "float32"}),
        ("finished", {"outputs": "labels"}),
    ):
        fs.export_tflite(model, folder / f"{name}.tflite", recipe="float16", **options)
    return folder


def test_models_from_elsewhere(ask, small_files, tmp_path):
    content = (small_files / "bytes.tflite").read_bytes()
    labelled, bare = tmp_path / "labelled.tflite", tmp_path / "bare.tflite"
    labelled.write_bytes(without_metadata(content, b"road\nsky\n"))
    bare.write_bytes(without_metadata(content))
    sidecar = json.loads((small_files / "bytes.tflite.json").read_text())
    sidecar["sha256"] = hashlib.sha256(bare.read_bytes()).hexdigest()
    sidecar |= {"class_names": ["a", "b"], "class_colors": [], "mean": [1, 2, 3]}
    beside = tmp_path / "bare.tflite.json"
    beside.write_text(json.dumps(sidecar))
    requests = [{"op": "model", "model": str(path)} for path in (labelled, bare, bare)]
    requests[2]["sidecar"] = str(beside)
    first, second, third = ask(*requests)
    assert first["names"] == ["road", "sky"]
    assert first["colors"] == [0x010203, 0xFF0009]
    assert first["source"] == "labels in the file"
    assert second["failure"] == (
        "bare.tflite says nothing about its classes: put bare.tflite.json beside it "
        "(fastscnn export writes both)"
    )
    assert third["names"] == ["a", "b"]
    assert third["mean"] == [1, 2, 3]
    assert third["colors"] == [r << 16 | g << 8 | b for r, g, b in generated_palette(2)]
    assert third["source"] == "bare.tflite.json"


def test_models_that_cannot_be_used_are_one_line(ask, small_files, tmp_path):
    floats = (small_files / "floats.tflite").read_bytes()
    (tmp_path / "floats.tflite").write_bytes(without_metadata(floats, b"road\nsky\n"))
    (tmp_path / "three.tflite").write_bytes(without_metadata(floats, b"road\nsky\nsea\n"))
    (tmp_path / "text.tflite").write_text("no model at all")
    model = unpack(floats)
    model.subgraphs[0].outputs = [*model.subgraphs[0].outputs] * 2
    (tmp_path / "two.tflite").write_bytes(pack(model, len(floats)))
    model = unpack(floats)
    graph = model.subgraphs[0]
    graph.tensors[graph.outputs[0]].shape = [1, 8, 12, 999]
    (tmp_path / "wide.tflite").write_bytes(pack(model, len(floats)))
    names = ("floats", "text", "two", "wide")
    requests = [{"op": "model", "model": str(tmp_path / f"{name}.tflite")} for name in names]
    requests.append({"op": "model", "model": str(small_files / "finished.tflite")})
    foreign = {"model": str(tmp_path / "floats.tflite")}
    foreign["sidecar"] = str(small_files / "bytes.tflite.json")
    requests.append({"op": "model"} | foreign)
    failures = [answer["failure"] for answer in ask(*requests)]
    assert failures[0] == (
        "floats.tflite takes float32 pictures, and nothing says their mean and std: put "
        "floats.tflite.json beside it, or export it with --input uint8"
    )
    assert failures[1] == "text.tflite: not a .tflite file (no TFL3 mark at byte 4)"
    assert failures[2] == "two.tflite: expected one input and one output, got [1, 2]"
    assert failures[3] == "wide.tflite: 999 classes, a label map has room for 254"
    assert failures[4] == (
        "finished.tflite: it gives finished labels [1, 64, 96], this app takes logits: export it "
        "with --outputs logits"
    )
    assert failures[5].startswith("floats.tflite.json belongs to another model: it names SHA-256")


def test_damaged_models_fail_in_one_line_or_are_read(ask, small_files, tmp_path):
    whole = (small_files / "bytes.tflite").read_bytes()
    foreign = without_metadata(whole, b"road\nsky\n")  # what is behind it is read, too
    draw = np.random.default_rng(11)
    requests = []
    for i in range(120):
        content = foreign if i % 3 == 0 else whole
        damaged = bytearray(content)
        if i % 2:
            del damaged[int(draw.integers(8, len(content))) :]
        else:  # the tables lie at both ends
            for at in draw.integers(0, 400, 4):
                damaged[at if i % 4 else -int(at) - 1] = draw.integers(256)
        path = tmp_path / f"{i}.tflite"
        path.write_bytes(damaged)
        requests.append({"op": "model", "model": str(path)})
    answers = ask(*requests)
    failures = [answer["failure"] for answer in answers if "failure" in answer]
    assert len(answers) == 120
    assert len(failures) >= 20
    assert all("\n" not in failure and ".tflite" in failure for failure in failures)


@pytest.mark.parametrize("name", ["bytes", "floats"])
def test_inputs_are_pythons(ask, small_files, tmp_path, name):
    path = small_files / f"{name}.tflite"
    rgb = np.random.default_rng(5).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    (tmp_path / "rgb").write_bytes(rgb.tobytes())
    request = {"op": "input", "model": str(path), "rgb": str(tmp_path / "rgb")}
    ask(request | {"output": str(tmp_path / "input")})
    if name == "bytes":
        assert (tmp_path / "input").read_bytes() == rgb.tobytes()
        return
    found = np.fromfile(tmp_path / "input", np.float32).reshape(rgb.shape)
    mean, std = np.float32((120, 110, 100)), np.float32((60, 50, 40))
    np.testing.assert_array_equal(found, (rgb - mean) / std)


# device -> the build that has it, what is tried, how many threads.
PLANS = {
    "pi4": ("classic", ["CPU"], 4),
    "edge-cpu": ("classic", ["CPU"], None),
    "android-gpu": ("compiled", ["GPU"], None),
    "android-nnapi": ("classic", ["NNAPI", "CPU"], None),
    "android-npu": ("compiled", ["NPU", "NPU+CPU", "CPU"], None),
}


def written_settings(folder, model, settings):
    copy = folder / model.name
    copy.write_bytes(model.read_bytes())
    write_settings(copy, settings, force=True)
    return {"op": "plan", "model": str(copy), "settings": str(settings_path(copy))}


@pytest.mark.parametrize("device", PLANS)
def test_settings_that_were_written_here_decide_what_runs(ask, small_files, tmp_path, device):
    build, attempts, threads = PLANS[device]
    settings = TARGETS[device].settings
    request = written_settings(tmp_path, small_files / "bytes.tflite", settings)
    (answer,) = ask(request | {"build": build})
    assert answer["attempts"] == attempts
    assert answer["runs"] == attempts[0]
    assert f"threads {threads or 'null'}" in answer["notes"]
    # What no place was found for is said: here all but the threads, which were asked for.
    given = getattr(settings, settings.accelerator)
    values = given.to_dict() if isinstance(given, Settings) else {}
    values.pop("num_threads", None)
    left = [
        f"{settings.accelerator}.{k}={json.dumps(v)}".replace('"', "") for k, v in values.items()
    ]
    assert [note for note in answer["notes"] if "=" in note and " " not in note] == left


def test_what_a_phone_refuses_falls_to_the_next_attempt(ask, small_files, tmp_path):
    model = small_files / "bytes.tflite"
    request = {"op": "plan", "model": str(model), "build": "compiled"}
    npu = written_settings(tmp_path, model, TARGETS["android-npu"].settings)
    gpu = TARGETS["android-gpu"].settings
    (tmp_path / "gpu").mkdir()
    alone = written_settings(tmp_path / "gpu", model, gpu)
    first, second, third, fourth = ask(
        request,
        request | {"refused": "GPU"},
        npu | {"build": "compiled", "refused": "NPU,NPU+CPU"},
        alone | {"build": "compiled", "refused": "GPU"},
    )
    assert first["runs"] == "GPU"  # a float model without settings
    assert second["runs"] == "CPU"
    assert second["notes"][0] == "GPU refuses bytes.tflite: no such device"
    assert third["runs"] == "CPU"
    assert third["notes"][1] == "NPU and CPU refuses bytes.tflite: no such device"
    assert fourth["failure"] == (
        "GPU refuses bytes.tflite: no such device; choose other settings (fastscnn settings "
        "bytes.tflite --for DEVICE)"
    )


def test_an_int8_model_without_settings_runs_on_the_cpu(ask, model_files):
    (answer,) = ask({"op": "plan", "model": str(model_files["int8"]), "build": "classic"})
    assert answer["attempts"] == ["CPU"]


def test_settings_that_cannot_hold_are_one_line(ask, small_files, tmp_path):
    model = small_files / "bytes.tflite"
    request = written_settings(tmp_path, model, TARGETS["android-npu"].settings)
    path = Path(request["settings"])
    whole = json.loads(path.read_text())
    inner = whole["settings"]
    changes = [
        {"sha256": "0" * 64},
        {"format": 2},
        {"settings": inner | {"speed": 1}},
        {"settings": inner | {"accelerator": "tpu"}},
        {"settings": inner | {"cpu_fallback": "yes"}},
        {"settings": inner | {"cpu": 4}},
        {"settings": inner | {"api": "litert_js", "accelerator": "cpu"}},
    ]
    requests = [request | {"build": "classic"}]
    for i, change in enumerate(changes):
        made = tmp_path / f"{i}.json"
        made.write_text(json.dumps(whole | change))
        requests.append(request | {"build": "compiled", "settings": str(made)})
    broken = tmp_path / "broken.json"
    broken.write_text(path.read_text()[:-9])
    requests.append(request | {"build": "compiled", "settings": str(broken)})
    found = [answer["failure"] for answer in ask(*requests)]
    name = "bytes.tflite.settings.json"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()[:12]
    assert found[0] == (
        f"{name}: accelerator=npu needs the compiled build of this app, this is the classic one"
    )
    assert found[1] == (
        f"{name} belongs to another model: it names SHA-256 000000000000..., bytes.tflite has "
        f"{digest}...: write it anew with fastscnn settings bytes.tflite --for DEVICE --force, or "
        "delete it"
    )
    assert found[2].startswith(f"{name}: settings of format 2, this app reads 1")
    assert found[3].startswith(f"{name}: unknown option 'speed': expected one of cpu, gpu,")
    assert found[4] == f"{name}: accelerator must be cpu, gpu, nnapi, npu, got tpu"
    assert found[5] == 'settings: settings.cpu_fallback must be true or false, got "yes"'
    assert found[6] == f"{name}: cpu: expected named values"
    assert found[7].startswith(f"{name}: settings for a browser")
    assert found[8].startswith(f"{name}: no valid JSON")


def test_settings_inside_the_file_are_read(ask, tmp_path):
    model = fs.fast_scnn(fs.FastSCNNConfig(2, (32, 32), width=0.25))
    path = tmp_path / "inside.tflite"
    settings = TARGETS["android-gpu"].settings
    fs.export_tflite(model, path, recipe="float16", settings=settings)
    (answer,) = ask({"op": "plan", "model": str(path), "build": "compiled"})
    assert answer["attempts"] == ["GPU"]


@pytest.mark.parametrize(
    "text", ['{"a": [1, -2.5e3, true, null, "\\u00e9\\n\\"\\\\/"], "b": {}}', "[]", '" x "', "0"]
)
def test_json_is_pythons(ask, text):
    assert ask({"op": "json", "text": text}) == [json.loads(text)]


@pytest.mark.parametrize("text", ["", "{", '{"a" 1}', "[1,]", "01", "tru", '"\\x"', '"a', "1 2"])
def test_what_is_no_json_is_refused(ask, text):
    (answer,) = ask({"op": "json", "text": text})
    assert answer["failure"].startswith("text: no valid JSON (")


# The app itself: compiled, against Android's own classes and signatures of the libraries.


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


@pytest.mark.parametrize(("build", "generated"), [("compiled", 5), ("classic", 3)])
def test_the_app_and_generated_kotlin_compile(
    target_tools, core_jar, libraries, tmp_path, build, generated
):
    golden = golden_sources(tmp_path, build)
    assert len(golden) == generated
    made = kotlinc(
        target_tools("jvm"), build, [*app_sources(build), *golden], (*libraries, core_jar)
    )
    listed = subprocess.run(["jar", "-tf", made], check=True, capture_output=True, text=True)
    classes = listed.stdout.splitlines()
    for name in ("MainActivity", "BenchmarkActivity", "Engine", "OverlayView"):
        assert f"org/fastscnn/app/{name}.class" in classes
    assert sum(name.endswith("/FastScnnModel.class") for name in classes) == generated


def test_the_compiler_would_see_a_wrong_call(target_tools, core_jar, libraries, tmp_path):
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
