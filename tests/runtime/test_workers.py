"""Several processes: order, the first error, processes that die, Ctrl-C."""

import base64
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.evaluation.prediction import predict_files
from fastscnn_tf.runtime.workers import WorkerDied, in_processes

MODEL = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"


class Doubled:
    """What a process computes with: twice the number; some numbers are bad."""

    def __init__(self, marks: Path):
        self.marks = marks

    def __call__(self, number: int) -> tuple[int, int]:
        (self.marks / str(number)).touch()
        if number == 0:  # done after a later one: whoever begins a second has answered the first
            self.wait_for("[-0-9]*", 3)
        if number < 0:
            raise DataError(f"{number} is below 0")
        if number == 666:
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number, os.getpid()

    def wait_for(self, pattern: str, count: int) -> None:
        """Until so many marks of that kind are set."""
        end = time.monotonic() + 600
        while len(list(self.marks.glob(pattern))) < count:
            assert time.monotonic() < end
            time.sleep(0.02)


class Broken(Doubled):
    def __init__(self, marks):
        raise DataError("cannot be made")


class Mortal(Doubled):
    """One worker is killed by number 13; the next one that gets it lives."""

    def __call__(self, number):
        if number == 13:
            try:
                (self.marks / "died").touch(exist_ok=False)
            except FileExistsError:
                return super().__call__(number)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(number)


class Together(Doubled):
    """Number 0 is done once two processes have a number."""

    def __call__(self, number):
        (self.marks / f"by {os.getpid()}").touch()
        if number == 0:
            self.wait_for("by *", 2)
        return super().__call__(number)


def make(marks: Path, kind=Doubled):
    return functools.partial(kind, marks)


def test_results_come_in_order_from_several_processes(tmp_path):
    results = list(in_processes(make(tmp_path), list(range(12)), 2))
    assert [value for value, _ in results] == [2 * n for n in range(12)]
    processes = {process for _, process in results}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert not any(_alive(process) for process in processes)


def test_the_first_error_counts_and_nothing_begins_after_it(tmp_path):
    numbers = [0, 1, -2, 3, -4, *range(5, 40)]
    results = in_processes(make(tmp_path), numbers, 2)
    assert [next(results)[0], next(results)[0]] == [0, 2]
    with pytest.raises(DataError, match="-2 is below 0"):
        next(results)
    assert not (tmp_path / "39").exists()


def test_a_process_that_dies_is_named(tmp_path):
    results = in_processes(make(tmp_path), [1, 666, 2], 2)
    assert next(results)[0] == 2
    with pytest.raises(WorkerDied, match="666: the process that worked at it was killed by signal"):
        next(results)


def test_what_cannot_be_made_or_asked_for_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be made"):
        list(in_processes(make(tmp_path, Broken), [1, 2], 2))
    for count in (0, 257):
        with pytest.raises(ConfigError, match=rf"processes must be 1..256, got {count}"):
            list(in_processes(make(tmp_path), [1], count))
    assert list(in_processes(make(tmp_path), [], 2)) == []
    with pytest.raises(ConfigError, match="need the path of a model"):
        predict_files(object(), [_picture(tmp_path / "a.png")], tmp_path / "out", processes=2)


def test_predicting_in_processes_writes_the_same_files(tmp_path, run):
    pictures = [_picture(tmp_path / f"{i}.png", i) for i in range(5)]
    for name, processes in (("one", 1), ("two", 2)):
        arguments = ["predict", MODEL, *pictures, "--output", tmp_path / name]
        code, out, err = run(*arguments, "--processes", processes)
        assert (code, err) == (0, "")
        assert out.endswith(": label map and overlay of 5 images\n")
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert len(one) == 10
    assert one == two
    pictures[2].write_bytes(b"no image")
    arguments = ["predict", MODEL, *pictures, "--output", tmp_path / "bad", "--processes", 2]
    code, _, err = run(*arguments)
    assert code == 2
    assert "2.png: not a readable image" in err
    names = {p.name for p in (tmp_path / "bad").iterdir()}
    assert {"0_labels.png", "0_overlay.png", "1_labels.png", "1_overlay.png"} <= names
    assert not any(name.startswith((".", "2_")) for name in names)


