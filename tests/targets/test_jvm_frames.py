"""The Android app's core against numpy: a camera's frames, and the whole way from one to labels."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from jvm_tools import opened
from PIL import Image

from fastscnn_tf.core.images.interpolation import interpolation_matrix
from fastscnn_tf.runtime.fit import Box, Fitted


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
    sizes = ((48, 64), (37, 90), (20, 21))
    requests = [
        frame_request(tmp_path, y, u, v, interleaved, slack, size=size, **how)
        for interleaved in (True, False)
        for slack in (0, 13)
        for size in sizes
    ]
    boxes = ask(*requests)
    for request, box in zip(requests, boxes, strict=True):
        size = request["size"]
        assert box == [0, 0, *size]
        found = np.fromfile(request["output"], np.uint8).reshape(*size, 3)
        error = abs(found - expected_rgb(y, u, v, rotation, mirrored, size))
        assert error.max() <= 1.0, request
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
