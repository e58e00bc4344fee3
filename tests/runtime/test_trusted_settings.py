"""A stranger's settings load no library and write nowhere: with LiteRT, a compiler and a model."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from forked import MAIN, forking
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.cli.commands import cli
from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.data.datasets.toy_streets import draw_scene
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.npu import NpuSettings
from fastscnn_tf.delegates.trust import VARIABLE
from fastscnn_tf.runtime.engine import plan_engine
from fastscnn_tf.runtime.segmenter import Segmenter

ROOT = Path(__file__).parents[2]
INT8 = ROOT / "tflite" / "fastscnn_camvid_int8.tflite"
WITNESS = "FASTSCNN_TEST_WITNESS"  # names the file that the stranger's library writes
LIBRARY = f"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void run(void) {{
  int file = open(getenv("{WITNESS}"), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file >= 0) {{ write(file, "ran\\n", 4); close(file); }}
}}
"""
# What the commands below need of the package; LiteRT loads nothing when it is imported.
IMPORTS = """
import ai_edge_litert.compiled_model, ai_edge_litert.interpreter
import fastscnn_tf.runtime.segmenter
from fastscnn_tf.cli.commands import cli

[cli.commands.get(name) for name in ("benchmark", "predict", "watch", "evaluate", "settings")]
"""
# Its first argument is the environment.
IN_IT = """
environment = json.loads(sys.argv.pop(1))
os.environ.clear()
os.environ.update(environment)
"""
NAMED = "ignored, since it came with the file and makes the runtime load or write files: "


