"""The settings file beside a model: bound to it, refused for another."""

import hashlib
import json

import pytest

from fastscnn_tf.core.errors import ConfigError, ModelFileError, OutputError
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.settings_file import (
    read_settings,
    settings_path,
    travelling_settings,
    write_settings,
)

SETTINGS = DeviceSettings("pi5", cpu=CpuSettings(num_threads=3))


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"some model")
    return path


def test_written_and_read(model):
    path = write_settings(model, SETTINGS)
    assert path == settings_path(model) == model.with_name("m.tflite.settings.json")
    assert json.loads(path.read_text()) == {
        "format": 1,
        "model": "m.tflite",
        "sha256": hashlib.sha256(b"some model").hexdigest(),
        "settings": {
            "device": "pi5",
            "accelerator": "cpu",
            "api": "interpreter",
            "cpu": {"num_threads": 3},
        },
    }
    assert read_settings(path, model, b"some model") == SETTINGS
    with pytest.raises(OutputError, match="--force"):
        write_settings(model, SETTINGS)
    write_settings(model, DeviceSettings(), force=True)
    assert read_settings(path, model, b"some model") == DeviceSettings()


def test_another_models_settings_are_refused(model):
    path = write_settings(model, SETTINGS)
    with pytest.raises(ConfigError, match=r"belongs to another model: .* --force, or delete it"):
        read_settings(path, model, b"another model")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", ConfigError, "not valid JSON"),
        ("[]", ConfigError, "expected object, got array"),
        ('{"settings": {}}', ConfigError, "no settings file"),
        ('{"settings": {}, "sha256": "", "format": 2}', ConfigError, "settings of format 2"),
        ('{"settings": {}, "sha256": ["a"]}', ConfigError, "sha256: expected"),
        ('{"settings": ' + "[" * 99_999, ConfigError, "nested too deeply|JSON"),
        (
            json.dumps(
                {
                    "format": 1,
                    "sha256": hashlib.sha256(b"some model").hexdigest(),
                    "settings": {"cpu": {"num_thread": 2}},
                }
            ),
            ConfigError,
            "settings.json: unknown option 'cpu.num_thread': did you mean 'cpu.num_threads'",
        ),
    ],
)
def test_damaged_files_are_named(model, text, error, message):
    settings_path(model).write_text(text)
    with pytest.raises(error, match=message):
        read_settings(settings_path(model), model, b"some model")


def test_what_lies_beside_a_file_counts_before_what_is_inside(model):
    content = model.read_bytes()
    inside = {"settings": DeviceSettings("edge-cpu").to_dict()}
    assert travelling_settings(model, content, {}) == (None, False)
    assert travelling_settings(model, content, inside) == (DeviceSettings("edge-cpu"), True)
    write_settings(model, SETTINGS)
    assert travelling_settings(model, content, inside) == (SETTINGS, False)


def test_settings_of_a_newer_version_inside_a_file_say_what_to_do(model):
    with pytest.raises(ModelFileError, match=r"unknown option 'warp'.*settings.json beside it"):
        travelling_settings(model, b"", {"settings": {"warp": 9}})
