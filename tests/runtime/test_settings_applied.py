"""Settings as the Python runtime applies them, on the shipped files."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.gpu import GpuSettings
from fastscnn_tf.delegates.npu import NpuSettings
from fastscnn_tf.delegates.npu_vendors import IntelOpenvinoSettings, QualcommSettings
from fastscnn_tf.delegates.settings_file import settings_path, write_settings
from fastscnn_tf.delegates.targets import TARGETS
from fastscnn_tf.runtime.benchmark import benchmark
from fastscnn_tf.runtime.compiled import CompiledInterpreter
from fastscnn_tf.runtime.engine import check_atomics, plan_engine
from fastscnn_tf.runtime.native import litert_options
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.parser import parse_tflite

SHIPPED = Path(__file__).parents[2] / "tflite"
INT8, FLOAT16 = (SHIPPED / f"fastscnn_camvid_{kind}.tflite" for kind in ("int8", "float16"))
DEBUG = {"FASTSCNN_DEBUG": "1"}
CORES = os.cpu_count() or 1


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (448, 608, 3), dtype=np.uint8)


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copy(INT8, tmp_path / "m.tflite"))


def test_without_settings_nothing_changes():
    plan = plan_engine(INT8, b"", {})
    assert (plan.threads, plan.compiled, plan.options, plan.notes) == (2, False, {}, ())
    assert plan.settings == DeviceSettings()


def test_threads_are_the_callers_or_the_settings_or_two(model, caplog):
    write_settings(model, DeviceSettings(cpu=CpuSettings(num_threads=1)))
    assert Segmenter(model).threads == 1
    assert Segmenter(model, threads=2).threads == 2
    assert Segmenter(model, settings=DeviceSettings()).threads == 2
    assert benchmark(model, runs=1, warmup=0)["threads"] == 1
    assert not caplog.records
    with pytest.raises(ConfigError, match=r"1\.\.256, got 0"):
        Segmenter(model, threads=0)


def test_more_threads_than_cores_are_cut_and_said(model, caplog):
    write_settings(model, DeviceSettings(cpu=CpuSettings(num_threads=256)))
    with caplog.at_level(logging.WARNING, "fastscnn_tf"):
        segmenter = Segmenter(model)
    note = f"cpu.num_threads=256, but this machine has {CORES} cores: {CORES} used"
    assert segmenter.threads == CORES
    assert segmenter.notes == (note,)
    assert [record.getMessage() for record in caplog.records] == [f"{model}: {note}"]


def test_kernel_modes_are_other_kernels(image):
    """The built-in kernels round otherwise: at most some steps, and not nowhere."""
    outputs = {
        mode: Segmenter(INT8, settings=DeviceSettings(cpu=CpuSettings(kernel_mode=mode))).run(image)
        for mode in ("xnnpack", "builtin", "reference")
    }
    plain = Segmenter(INT8).run(image)
    np.testing.assert_array_equal(outputs["xnnpack"], plain)
    for mode in ("builtin", "reference"):
        steps = np.abs(outputs[mode].astype(int) - plain)
        assert 0 < steps.max() <= 12, mode


@pytest.mark.parametrize("path", [INT8, FLOAT16])
def test_compiled_model_gives_the_same_numbers(path, image):
    compiled = Segmenter(path, settings=DeviceSettings(api="compiled_model"))
    plain = Segmenter(path)
    np.testing.assert_array_equal(compiled.run(image), plain.run(image))
    assert compiled.logit_scale == plain.logit_scale
    assert (compiled.input_size, compiled.outputs) == (plain.input_size, plain.outputs)
    np.testing.assert_array_equal(compiled.predict(image), plain.predict(image))


@pytest.mark.parametrize("path", [INT8, FLOAT16])
def test_compiled_interpreter_is_filled_in_place(path, image):
    """As LiteRT's own interpreter is."""
    content, settings = path.read_bytes(), DeviceSettings(api="compiled_model")
    plan = plan_engine(path, content, {}, settings=settings)
    engine = CompiledInterpreter(path, content, parse_tflite(content).main, plan)
    engine.tensor(0)()[0] = image
    engine.invoke()
    np.testing.assert_array_equal(engine.get_tensor(1)[0], Segmenter(path).run(image))