@pytest.fixture(autouse=True)
def own_config(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSCNN_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv(VARIABLE, raising=False)


class Attack:
    """A folder as it came out of a stranger's archive, and what happens when it works."""

    def __init__(self, folder: Path, witness: Path, cache: Path):
        self.model, self.witness, self.cache = folder / "m.tflite", witness, cache

    def settings(self, api="compiled_model"):
        npu = {"dispatch_library_dir": "lib", "compiler_plugin_dir": "lib"}
        accelerator = "npu" if api == "compiled_model" else "cpu"
        cpu = {"weight_cache_dir": str(self.cache), "num_threads": 1}
        return {"accelerator": accelerator, "api": api, "cpu": cpu, "npu": npu}

    def write(self, api="compiled_model") -> Path:
        digest = hashlib.sha256(self.model.read_bytes()).hexdigest()
        content = {"format": 1, "model": "m.tflite", "sha256": digest}
        beside = self.model.with_name("m.tflite.settings.json")
        beside.write_text(json.dumps(content | {"settings": self.settings(api)}))
        return beside

    @property
    def worked(self) -> list[str]:
        found = {"library": self.witness, "cache": self.cache}
        return [name for name, path in found.items() if path.exists()]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """A folder of the stranger's."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not here to make the stranger's library")
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "library.c").write_text(LIBRARY)
    plugin, dispatch = (f"libLiteRt{kind}_Stranger.so" for kind in ("CompilerPlugin", "Dispatch"))
    command = ["gcc", "-shared", "-fPIC", "-o", folder / plugin, folder / "library.c"]
    subprocess.run(command, check=True)
    shutil.copy(folder / plugin, folder / dispatch)
    return folder


@pytest.fixture
def attack(libraries, tmp_path, monkeypatch):
    folder = tmp_path / "archive"
    shutil.copytree(libraries, folder / "lib")
    shutil.copy(INT8, folder / "m.tflite")
    made = Attack(folder, tmp_path / "witness", tmp_path / "chosen")
    monkeypatch.setenv(WITNESS, str(made.witness))
    made.write()
    return made


@pytest.fixture(scope="module")
def forked():
    with forking(IMPORTS) as start:
        yield start


@pytest.fixture
def program(forked, tmp_path):
    """(arguments, script, environment) -> what it says, in a process of its own.

    A library is loaded once in each.
    """

    def call(*arguments, script=MAIN, **environment):
        said = tmp_path / "said"
        said.unlink(missing_ok=True)
        given = json.dumps({**os.environ, **environment})
        return forked((given, *arguments), said, IN_IT + script).finish()

    return call


@pytest.fixture
def street(tmp_path):
    """Two images, and beside them one as CamVid's validation split."""
    scene = draw_scene((3,), (120, 200))[0]
    for folder in ("streets", "camvid/val", "camvid/valannot"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("streets/a", "streets/b", "camvid/val/a"):
        Image.fromarray(scene).save(tmp_path / f"{name}.png")
    Image.fromarray(scene[..., 0] % 12).save(tmp_path / "camvid" / "valannot" / "a.png")
    return tmp_path / "streets"


COMMANDS = {
    "benchmark": lambda model, street, out: ("benchmark", model, "--runs", 1, "--warmup", 0),
    "predict": lambda model, street, out: ("predict", model, street, "--output", out),
    "predict in processes": lambda model, street, out: (
        *("predict", model, street, "--output", out, "--processes", 2),
    ),
    "watch": lambda model, street, out: ("watch", street, model, "--output", out),
    "evaluate": lambda model, street, out: (
        *("evaluate", model, "--dataset", "camvid", "--data-dir", street.parent / "camvid"),
    ),
}


@pytest.mark.process
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_load_nothing_unless_they_are_told_to(program, attack, street, tmp_path, name):
    command = COMMANDS[name](attack.model, street, tmp_path / "out")
    said = program(*command)
    assert attack.worked == []
    lines = [line for line in said.splitlines() if NAMED in line]
    assert len(lines) == 1
    for option in ("cpu.weight_cache_dir", "npu.dispatch_library_dir", "npu.compiler_plugin_dir"):
        assert f"{option}=" in lines[0]
    assert "--trust-settings" in lines[0]
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    said = program(*command, "--trust-settings")
    assert attack.worked == ["library", "cache"]
    assert NAMED not in said
    if name != "predict in processes":  # whose lines are the processes' own
        assert "loads libLiteRtDispatch_Stranger.so of " in said
        assert "loads libLiteRtCompilerPlugin_Stranger.so of " in said


def test_every_command_that_opens_a_tflite_can_be_told_to():
    opening = {"evaluate", "predict", "benchmark", "agreement", "compare", "watch", "size-table"}
    opening |= {"pseudo-label", "save-logits", "reproduce", "settings"}
    having = {
        name
        for name, command in cli.commands.items()
        if any("--trust-settings" in p.opts for p in command.params)
    }
    assert having == opening


SCRIPT = """
import sys
from fastscnn_tf import Segmenter
from fastscnn_tf.delegates.settings_file import settings_path
model, how, trust = sys.argv[1:]
settings = settings_path(model) if how == "named" else None
Segmenter(model, settings=settings, trust_settings=trust == "True").run
"""


@pytest.mark.parametrize("how", ["beside", "named"])
def test_segmenters_load_nothing_unless_they_are_told_to(program, attack, how):
    """A settings file that the caller named is still somebody's: its paths are not meant."""
    for trust in (False, True):
        said = program(attack.model, how, trust, script=SCRIPT)
        assert attack.worked == (["library", "cache"] if trust else [])
        assert (NAMED in said) is not trust


def test_the_pis_program_loads_nothing_unless_it_is_told_to(attack, street):
    script = ROOT / "tflite" / "raspberry_pi" / "segment.py"
    for extra, worked in (([], []), (["--trust-settings"], ["library", "cache"])):
        command = [sys.executable, script, street, attack.model, "--frames", "1", *extra]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert attack.worked == worked
        assert (NAMED in done.stderr) is not bool(worked)


def test_the_interpreter_writes_nothing(attack, caplog):
    attack.write("interpreter")
    segmenter = Segmenter(attack.model)
    segmenter.run(np.zeros((448, 608, 3), np.uint8))
    assert attack.worked == []
    assert segmenter.threads == 1  # all else in the settings counts
    assert segmenter.notes[0].startswith(NAMED)
    assert [r.getMessage() for r in caplog.records] == [f"{attack.model}: {segmenter.notes[0]}"]


def test_settings_inside_the_file_are_the_same(attack):
    attack.model.with_name("m.tflite.settings.json").unlink()
    plan = plan_engine(attack.model, b"", {"settings": attack.settings()})
    assert plan.options == {"cpu": {}, "environment": {}}


def test_what_set_was_told_counts_on_this_machine(program, attack, tmp_path):
    """Recorded outside: the same folder on another machine, or for another user, loads nothing."""
    option = f"npu.compiler_plugin_dir={attack.model.parent / 'lib'}"
    program("settings", attack.model, "--set", option, "--force")
    run = ("benchmark", attack.model, "--runs", 1, "--warmup", 0)
    elsewhere = {"FASTSCNN_CONFIG": str(tmp_path / "other user")}
    assert "npu.compiler_plugin_dir=" in program(*run, **elsewhere)
    assert attack.worked == []
    said = program(*run)
    assert attack.worked == ["library"]  # and not the cache, for which nobody spoke
    assert "npu.compiler_plugin_dir=" not in said
    assert "(npu.compiler_plugin_dir, recorded 20" in said
    assert "cpu.weight_cache_dir=" in said


def test_folders_in_the_environment_allow_what_lies_in_them(program, attack):
    run = ("benchmark", attack.model, "--runs", 1, "--warmup", 0)
    program(*run, **{VARIABLE: str(attack.cache)})
    assert attack.worked == ["cache"]
    program(*run, **{VARIABLE: "*"})
    assert attack.worked == ["library", "cache"]


def test_settings_show_what_counts_and_why(attack, run):
    code, out, err = run("settings", attack.model)
    assert (code, err) == (0, "")
    assert "  cpu.num_threads = 1\n" in out
    assert f"  cpu.weight_cache_dir = {attack.cache} (ignored)\n" in out
    assert "  npu.compiler_plugin_dir = lib (ignored)\n" in out
    assert out.count(NAMED) == 1
    for flag, mark in (
        ("--json", None),
        ("--flags", "# m.tflite: "),
        ("--kotlin", "// m.tflite: "),
    ):
        code, out, err = run("settings", attack.model, flag)
        assert code == 0 and NAMED in err
        if mark:
            assert f"{mark}{NAMED}" in out
        lines = [line for line in out.splitlines() if NAMED not in line]
        assert not [line for line in lines if str(attack.cache) in line or '"lib"' in line]
        assert "library_path=" not in out  # of the folder where the command is pasted
    code, out, err = run("settings", attack.model, "--trust-settings")
    assert "npu.compiler_plugin_dir = lib (all is trusted)" in out
    assert VARIABLE not in os.environ
    option = "npu.compiler_plugin_dir=none"
    code, out, err = run("settings", attack.model, "--set", option, "--force")
    assert code == 0 and "npu.compiler_plugin_dir" not in out
    assert (
        f"  cpu.weight_cache_dir = {attack.cache} (ignored)\n" in out
    )  # kept, and not vouched for
    beside = json.loads(attack.model.with_name("m.tflite.settings.json").read_text())
    assert beside["settings"]["cpu"]["weight_cache_dir"] == str(attack.cache)


def test_settings_in_code_count_and_absent_folders_are_named(tmp_path):
    for name, said in ((tmp_path / "no", "no such folder"), (INT8, "not a folder")):
        npu = NpuSettings(dispatch_library_dir=str(name))
        settings = DeviceSettings(None, "npu", "compiled_model", npu=npu)
        with pytest.raises(ConfigError, match=f"npu.dispatch_library_dir=.*{said}"):
            Segmenter(INT8, settings=settings)
    npu = NpuSettings(dispatch_library_dir=str(tmp_path))
    plan = plan_engine(
        INT8, b"", {}, settings=DeviceSettings(None, "npu", "compiled_model", npu=npu)
    )
    assert plan.remark == f"loads no LiteRtDispatch* of {tmp_path} (npu.dispatch_library_dir)"
    assert plan.options["environment"] == {"dispatch_library_path": str(tmp_path)}


def test_folders_that_vanish_while_libraries_are_looked_for_are_left_out(tmp_path):
    """As in a folder of temporary files: another thread makes and removes them all the time."""
    (tmp_path / "libLiteRtDispatch_A.so").touch()
    npu = NpuSettings(dispatch_library_dir=str(tmp_path))
    settings = DeviceSettings(None, "npu", "compiled_model", npu=npu)
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            for name in range(50):
                (tmp_path / f"{name}" / "below").mkdir(parents=True)
            for name in range(50):
                shutil.rmtree(tmp_path / f"{name}")

    (thread := threading.Thread(target=come_and_go)).start()
    try:
        said = {plan_engine(INT8, b"", {}, settings=settings).remark for _ in range(200)}
    finally:
        over.set()
        thread.join()
    assert [line.partition(" of ")[0] for line in said] == ["loads libLiteRtDispatch_A.so"]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    cpu = CpuSettings(weight_cache_dir=str(tmp_path / "file"))
    with pytest.raises(ValueError, match="it is a file, name a folder"):
        Segmenter(INT8, settings=DeviceSettings(api="compiled_model", cpu=cpu))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_settings_that_are_a_pipe_or_a_loop_are_one_line(attack):
    beside = attack.model.with_name("m.tflite.settings.json")
    for make in (os.mkfifo, lambda path: path.symlink_to(path.name)):
        beside.unlink()
        make(beside)
        with pytest.raises(ConfigError, match=r"a pipe, expected|a loop of links"):
            Segmenter(attack.model)


CALLS = {
    "Segmenter": lambda model, street, trust: Segmenter(model, trust_settings=trust),
    "benchmark": lambda model, street, trust: fs.benchmark(model, 1, 1, 0, trust_settings=trust),
    "evaluate": lambda model, street, trust: fs.evaluate(
        model, "camvid", street.parent / "camvid", trust_settings=trust
    ),
    "watch": lambda model, street, trust: fs.watch(
        str(street), model, window=False, trust_settings=trust
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_write_where_a_stranger_says_only_if_told_to(tmp_path, street, name):
    made, model = Attack(tmp_path, tmp_path / "witness", tmp_path / "chosen"), tmp_path / "m.tflite"
    shutil.copy(INT8, model)
    cpu = {"weight_cache_dir": str(made.cache)}
    made.settings = lambda api: {"accelerator": "cpu", "api": api, "cpu": cpu}
    made.write()
    CALLS[name](model, street, False)
    assert made.worked == []
    CALLS[name](model, street, True)
    assert made.worked == ["cache"]
