"""Where this user's programs keep things outside the folders that they work in."""

import os
import sys
from pathlib import Path

CACHE, CONFIG = "FASTSCNN_CACHE", "FASTSCNN_CONFIG"  # environment variables that override


def cache_folder() -> Path | None:
    """For what can be made again; `FASTSCNN_CACHE` overrides it.

    Returns:
        The platform's folder (XDG on Linux), or None where the user has none.
    """
    return _folder(CACHE, "XDG_CACHE_HOME", ".cache", "Caches")


def config_folder() -> Path | None:
    """For what the person at this machine decided; `FASTSCNN_CONFIG` overrides it.

    Returns:
        As `cache_folder`. On Windows both are the local one: a decision holds on one machine.
    """
    return _folder(CONFIG, "XDG_CONFIG_HOME", ".config", "Application Support")


def _folder(own: str, xdg: str, hidden: str, library: str) -> Path | None:
    if given := os.environ.get(own):
        return Path(given)
    try:
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / "fastscnn"
        if sys.platform == "darwin":
            return Path.home() / "Library" / library / "fastscnn"
        base = Path(os.environ.get(xdg, ""))
        return (base if base.is_absolute() else Path.home() / hidden) / "fastscnn"
    except RuntimeError:  # no home
        return None
