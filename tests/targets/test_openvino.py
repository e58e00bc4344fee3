"""OpenVINO beside the other runtimes: their tests, in an environment that has it."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = "tests/runtime/test_runtimes.py"


def test_the_tests_of_the_runtimes_run_with_openvino(target_tools, tmp_path):
    python = target_tools("intel") / "venv" / "bin" / "python"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    # What ONNX Runtime alone runs is the same packages here and where those tests run anyway.
    arguments = ["-k", "not onnxruntime", "-rs", TESTS]
    arguments += [f"--basetemp={tmp_path / 'pt'}", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [python, "-m", "pytest", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    # What is skipped is what is for an environment without it.
    skipped = re.findall(r"^SKIPPED \[(\d+)\] (.*)", done.stdout, re.M)
    assert [count for count, _ in skipped] == ["1"] and "openvino is installed" in skipped[0][1]