def test_compiled_model_is_quiet():
    """A process of its own: LiteRT says what it says once. At its end it says two lines more."""
    code = (
        "import os, sys, numpy as np, fastscnn_tf as fs\n"
        "settings = fs.DeviceSettings(api='compiled_model')\n"
        f"segmenter = fs.Segmenter({str(INT8)!r}, settings=settings)\n"
        "segmenter.predict(np.zeros((9, 9, 3), np.uint8))\n"
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_weight_caches_are_not_shared_between_models(tmp_path, image):
    """XNNPACK takes another model's cache without a word: each has a file of its own."""
    cpu = CpuSettings(weight_cache_dir=str(tmp_path / "cache"))
    settings = DeviceSettings(api="compiled_model", cpu=cpu)
    for kind in (INT8, FLOAT16, INT8):
        path = Path(shutil.copy(kind, tmp_path / "m.tflite"))
        expected = Segmenter(path).run(image)
        for _ in range(2):  # written, then read
            np.testing.assert_array_equal(Segmenter(path, settings=settings).run(image), expected)
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert len(names) == 2
    assert all(name.startswith("m-") and name.endswith(".xnnpack") for name in names)


def test_what_python_cannot_apply_is_said():
    cpu = CpuSettings(weight_cache_dir="x", xnnpack_flags=("qs8",), enable_ynnpack=True)
    notes = plan_engine(INT8, b"", {}, settings=DeviceSettings(cpu=cpu)).notes
    assert [note.split(" ")[0] for note in notes] == [
        "cpu.enable_ynnpack=True",
        "cpu.xnnpack_flags=('qs8',)",
        f"cpu.weight_cache_dir={Path.cwd() / 'x'}",
    ]
    assert all("Python's Interpreter has no such option" in note for note in notes)
    gpu = plan_engine(INT8, b"", {}, settings=DeviceSettings(accelerator="gpu"))
    assert [note.split(":")[0] for note in gpu.notes] == ["accelerator=gpu is not used"]
    compiled = DeviceSettings(
        accelerator="gpu",
        api="compiled_model",
        gpu=GpuSettings(wait_type="active", benchmark_mode=True, precision_loss_allowed=False),
    )
    plan = plan_engine(INT8, b"", {}, settings=compiled)
    assert plan.options["gpu"] == {"benchmark_mode": True, "enforce_f32": True}
    assert plan.notes == (
        "gpu.wait_type=active is not applied: Python's CompiledModel has no such option",
    )


@pytest.mark.parametrize(
    ("device", "where"),
    [
        ("android-gpu", "Android"),
        ("android-nnapi", "Android"),
        ("browser", "a browser"),
        ("ethos-u65", "an NPU, whose compiler comes first"),
    ],
)
def test_files_for_elsewhere_run_on_the_cpu_which_is_no_fault(model, device, where, caplog):
    write_settings(model, TARGETS[device].settings)
    with caplog.at_level(logging.INFO, "fastscnn_tf"):
        segmenter = Segmenter(model)
    said = f"{model}: its settings are for {where} ({device}); on this machine the CPU runs it"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("INFO", said)]
    assert segmenter.notes == ()


def test_compiled_model_keeps_its_own_lines_to_itself(model):
    """LiteRT writes to descriptor 2 when it begins and, from a destructor, after Python's end."""
    write_settings(model, DeviceSettings(api="compiled_model"))
    code = """
import atexit, sys
atexit.register(lambda: print("last words", file=sys.stderr))  # after ours, which came later
from fastscnn_tf.runtime.segmenter import Segmenter
from fastscnn_tf.tflite.parser import parse_tflite
import numpy as np
Segmenter(sys.argv[1]).predict(np.zeros((8, 8, 3), np.uint8))
print("an error", file=sys.stderr)
"""
    quiet = {k: v for k, v in os.environ.items() if k != "FASTSCNN_DEBUG"}
    command = [sys.executable, "-W", "error", "-c", code, str(model)]
    for environment, lines in ((quiet, ["an error", "last words"]), ({**quiet, **DEBUG}, None)):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0
        if lines:
            assert done.stderr.splitlines() == lines
        else:
            assert "Creating LiteRT environment" in done.stderr
            assert "DestroyAccelerator" in done.stderr


