"""The wheel of this checkout, built by pip, for tests that install it as a user does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRIED = re.compile(r"fastscnn: .*: (not opened here before|opened here for the first time): .*\n")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def build_wheel(folder: Path) -> Path:
    """Builds it in a folder, from a copy: nothing is left in the checkout."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "tflite").mkdir()
    for path in (ROOT / "tflite").glob("*camvid*.*"):
        shutil.copy(path, source / "tflite")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fastscnn_tf", source / "fastscnn_tf", ignore=ignored)
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("fastscnn_tf-*-py3-none-any.whl")
    return wheel


def install_wheel(wheel: Path, target: Path) -> Path:
    """Unpacks it into a folder without what it needs, as pip does."""
    install = [*PIP, "install", "--no-deps", "--no-compile", "--target", target, wheel]
    subprocess.run(install, check=True, capture_output=True)
    return target


def without_trials(stderr: str) -> str:
    """What a command says, but that it tries a file out, which it says where that takes seconds."""
    return TRIED.sub("", stderr)
