"""The vendors' own options for LiteRT's NPU accelerator."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from .options import Settings, choice, flag, number, path, text, texts

QUALCOMM = "litert/c/options/litert_qualcomm_options.h: LrtQualcommOptionsSet"
MEDIATEK = "litert/c/options/litert_mediatek_options.h: LiteRtMediatekOptionsSet"
TENSOR = "litert/tools/flags/vendors/google_tensor_flags.cc: google_tensor_"
OPENVINO = "ai_edge_litert 2.3.0 intel_openvino_options.py: IntelOpenVinoOptions"
SAMSUNG = "litert/c/options/litert_samsung_options.h: LrtSamsungOptionsSet"
DSP_MODES = (
    "default",
    "sustained_high_performance",
    "burst",
    "high_performance",
    "power_saver",
    "low_power_saver",
    "high_power_saver",
    "low_balanced",
    "balanced",
)


@dataclasses.dataclass(frozen=True)
class QualcommSettings(Settings):
    """Options of Qualcomm's NPUs (QNN)."""

    NAME: ClassVar[str] = "npu.qualcomm"

    log_level: str | None = choice(QUALCOMM, "off", "error", "warn", "info", "verbose", "debug")
    htp_performance_mode: str | None = choice(QUALCOMM, *DSP_MODES, "extreme_power_saver")
    dsp_performance_mode: str | None = choice(QUALCOMM, *DSP_MODES)
    use_int64_bias_as_int32: bool | None = flag(QUALCOMM)
    enable_weight_sharing: bool | None = flag(QUALCOMM)
    enable_just_in_time: bool | None = flag(QUALCOMM)
    use_conv_hmx: bool | None = flag(f"{QUALCOMM}UseConvHMX")
    use_fold_relu: bool | None = flag(f"{QUALCOMM}UseFoldReLU")
    graph_io_tensor_mem_type: str | None = choice(
        f"{QUALCOMM}GraphIOTensorMemType", "raw", "memhandle"
    )
    profiling: str | None = choice(QUALCOMM, "off", "basic", "detailed", "linting", "optrace")
    vtcm_size: int | None = number(QUALCOMM, 0, 2**32 - 1)
    num_hvx_threads: int | None = number(QUALCOMM, 0, 256)
    optimization_level: str | None = choice(QUALCOMM, "O1", "O2", "O3")
    graph_priority: str | None = choice(QUALCOMM, "default", "low", "normal", "normal_high", "high")
    backend: str | None = choice(QUALCOMM, "gpu", "htp", "dsp", "ir")
    htp_p_point: int | None = number(QUALCOMM, 0, 100)
    ir_json_dir: str | None = path(QUALCOMM)
    dlc_dir: str | None = path(QUALCOMM)
    saver_output_dir: str | None = path(QUALCOMM)


@dataclasses.dataclass(frozen=True)
class MediatekSettings(Settings):
    """Options of MediaTek's NPUs (Neuron)."""

    NAME: ClassVar[str] = "npu.mediatek"

    sdk_version: str | None = choice(
        f"{MEDIATEK}NeronSDKVersionType", "version7", "version8", "version9"
    )
    performance_mode: str | None = choice(
        MEDIATEK, "low_power", "fast_single_answer", "sustained_speed", "turbo_boost"
    )
    optimization_hint: str | None = choice(
        MEDIATEK, "normal", "low_latency", "deep_fusion", "batch_processing"
    )
    l1_cache_optimizations: bool | None = flag(MEDIATEK)
    gemma_compiler_optimizations: bool | None = flag(MEDIATEK)
    disable_dla_dir_removal: bool | None = flag(MEDIATEK)
    dla_dir: str | None = path(f"{MEDIATEK}MediatekDlaDir")
    use_get_supported_operations: bool | None = flag(
        "litert/tools/flags/vendors/mediatek_flags.cc: mediatek_use_get_supported_operations"
    )
    aot_compilation_options: str | None = text(
        "litert/tools/flags/vendors/mediatek_flags.cc: mediatek_aot_compilation_options",
        guarded=True,  # a compiler's command line
    )


@dataclasses.dataclass(frozen=True)
class GoogleTensorSettings(Settings):
    """Options of Google's Tensor processors."""

    NAME: ClassVar[str] = "npu.google_tensor"

    performance_mode: str | None = choice(
        TENSOR,
        "extreme_power_saver",
        "power_saver",
        "balanced",
        "high_performance",
        "sustained_performance",
        "burst",
    )
    truncation_type: str | None = choice(TENSOR, "auto", "no_truncation", "bfloat16", "half")
    int64_to_int32: bool | None = flag(TENSOR)
    dump_op_timings: bool | None = flag(TENSOR)
    enable_large_model_support: bool | None = flag(TENSOR)
    enable_4bit_compilation: bool | None = flag(TENSOR)
    sharding_intensity: str | None = choice(TENSOR, "minimal", "moderate", "extensive", "maximum")
    enable_dynamic_range_quantization: bool | None = flag(TENSOR)
    op_filters_proto: str | None = path(TENSOR)
    extra_options_path: str | None = path(TENSOR)


@dataclasses.dataclass(frozen=True)
class IntelOpenvinoSettings(Settings):
    """Options of Intel's NPUs (OpenVINO)."""

    NAME: ClassVar[str] = "npu.intel_openvino"

    graph_backend: str | None = choice(OPENVINO, "cpu", "gpu", "npu")
    performance_mode: str | None = choice(
        OPENVINO, "latency", "throughput", "cumulative_throughput"
    )
    configs: tuple[str, ...] | None = texts(
        f"{OPENVINO}.configs_map, as KEY=VALUE",
        guarded=True,  # CACHE_DIR, CONFIG_FILE and others among them
    )
    enable_weight_sharing: bool | None = flag(OPENVINO)


@dataclasses.dataclass(frozen=True)
class SamsungSettings(Settings):
    """Options of Samsung's NPUs."""

    NAME: ClassVar[str] = "npu.samsung"

    enable_large_model_support: bool | None = flag(SAMSUNG)
    soc_model: str | None = text(SAMSUNG)
