"""The folders that LiteRT loads an NPU's libraries from."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from ..core.errors import ConfigError
from ..core.foreign_text import one_line
from ..delegates.device import DeviceSettings
from ..delegates.trust import Held

MOST_FILES = 10_000  # that are looked at for names of libraries
LONGEST = 300  # characters of such names in a message
# option of NpuSettings -> argument of Environment, and how the names of libraries begin
LIBRARIES = {
    "dispatch_library_dir": ("dispatch_library_path", "LiteRtDispatch"),
    "compiler_plugin_dir": ("compiler_plugin_path", "LiteRtCompilerPlugin"),
}


def loaded_libraries(held: Held, settings: DeviceSettings) -> list[str]:
    """What is loaded out of the folders of settings, and who named them; one line each.

    Args:
        held: what counts of the settings.
        settings: the same with absolute paths.

    Raises:
        ConfigError: no such folder.
    """
    if settings.accelerator != "npu" or settings.npu is None:
        return []
    said = []
    for name, (_, start) in LIBRARIES.items():
        if not (given := getattr(settings.npu, name)):
            continue
        folder = Path(given)
        if not folder.is_dir():
            kind = "not a folder" if folder.exists() else "no such folder"
            raise ConfigError(f"npu.{name}={one_line(given)}: {kind}: name the one of the library")
        # Where LiteRT looks, too; a folder that vanishes meanwhile, as in /tmp, is left out.
        below = itertools.chain.from_iterable(files for _, _, files in os.walk(folder))
        files = itertools.islice(below, MOST_FILES)
        names = [name for name in files if start in name and name.endswith((".so", ".dll"))]
        by = held.given_by[f"npu.{name}"]
        shown = one_line(", ".join(sorted(names)) or f"no {start}*")[:LONGEST]
        said.append(f"loads {shown} of {one_line(folder)} (npu.{name}{by and ', '}{by})")
    return said
