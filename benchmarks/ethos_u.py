"""Vela's estimates of the network on Ethos-U NPUs, as the table of docs/ethos-u.md.

    python benchmarks/ethos_u.py --output ethos-u --vela vela/bin/vela
    python benchmarks/ethos_u.py --output ethos-u --vela vela/bin/vela --presets

The second counts the operations of every preset, with random weights, that stay on the CPU.
Width 1.0 has the shipped weights, others random ones; cycles depend on weights only where these
come from slow memory. Nothing is run: these are estimates for the systems that Vela assumes.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import numpy as np

import fastscnn_tf as fs
from fastscnn_tf.core.keras_api import KerasModel
from fastscnn_tf.core.presets import PRESETS
from fastscnn_tf.core.sizes import format_size, parse_size
from fastscnn_tf.core.text_table import markdown_table
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.export.vela import KIB, Compiled, compile_tflite

SHIPPED = Path(__file__).parents[1] / "tflite" / "fastscnn_camvid.keras"
ACCELERATORS = (
    *("ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512"),
    *("ethos-u85-512", "ethos-u85-2048"),
)
PLACES = ("preset", "input", "accelerator", "operations", "on the CPU")
HEAD = ("input", "width", "accelerator", "cycles, M", "ms", "at MHz", "SRAM, KiB", "DRAM, KiB")


def network(kind: float | str, size: tuple[int, int]) -> KerasModel:
    """The shipped network at a size; one of another width or a preset has random weights."""
    if isinstance(kind, str):
        return fs.fast_scnn(fs.FastSCNNConfig.preset(kind, input_size=size))
    shipped, width = fs.load_model(SHIPPED), kind
    if width == 1.0:
        return fs.resize_model(shipped, size)
    return fs.fast_scnn(shipped.config.replace(width=width, input_size=size))


def exported(folder: Path, device: str, kind: float | str, size: tuple[int, int]) -> Path:
    """The int8 file for a device; its ranges come of one image of noise."""
    path = folder / f"{device}_{format_size(size)}_{kind}.tflite"
    if not path.exists():
        noise = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(np.uint8)
        settings = TARGETS[device].settings
        model = network(kind, size)
        fs.export_tflite(model, path, "int8", calibration=[noise], settings=settings)
    return path


def row(size: str, width: float, found: Compiled) -> tuple[str, ...]:
    """A row of the table."""
    memory = [f"{found.memory_bytes.get(name, 0) / KIB:,.0f}" for name in ("SRAM", "DRAM")]
    clock = f"{found.clock_hz / 1e6:,.0f}"
    numbers = f"{found.cycles / 1e6:.2f}", f"{found.milliseconds:.1f}", clock
    return size, str(width), found.accelerator, *numbers, *memory


def main() -> None:
    """Exports, compiles and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--vela", help="the program")
    parser.add_argument("--sizes", nargs="+", default=["224x320", "448x608", "512x1024"])
    parser.add_argument("--widths", nargs="+", type=float, default=[1.0, 0.5])
    parser.add_argument("--accelerators", nargs="+", default=ACCELERATORS)
    parser.add_argument("--presets", nargs="*", help="where operations of these run; none: all")
    given = parser.parse_args()
    kinds = given.widths if given.presets is None else given.presets or PRESETS
    given.output.mkdir(parents=True, exist_ok=True)
    compiled = functools.partial(
        compile_tflite, output=given.output, vela=given.vela, force=True, allow_cpu=True
    )
    rows = []
    for size in given.sizes:
        for kind in kinds:
            for accelerator in given.accelerators:
                # Vela takes the same file for a U55 and a U65.
                device = "ethos-u85" if "u85" in accelerator else "ethos-u65"
                path = exported(given.output, device, kind, parse_size(size))
                found = compiled(path, accelerator)
                left = sum(found.cpu.values())
                placed = str(kind), size, accelerator, f"{found.operations}", f"{left}"
                rows.append(row(size, kind, found) if given.presets is None else placed)
    head = HEAD if given.presets is None else PLACES
    print(markdown_table(head, rows, right=range(3, len(head))))


if __name__ == "__main__":
    main()
