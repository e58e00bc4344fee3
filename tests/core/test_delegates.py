"""Settings of delegates: what they take, what they refuse, JSON and the decision table."""

import dataclasses
import json

import pytest

from fastscnn_tf.core.errors import ConfigError
from fastscnn_tf.delegates.cpu import CpuSettings
from fastscnn_tf.delegates.device import COMPILED, DEVICES, DeviceSettings
from fastscnn_tf.delegates.gpu import GpuSettings
from fastscnn_tf.delegates.nnapi import NnapiSettings
from fastscnn_tf.delegates.npu import VENDORS, NpuSettings
from fastscnn_tf.delegates.npu_vendors import QualcommSettings
from fastscnn_tf.delegates.options import OPTION
from fastscnn_tf.delegates.targets import TARGETS, decision_table, target

KINDS = (DeviceSettings, CpuSettings, GpuSettings, NnapiSettings, NpuSettings, *VENDORS.values())


def filled(kind):
    """Settings with every option given, none of them at odds with another."""
    values = {}
    for name, option in kind.options().items():
        if name in kind.PARTS:
            values[name] = filled(kind.PARTS[name])
        elif option.kind == "choice":
            values[name] = option.choices[-1]
        else:
            kinds = {"flag": True, "number": option.high, "texts": ("a=b", "c")}
            kinds |= {"text": "a name", "path": "a folder"}
            values[name] = option.choices[:1] if option.choices else kinds[option.kind]
    fixed = {
        CpuSettings: {"kernel_mode": "xnnpack"},
        GpuSettings: {
            f"inference_priority{i}": p
            for i, p in enumerate(("max_precision", "min_latency", "min_memory_usage"), 1)
        },
        NpuSettings: {"vendor": "qualcomm", **dict.fromkeys(list(VENDORS)[1:])},
        DeviceSettings: {"api": "interpreter", "accelerator": "gpu"},
    }
    return kind(**(values | fixed.get(kind, {})))


@pytest.mark.parametrize("kind", KINDS)
def test_json_keeps_every_option(kind):
    settings = filled(kind)
    plain = json.loads(json.dumps(settings.to_dict()))
    assert kind.from_dict(plain) == settings
    assert kind.from_dict({}) == kind()


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_names_its_source_and_cannot_be_changed(kind):
    for field in dataclasses.fields(kind):
        assert len(field.metadata[OPTION].source) > 15, field.name
        assert field.name in kind.__doc__ or kind in VENDORS.values()
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(kind(), field.name, None)