def annotated(folder: Path, count: int, bad: int | None = None) -> Path:
    """labelme's files of drawn images, one of which may be cut short; one lies in its JSON."""
    folder.mkdir()
    for number in range(count):
        path, embedded = _picture(folder / f"{number:04}.png", number), None
        if number == bad:
            path.write_bytes(path.read_bytes()[:200])
        if number == 1:
            embedded = base64.b64encode(path.read_bytes()).decode()
            path.unlink()
        corners = [[10, 10], [200, 10], [200, 20 + 10 * number % 150]]
        shapes = [{"label": f"class {number % 3}", "points": corners, "shape_type": "polygon"}]
        content = {"shapes": shapes, "imagePath": path.name, "imageData": embedded}
        (folder / f"{number:04}.json").write_text(json.dumps(content))
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """What lies below a folder; its path is left out of the contents."""
    own = str(folder).encode()
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes().replace(own, b"") for p in paths}


def check_sharing(run, folder: Path, *sharing) -> None:
    """`data convert` and `data check` say and write what they do in threads."""
    source = annotated(folder / "in", 7, bad=3)
    said = []
    for name, how in (("threads", ("--workers", 2)), ("shared", sharing)):
        out = folder / name / "own"
        command = ("data", "convert", source, "--output", out, *how)
        code, _, err = run(*command)
        assert (code, err.startswith(f"fastscnn: {source}/0003.png: ")) == (2, True), err
        assert not out.exists()
        code, text, err = run(*command, "--skip-bad", "--link" if sharing else "--copy")
        assert (code, err) == (0, "")
        (out / "labels" / "train" / "0001.png").write_bytes(b"no image")
        checked = ("data", "check", "--dataset", "folder", "--data-dir", out, *how)
        code, found, err = run(*checked, "--json", folder / "check.json", "--force")
        assert (code, err, "0001.png" in found) == (1, "", True)
        report = found + (folder / "check.json").read_text()
        said.append((text.replace(str(out), ""), report.replace(str(out), "")))
    assert said[0] == said[1]
    written = [tree(folder / name) for name in ("threads", "shared")]
    assert written[0] == written[1]
    assert len(written[0]) == 2 * 6 + 5  # of the splits train, val and test, and two files


def test_check_and_convert_in_processes_do_what_threads_do(tmp_path, run):
    check_sharing(run, tmp_path, "--processes", 2)
    command = ("data", "check", "--dataset", "toy")
    for wrong, said in (
        (
            ("--workers", 2, "--processes", 2),
            "--workers are threads of one process: leave them out",
        ),
        (("--address", "h:1"), "--address is for --engine ray"),
        (("--processes", 257), "257 is not in the range 1<=x<=256"),
    ):
        code, _, err = run(*command, *wrong)
        assert (code, said in err) == (2, True), err


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ctrl_c_ends_every_process_and_leaves_nothing_half_written(tmp_path):
    pictures = [_picture(tmp_path / f"{i:03}.png", i) for i in range(300)]
    command = ["predict", MODEL, *pictures, "--output", tmp_path / "out", "--processes", "2"]
    _interrupt(command, (tmp_path / "out" / "002_overlay.png").exists)
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert len(written) < 600
    assert not any(name.startswith(".") for name in written)
    for name in written:
        Image.open(tmp_path / "out" / name).load()


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_ctrl_c_leaves_nothing_of_a_conversion(tmp_path):
    source, out = annotated(tmp_path / "in", 600), tmp_path / "out"
    command = ["data", "convert", source, "--output", out, "--processes", "2"]
    _interrupt(command, lambda: len(list(out.glob(".*/labels/train/*.png"))) > 3)
    assert not out.exists()


def _picture(path: Path, seed: int = 0) -> Path:
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(30, axis=0).repeat(30, axis=1)).save(path)
    return path


def _interrupt(command: list, begun: Callable[[], bool]) -> None:
    """Ctrl-C in the midst of a command, whose processes all end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fastscnn_tf", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background ignores interrupts, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 600
    while not begun():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert err == "fastscnn: interrupted\n"
    while _in_group(process.pid):  # multiprocessing's own tracker ends a moment later
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _in_group(group: int) -> list[str]:
    """Processes of a group that still run: no zombies, which wait for their parent."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = status.read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(of) == group and state != "Z":
            found.append(status.parent.name)
    return found


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
