"""Arm's Vela places the exported files whole on Ethos-U NPUs, and `compile` says so."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ExportError
from fastscnn_tf.core.presets import PRESETS
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.export.edits import Editor
from fastscnn_tf.export.npu_resizes import resizes_to_convolutions
from fastscnn_tf.export.pack import pack
from fastscnn_tf.export.vela import STAGES, compile_tflite
from fastscnn_tf.tflite.file import read_model, unpack

ROOT = Path(__file__).parents[2]
SIZES = ((224, 320), (448, 608), (512, 1024))  # all of the shipped network
# A U55 and a U65 take the same file.
NPUS = {"ethos-u55": "ethos-u55-256", "ethos-u65": "ethos-u65-512", "ethos-u85": "ethos-u85-1024"}
PART = {  # of the plain file: operations that stay on the CPU
    "ethos-u55-256": {"RESIZE_BILINEAR": 4},
    "ethos-u65-512": {"RESIZE_BILINEAR": 4},
    "ethos-u85-1024": {"RESIZE_BILINEAR": 3},
}


@pytest.fixture(scope="module")
def vela(target_tools):
    return target_tools("ethos_u") / "venv" / "bin" / "vela"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


def picture(size):
    return np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(np.uint8)


def for_npu(content, device):
    """What `export` makes of the converter's file for a device."""
    model = unpack(content)
    resizes_to_convolutions(Editor(model), device)
    return pack(model, len(content))


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: "x".join(map(str, size)))
def exported(request, folder):
    """The shipped network for a U65, at a size."""
    path = folder / f"shipped{request.param[0]}.tflite"
    model = fs.resize_model(fs.load_model(ROOT / "tflite" / "fastscnn_camvid.keras"), request.param)
    settings = TARGETS["ethos-u65"].settings
    fs.export_tflite(model, path, "int8", calibration=[picture(request.param)], settings=settings)
    return path


@pytest.mark.parametrize("accelerator", NPUS.values())
def test_the_shipped_network_is_placed_whole(vela, folder, exported, accelerator):
    found = compile_tflite(exported, accelerator, folder, vela=vela)
    assert found.cpu == {} and found.operations == 130
    (op,) = read_model(found.path)[1].main.ops
    assert op.kind == "CUSTOM(ethos-u)"
    assert tuple(stage.name for stage in found.stages) == STAGES
    assert sum(stage.cycles for stage in found.stages) == found.cycles
    assert found.vela == "5.2.0" and found.memory_bytes["SRAM"] > 0


@pytest.mark.parametrize("accelerator", PART)
def test_what_stays_on_the_cpu_is_told(vela, tmp_path, accelerator):
    plain = ROOT / "tflite" / "fastscnn_camvid_int8.tflite"
    left = sum(PART[accelerator].values())
    with pytest.raises(ExportError, match=rf"{left} on the CPU .*RESIZE_BILINEAR: .*--for ethos-u"):
        compile_tflite(plain, accelerator, tmp_path, vela=vela)
    assert not list(tmp_path.iterdir())
    found = compile_tflite(plain, accelerator, tmp_path, vela=vela, allow_cpu=True)
    assert (found.operations, found.cpu) == (115, PART[accelerator])
    whole = tmp_path / "whole.tflite"
    whole.write_bytes(for_npu(plain.read_bytes(), accelerator.rpartition("-")[0]))
    assert compile_tflite(whole, accelerator, tmp_path, vela=vela).cpu == {}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_placed_whole(vela, folder, randomise, preset):
    """One bottleneck a group: the others are of the same operations."""
    config = FastSCNNConfig.preset(preset, input_size=(224, 320), repeats=(1, 1, 1))
    path = folder / f"{preset}.tflite"
    model = randomise(fs.fast_scnn(config))
    fs.export_tflite(model, path, "int8", calibration=[picture(config.input_size)])
    content = path.read_bytes()
    for device, accelerator in NPUS.items():
        path.write_bytes(for_npu(content, device))
        assert compile_tflite(path, accelerator, folder, vela=vela, force=True).cpu == {}


def test_the_command_line(vela, tmp_path, run):
    plain = ROOT / "tflite" / "fastscnn_camvid_int8.tflite"
    arguments = ("--for", "ethos-u55-128", "--output", tmp_path / "out", "--vela", vela)
    code, _, err = run("compile", plain, *arguments)
    assert code == 1 and "111 of 115 operations on the NPU, 4 on the CPU" in err
    report = tmp_path / "report.json"
    code, out, _ = run("compile", plain, *arguments, "--allow-cpu", "--json", report)
    assert code == 0 and "nothing was run" in out and "names none of its layers" in out
    assert json.loads(report.read_text())["cpu"] == {"RESIZE_BILINEAR": 4}
    code, _, err = run("compile", plain, *arguments, "--force", "--system-config", "None_Such")
    assert code == 1 and "None_Such" in err
    compiled = tmp_path / "out" / f"{plain.stem}_ethos-u55-128.tflite"
    code, _, err = run("compile", compiled, *arguments, "--force")
    assert code == 2 and "compiled already" in err
