"""The process in which files are tried: what it has and what it may do."""

import json
import os
import sys

import pytest

from fastscnn_tf.core.confined import Limits, run_confined

TASK = """
import os, sys

def run(content, order, say):
    say(content=content.decode(), order=order, names=sorted(os.environ), path=sys.path)
    say(modules=sorted(name for name in sys.modules if name.startswith(("fastscnn_tf", "PIL"))))
    try:
        with open(order["file"], "w") as file:
            file.write("x")
    except OSError as error:
        say(written=error.strerror)
    try:
        bytearray(order["memory"])
    except MemoryError:
        say(memory="refused")
    say(stdin=sys.stdin.read())
    os.abort()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_it_has_next_to_nothing_and_its_end_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("A_SECRET", "x")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit")  # of a stranger's folder
    monkeypatch.syspath_prepend("")
    task = tmp_path / "task.py"
    task.write_text(TASK)
    order = {"file": str(tmp_path / "written"), "memory": 3 << 30}
    outcome = run_confined(task, order, b"abc", Limits(2 << 30, 20, 600))
    assert outcome.started
    assert outcome.ending == "the interpreter crashed on this file (SIGABRT)"
    said = {key: value for line in outcome.lines for key, value in line.items()}
    assert (said["content"], said["order"], said["stdin"]) == ("abc", order, "")
    assert "A_SECRET" not in said["names"]
    assert not {"", str(tmp_path)} & set(said["path"])
    assert said["modules"] == []
    assert said["written"] == os.strerror(27)  # EFBIG
    assert said["memory"] == "refused"
    assert not any(path.name.startswith("core") for path in tmp_path.iterdir())
    assert json.dumps(order)


def test_what_sleeps_is_stopped(tmp_path):
    task = tmp_path / "task.py"
    task.write_text("import time\ndef run(*_):\n    time.sleep(600)\n")
    outcome = run_confined(task, None, b"", Limits(None, 30, 6))
    assert outcome.ending == "no end after 6 s"
