"""An int8 .tflite as C++ source for TFLite Micro: the bytes, their sizes and labels, an example."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from ..core.aliases import StrPath
from ..core.errors import ConfigError, ModelFileError
from ..core.files.reading import read_bytes
from ..core.files.writing import check_output, replacing
from ..core.foreign_text import printable
from ..core.sizes import padded_size
from ..core.version import __version__
from ..inspection.found import Findings
from ..inspection.inspect_tflite import inspect
from ..tflite.own_metadata import label_space

PER_LINE = 24
KIB = 1024
EXAMPLE = Path(__file__).with_name("c_array_example.txt")
# What a byte of the image is to the input.
INPUTS = {"uint8": "image[i]", "int8": "static_cast<int8_t>(image[i] ^ 0x80)"}


def check_c_array(header: StrPath, force: bool = False) -> tuple[Path, Path, Path]:
    """The files that `write_c_array` writes: `NAME.h`, `NAME.cc` and `NAME_example.cc`.

    Raises:
        ConfigError: not the name of a header, or none that C++ can call things by.
        OutputError: one exists or cannot be written.
    """
    path = Path(header)
    if path.suffix != ".h" or not re.fullmatch(r"[A-Za-z]\w*", path.stem, re.ASCII):
        raise ConfigError(f"{path}: expected NAME.h, NAME of letters, digits and _")
    files = path, path.with_suffix(".cc"), path.with_name(f"{path.stem}_example.cc")
    for file in files:
        check_output(file, force)
    return files


def check_options(recipe: str, outputs: str, input: str, keep_float: Sequence[str]) -> None:
    """Refuses what `export_tflite` would make a file of that is none for `write_c_array`.

    Raises:
        ConfigError: naming the option.
    """
    known = {
        "recipe": (recipe, ("int8", "int8-qat")),
        "outputs": (outputs, ("logits", "logits-full", "prob")),
        "input": (input, tuple(INPUTS)),
    }
    for name, (given, takes) in known.items():
        if given not in takes:
            raise ConfigError(f"format c-array has --{name} {' or '.join(takes)}, not {given}")
    if keep_float:
        raise ConfigError("format c-array is for files of integers alone: leave --keep-float out")


def write_c_array(model: StrPath, header: StrPath, force: bool = False) -> tuple[Path, Path, Path]:
    """Writes a .tflite as C++ source with the size of the arena that it needs.

    Args:
        model: an int8 .tflite of this package with uint8 or int8 input, and logits (TFLite Micro
            has no CAST that labels end with).
        header: `NAME.h`; beside it come `NAME.cc` with the bytes and `NAME_example.cc`.
        force: replace them.

    Returns:
        The three files.

    Raises:
        ModelFileError: it is no such file.
        ConfigError, OutputError: as for `check_c_array`.
    """
    files = check_c_array(header, force)
    found, name = inspect(model), files[0].stem
    whole = found.metadata.get("class_names") and not found.float_tensors
    if not whole or found.inputs[0].dtype not in INPUTS or len(found.outputs[0].shape) != 4:
        raise ModelFileError(
            f"{found.path}: expected an int8 .tflite of this package with uint8 or int8 input and "
            "logits: export it with --recipe int8 or int8-qat, --outputs logits"
        )
    if not found.micro_bytes:
        raise ModelFileError(
            f"{found.path}: TFLite Micro alone has no kernels for its operations; what Vela "
            "compiled needs Arm's driver, too (`xxd -i` writes the bytes of such a file)"
        )
    texts = _header(found, name), _source(read_bytes(found.path), name), _example(found, name)
    with contextlib.ExitStack() as all_or_none:
        for file, text in zip(files, texts, strict=True):
            all_or_none.enter_context(replacing(file)).write_bytes(text.encode())
    return files


def _header(found: Findings, name: str) -> str:
    space = label_space(found.metadata, 0)
    height, width = found.inputs[0].shape[1:3]
    cells, how = found.outputs[0].shape, "estimated; AllocateTensors tells if it is too little"
    covered = (height, width) if cells[1:3] == (height, width) else padded_size((height, width))
    arena = found.micro_bytes
    if found.measured.micro_arena_bytes:
        how = "measured on a 64-bit PC; a chip's own kernels may want more"
    else:
        arena += arena // 50
    numbers = {
        "BYTES": (found.size_bytes, ""),
        "HEIGHT": (height, "of the image: height x width x 3 bytes, RGB"),
        "WIDTH": (width, ""),
        "ROWS": (cells[1], "of the label map"),
        "COLUMNS": (cells[2], ""),
        "PADDED_HEIGHT": (covered[0], "what the label map covers: the image, and below and"),
        "PADDED_WIDTH": (covered[1], "right of it what its size lacks to multiples of 32"),
        "CLASSES": (len(space), ""),
        "ARENA_BYTES": (-(-arena // KIB) * KIB, how),
    }
    upper = name.upper()
    lines = [
        f"  {upper}_{key} = {value}," + (f"  // {note}" if note else "")
        for key, (value, note) in numbers.items()
    ]
    texts = ", ".join(json.dumps(printable(text), ensure_ascii=False) for text in space.names)
    colors = ", ".join("{{{}, {}, {}}}".format(*color) for color in space.colors)
    return f"""\
// A segmentation network for TFLite Micro, written by fastscnn_tf {__version__}.
// SHA-256 of the .tflite: {found.sha256}
#ifndef {upper}_H_
#define {upper}_H_

#include <cstdint>

enum {{
{chr(10).join(lines)}
}};

extern const unsigned char {name}_model[{upper}_BYTES];  // begins at a multiple of 16
inline const char* const {name}_labels[{upper}_CLASSES] = {{{texts}}};
inline const uint8_t {name}_colors[{upper}_CLASSES][3] = {{{colors}}};

#endif
"""


def _source(content: bytes, name: str) -> str:
    rows = (content[i : i + PER_LINE] for i in range(0, len(content), PER_LINE))
    values = "\n".join(",".join(map(str, row)) + "," for row in rows)
    start = f"alignas(16) const unsigned char {name}_model[{name.upper()}_BYTES]"
    return f'#include "{name}.h"\n\n{start} = {{\n{values}\n}};\n'


def _example(found: Findings, name: str) -> str:
    upper = name.upper()
    image, output = found.inputs[0], found.outputs[0]
    adds = "\n".join(f"  resolver.Add{_added(kind)}();" for kind in sorted(found.ops))
    values = {
        "name": name,
        "NAME": upper,
        "count": str(len(found.ops)),
        "adds": adds,
        "type": image.dtype,
        "byte": INPUTS[image.dtype],
        "scores": output.dtype,
    }
    return re.sub(r"@(\w+)@", lambda place: values[place[1]], EXAMPLE.read_text("utf-8"))


def _added(kind: str) -> str:
    """`DEPTHWISE_CONV_2D` -> `DepthwiseConv2D`, as TFLite Micro's resolver says it."""
    return "".join(part if part[0].isdigit() else part.capitalize() for part in kind.split("_"))