def test_interpreter_options_reach_the_interpreter(image):
    cpu = CpuSettings(
        disable_delegate_clustering=True,
        default_delegate_latest_features=True,
        compress_quantization_zero_points=True,
        disable_delegate_node_fusion=False,
    )
    settings = DeviceSettings(cpu=cpu)
    assert plan_engine(INT8, b"", {}, settings=settings).options == {
        "experimental_disable_delegate_clustering": True,
        "experimental_default_delegate_latest_features": True,
        "experimental_compress_quantization_zero_points": True,
        "experimental_disable_delegate_node_fusion": False,
    }
    segmenter = Segmenter(INT8, settings=settings)
    np.testing.assert_array_equal(segmenter.run(image), Segmenter(INT8).run(image))


def test_vendor_options_are_those_of_litert():
    npu = NpuSettings(
        vendor="qualcomm",
        qualcomm=QualcommSettings(
            htp_performance_mode="burst",
            optimization_level="O3",
            graph_io_tensor_mem_type="memhandle",
            vtcm_size=8,
            htp_p_point=1,
        ),
    )
    settings = DeviceSettings(accelerator="npu", api="compiled_model", npu=npu)
    plan = plan_engine(INT8, b"", {}, settings=settings)
    assert plan.notes == (
        "npu.qualcomm.htp_p_point=1 is not applied: Python's CompiledModel has no such option",
    )
    flat = litert_options(settings, 3, plan.options)._as_flat_kwargs()
    assert flat["hardware_accel"] == 1 | 4
    assert flat["cpu_num_threads"] == 3
    assert flat["qualcomm_htp_performance_mode"] == 2
    assert flat["qualcomm_optimization_level"] == 2
    assert flat["qualcomm_graph_io_tensor_mem_type"] == 1
    assert flat["qualcomm_vtcm_size"] == 8

    npu = NpuSettings(
        vendor="intel_openvino",
        intel_openvino=IntelOpenvinoSettings(performance_mode="throughput", configs=("A=1",)),
    )
    settings = DeviceSettings(None, "npu", "compiled_model", cpu_fallback=False, npu=npu)
    options = plan_engine(INT8, b"", {}, settings=settings).options
    flat = litert_options(settings, 1, options)._as_flat_kwargs()
    assert flat["hardware_accel"] == 4
    assert flat["intel_openvino_performance_mode"] == 1
    assert flat["intel_openvino_configs_map"] == {"A": "1"}


def test_an_accelerator_that_is_not_here_is_an_error(model):
    """No vendor's dispatch library can be loaded from an empty folder."""
    npu = NpuSettings(dispatch_library_dir=str(model.parent))
    settings = DeviceSettings(None, "npu", "compiled_model", cpu_fallback=False, npu=npu)
    with pytest.raises(ConfigError, match=r"cannot be compiled for npu here .*accelerator=cpu"):
        Segmenter(model, settings=settings)


def test_a_gpu_gives_nearly_the_same_numbers(image):
    """Also on SwiftShader: libvulkan on the library path, VK_DRIVER_FILES naming its JSON."""
    gpu = GpuSettings(precision_loss_allowed=False)
    settings = DeviceSettings(None, "gpu", "compiled_model", cpu_fallback=False, gpu=gpu)
    try:
        segmenter = Segmenter(FLOAT16, settings=settings)
    except ConfigError as error:
        pytest.skip(f"no GPU that LiteRT can use here: {error}")
    plain, got = Segmenter(FLOAT16).run(image), segmenter.run(image)
    np.testing.assert_allclose(got, plain, atol=1e-3)
    assert not np.array_equal(got, plain)  # equal to the bit would mean that the CPU took it


def test_cpus_without_lse_atomics_are_spared_a_sigill():
    pi4 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
    pi5 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes crc32 atomics fphp\n"
    for cpuinfo in (pi4, pi5 + pi4):
        with pytest.raises(ConfigError, match="lacks LSE atomics"):
            check_atomics("aarch64", cpuinfo)
    check_atomics("aarch64", pi5)
    check_atomics("x86_64", pi4)
    check_atomics("aarch64", "")


def test_settings_of_another_model_are_refused(model):
    path = write_settings(model, TARGETS["pi5"].settings)
    shutil.copy(FLOAT16, model)
    with pytest.raises(ConfigError, match="belongs to another model"):
        Segmenter(model)
    with pytest.raises(ConfigError, match="belongs to another model"):
        Segmenter(INT8.with_name("fastscnn_camvid_float16.tflite"), settings=path)
    assert Segmenter(model, settings=DeviceSettings()).threads == 2
    found = json.loads(settings_path(model).read_text())
    assert found["settings"]["device"] == "pi5"
