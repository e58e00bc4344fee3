"""Arm's Vela as a program of its own: a .tflite for an Ethos-U NPU, where it runs, what it costs.

Cycles and memory are Vela's estimates by its model of the NPU and of a typical system around it;
nothing runs.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..core.aliases import StrPath
from ..core.arguments import check_name
from ..core.errors import ConfigError, ExportError, InputError, ModelFileError, retold
from ..core.extras import pip_install
from ..core.files.writing import check_output, write_bytes
from ..core.foreign_text import printable
from ..core.text_table import text_table
from ..delegates.device import ACCELERATORS
from ..tflite.checks import why_not
from ..tflite.file import read_model
from ..tflite.graph import Graph
from ..tflite.parser import parse_tflite

EXTRA = "ethos-u"
COMPILED = "CUSTOM(ethos-u)"  # what Vela makes of operations on the NPU
STAGES = ("learning_to_downsample", "global_features", "pyramid", "fusion", "classifier")
REST = "rest"
NAMELESS = "no stages: the file names none of its layers, as export --for ethos-u55 does"
SECONDS = 600  # that Vela may take; 1024x2048 takes 5
KIB = 1024
_VERSION = re.compile(r"\d+\.\d+(\.\w+)*")
_OBJECTION = re.compile(r"Warning \(supported operators\) operator: (\w+), .*\nReason: (.*)")
_MEMORY = {"sram": "SRAM", "dram": "DRAM", "off_chip_flash": "flash", "on_chip_flash": "flash"}


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the network in the estimate.

    Attributes:
        name: of `STAGES`; `rest` where the file's tensors are not named by layers.
        cycles: of the whole's.
        macs: multiply-accumulates.
    """

    name: str
    cycles: int
    macs: int


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What Vela made of a file, and what it estimates.

    Attributes:
        path: the compiled .tflite.
        accelerator: such as `ethos-u65-512`.
        vela: version of Vela.
        system, memory: names of the system around the NPU and of its use of memory.
        operations: of the source.
        cpu: operations that stay on the CPU: name -> count.
        reasons: Vela's first objection to each kind of operation.
        cycles: of one inference.
        clock_hz: of the NPU.
        memory_bytes: `SRAM`, `DRAM`, `flash` -> bytes in use, those that are.
        macs: multiply-accumulates.
        stages: in the order of the network.
        size_bytes: of the compiled file.
    """

    path: Path
    accelerator: str
    vela: str
    system: str
    memory: str
    operations: int
    cpu: Mapping[str, int]
    reasons: tuple[str, ...]
    cycles: int
    clock_hz: int
    memory_bytes: Mapping[str, int]
    macs: int
    stages: tuple[Stage, ...]
    size_bytes: int

    @property
    def milliseconds(self) -> float:
        """Of one inference at the NPU's clock."""
        return self.cycles / self.clock_hz * 1000

    @property
    def placement(self) -> str:
        """How many operations run where."""
        left = sum(self.cpu.values())
        names = ", ".join(f"{count} {name}" for name, count in self.cpu.items())
        there = self.operations - left
        return f"{there} of {self.operations} operations on the NPU, {left} on the CPU" + (
            f" ({names})" if names else ""
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        found = dataclasses.asdict(self) | {"path": str(self.path)}
        return {**found, "milliseconds": self.milliseconds, "estimate": True}

    def __str__(self) -> str:
        """What the command line prints."""
        memory = ", ".join(f"{n / KIB:,.0f} KiB {name}" for name, n in self.memory_bytes.items())
        total = sum(stage.cycles for stage in self.stages) or 1
        rows: list[Sequence[str]] = [("stage", "cycles", "%", "MACs")]
        rows += [
            (s.name, f"{s.cycles:,}", f"{100 * s.cycles / total:.1f}", f"{s.macs:,}")
            for s in self.stages
        ]
        return (
            f"{self.path}: {self.size_bytes:,} bytes for {self.accelerator} by Vela {self.vela}; "
            f"{self.placement}\n"
            f"Vela's estimate ({self.system}, {self.memory}), nothing was run: {self.cycles:,} "
            f"cycles, {self.milliseconds:.2f} ms at {self.clock_hz / 1e6:,.0f} MHz; {memory}\n"
            + (text_table(rows) if {s.name for s in self.stages} - {REST} else NAMELESS)
        )


class _VelaResult(NamedTuple):
    """What Vela said and wrote: the .tflite, the whole's numbers, and those of each operation."""

    said: str
    content: bytes
    summary: Sequence[Mapping[str, str]]
    layers: Sequence[Mapping[str, str]]


def compile_tflite(
    path: StrPath,
    accelerator: str,
    output: StrPath,
    allow_cpu: bool = False,
    vela: StrPath | None = None,
    config: StrPath | None = None,
    system: str | None = None,
    memory: str | None = None,
    timeout: float = SECONDS,
    force: bool = False,
) -> Compiled:
    """Has Vela compile a .tflite, and checks that the NPU runs all of it.

    Args:
        path: an int8 (or int16x8) .tflite.
        accelerator: of `ACCELERATORS`: the NPU, and its multiply-accumulates per cycle.
        output: folder for `NAME_ACCELERATOR.tflite`.
        allow_cpu: take a file whose operations run partly on the CPU.
        vela: the program; by default that beside this Python, else that on PATH.
        config: Vela's .ini file of systems; its own by default.
        system: name of a system in it.
        memory: name of a memory mode in it.
        timeout: seconds that Vela may take.
        force: replace a file.

    Raises:
        ConfigError: no such accelerator.
        InputError: Vela is not installed, or the program is another.
        ModelFileError: no .tflite, damaged, not of integers, or compiled already.
        OutputError: the file exists or cannot be written.
        ExportError: Vela fails, does not end, or leaves operations to the CPU; nothing is written.
    """
    sizes = [name for name in ACCELERATORS if name.startswith(f"{accelerator}-")]
    if sizes:
        raise ConfigError(
            f"{accelerator} is what export takes; the compiler needs its multiply-accumulates per "
            f"cycle, too: {' or '.join(sizes)}"
        )
    check_name("accelerator", accelerator, ACCELERATORS)
    path = Path(path)
    target = check_output(Path(output) / f"{path.stem}_{accelerator}.tflite", force)
    content, graphs = read_model(path)
    _check_integers(path, graphs.main)
    if reason := why_not(graphs.main):
        raise ModelFileError(f"{path}: damaged .tflite file ({reason}); Vela was not given it")
    program = find_vela(vela)
    version = _version(program)
    options = {"--config": config, "--system-config": system, "--memory-mode": memory}
    words = [str(w) for pair in options.items() if pair[1] is not None for w in pair]
    with tempfile.TemporaryDirectory(prefix="fastscnn-vela-") as name:
        folder = Path(name)
        source = folder / "m.tflite"
        source.write_bytes(content)  # what was checked
        command = [program, str(source), "--accelerator-config", accelerator, *words]
        said = _run([*command, "--output-dir", name, "--verbose-performance"], timeout)
        made = _VelaResult(
            said,
            _read(folder, "m_vela.tflite", said),
            *(_table(folder, part, said) for part in ("summary", "per-layer")),
        )
    found = _compiled(target, accelerator, version, len(graphs.main.ops), made)
    if found.cpu and not allow_cpu:
        raise ExportError(
            f"{path}: {found.placement}: {'; '.join(found.reasons) or 'Vela gives no reason'}; "
            f"networks of this package are whole if exported with --for "
            f"{accelerator.rpartition('-')[0]} and logits; --allow-cpu takes this file as it is"
        )
    write_bytes(target, made.content)
    return found


def find_vela(given: StrPath | None = None) -> str:
    """The program `vela`: the one given, beside this Python or on PATH.

    Raises:
        InputError: there is none.
    """
    if given is not None:
        found = shutil.which(Path(given).expanduser())
        if found is None:
            raise InputError(f"{given}: no program; --vela names Vela's, such as vela/bin/vela")
        return found
    found = shutil.which("vela", path=str(Path(sys.executable).parent)) or shutil.which("vela")
    if found is None:
        raise InputError(
            f"vela is not installed: {pip_install(EXTRA)}; or, in an environment of its own, "
            "python -m venv vela && vela/bin/pip install ethos-u-vela, and --vela vela/bin/vela"
        )
    return found


def _check_integers(path: Path, graph: Graph) -> None:
    if any(op.kind == COMPILED for op in graph.ops):
        raise ModelFileError(f"{path}: compiled already; take the .tflite that it was made from")
    floats = sum(tensor.dtype.startswith("float") for tensor in graph.tensors)
    if floats:
        raise ModelFileError(
            f"{path}: {floats} float tensors, and an Ethos-U computes with integers: export with "
            "recipe int8 or int8-qat"
        )


def _run(command: Sequence[str], timeout: float) -> str:
    """What a program says; without the environment of this one."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env=kept,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ExportError(f"{command[0]}: no end after {timeout:g} s (--timeout)") from None
    except OSError as error:
        raise InputError(f"{command[0]}: cannot be started ({error.strerror})") from None
    said = done.stdout.decode(errors="replace")
    if done.returncode:
        raise ExportError(f"{command[0]} failed (code {done.returncode}): {_problem(said)}")
    return said


def _problem(said: str) -> str:
    """The line that says why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return printable((errors or lines or ["it says nothing"])[-1])


@functools.cache  # it takes as long to say as a small network takes to compile
def _version(program: str) -> str:
    with retold(InputError, f"{program} is not Vela, or does not run here: ", of=ExportError):
        said = _run([program, "--version"], timeout=60).strip()
    if not _VERSION.fullmatch(said):
        raise InputError(f"{program} is not Vela: its --version says {printable(said)[:60]!r}")
    return said


def _read(folder: Path, name: str, said: str) -> bytes:
    if not (folder / name).is_file():
        raise ExportError(f"Vela wrote no {name}: {_problem(said)}")
    return (folder / name).read_bytes()


def _table(folder: Path, part: str, said: str) -> list[dict[str, str]]:
    """The rows of one of Vela's tables."""
    name = next((path.name for path in folder.glob(f"m_{part}*.csv")), f"table ({part})")
    return list(csv.DictReader(_read(folder, name, said).decode(errors="replace").splitlines()))


def _compiled(
    target: Path, accelerator: str, version: str, operations: int, made: _VelaResult
) -> Compiled:
    ops = parse_tflite(made.content).main.ops
    try:
        (row,) = made.summary
        used: Counter[str] = Counter()
        for area, name in _MEMORY.items():
            used[name] += round(float(row[f"{area}_memory_used"]) * KIB)
        return Compiled(
            path=target,
            accelerator=accelerator,
            vela=version,
            system=row["system_config"],
            memory=row["memory_mode"],
            operations=operations,
            cpu=dict(Counter(op.kind for op in ops if op.kind != COMPILED)),
            reasons=_reasons(made.said),
            cycles=round(float(row["cycles_total"])),
            clock_hz=round(float(row["core_clock"])),
            memory_bytes=dict(+used),
            macs=round(float(row["nn_macs"])),
            stages=_stages(made.layers),
            size_bytes=len(made.content),
        )
    except (KeyError, ValueError) as error:
        reason = f"{type(error).__name__}: {printable(str(error))}"
        raise ExportError(
            f"Vela {version} writes tables that are not read here ({reason})"
        ) from None


def _stages(layers: Sequence[Mapping[str, str]]) -> tuple[Stage, ...]:
    """Cycles by stage; what bears no layer's name belongs to the stage before it."""
    cycles, macs, stage = Counter[str](), Counter[str](), ""
    for row in layers:
        name = row["Name"].partition(".")[0]
        stage = name if name in STAGES else stage or REST
        cycles[stage] += int(row["Op Cycles"])
        macs[stage] += int(row["MAC Count"])
    order = [*STAGES, REST]
    return tuple(Stage(n, cycles[n], macs[n]) for n in sorted(cycles, key=order.index))


def _reasons(said: str) -> tuple[str, ...]:
    """Vela's first objection to each kind of operation."""
    found = dict(reversed(_OBJECTION.findall(said)))
    return tuple(f"{kind}: {printable(reason).rstrip('.')}" for kind, reason in found.items())
