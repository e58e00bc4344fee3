"""`tflite/cpp` installed: another project finds it by CMake and by pkg-config, and runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cpp_tools import succeed

from fastscnn_tf.runtime.segmenter import Segmenter

CONSUMER = Path(__file__).parent / "cpp" / "consumer.cpp"
PROJECT = """
cmake_minimum_required(VERSION 3.18)
project(consumer CXX)
find_package(fastscnn 1.0 REQUIRED)
add_executable(consumer consumer.cpp)
target_link_libraries(consumer PRIVATE fastscnn::fastscnn)
"""


@pytest.fixture(scope="module")
def installed(programs, tmp_path_factory) -> Path:
    """The folder, moved after the installation, to where a name has a space."""
    folder = tmp_path_factory.mktemp("installed")
    succeed("cmake", "--install", programs.folder, "--prefix", folder / "first")
    shutil.move(folder / "first", folder / "moved here")
    return folder / "moved here"


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "consumer"
    folder.mkdir()
    shutil.copy(CONSUMER, folder)
    (folder / "CMakeLists.txt").write_text(PROJECT)
    return folder


def check_labels(program: Path, model: Path, street: Path) -> None:
    done = subprocess.run([program, model, street], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    expected = Segmenter(model, threads=1).predict(street, fit="letterbox")
    found = np.frombuffer(done.stdout, np.uint8).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)


def test_cmake_finds_it(installed, project, small_files, street_files):
    build = project / "build"
    succeed("cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={installed}")
    succeed("cmake", "--build", build)
    check_labels(build / "consumer", small_files / "bytes.tflite", street_files["street_upright"])


def test_pkg_config_finds_it(installed, project, small_files, street_files, monkeypatch):
    package = next(installed.rglob("fastscnn.pc"))
    monkeypatch.setenv("PKG_CONFIG_PATH", str(package.parent))
    found = succeed("sh", "-c", "eval \"printf '%s\\n' $(pkg-config --cflags --libs fastscnn)\"")
    program = project / "consumer"
    succeed("g++", "-std=c++17", project / "consumer.cpp", *found.splitlines(), "-o", program)
    check_labels(program, small_files / "bytes.tflite", street_files["street_upright"])


def test_the_installed_program_runs(installed, small_files, street_files, tmp_path):
    program = installed / "bin" / "segment"
    environment = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    out = tmp_path / "l.pgm"
    command = [program, small_files / "bytes.tflite", street_files["street_small"], out, "1"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().startswith(b"P5\n480 360\n255\n")
