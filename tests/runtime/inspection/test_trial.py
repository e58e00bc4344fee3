"""Files that crash, flood or stall LiteRT: one line, in a process that goes on."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile_models import INT8, another, changed, missing_bias, mutants, negative_scale, slow
from tiny_models import TinyModel, unary

from fastscnn_tf.core.errors import InputError, ModelFileError
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.runtime import trial, tried
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.runtime.workers import in_processes

BUILTIN = DeviceSettings(cpu=CpuSettings(kernel_mode="builtin"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, and a process that knows no file."""
    monkeypatch.setenv("FASTSCNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tried, "here", set())
    tried.say_once.cache_clear()
    return tmp_path / "cache" / tried.FOLDER


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(changed(another))
    return path


def written(folder: Path, content: bytes) -> Path:
    path = folder / "hostile.tflite"
    path.write_bytes(content)
    return path


SCALE = r"damaged \.tflite file \(tensor \d+ has the scale -1, which must be above 0"
CRASH = r"the interpreter crashed on this file \(SIGSEGV\): damaged or hostile"


@pytest.mark.parametrize(
    ("command", "change", "reason"),
    [
        ("predict", negative_scale, SCALE),
        ("predict", missing_bias, CRASH),
        ("benchmark", missing_bias, CRASH),
        ("evaluate", missing_bias, CRASH),
    ],
)
def test_a_file_that_kills_litert_gets_one_line(command, change, reason, tmp_path):
    """A process of its own: without the trial it would be dead."""
    path = written(tmp_path, changed(change))
    given = {
        "predict": [INT8.parents[1] / "README.md", "--output", tmp_path / "out"],
        "benchmark": [],
        "evaluate": ["--dataset", "toy"],
    }[command]
    call = [sys.executable, "-m", "fastscnn_tf", command, path, *given]
    done = subprocess.run([str(part) for part in call], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.match(rf"fastscnn: {re.escape(str(path))}: {reason}", done.stderr)
    assert done.stderr.endswith("it was not run here\n")
    assert len(done.stderr.splitlines()) == 1


def test_mutants_leave_this_process_alone(cache, tmp_path):
    """What passes the trial runs here, too."""
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    ran = 0
    for content in mutants(7, 16):
        try:
            Segmenter(written(tmp_path, content)).predict(image)
            ran += 1
        except InputError as error:
            assert "\n" not in str(error)
    assert 0 < ran < 16


def test_a_known_file_is_not_tried_again(cache, model, caplog, monkeypatch):
    monkeypatch.setattr(trial, "FELT", 0)
    monkeypatch.setattr(trial, "LONG", 0)
    with caplog.at_level(logging.INFO, "fastscnn_tf"):
        assert Segmenter(model).trial_seconds > 0
    assert "not opened here before: it is being tried out, for up to" in caplog.text
    assert "opened here for the first time: tried out in" in caplog.text
    assert len(list(cache.iterdir())) == 1
    assert Segmenter(model, threads=1).trial_seconds == 0
    tried.here.clear()  # as in another process
    assert Segmenter(model).trial_seconds == 0
    assert Segmenter(model, settings=BUILTIN).trial_seconds > 0  # opened in another way
    assert Segmenter(model, settings=DeviceSettings(api="compiled_model")).trial_seconds > 0
    model.write_bytes(model.read_bytes() + b"\0")
    assert Segmenter(model).trial_seconds > 0
    assert len(list(cache.iterdir())) == 4
    assert all(path.stat().st_size == 0 for path in cache.iterdir())


def test_what_failed_is_not_remembered(cache, tmp_path):
    path = written(tmp_path, changed(missing_bias))
    for _ in range(2):
        with pytest.raises(ModelFileError, match="crashed"):
            Segmenter(path)
    assert not cache.exists()


def test_a_trusted_file_is_not_tried(cache, model, monkeypatch):
    assert Segmenter(model, trusted=True).trial_seconds == 0
    monkeypatch.setenv("FASTSCNN_TRUSTED", "1")
    assert Segmenter(model).trial_seconds == 0
    assert not cache.exists()
    monkeypatch.setenv("FASTSCNN_TRUSTED", "0")
    assert Segmenter(model).trial_seconds > 0


def test_without_a_python_to_start_the_file_must_be_trusted(cache, model, monkeypatch):
    """As in an embedded or a frozen one, which would start itself."""
    for name, value in (("executable", ""), ("frozen", True)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, value, raising=False)
            with pytest.raises(ModelFileError, match=r"no Python to start.*trusted=True"):
                Segmenter(model)
            Segmenter(model, trusted=True)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelFileError, match=r"ended early \(code 1\)\): if you trust it"):
        Segmenter(model)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX owners")
def test_a_cache_that_others_can_write_into_counts_for_nothing(cache, model, caplog):
    Segmenter(model)
    cache.chmod(0o777)
    with caplog.at_level(logging.DEBUG, "fastscnn_tf"):
        for _ in range(2):
            tried.here.clear()
            assert Segmenter(model).trial_seconds > 0
    said = [r for r in caplog.records if r.levelno == logging.DEBUG]
    assert [r.getMessage() for r in said] == [
        f"models are tried each time: {cache}: no folder that only you can write into"
    ]
    cache.chmod(0o700)
    tried.here.clear()
    assert Segmenter(model).trial_seconds == 0
    if os.getuid() == 0:
        os.chown(cache, 12345, -1)
        tried.here.clear()
        assert Segmenter(model).trial_seconds > 0


def test_a_cache_that_cannot_be_written_is_no_error(cache, model):
    cache.parent.write_text("a file in its place")
    assert Segmenter(model).trial_seconds > 0
    assert Segmenter(model).trial_seconds == 0  # this process knows


def test_the_cache_is_private_and_bounded(cache, monkeypatch):
    monkeypatch.setattr(tried, "MOST", 20)
    for i in range(50):
        tried.remember(f"{i:064}")
        os.utime(cache / f"{i:064}", (i, i))
    names = {path.name for path in cache.iterdir()}
    assert len(names) <= 20
    assert f"{49:064}" in names
    assert f"{0:064}" not in names
    if hasattr(os, "getuid"):
        assert cache.stat().st_mode & 0o777 == 0o700


class Asked:
    """Whether a worker's process knows a file."""

    def __call__(self, key: str) -> bool:
        return tried.is_known(key)


def test_workers_know_what_was_tried_where_they_were_started(cache):
    cache.parent.write_text("no cache")
    tried.remember("a")
    assert list(in_processes(Asked, ["a", "b"], 2)) == [True, False]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_memory_and_computing_are_limited(cache, tmp_path, monkeypatch):
    size = (1, 20_000, 20_000, 3)
    with monkeypatch.context() as patch:
        patch.setattr(trial, "physical_memory", lambda: 1 << 30)
        with pytest.raises(ModelFileError, match=r"refuses this file|crashed on this file"):
            Segmenter(written(tmp_path, unary("RELU", input=size, output=size)), scale=1)
    monkeypatch.setattr(trial, "BASE_SECONDS", 1)
    monkeypatch.setattr(trial, "SPEED", 1 << 60)
    with pytest.raises(ModelFileError, match=r"no end after \d+ s: too slow.*trusted=True"):
        Segmenter(written(tmp_path, slow()), scale=1)


def test_what_the_file_says_reaches_no_terminal_raw(cache, tmp_path):
    odd = TinyModel()
    x, y = odd.tensor((1, 8, 8, 3)), odd.tensor((1, 8, 8, 3))
    odd.op("CUSTOM", [x], [y], custom="\x1b[2J\nnone")
    with pytest.raises(ModelFileError, match="interpreter refuses this file") as refusal:
        Segmenter(written(tmp_path, odd.pack([x], [y])), scale=1)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("dtype", ["float16", "bool"])
def test_ports_of_any_type_run_compiled_or_are_refused(cache, tmp_path, dtype):
    """None of them has a quantization."""
    size = (1, 8, 8, 3)
    kind, kinds = ("DEQUANTIZE", "float32") if dtype == "float16" else ("LOGICAL_NOT", "bool")
    path = written(tmp_path, unary(kind, dtype, size, input=size, output_type=kinds))
    settings = DeviceSettings(api="compiled_model")
    if dtype == "float16":
        segmenter = Segmenter(path, settings=settings, scale=1)
        assert segmenter.run(np.zeros(size[1:], np.uint8)).shape == size[1:]
    else:
        with pytest.raises(ModelFileError, match="scores of bool with 0 scales cannot be read"):
            Segmenter(path, settings=settings)
