"""Commands and Kotlin made from settings, beside files that were checked by hand."""

import shlex
from pathlib import Path, PurePath

import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.delegates.benchmark_flags import benchmark_command
from fastscnn_tf.delegates.device import DeviceSettings
from fastscnn_tf.delegates.kotlin import kotlin_source
from fastscnn_tf.delegates.targets import TARGETS

GOLDEN = Path(__file__).parent / "golden"
MODEL, SHA256 = PurePath("models/m.tflite"), "0123456789abcdef" * 4


def changed(name, *changes):
    settings = TARGETS[name].settings
    for change in changes:
        settings = settings.with_option(*change.split("=", 1))
    return settings


CASES = {
    "pi4": changed("pi4"),
    "pi5-cache": changed(
        "pi5", "cpu.weight_cache_dir=cache", "cpu.xnnpack_flags=qs8,qu8,force_fp16",
        "cpu.disable_delegate_clustering=true",
    ),
    "android-gpu": changed("android-gpu"),
    "android-gpu-all": changed(
        "android-gpu", "cpu_fallback=true", "gpu.serialization_dir=gpu",
        "gpu.serialize_program_cache=true", "gpu.backend=opencl", "gpu.gpu_priority=low",
        "gpu.buffer_storage_type=texture_2d", "gpu.external_tensor_patterns=state_",
        "gpu.num_steps_of_command_buffer_preparations=2", "gpu.wait_type=active",
        "cpu.weight_cache_dir=/data/app/xnn", "cpu.kernel_mode=xnnpack",
    ),
    "android-gpu-classic": changed(
        "android-gpu", "api=interpreter", "cpu_fallback=none", "cpu.kernel_mode=xnnpack",
        "gpu.inference_preference=sustained_speed", "gpu.inference_priority1=min_latency",
        "gpu.inference_priority2=min_memory_usage", "gpu.inference_priority3=max_precision",
        "gpu.experimental_quantized=true", "gpu.max_delegated_partitions=1", "gpu.backend=opencl",
        "gpu.serialization_dir=gpu", "gpu.model_token=street",
    ),
    "android-nnapi": changed("android-nnapi"),
    "android-nnapi-all": changed(
        "android-nnapi", "nnapi.accelerator_name=google-edgetpu", "nnapi.cache_dir=nn",
        "nnapi.execution_priority=high", "nnapi.use_burst_computation=true",
        "nnapi.max_execution_timeout_ns=1000000",
    ),
    "android-npu": changed("android-npu"),
    "android-npu-qualcomm": changed(
        "android-npu", "npu.vendor=qualcomm", "npu.qualcomm.htp_performance_mode=burst",
        "npu.qualcomm.optimization_level=O3", "npu.qualcomm.graph_priority=high",
        "npu.dispatch_library_dir=/vendor/lib64", "npu.compiler_cache_dir=compiled",
    ),
    "android-npu-mediatek": changed(
        "android-npu", "npu.vendor=mediatek", "npu.mediatek.sdk_version=version9",
        "npu.mediatek.performance_mode=turbo_boost",
    ),
}  # fmt: skip


def commands(settings):
    command = benchmark_command(settings, MODEL, SHA256)
    lines = [command.tool, *command.lines, *(f"no flag: {note}" for note in command.notes)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_benchmark_commands(name):
    assert commands(CASES[name]) == (GOLDEN / f"{name}.sh").read_text()


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("android")])
def test_kotlin(name):
    assert kotlin_source(CASES[name], MODEL, SHA256) == (GOLDEN / f"{name}.kt").read_text()


def text_of(settings, on_android):
    return commands(settings), kotlin_source(settings, MODEL, SHA256) if on_android else ""


@pytest.mark.parametrize("name", CASES)
def test_no_option_is_dropped(name):
    """Without an option that was given, both texts are other ones: it stood there, or was noted."""
    settings = CASES[name]
    before = text_of(settings, settings.on_android)
    checked = 0
    for part in ("cpu", settings.accelerator):
        options = getattr(settings, part).given() if getattr(settings, part) else {}
        if part == "cpu" and settings.cpu_fallback is False:
            continue  # no CPU in play
        for option in options.keys() - settings.PARTS[part].PARTS.keys():
            implied = settings.api == "compiled_model" or settings.cpu.xnnpack_flags
            if option == "kernel_mode" and implied:
                continue  # XNNPACK anyway
            try:
                without = settings.with_option(f"{part}.{option}", "none")
            except ConfigError:
                continue  # another option needs it
            after = text_of(without, settings.on_android)
            assert all(a != b for a, b in zip(before, after, strict=True) if a), option
            checked += 1
    assert checked or name == "android-npu"


def test_xnnpack_never_stands_before_the_accelerator():
    flags = benchmark_command(CASES["android-gpu-classic"], MODEL, SHA256).flags
    assert flags.index("--use_gpu=true") < flags.index("--use_xnnpack=true")


def test_names_with_spaces_and_quotes_survive_both_shells():
    model = PurePath("my models/o'hara $1.tflite")
    push, shell = benchmark_command(CASES["android-nnapi"], model, SHA256).lines
    assert shlex.split(push) == ["adb", "push", str(model), f"/data/local/tmp/{model.name}"]
    on_the_phone = " ".join(shlex.split(shell)[2:])
    assert f"--graph=/data/local/tmp/{model.name}" in shlex.split(on_the_phone)
    source = kotlin_source(CASES["android-gpu"], model, SHA256)
    assert '"o\'hara \\$1.tflite"' in source


def test_package_and_local_commands():
    assert "\npackage com.example\n" in kotlin_source(CASES["pi4"], MODEL, SHA256, "com.example")
    (line,) = benchmark_command(CASES["android-nnapi"], MODEL, SHA256, adb=False).lines
    assert line.startswith("./benchmark_model --graph=models/m.tflite")


def test_a_browser_runs_neither():
    for make in (benchmark_command, kotlin_source):
        with pytest.raises(ConfigError, match="another device"):
            make(TARGETS["browser"].settings, MODEL, SHA256)


def test_defaults_give_the_shortest_command():
    assert benchmark_command(DeviceSettings(), MODEL, SHA256).flags == ("--graph=models/m.tflite",)
