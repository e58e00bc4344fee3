"""What the tests of `tflite/cpp` share: its programs, for this machine and for emulated ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ai_edge_litert
import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "tflite" / "cpp"
CHECK = Path(__file__).parent / "cpp" / "check.cpp"
LITERT = Path(ai_edge_litert.__path__[0]) / "libLiteRt.so"
NATIVE, PI4, PI5 = "native", "cortex-a72", "cortex-a76"
CROSS = ("-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64")


def succeed(*command: str | Path) -> str:
    """Runs a command that must end well; gives its output."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def build(folder: Path, library: Path, compiler: str, *options: str) -> None:
    """Builds the library, `segment` and `check` in a folder."""
    succeed(
        *("cmake", "-S", SOURCE, "-B", folder, f"-DLITERT_LIBRARY={library}"),
        *(f"-DCMAKE_CXX_COMPILER={compiler}", *options),
    )
    succeed("cmake", "--build", folder)
    succeed(
        *(compiler, "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-I", SOURCE / "include"),
        *(CHECK, folder / "libfastscnn.a", "-o", folder / "check"),
    )


@pytest.fixture(scope="session")
def programs(target_tools, made_once):
    """machine -> what runs a program of the build there."""
    tools = target_tools("cpp")
    arm = tools / "aarch64" / "ai_edge_litert" / "libLiteRt.so"
    # Once for all workers: one that links a program anew takes it from under another that runs it.
    native = made_once("cpp-native", lambda path: build(path, LITERT, "g++"))
    cross = made_once("cpp-arm64", lambda path: build(path, arm, "aarch64-linux-gnu-g++", *CROSS))
    built = {NATIVE: native, PI4: cross, PI5: cross}

    def run(machine: str, program: str, *arguments) -> subprocess.CompletedProcess:
        command = [built[machine] / program, *map(str, arguments)]
        if machine != NATIVE:
            emulator = ["qemu-aarch64-static", "-cpu", machine, "-L", tools / machine]
            command = [*emulator, "-E", f"LD_LIBRARY_PATH={arm.parent}", *command]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    run.folder = built[NATIVE]
    return run
