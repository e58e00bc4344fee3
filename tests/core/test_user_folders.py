"""Where this user's programs keep their files, on each platform."""

import pytest

from fastscnn_tf.core.files import user_folders
from fastscnn_tf.core.files.user_folders import cache_folder, config_folder


@pytest.mark.parametrize(
    ("platform", "variables", "cache", "config"),
    [
        ("linux", {}, ".cache/fastscnn", ".config/fastscnn"),
        (
            "linux",
            {"XDG_CACHE_HOME": "/var/tmp/x", "XDG_CONFIG_HOME": "/var/tmp/y"},
            "/var/tmp/x/fastscnn",
            "/var/tmp/y/fastscnn",
        ),
        (
            "linux",
            {"XDG_CACHE_HOME": "not/absolute", "XDG_CONFIG_HOME": "not/absolute"},
            "/.cache/fastscnn",
            "/.config/fastscnn",
        ),
        (
            "darwin",
            {},
            "Library/Caches/fastscnn",
            "Library/Application Support/fastscnn",
        ),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fastscnn", "/local/fastscnn"),
        (
            "linux",
            {"FASTSCNN_CACHE": "/a", "FASTSCNN_CONFIG": "/b"},
            "/a",
            "/b",
        ),
    ],
)
def test_folders_of_each_platform(monkeypatch, platform, variables, cache, config):
    for name in ("FASTSCNN_CACHE", "FASTSCNN_CONFIG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(user_folders.sys, "platform", platform)
    assert cache_folder().as_posix().endswith(cache)
    assert config_folder().as_posix().endswith(config)
