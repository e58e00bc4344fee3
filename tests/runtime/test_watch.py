"""Watching folders and videos: what is seen, dropped, smoothed, doubted, written and told."""

import itertools
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from network_camera import network_camera
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, DataError, OutputError, StreamEnded
from fastscnn_tf.core.images.visualize import overlay
from fastscnn_tf.core.labels import TOY_STREETS
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.runtime.fit import fitted
from fastscnn_tf.runtime.postprocess import LogitsFrame, labels_from_logits, logit_strips
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.scoring.averaged_views import softmax
from fastscnn_tf.stream.capture import Capture
from fastscnn_tf.stream.sources import Frame, open_source
from fastscnn_tf.stream.temporal import Flicker, FrameLabels
from fastscnn_tf.stream.watch import STEPS, watch

MODEL = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"


NEVER = threading.Event()


@pytest.fixture
def drive(tmp_path):
    """Five images of coloured blocks."""
    folder = tmp_path / "drive"
    folder.mkdir()
    for i in range(5):
        blocks = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(blocks.repeat(15, axis=0).repeat(15, axis=1))
        picture.save(folder / f"{i}.png")
    return folder


def test_a_folder_is_watched_into_files(drive, tmp_path, run):
    arguments = ["watch", drive, MODEL, "--output", tmp_path / "out"]
    code, out, err = run(*arguments, "--frames", 3, "--json", tmp_path / "w.json")
    assert (code, err) == (0, "")
    assert out.startswith("3 frames, ")
    result = json.loads((tmp_path / "w.json").read_text())
    assert (result["frames"], result["dropped"], result["interrupted"]) == (3, 0, False)
    assert list(result["step_ms"]) == list(STEPS)
    assert result["step_ms"].pop("convert") == 0  # images are RGB and upright
    assert all(ms > 0 for ms in result["step_ms"].values())
    assert result["fps"] > 0
    names = [f"{i}_{kind}" for i in range(3) for kind in ("labels.png", "overlay.jpg")]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
    segmenter = Segmenter(MODEL)
    maps = [np.asarray(Image.open(tmp_path / "out" / f"{i}_labels.png")) for i in range(3)]
    for i, labels in enumerate(maps):
        assert np.array_equal(labels, segmenter.predict(drive / f"{i}.png"))
    changed = [np.mean(a != b) for a, b in itertools.pairwise(maps)]
    assert result["flicker"] == pytest.approx(np.mean(changed))
    code, _, err = run(*arguments)
    assert code == 2
    assert "is not empty" in err


