"""What `compile` refuses, and what it says where Vela fails; `tests/targets` runs Vela itself."""

import sys
from pathlib import Path

import pytest
from tiny_models import TinyModel

from fastscnn_tf.core.errors import (
    ConfigError,
    ExportError,
    InputError,
    ModelFileError,
    OutputError,
)
from fastscnn_tf.delegates.device import ACCELERATORS
from fastscnn_tf.export.vela import compile_tflite

INT8 = Path(__file__).parents[2] / "tflite" / "fastscnn_camvid_int8.tflite"
NPU = "ethos-u65-512"


@pytest.fixture
def program(tmp_path):
    """A shell script in the place of Vela."""

    def write(text, version="5.2.0"):
        path = tmp_path / "vela"
        answer = f'[ "$1" = --version ] && echo "{version}" && exit\n'
        path.write_text(f"#!/bin/sh\n{answer}{text}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def compiled(tmp_path):
    """Compiles the shipped file into an empty folder, where nothing may be left."""

    def run(path=INT8, accelerator=NPU, **options):
        output = tmp_path / "output"
        try:
            return compile_tflite(path, accelerator, output, **options)
        finally:
            assert not output.exists()

    return run


def test_accelerators(compiled):
    assert len(ACCELERATORS) == 11
    with pytest.raises(ConfigError, match="per cycle, too: ethos-u65-256 or ethos-u65-512"):
        compiled(accelerator="ethos-u65")
    for name in ("ethos-u65-128", "u65-512", "coral", ""):
        with pytest.raises(ConfigError, match=r"unknown accelerator .*: expected one of ethos-u55"):
            compiled(accelerator=name)


def test_no_vela(compiled, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r'not installed: pip install "fastscnn-tf\[ethos-u\]"'):
        compiled()
    with pytest.raises(InputError, match=r"nowhere/vela: no program; --vela names"):
        compiled(vela=tmp_path / "nowhere" / "vela")


def test_another_program(compiled, program):
    with pytest.raises(InputError, match=r"is not Vela: its --version says 'cat 9\.1'"):
        compiled(vela=program("", version="cat 9.1"))
    with pytest.raises(InputError, match=r"is not Vela, or does not run here: .* failed"):
        compiled(vela=program("exit 1", version='"; exit 1; "'))


def test_files_that_are_not_for_it(compiled, program, tmp_path):
    vela = program("exit 3")
    with pytest.raises(ModelFileError, match=r"float tensors, .* recipe int8 or int8-qat"):
        compiled(INT8.with_name("fastscnn_camvid_float16.tflite"), vela=vela)
    m = TinyModel()
    x, y = (m.tensor((1, 8, 8, 4), "int8") for _ in range(2))
    m.op("CUSTOM", [x], [y], custom="ethos-u")
    done = tmp_path / "done.tflite"
    done.write_bytes(m.pack([x], [y]))
    with pytest.raises(ModelFileError, match="compiled already"):
        compiled(done, vela=vela)
    m = TinyModel()
    x, y = (m.tensor((1, 8, 8, 4), "int8", quantization=((s,), (0,))) for s in (-1, 1))
    m.op("RELU", [x], [y])
    done.write_bytes(m.pack([x], [y]))
    with pytest.raises(ModelFileError, match=r"tensor 0 has the scale -1.*; Vela was not given it"):
        compiled(done, vela=vela)
    done.write_bytes(INT8.read_bytes()[:5000])
    with pytest.raises(ModelFileError, match="damaged or truncated"):
        compiled(done, vela=vela)
    with pytest.raises(ModelFileError, match="no such"):
        compiled(tmp_path / "none.tflite", vela=vela)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "echo 'RuntimeError: it is full'; echo bye; exit 1",
            r"failed \(code 1\): RuntimeError: it",
        ),
        ("printf 'a\\033b\\n'; exit 1", r"failed \(code 1\): a\\x1bb"),
        ("kill -11 $$", r"failed \(code -11\): it says nothing"),
        ("exit 0", r"wrote no m_vela\.tflite: it says nothing"),
        ('cd "$5"; cp m.tflite m_vela.tflite', r"wrote no table \(summary\)"),
        (
            'cd "$5"; cp m.tflite m_vela.tflite; printf "a\\n1\\n" | '
            "tee m_summary_x.csv m_per-layer.csv",
            r"Vela 5\.2\.0 writes tables that are not read here \(KeyError",
        ),
    ],
)
def test_vela_fails(compiled, program, text, message):
    with pytest.raises(ExportError, match=message):
        compiled(vela=program(text))


def test_vela_does_not_end(compiled, program):
    with pytest.raises(ExportError, match=r"no end after 0\.3 s \(--timeout\)"):
        compiled(vela=program("exec sleep 60"), timeout=0.3)


def test_what_is_there_stays(tmp_path, program):
    there = tmp_path / f"{INT8.stem}_{NPU}.tflite"
    there.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists: choose another output"):
        compile_tflite(INT8, NPU, tmp_path, vela=program("exit 1"))
    with pytest.raises(ExportError):
        compile_tflite(INT8, NPU, tmp_path, vela=program("exit 1"), force=True)
    assert there.read_bytes() == b"mine"


def test_the_command_line(run, tmp_path, program):
    vela, output = program("echo 'Error: none such'; exit 1"), tmp_path / "output"
    code, _, err = run("compile", INT8, "--for", "ethos-u66", "--output", output)
    assert code == 2 and "unknown accelerator 'ethos-u66'" in err
    code, _, err = run("compile", INT8, "--for", NPU, "--output", output, "--vela", vela)
    assert code == 1 and "failed (code 1): Error: none such" in err
    code, _, err = run("compile", INT8, "--output", output)
    assert code == 2 and "--for" in err
    assert not output.exists()
