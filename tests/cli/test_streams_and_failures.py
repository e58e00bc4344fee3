"""Closed and full streams, names of any bytes, what runs out, and signals: codes and one line."""

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.cli import shared_options
from fastscnn_tf.cli.commands import warnings_as_lines
from fastscnn_tf.cli.failures import explained
from fastscnn_tf.core.errors import DataError, Ended, OutputError

MODEL = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
GOOD = ("settings", "--table")
BAD = ("inspect", "none.tflite")
NO_FILE = "fastscnn: none.tflite: no such model file\n"
FULL = "standard output or a temporary file: No space left on device: make room on that disk"


def shell(redirection, *arguments, **environment):
    """(code, stdout, stderr) of the command in a shell that redirects its streams."""
    command = 'exec "$@" ' + redirection
    words = [
        "sh",
        "-c",
        command,
        "sh",
        sys.executable,
        "-m",
        "fastscnn_tf",
        *map(os.fspath, arguments),
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, errors="replace", env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@pytest.mark.parametrize(
    ("redirection", "expected"),
    [
        ("2>&-", (2, NO_FILE, "")),
        (">&-", (2, "", NO_FILE)),
        (">&- 2>&-", (2, "", "")),
        ("<&- >&- 2>&-", (2, "", "")),
        pytest.param("2>/dev/full", (2, NO_FILE, ""), marks=needs_full),
        pytest.param(">/dev/full", (2, "", NO_FILE), marks=needs_full),
        pytest.param(">/dev/full 2>&1", (2, "", ""), marks=needs_full),
    ],
)
def test_a_mistake_has_its_code_and_its_line_where_one_can_be_written(redirection, expected):
    assert shell(redirection, *BAD) == expected


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/null", "<&- 2>&-"])
def test_what_runs_the_interpreter_needs_no_stderr(redirection):
    code, out, err = shell(redirection, "benchmark", MODEL, "--runs", "1")
    assert (code, err) == (0, "")
    assert out.startswith(f"{MODEL} at 448x608")


@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-"])
def test_who_closes_stdout_wants_no_output(redirection):
    assert shell(redirection, *GOOD) == (0, "", "")


@needs_full
@pytest.mark.parametrize("arguments", [GOOD, ("--help",), (), ("settings", "--help")])
def test_output_that_is_lost_is_a_failure(arguments):
    code, out, err = shell(">/dev/full", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"fastscnn: {FULL}")
    assert err.count("\n") == 1
    assert shell(">/dev/full 2>&1", *arguments) == (1, "", "")


def test_a_reader_that_has_gone_leaves_no_traceback():
    for arguments, code in ((GOOD, 1), (("--help",), 1)):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "fastscnn_tf", *arguments]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
        os.close(writer)
        assert (done.returncode, done.stderr) == (code, "")


def test_files_do_not_get_the_numbers_of_closed_streams(tmp_path):
    """What native code writes to descriptors 1 and 2 would go into them."""
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    pictures = tmp_path / "out"
    done = shell("<&- >&- 2>&-", "predict", MODEL, tmp_path / "a.png", "--output", pictures)
    assert done == (0, "", "")
    for path in pictures.iterdir():
        with Image.open(path) as image:
            image.load()
    driver = "import os; from fastscnn_tf.cli.streams import open_streams as o; o(); "
    driver += "print(os.open(os.devnull, 0) > 2, [os.get_inheritable(n) for n in (0, 1, 2)])"
    command = f'exec "$0" -c "{driver}" <&- 2>&-'
    done = subprocess.run(["sh", "-c", command, sys.executable], capture_output=True, text=True)
    assert done.stdout == "True [True, True, True]\n"


def test_stderr_may_be_closed_in_the_library():
    driver = """
import os, sys
os.close(2)
sys.stderr = None
from fastscnn_tf.core.console import quiet_stderr
with quiet_stderr():
    print("done")
"""
    done = subprocess.run([sys.executable, "-c", driver], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n")


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "utf-8:strict"},
    ],
)
def test_names_of_any_bytes_are_printed(tmp_path, environment):
    odd = os.fsencode(tmp_path) + "/Straße ".encode() + b"\xff\x1b[31m.tflite"
    code, out, err = shell("", "inspect", odd, **environment)
    assert (code, out) == (2, "")
    assert err.endswith("\\udcff\\x1b[31m.tflite: no such model file\n")
    assert err.count("\n") == 1
    Path(os.fsdecode(odd)).write_bytes(MODEL.read_bytes())
    code, out, err = shell("", "inspect", odd, **environment)
    assert (code, err) == (0, "")
    assert "1,498,543 bytes" in out


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            MemoryError("Unable to allocate 9.1 TiB"),
            1,
            "the memory does not suffice (Unable to all",
        ),
        (MemoryError(), 1, "the memory does not suffice: use a smaller --size"),
        (
            type("ResourceExhaustedError", (Exception,), {})("OOM"),
            1,
            "the memory does not suffice (",
        ),
        (
            RuntimeError("can't start new thread"),
            1,
            "no further thread can be started: the machine",
        ),
        (ImportError("x.so: failed to map"), 1, "a library cannot be loaded (x.so: failed to map)"),
        (RecursionError("maximum recursion depth"), 2, "something in the input is nested too deep"),
        (OverflowError("int too large"), 2, "a number in the input or an option is too large (int"),
        ("\udcff", 2, "a name or a text has bytes or letters that cannot be written"),
        (
            OSError(errno.EMFILE, "Too many open files"),
            1,
            "Too many open files: raise the limit of",
        ),
        (OSError(errno.EMFILE, "Too many", "x.png"), 2, "x.png: Too many: raise the limit of open"),
        (OSError(errno.ENOMEM, "Cannot allocate"), 1, "Cannot allocate: close other programs"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, FULL),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 2, "x: Permission denied"),
        (DataError("x.png: no such file"), 2, "x.png: no such file"),
        (OutputError("out exists"), 2, "out exists"),
        (click.UsageError("--x?"), 2, "--x? (see fastscnn --help)"),
        (Ended(signal.SIGTERM), 143, "asked to end"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 1, ""),
        (TypeError("one\ntwo"), 1, "internal error, TypeError: one (see --debug)"),
    ],
)
def test_what_ran_out_or_was_too_large_is_told(error, code, message):
    if isinstance(error, str):
        with pytest.raises(UnicodeEncodeError) as caught:
            error.encode()
        error = caught.value
    failure = explained(error)
    assert failure.code == code
    assert failure.line.startswith(message)
    assert ("internal" in failure.line) is isinstance(error, TypeError)