def test_a_pattern_takes_what_it_names(drive):
    frames = list(open_source(str(drive / "[1-3].png")).frames(NEVER))
    assert [frame.name for frame in frames] == ["1", "2", "3"]
    with pytest.raises(DataError, match=r"\*\.bmp: no file has a name of this pattern"):
        open_source(str(drive / "*.bmp"))
    (drive / "2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"2\.png: not a readable image"):
        watch(str(drive), MODEL, window=False)


def test_equal_names_from_two_folders_do_not_overwrite_each_other(drive, tmp_path):
    (drive / "more").mkdir()
    (drive / "0.png").rename(drive / "more" / "1.png")
    watch(str(drive / "**" / "1.png"), MODEL, tmp_path / "out")
    names = sorted(p.name for p in (tmp_path / "out").glob("*.png"))
    assert names == ["1-2_labels.png", "1_labels.png"]


class NeverAfterLooks(threading.Event):
    """Waited for between two looks into a folder; something comes after one that found no more."""

    def __init__(self, come):
        super().__init__()
        self.looks, self.come = 0, come

    def wait(self, timeout=None):
        self.looks += 1
        if self.looks == 3:  # the first finds the files, the second takes them
            self.come()
        return super().wait(timeout)


def test_new_pictures_are_followed_and_unreadable_ones_told(drive, tmp_path):
    told = []
    (drive / "bad.png").write_bytes(b"no image")
    (drive / "0.png").rename(tmp_path / "moved.png")
    never = NeverAfterLooks(lambda: (tmp_path / "moved.png").rename(drive / "later.png"))
    frames = open_source(str(drive), follow=True, on_bad=told.append).frames(never)
    names = [next(frames).name for _ in range(5)]
    frames.close()
    assert names == ["1", "2", "3", "4", "later"]
    assert len(told) == 1
    assert "bad.png: not a readable image" in told[0]
    before = set(threading.enumerate())
    assert watch(str(drive), MODEL, window=False, follow=True, frames=2).frames == 2
    assert set(threading.enumerate()) <= before  # nobody goes on looking
    with pytest.raises(ConfigError, match="--follow is for a folder"):
        open_source("clip.mp4", follow=True)


def test_a_picture_that_pauses_on_its_way_is_looked_at_when_it_is_whole(drive, tmp_path):
    content = (drive / "0.png").read_bytes()
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "a.png").write_bytes(content[: len(content) // 2])
    told = []

    def tell(line):
        told.append(line)
        (slow / "a.png").write_bytes(content)  # the rest comes after it was found unreadable

    frames = open_source(str(slow), follow=True, on_bad=tell).frames(NEVER)
    assert next(frames).name == "a"
    frames.close()
    assert len(told) == 1
    assert "looked at again when it changes" in told[0]


def frames(count):
    for i in range(count):
        yield Frame(str(i), np.zeros((2, 2, 3), np.uint8), 0.0, time.perf_counter())


def test_only_the_newest_frame_of_a_live_source_waits():
    read = threading.Event()

    def camera():
        yield from frames(6)
        read.set()

    with Capture(lambda _: camera(), drop=True) as capture:
        assert read.wait(60)
        assert [frame.name for frame in capture] == ["5"]
        assert capture.dropped == 5
    with Capture(lambda _: frames(6), drop=False) as capture:
        assert [frame.name for frame in capture] == list("012345")
        assert capture.dropped == 0


def test_a_source_that_fails_is_told_after_its_frames():
    def broken():
        yield from frames(2)
        raise DataError("unplugged")

    seen = []
    with (
        Capture(lambda _: broken(), drop=False) as capture,
        pytest.raises(DataError, match="unplugged"),
    ):
        seen.extend(iter(capture))
    with (
        Capture(lambda _: broken(), drop=False) as capture,
        pytest.raises(DataError, match="unplugged"),
    ):
        for frame in capture:
            seen.append(frame)
    assert len(seen) >= 2
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield from frames(1)
        finally:
            closed.set()

    with Capture(lambda _: endless(), drop=False) as capture:
        next(iter(capture))
    assert closed.wait(60)


class Logits:
    """Gives the logits it is told to."""

    frame, outputs, path = LogitsFrame.of((32, 64)), "logits", "m.tflite"
    logit_scale, offset = 0.5, 0.0


def test_smoothing_is_exponential_and_begins_anew_with_another_size():
    rng = np.random.default_rng(0)
    one, two = (rng.integers(-99, 99, (4, 8, 3)).astype(np.int8) for _ in range(2))
    seen = fitted(np.zeros((32, 64, 3), np.uint8), (32, 64), "resize")
    smoothed = FrameLabels(Logits(), smooth=0.75)
    first = smoothed(seen, one, (32, 64))
    assert np.array_equal(first, labels_from_logits(one, Logits.frame, (32, 64)))
    mixed = 0.75 * one.astype(np.float32) + np.float32(0.25) * two
    second = smoothed(seen, two, (32, 64))
    assert np.array_equal(second, labels_from_logits(mixed, Logits.frame, (32, 64)))
    assert not np.array_equal(second, labels_from_logits(two, Logits.frame, (32, 64)))
    other = smoothed(seen, two, (30, 50))
    assert np.array_equal(other, labels_from_logits(two, Logits.frame, (30, 50)))


@pytest.mark.parametrize("size", [(32, 64), (45, 150)])
def test_what_is_below_the_confidence_is_unknown(size):
    logits = np.random.default_rng(0).normal(0, 4, (4, 8, 3)).astype(np.float32)
    seen = fitted(np.zeros((*size, 3), np.uint8), (32, 64), "resize")
    strips = (softmax(s * 0.5) for _, s in logit_strips(logits, Logits.frame, size))
    shares = np.concatenate(list(strips))
    expected = np.where(shares.max(-1) >= 0.7, shares.argmax(-1), 255)
    labels = FrameLabels(Logits(), confidence=0.7)(seen, logits, size)
    near = np.abs(shares.max(-1) - 0.7) < 1e-5
    assert 0.1 < np.mean(labels == 255) < 0.9
    assert np.array_equal(labels[~near], expected[~near])
    everything = FrameLabels(Logits(), confidence=0)(seen, logits, size)
    assert np.array_equal(everything, labels_from_logits(logits, Logits.frame, size))


def test_flicker_is_the_share_of_pixels_that_change():
    flicker = Flicker()
    assert flicker.share is None
    labels = np.zeros((2, 4), np.uint8)
    flicker.add(labels)
    assert flicker.share is None
    changed = labels.copy()
    changed[0] = 255
    flicker.add(changed)
    assert flicker.share == 0.5
    flicker.add(changed)
    assert flicker.share == 0.25
    flicker.add(np.zeros((4, 2), np.uint8))
    assert flicker.share == 0.25


def test_smoothing_lessens_the_flicker_of_a_real_model(drive):
    plain = watch(str(drive), MODEL, window=False)
    smooth = watch(str(drive), MODEL, window=False, smooth=0.8)
    assert 0 < smooth.flicker < plain.flicker
    doubted = watch(str(drive), MODEL, window=False, confidence=0.9)
    assert doubted.unknown > plain.unknown == 0


@pytest.mark.parametrize(("rotate", "mirror"), [(90, False), (180, True), (270, False), (0, True)])
@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_pictures_of_a_turned_camera_give_upright_label_maps(tmp_path, rotate, mirror, fit):
    scene = draw_scene((9,), (120, 200))[0]
    seen = scene[:, ::-1] if mirror else scene
    folder = tmp_path / "turned"
    folder.mkdir()
    Image.fromarray(np.rot90(seen, rotate // 90).copy()).save(folder / "a.png")  # anticlockwise
    options = {"rotate": rotate, "mirror": mirror, "fit": fit}
    result = watch(str(folder), MODEL, tmp_path / "out", **options)
    labels = np.asarray(Image.open(tmp_path / "out" / "a_labels.png"))
    assert np.array_equal(labels, Segmenter(MODEL).predict(scene, fit=fit))
    assert result.step_ms["convert"] > 0


def test_a_wrong_angle_is_told(drive, run):
    code, _, err = run("watch", drive, MODEL, "--no-window", "--rotate", 45)
    assert code == 2
    assert "'45' is not one of '0', '90', '180', '270'" in err
    code, _, err = run("watch", drive, MODEL, "--no-window", "--camera-size", "480x640")
    assert code == 2
    assert "--camera-size and --camera-format are for cameras" in err


def test_unknown_pixels_show_the_picture():
    image = np.full((1, 2, 3), 77, np.uint8)
    picture = overlay(image, np.array([[255, 0]], np.uint8), TOY_STREETS, 1.0)
    assert picture[0, 0].tolist() == [77] * 3
    assert tuple(picture[0, 1]) == TOY_STREETS.colors[0]


def test_bad_options_are_told(drive, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no such file or folder; expected images, a video"):
        open_source("nothing.mp4")
    for options, message in (
        ({"smooth": 1.0}, "smooth must be 0 to below 1, got 1.0"),
        ({"confidence": 2.0}, r"confidence must be 0\.\.1, got 2.0"),
        ({"frames": 0}, "frames must be at least 1, got 0"),
        ({"fit": "crop"}, "fit must be resize or letterbox"),
    ):
        with pytest.raises(ConfigError, match=message):
            watch(str(drive), MODEL, window=False, **options)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(OutputError, match="no display for a window: pass --output"):
        watch(str(drive), MODEL)

    class Maps(Logits):
        outputs = "labels"

    with pytest.raises(ConfigError, match="smoothing and confidence need logits"):
        FrameLabels(Maps(), smooth=0.5)


def test_without_opencv_one_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    for source in (str(tmp_path / "clip.mp4"), "0", "rtsp://camera/stream"):
        with pytest.raises(ConfigError, match=r'needs OpenCV, .* "fastscnn-tf\[video\]"'):
            open_source(source)
    monkeypatch.setitem(__import__("sys").modules, "picamera2", None)
    with pytest.raises(ConfigError, match="needs picamera2"):
        open_source("picamera")


def test_a_video_file_is_watched(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    colors = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]  # RGB
    for color in colors:
        writer.write(np.full((64, 96, 3), color[::-1], np.uint8))
    writer.release()
    seen = list(open_source(str(path)).frames(NEVER))
    assert [frame.name for frame in seen] == ["clip_000000", "clip_000001", "clip_000002"]
    for frame, color in zip(seen, colors, strict=True):
        assert np.abs(frame.image.mean((0, 1)) - color).max() < 12  # JPEG's
    result = watch(str(path), MODEL, tmp_path / "out")
    assert (result.frames, result.dropped) == (3, 0)
    assert (tmp_path / "out" / "clip_000002_labels.png").exists()
    path.write_bytes(b"no video")
    with pytest.raises(DataError, match="OpenCV cannot open it"):
        watch(str(path), MODEL, window=False)


@pytest.fixture
def camera():
    """The address of a network camera on this machine."""
    pytest.importorskip("cv2", reason="OpenCV is not installed: no stream is read")
    with network_camera() as address:
        yield address


@pytest.mark.parametrize("end", ["ended", "broken"])
def test_a_network_stream_is_watched_and_its_end_told(camera, end, tmp_path, run):
    url = f"{camera}/{end}"
    opened = open_source(url)
    assert opened.live
    frames = []
    with pytest.raises(StreamEnded, match=f"{url}: the stream ended or broke off after 12 frames"):
        frames.extend(opened.frames(NEVER))
    seen = [frame.image.mean((0, 1)).argmax() for frame in frames]
    assert seen == [i % 3 for i in range(12)]
    target = tmp_path / "w.json"
    code, out, err = run(
        "watch", url, MODEL, "--keep-all", "--output", tmp_path / "out", "--json", target
    )
    assert code == 1
    assert out.startswith("12 frames, ")
    assert err.count("\n") == 1
    assert "to go on" in err
    result = json.loads(target.read_text())
    assert (result["frames"], result["dropped"]) == (12, 0)
    assert result["ended"] in err
    assert (tmp_path / "out" / "camera_000011_labels.png").exists()


def test_an_endless_stream_ends_when_enough_was_seen(camera, run):
    code, out, err = run("watch", f"{camera}/endless", MODEL, "--no-window", "--frames", 4)
    assert (code, err) == (0, "")
    assert out.startswith("4 frames, ")


def test_a_video_at_an_address_ends_as_a_file_does(tmp_path, run):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: no stream is read")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for _ in range(3):
        writer.write(np.zeros((64, 96, 3), np.uint8))
    writer.release()
    with network_camera({"/clip.avi": path.read_bytes()}) as address:
        code, out, err = run("watch", f"{address}/clip.avi", MODEL, "--no-window", "--keep-all")
    assert (code, err) == (0, "")
    assert out.startswith("3 frames, ")


def test_an_address_that_does_not_answer_is_told(camera):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/stream"
        with pytest.raises(DataError, match="is the address right, and does it answer"):
            watch(url, MODEL, window=False)


@pytest.mark.parametrize("path", ["silent", "nothing", "header", "slow"])
def test_an_address_that_never_gives_a_frame_is_given_up(camera, path, run):
    start = time.monotonic()
    url = f"{camera}/{path}"
    code, out, err = run("watch", url, MODEL, "--no-window", "--timeout", 2)
    assert (code, out) == (2, "")
    assert err.startswith(f"fastscnn: {url}: no frame came within 2 seconds: is the address right")
    assert "--timeout SECONDS" in err
    assert err.count("\n") == 1
    assert 2 < time.monotonic() - start < 60  # after which the silent one goes on


@pytest.mark.parametrize("path", ["half", "grows"])  # OpenCV takes no frame of another size then
def test_a_stream_that_stops_within_a_frame_is_given_up(camera, path, tmp_path, run):
    target = tmp_path / "w.json"
    arguments = ["--no-window", "--keep-all", "--timeout", 2, "--json", target]
    code, out, err = run("watch", f"{camera}/{path}", MODEL, *arguments)
    assert code == 1
    seen = json.loads(target.read_text())["frames"]
    assert seen > 5
    assert out.startswith(f"{seen} frames, ")
    assert f"/{path}: after {seen} frames none came for 2 seconds" in err


def test_frames_that_are_too_large_are_told(camera, run):
    arguments = ["--no-window", "--keep-all", "--timeout", 600]  # to make one takes a while
    code, _, err = run("watch", f"{camera}/huge", MODEL, *arguments)
    assert code == 2
    assert "/huge: frames of 10000x10000, expected at most 50,000,000 pixels" in err


def test_a_source_that_blocks_is_given_up_and_its_thread_does_not_matter():
    """As a driver does that never returns."""
    blocked, released, ended = threading.Event(), threading.Event(), []

    def stuck(count):
        yield from frames(count)
        blocked.set()
        released.wait(120)
        ended.append(count)

    try:
        for count, error in ((0, DataError), (2, StreamEnded)):
            blocked.clear()
            capture = Capture(lambda _, count=count: stuck(count), False, 0.5, "rtsp://camera")
            with pytest.raises(error, match=r"rtsp://camera: .* 0\.5 seconds: .*--timeout"):  # noqa: SIM117
                with capture:
                    assert blocked.wait(60)
                    list(capture)
            assert not ended
    finally:
        released.set()


def test_what_waits_for_new_pictures_waits_for_them(drive):
    """However long that takes: only cameras, streams and videos owe a frame."""
    assert open_source(str(drive), follow=True).timeout is None
    with pytest.raises(ConfigError, match="--timeout is for cameras and videos, got"):
        watch(str(drive), MODEL, window=False, timeout=3)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="timeout must be above 0 and at most 86400 s"):
            watch("rtsp://camera", MODEL, window=False, timeout=wrong)
    with pytest.raises(DataError, match="no camera has this number"):
        open_source("99999999999")


@pytest.mark.skipif(not shutil.which("xvfb-run"), reason="xvfb-run is not installed: no display")
def test_a_window_shows_the_frames(drive):
    pytest.importorskip("tkinter", reason="Python has no Tk")
    command = ["xvfb-run", "-a", sys.executable, "-m", "fastscnn_tf", "watch", drive, MODEL]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 frames, ")


@pytest.mark.process
def test_ctrl_c_ends_and_tells_what_was_seen(drive, tmp_path):
    command = [sys.executable, "-m", "fastscnn_tf", "watch", drive, MODEL, "--follow"]
    command += ["--output", tmp_path / "out", "--json", tmp_path / "w.json"]
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores interrupts, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 600
    while not (tmp_path / "out" / "4_labels.png").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (130, "fastscnn: interrupted\n")
    assert " frames, " in out
    result = json.loads((tmp_path / "w.json").read_text())
    assert result["interrupted"]
    assert result["frames"] in (4, 5)  # the last one may not be counted yet


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov"])
def test_a_video_comes_out_of_a_video(tmp_path, suffix):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: no video is written")
    source, out = tmp_path / "in.avi", tmp_path / f"out{suffix}"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for shade in (40, 120, 200):
        writer.write(np.full((64, 96, 3), shade, np.uint8))
    writer.release()
    assert watch(str(source), MODEL, out).frames == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.avi", out.name])
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    means = [capture.read()[1].mean() for _ in range(3)]
    assert not capture.read()[0]
    capture.release()
    assert means[0] < means[1] < means[2]
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        watch(str(source), MODEL, out)
    with pytest.raises(OutputError, match=r"in\.avi is the source"):
        watch(str(source), MODEL, source, force=True)
    assert out.read_bytes() == before


def test_frames_of_other_sizes_make_no_video(tmp_path, capsys):
    pytest.importorskip("cv2", reason="OpenCV is not installed: no video is written")
    for name, size in (("1.png", (40, 60)), ("2.png", (40, 62))):
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / name)
    out = tmp_path / "out" / "v.mp4"
    with pytest.raises(DataError, match="2: 40x62, but the video's first frame is 40x60"):
        watch(str(tmp_path), MODEL, out)
    assert not list(out.parent.iterdir())
    assert "25 in the video" in capsys.readouterr().err
    with pytest.raises(OutputError, match=r"expected a video file of \.avi, \.mp4"):
        watch(str(tmp_path), MODEL, tmp_path / "v.webm")
