"""Where this user's programs keep what can be made again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "FASTSCNN_CACHE"


def cache_folder() -> Path | None:
    """The platform's folder for such things (XDG on Linux); `FASTSCNN_CACHE` overrides it.

    Returns:
        The folder, which may not be there yet, or None where the user has none.
    """
    if own := os.environ.get(VARIABLE):
        return Path(own)
    try:
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / "fastscnn"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "fastscnn"
        xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "fastscnn"
    except RuntimeError:  # no home
        return None