@pytest.mark.parametrize("arguments", [("predict", MODEL, "a.png", "--output", "out"), ("--help",)])
def test_too_little_of_it_for_a_start_is_told(arguments):
    limit = "import resource, os, sys; n = 110 << 20; "
    limit += "resource.setrlimit(resource.RLIMIT_AS, (n, n)); "
    limit += "os.execv(sys.executable, [sys.executable, '-m', 'fastscnn_tf', *sys.argv[1:]])"
    command = [sys.executable, "-c", limit, *map(str, arguments)]
    one = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each thread takes room of its own
    done = subprocess.run(command, capture_output=True, text=True, env=one)
    assert done.returncode == 1
    assert done.stderr.startswith("fastscnn: ")
    assert done.stderr.count("\n") == 1
    assert "internal error" not in done.stderr


def test_a_long_name_is_cut(run):
    code, _, err = run("inspect", "x" * 100_000)
    assert code == 2
    assert len(err) < 5000


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_leave_no_half_written_file(tmp_path, number):
    """Sent while a file is being written."""
    driver = """
import sys, time, click
from fastscnn_tf.cli import commands
from fastscnn_tf.core.files.writing import replacing

@click.command("write")
@click.argument("path")
def write(path):
    with replacing(path) as temporary:
        temporary.write_bytes(b"half")
        print("begun", flush=True)
        time.sleep(3600)

commands.cli.add_command(write)
commands.run_command(["write", sys.argv[1]])
"""
    command = [sys.executable, "-c", driver, tmp_path / "out.json"]
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What nohup starts ignores SIGHUP, and so do its children.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as process:
        assert process.stdout.readline() == "begun\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        _, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (128 + number, "fastscnn: asked to end\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_a_callback_of_the_collector_is_not_lost(number):
    """Python swallows what is raised there."""
    driver = """
import gc, os, sys, threading, time, click
from fastscnn_tf.cli import commands

said = threading.Event()

class Timer(threading.Timer):
    def run(self):
        said.wait()
        super().run()

def collected(phase, info):
    gc.callbacks.clear()
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(0.01)

@click.command("collect")
def collect():
    gc.callbacks.append(collected)
    gc.collect()
    print("swallowed", flush=True)
    said.set()
    time.sleep(3600)

threading.Timer = Timer
commands.cli.add_command(collect)
commands.run_command(["collect"])
"""
    command = [sys.executable, "-c", driver, str(int(number))]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # a shell's background ignores it
    )
    assert (done.returncode, done.stdout) == (128 + number, "swallowed\n"), done.stderr


def test_signals_mean_afterwards_what_they_meant_before(run):
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)]
    assert run(*GOOD)[0] == 0
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)] == before


def test_messages_and_warnings_show_control_characters_escaped(run, capsys):
    code, _, err = run("inspect", "a\x1b]0;title\x07\x9b2J\u202eb.tflite")
    assert code == 2
    assert err == "fastscnn: a\\x1b]0;title\\x07\\x9b2J\\u202eb.tflite: no such model file\n"
    code, _, err = run("inspect", "--\x1b[2J")
    assert code == 2
    assert "\\x1b[2J" in err
    code, _, err = run("--debug", "inspect", "a\x1b[2J")
    assert "Traceback" in err
    assert "\x1b" not in err
    with warnings_as_lines():
        for _ in range(2):
            logging.getLogger("fastscnn_tf").warning("class %s", "road\x1b[2J\nfastscnn: forged")
    assert capsys.readouterr().err == "fastscnn: class road\\x1b[2J fastscnn: forged\n"


def test_the_time_left_does_not_count_what_starts_before_the_first_result(monkeypatch):
    now, lines = [0.0], []
    monkeypatch.setattr(shared_options.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(shared_options.StatusLine, "show", lambda line, said: lines.append(said()))
    for index in shared_options.progress("predicting")(range(5)):
        now[0] += 2.0 if index else 600.0  # processes start, models are opened
    times = ["", "", "6 s left", "4 s left", "2 s left"]
    assert [line.partition(", ")[2] for line in lines] == times