def test_numbers_of_options():
    """What the headers and the Python package of 2026 offer."""
    counts = [len(kind.options()) for kind in KINDS[1:]]
    assert counts == [10, 31, 18, 10, 19, 9, 10, 4, 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CpuSettings(num_threads=0), "cpu.num_threads must be 1..256, got 0"),
        (lambda: CpuSettings(num_threads=True), "got True"),
        (lambda: CpuSettings(num_threads="4"), "got '4'"),
        (lambda: CpuSettings(kernel_mode="fast"), "xnnpack, builtin, reference, micro, got 'fast'"),
        (lambda: CpuSettings(xnnpack_flags=("qs9",)), "cpu.xnnpack_flags must be names among qs8"),
        (lambda: CpuSettings(xnnpack_flags=("qs8", "qs8")), "cpu.xnnpack_flags"),
        (lambda: CpuSettings(weight_cache_dir=""), "cpu.weight_cache_dir must be a path"),
        (lambda: CpuSettings(weight_cache_dir="a\nb"), "cpu.weight_cache_dir must be a path"),
        (lambda: CpuSettings(weight_cache_dir="a\ud800"), "cpu.weight_cache_dir must be a path"),
        (lambda: CpuSettings(xnnpack_flags=[["qs8"]]), "cpu.xnnpack_flags must be names among"),
        (
            lambda: CpuSettings(kernel_mode="builtin", weight_cache_dir="x"),
            "which cpu.kernel_mode=builtin keeps out",
        ),
        (
            lambda: CpuSettings(
                xnnpack_flags=("enable_subgraph_reshaping", "disable_subgraph_reshaping")
            ),
            "both enabled and disabled",
        ),
        (lambda: GpuSettings(inference_priority2="min_latency"), "a priority needs those before"),
        (
            lambda: GpuSettings(inference_priority1="min_latency", inference_priority3="auto",
                                inference_priority2="min_latency"),
            "min_latency twice",
        ),
        (
            lambda: GpuSettings(precision_loss_allowed=False, inference_priority1="min_latency"),
            "computes in float16",
        ),
        (lambda: GpuSettings(serialize_program_cache=True), "needs gpu.serialization_dir"),
        (lambda: NnapiSettings(support_library_path="x"), "needs nnapi.accelerator_name"),
        (lambda: NpuSettings(qualcomm=QualcommSettings()), "set npu.vendor=qualcomm"),
        (lambda: DeviceSettings(accelerator="nnapi", api="compiled_model"), "api=interpreter"),
        (lambda: DeviceSettings(accelerator="npu"), "needs api=compiled_model"),
        (lambda: DeviceSettings(accelerator=None), "accelerator must be"),
        (lambda: DeviceSettings(cpu=GpuSettings()), "cpu must be named values"),
        (lambda: DeviceSettings(cpu_fallback=False), "nothing to run on"),
        (lambda: DeviceSettings("pi4", api="compiled_model"), "Raspberry Pi 4"),
        (lambda: DeviceSettings.from_dict({"gpu": {"inference_prefrence": "x"}}),
         "unknown option 'gpu.inference_prefrence': did you mean 'gpu.inference_preference'?"),
        (lambda: DeviceSettings.from_dict({"zzz": 1}), "expected one of device, accelerator"),
        (lambda: DeviceSettings.from_dict([1]), "expected named values, got \\[1\\]"),
        (lambda: DeviceSettings.from_dict({"cpu": 4}), "cpu: expected named values, got 4"),
        (lambda: target("pi"), "unknown device 'pi': did you mean 'pi"),
        (lambda: target("zzzzz"), "expected one of pi4, pi5"),
    ],
)  # fmt: skip
def test_what_is_refused_and_how(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_options_from_the_command_line():
    settings = DeviceSettings()
    for path, value in (
        ("cpu.num_threads", "3"),
        ("cpu.xnnpack_flags", "qs8,force_fp16"),
        ("gpu.precision_loss_allowed", "FALSE"),
        ("nnapi.cache_dir", "nn"),
        ("npu.vendor", "mediatek"),
        ("npu.mediatek.performance_mode", "turbo_boost"),
        ("cpu_fallback", "true"),
    ):
        settings = settings.with_option(path, value)
    assert settings.cpu.xnnpack_flag_bits == 1 | 4
    assert settings.to_dict() == {
        "accelerator": "cpu",
        "api": "interpreter",
        "cpu_fallback": True,
        "cpu": {"num_threads": 3, "xnnpack_flags": ["qs8", "force_fp16"]},
        "gpu": {"precision_loss_allowed": False},
        "nnapi": {"cache_dir": "nn"},
        "npu": {"vendor": "mediatek", "mediatek": {"performance_mode": "turbo_boost"}},
    }
    assert settings.with_option("cpu.num_threads", "none").cpu.num_threads is None
    assert settings.with_option("gpu", "none").gpu is None
    for path, value, message in (
        ("cpu.num_threads", "many", "must be 1..256, got 'many'"),
        ("cpu", "4", "set one of its options, as in cpu.OPTION"),
        ("api.x", "4", "it has no parts"),
        ("cpu.threads", "4", "did you mean 'cpu.num_threads'"),
    ):
        with pytest.raises(ConfigError, match=message):
            settings.with_option(path, value)


def test_the_decision_table():
    assert tuple(TARGETS) == DEVICES
    for name, found in TARGETS.items():
        assert found.settings.device == name
        assert 3 <= len(found.reasons) <= 5
    assert TARGETS["pi4"].settings.api == TARGETS["pi5"].settings.api == "interpreter"
    for name in ("pi4", "pi5", "edge-cpu", "android-nnapi", "android-npu", "browser", *COMPILED):
        assert (TARGETS[name].recipe, TARGETS[name].input) == ("int8", "uint8"), name
    gpu = TARGETS["android-gpu"]
    assert (gpu.recipe, gpu.input, gpu.outputs) == ("float16", "float32", "logits")
    lines = decision_table().splitlines()
    assert len(lines) == 2 + len(TARGETS)
    assert all(line.count(" | ") == 6 for line in [lines[0], *lines[2:]])
