"""Which settings count: paths only where the person at this machine gave them."""

import dataclasses
import hashlib
import json
import os
import stat

import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.gpu import GpuSettings
from fastscnn_tf.delegates.nnapi import NnapiSettings
from fastscnn_tf.delegates.npu import NpuSettings
from fastscnn_tf.delegates.npu_vendors import IntelOpenvinoSettings
from fastscnn_tf.delegates.recorded import record_path, recorded
from fastscnn_tf.delegates.settings_file import settings_path, write_settings
from fastscnn_tf.delegates.trust import VARIABLE, hold, own, trusting

CONTENT = b"some model"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FOLDERS = DeviceSettings(
    accelerator="npu",
    api="compiled_model",
    cpu=CpuSettings(num_threads=3, weight_cache_dir="/tmp/chosen"),
    npu=NpuSettings(compiler_plugin_dir="lib", dispatch_library_dir="lib"),
)


@pytest.fixture(autouse=True)
def own_config(tmp_path, monkeypatch):
    """The user's configuration, and nobody's trust."""
    monkeypatch.setenv("FASTSCNN_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def model(tmp_path):
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "m.tflite"
    path.write_bytes(CONTENT)
    return path


def test_every_option_that_names_files_is_guarded():
    """A new option of free text must be looked at: does the runtime load or write what it says?"""
    names_nothing = {
        "gpu.external_tensor_patterns",
        "gpu.preferred_device_substr",
        "nnapi.accelerator_name",
        "nnapi.vendor_compilation_hints",
        "nnapi.vendor_execution_hints",
        "npu.samsung.soc_model",
    }
    options = DeviceSettings.all_options()
    free = {n for n, o in options.items() if o.kind in ("text", "path", "texts") and not o.choices}
    assert free - {n for n, o in options.items() if o.guarded} == names_nothing
    named = ("_dir", "_path", "_file", "_proto", "_token")
    assert {n for n in options if n.endswith(named)} <= free - names_nothing
    assert all(o.guarded for o in options.values() if o.kind == "path")


def test_paths_that_came_with_a_model_are_ignored_and_named(model):
    held = hold(FOLDERS, model, DIGEST)
    assert held.settings == DeviceSettings(
        accelerator="npu", api="compiled_model", cpu=CpuSettings(num_threads=3), npu=NpuSettings()
    )
    assert held.ignored == {
        "cpu.weight_cache_dir": "/tmp/chosen",
        "npu.dispatch_library_dir": "lib",
        "npu.compiler_plugin_dir": "lib",
    }
    for said in (*held.ignored, "=/tmp/chosen", "--trust-settings", f"{VARIABLE}=FOLDER"):
        assert said in held.warning


def test_ignored_values_do_not_write_to_the_terminal(model):
    npu = NpuSettings(compiler_plugin_dir="a\x9b2J\u202e" + "b" * 999)
    held = hold(dataclasses.replace(FOLDERS, npu=npu), model, DIGEST)
    assert held.warning.isprintable()
    assert len(held.warning) < 500


def test_without_paths_nothing_is_looked_up(model, monkeypatch):
    monkeypatch.setenv(VARIABLE, "not/absolute")
    settings = DeviceSettings("pi5", cpu=CpuSettings(num_threads=3, kernel_mode="xnnpack"))
    held = hold(settings, model, DIGEST)
    assert (held.settings, held.ignored, held.warning) == (settings, {}, "")
    with pytest.raises(ConfigError, match="must be absolute folders"):
        hold(FOLDERS, model, DIGEST)


def test_what_has_no_meaning_without_an_ignored_path_goes_with_it(model):
    gpu = GpuSettings(serialization_dir="x", serialize_program_cache=True, model_token="../t")
    nnapi = NnapiSettings(support_library_path="x.so", accelerator_name="y", cache_dir="z")
    openvino = IntelOpenvinoSettings(performance_mode="latency", configs=("CACHE_DIR=/x",))
    npu = NpuSettings(vendor="intel_openvino", intel_openvino=openvino)
    settings = DeviceSettings(gpu=gpu, nnapi=nnapi, npu=npu)
    held = hold(settings, model, DIGEST)
    assert held.settings.gpu == GpuSettings()
    assert held.settings.nnapi == NnapiSettings(accelerator_name="y")
    assert held.settings.npu.intel_openvino == IntelOpenvinoSettings(performance_mode="latency")
    assert hold(settings, model, DIGEST, trusted=True).settings == settings


def test_trusted_as_a_whole_paths_lie_in_the_models_folder(model):
    for held in (hold(FOLDERS, model, DIGEST, trusted=True), held_while_trusting(model)):
        assert held.settings == FOLDERS and not held.ignored
        assert held.here.npu.compiler_plugin_dir == str(model.parent / "lib")
        assert held.here.cpu.weight_cache_dir == "/tmp/chosen"
    assert VARIABLE not in os.environ


def held_while_trusting(model):
    with trusting():
        return hold(FOLDERS, model, DIGEST)


def test_the_callers_own_paths_lie_in_the_current_folder(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    held = own(FOLDERS)
    assert held.settings == FOLDERS and not held.ignored
    assert held.here.npu.compiler_plugin_dir == str(tmp_path / "lib")


def test_folders_of_the_environment_allow_what_lies_in_them(model, tmp_path, monkeypatch):
    allowed, link = tmp_path / "allowed", tmp_path / "allowed" / "link"
    allowed.mkdir()
    link.symlink_to(tmp_path)
    monkeypatch.setenv(VARIABLE, f"/nowhere{os.pathsep}{allowed}")
    for path, counts in (
        (allowed, True),
        (allowed / "x" / "y", True),
        (f"{allowed}/../models", False),
        (f"{allowed}x", False),
        (link / "models", False),
        ("lib", False),
        ("/", False),
    ):
        settings = DeviceSettings(cpu=CpuSettings(weight_cache_dir=str(path)))
        held = hold(settings, model, DIGEST)
        assert (not held.ignored, bool(held.places)) == (counts, counts), path
    (allowed / "inner").mkdir()
    (tmp_path / "to").symlink_to(allowed / "inner")  # `to/..` is no longer where `to` lies
    settings = DeviceSettings(cpu=CpuSettings(weight_cache_dir=f"{tmp_path}/to/../x"))
    assert hold(settings, model, DIGEST).here.cpu.weight_cache_dir == str(allowed / "x")
    monkeypatch.chdir(allowed)  # never the model's folder
    assert "npu.compiler_plugin_dir" not in hold(FOLDERS, model, DIGEST).ignored
    assert hold(FOLDERS, model, DIGEST).here.npu.compiler_plugin_dir == str(allowed / "lib")


def test_what_was_written_here_is_recorded_elsewhere(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_settings(model, FOLDERS)
    path = record_path(DIGEST)
    assert path.is_relative_to(tmp_path / "config")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    found = json.loads(path.read_text())
    assert (found["format"], found["model"], found["sha256"]) == (1, "m.tflite", DIGEST)
    entry = found["options"]["npu.compiler_plugin_dir"]
    assert (entry["value"], entry["folder"]) == ("lib", str(tmp_path))
    assert entry["date"].startswith("20") and entry["program"].startswith("fastscnn-tf ")
    assert "python" in entry["command"]  # pytest-xdist starts its workers so
    monkeypatch.chdir("/")  # where it was said counts, not where it is used
    held = hold(FOLDERS, model, DIGEST)
    assert held.settings == FOLDERS and not held.ignored
    assert held.here.npu.compiler_plugin_dir == str(tmp_path / "lib")
    assert held.given_by["npu.compiler_plugin_dir"].startswith("recorded 20")


def test_a_record_is_of_one_model_and_one_value(model):
    write_settings(model, FOLDERS)
    assert len(hold(FOLDERS, model, "0" * 64).ignored) == 3
    npu = NpuSettings(compiler_plugin_dir="/tmp/evil", dispatch_library_dir="lib")
    changed = dataclasses.replace(FOLDERS, npu=npu)
    assert hold(changed, model, DIGEST).ignored == {"npu.compiler_plugin_dir": "/tmp/evil"}


def test_options_that_were_not_given_are_not_recorded(model):
    """`settings --set cpu.num_threads=2 --force` on a stranger's file vouches for nothing else."""
    write_settings(model, FOLDERS, given=("cpu.num_threads", "npu.dispatch_library_dir"))
    assert set(recorded(DIGEST)) == {"npu.dispatch_library_dir"}
    write_settings(model, FOLDERS, force=True, given=())
    assert set(recorded(DIGEST)) == {"npu.dispatch_library_dir"}  # said before, and the same
    threads = DeviceSettings(cpu=CpuSettings(num_threads=1))
    write_settings(model, threads, force=True, given=("cpu.num_threads",))
    assert set(recorded(DIGEST)) == {"npu.dispatch_library_dir"}  # another copy's, perhaps
    write_settings(model, DeviceSettings(), force=True)
    assert recorded(DIGEST) == {}


def test_settings_without_paths_leave_no_record(model, tmp_path):
    write_settings(model, DeviceSettings("pi5", cpu=CpuSettings(num_threads=3)))
    assert not (tmp_path / "config").exists()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_record_that_others_may_write_does_not_count(model):
    write_settings(model, FOLDERS)
    record_path(DIGEST).chmod(0o662)
    assert len(hold(FOLDERS, model, DIGEST).ignored) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ('{"format": 1}', "missing required field"),
        (
            '{"format": 1, "model": "m", "sha256": "' + DIGEST + '", "options": {"a": 3}}',
            "expected object, got int",
        ),
        ('{"format": 1, "model": "m", "sha256": "x", "options": {}}', "no record of this model"),
    ],
)
def test_a_damaged_record_is_named(model, text, said):
    write_settings(model, FOLDERS)
    record_path(DIGEST).write_text(text)
    with pytest.raises(ConfigError, match=said) as error:
        hold(FOLDERS, model, DIGEST)
    assert str(record_path(DIGEST)) in str(error.value)


def test_a_place_that_cannot_be_written_is_said_and_the_settings_stay(
    model, tmp_path, monkeypatch, caplog
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASTSCNN_CONFIG", str(tmp_path / "file"))
    write_settings(model, FOLDERS)
    assert settings_path(model).exists()
    (line,) = [r.getMessage() for r in caplog.records]
    assert "its paths will not count here, they are not recorded: cannot write into" in line
    assert len(hold(FOLDERS, model, DIGEST).ignored) == 3
