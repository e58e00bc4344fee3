"""A short campaign of hostile files with a fixed seed, and tests of the campaign itself."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from fuzzing import campaign, child, hostile, inside, mutant, verdict  # noqa: E402
from fuzzing.kinds import KINDS  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and looks into /proc")
LIGHT = [kind.name for kind in KINDS if not kind.heavy]
HEAVY = ["checkpoint import", ".keras", ".npz weights"]  # the fourth takes minutes


def run(*arguments):
    command = [
        sys.executable,
        BENCHMARKS / "fuzz.py",
        "--seed",
        "0",
        "--jobs",
        "1",
        "--quick",
        *arguments,
    ]
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)


@pytest.mark.process
@pytest.mark.parametrize(("kinds", "mutants"), [(LIGHT, 290), (HEAVY, 10)], ids=["light", "heavy"])
def test_campaign(kinds, mutants, tmp_path):
    done = run("--kinds", *kinds, "--mutants", mutants, "--output", tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"^all +\d+", done.stdout, re.M), done.stdout


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    top = tmp_path_factory.mktemp("fuzz") / "seeds"
    campaign.prepare(top, [])
    return top


@pytest.mark.process
def test_the_same_seed_gives_the_same_mutants_and_each_changes_something(seeds):
    for name in LIGHT:
        kind = mutant.BY_NAME[name]
        made = [mutant.make_mutant(kind, index, 7, seeds) for index in range(12)]
        assert made == [mutant.make_mutant(kind, index, 7, seeds) for index in range(12)]
        assert all(each.changes for each in made)
        assert mutant.Mutant.from_json(made[0].to_json()) == made[0]


def made_run(**changes):
    good = {"code": 0, "signal": 0, "late": False, "seconds": 0.1, "cpu": 0.1, "memory": 0}
    empty = {"out": b"", "err": b"", "events": (), "touched": (), "left": ()}
    return child.Run(**{**good, **empty, **changes})


REFUSED = b"fastscnn: x: no\n"


@pytest.mark.parametrize(
    ("outcome", "changes"),
    [
        ("ok", {"out": "Straße 🚦\n".encode()}),
        ("refused", {"code": 2, "err": REFUSED}),
        ("failed", {"code": 1, "err": REFUSED}),
        ("failed", {"code": 1, "out": b"3 findings\n"}),
        ("crash", {"code": None, "signal": 6}),
        ("over time", {"code": None, "signal": 9, "late": True}),
        ("over memory", {"memory": 2 << 30}),
        ("over memory", {"code": 2, "err": b"fastscnn: 9 bytes do not fit into memory\n"}),
        ("internal error", {"code": 1, "err": b"fastscnn: internal error, KeyError: x\n"}),
        ("traceback", {"code": inside.CRASHED, "err": b"KeyError\n"}),
        ("ran something", {"events": ("os.system",)}),
        ("outside", {"touched": ("outside/precious.txt",)}),
        ("left behind", {"left": ("a process: sleep",)}),
        ("control", {"code": 2, "err": b"fastscnn: a\x1b[2J\n"}),
        ("control", {"out": "a\u202eb".encode()}),
        ("control", {"out": b"\xff"}),
        ("markup", {"pages": b"# <script>fuzzed()</script>"}),
        ("ok", {"pages": b"# `<script>fuzzed()</script>` &lt;script>fuzzed()"}),
        ("stray", {"code": 2, "err": b"libpng warning\n" + REFUSED}),
        ("silent", {"code": 2}),
        ("silent", {"code": 130, "err": REFUSED}),
    ],
)
def test_outcomes(outcome, changes):
    assert verdict.outcome_of(made_run(**changes)) == outcome


# What a command may do that the campaign must see, run as a function of this module in the child.


def hang():
    Path("pipe").read_bytes()


def swell():
    bytearray(1200 << 20)


def die():
    os.abort()


def spawn():
    subprocess.Popen(["sleep", "60"])


def delete():
    Path(hostile.PRECIOUS).unlink()


def replace():
    Path("m.txt").write_text("other")


def load():
    next(Path(hostile.OUTSIDE, "plugins").glob("*CompilerPlugin_*.so")).read_bytes()


def forget():
    import tempfile

    tempfile.mkdtemp()


def print_escape():
    print("\x1b[2J")


def notes_access(path):
    path.write_text("x")
    os.utime(path, (0, path.stat().st_mtime))
    path.read_text()
    return path.stat().st_atime > 0


@pytest.mark.process
@pytest.mark.parametrize(
    ("function", "outcomes"),
    [
        (hang, ("over time",)),
        (swell, ("over memory",)),
        (die, ("crash",)),
        (spawn, ("ran something",)),
        (delete, ("outside",)),
        (replace, ("outside",)),
        (forget, ("left behind",)),
        (load, ("ran something",)),
        (print_escape, ("control",)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_misdeeds_are_seen(function, outcomes, tmp_path):
    """In a process of its own, since this one has threads."""
    if function is load and not notes_access(tmp_path / "read"):
        pytest.skip("this file system does not note when a file is read")
    script = (
        "import os, sys; from pathlib import Path; from fuzzing import child, scratch, verdict\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"child.SECONDS = {2 if function is hang else 120}\n"
        f"s = scratch.fresh(Path({str(tmp_path / 'x')!r}))\n"
        "child.become_reaper()\n"
        "os.mkfifo(s.case / 'pipe'); (s.case / 'm.txt').write_text('mine')\n"
        f"r = child.run_command(s, ['call', 'test_fuzz:{function.__name__}'], ())\n"
        "print(verdict.outcome_of(r), verdict.describe(r))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**campaign.QUIET, "PYTHONPATH": f"{BENCHMARKS}:{Path(__file__).parents[1]}"},
    )
    assert done.stdout.startswith(outcomes), done.stdout + done.stderr
