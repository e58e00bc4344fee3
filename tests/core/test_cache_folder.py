"""The user's cache folder."""

import sys

import pytest

from fastscnn_tf.core.cache_folder import cache_folder


@pytest.mark.parametrize(
    ("platform", "variables", "end"),
    [
        ("linux", {}, ".cache/fastscnn"),
        ("linux", {"XDG_CACHE_HOME": "/var/tmp/x"}, "/var/tmp/x/fastscnn"),
        ("linux", {"XDG_CACHE_HOME": "not/absolute"}, "/.cache/fastscnn"),
        ("darwin", {}, "Library/Caches/fastscnn"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fastscnn"),
    ],
)
def test_cache_folder_of_each_platform(monkeypatch, platform, variables, end):
    monkeypatch.delenv("FASTSCNN_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder().as_posix().endswith(end)
