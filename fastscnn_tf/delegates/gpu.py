"""`GpuSettings`: the classic GPU delegate and LiteRT's GPU accelerator."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..core.errors import ConfigError
from .options import Settings, choice, flag, number, path, text, texts

CLASSIC = "tensorflow/lite/delegates/gpu/delegate_options.h: TfLiteGpuDelegateOptionsV2"
LITERT = "litert/c/options/litert_gpu_options.h: "
COMMON = "litert/c/litert_common.h: "
PRIORITIES = ("auto", "max_precision", "min_latency", "min_memory_usage")


@dataclasses.dataclass(frozen=True)
class GpuSettings(Settings):
    """How a GPU runs a .tflite; None leaves an option to the runtime.

    The first ten are the classic delegate's (LiteRT's accelerator has its own name for most of
    them), the others are LiteRT's alone.

    Attributes:
        precision_loss_allowed: compute in float16; sums over 65504 overflow.
        inference_preference: `fast_single_answer` (short start), `sustained_speed` or `balanced`.
        inference_priority1: what counts most: `max_precision`, `min_latency`, `min_memory_usage`.
        inference_priority2: what counts next; needs the first.
        inference_priority3: what counts then; needs the second.
        experimental_quantized: take quantized models (computed in float).
        backend: `opencl`, `opengl` or `webgpu` alone.
        max_delegated_partitions: parts of the graph that the GPU may take.
        serialization_dir: folder for compiled kernels, private to the app; a relative one lies in
            the app's code cache.
        model_token: names this model's entries there; by default the file's name and SHA-256.
        constant_tensor_sharing: share constants between subgraphs.
        infinite_float_capping: cap infinities before softmax and padding.
        benchmark_mode: wait for the GPU after each inference.
        allow_src_quantized_fc_conv_ops: quantize inputs of large convolutions to 8 bits.
        hint_waiting_for_completion: the caller waits for each result.
        buffer_storage_type: `buffer` or `texture_2d`.
        prefer_texture_weights: weights in textures.
        serialize_program_cache: keep compiled programs in `serialization_dir`.
        serialize_external_tensors: keep immutable external tensors there, too.
        external_tensors_mode: inputs and outputs in the GPU's own layout (experimental).
        external_tensor_patterns: prefixes of tensors that get that layout.
        gpu_priority: `low` leaves the GPU to the screen first (experimental).
        madvise_original_shared_tensors: give memory of shared tensors back.
        num_steps_of_command_buffer_preparations: prepared command buffers.
        use_metal_argument_buffers: on Apple's GPUs.
        wait_type: `passive`, `active` or `do_not_wait`.
        preferred_device_substr: part of the name of the GPU to take.
        num_threads_to_upload: for WebGPU.
        num_threads_to_compile: for WebGPU.
        convert_weights_on_gpu: experimental.
        hint_fully_delegated_to_single_delegate: nothing is left to the CPU: saves memory.

    Raises:
        ConfigError: an unknown value, or priorities that contradict each other.
    """

    NAME: ClassVar[str] = "gpu"

    precision_loss_allowed: bool | None = flag(f"{CLASSIC}.is_precision_loss_allowed")
    inference_preference: str | None = choice(
        CLASSIC, "fast_single_answer", "sustained_speed", "balanced"
    )
    inference_priority1: str | None = choice(CLASSIC, *PRIORITIES)
    inference_priority2: str | None = choice(CLASSIC, *PRIORITIES)
    inference_priority3: str | None = choice(CLASSIC, *PRIORITIES)
    experimental_quantized: bool | None = flag(
        f"{CLASSIC}.experimental_flags, TFLITE_GPU_EXPERIMENTAL_FLAGS_ENABLE_QUANT"
    )
    backend: str | None = choice(
        f"{CLASSIC}.experimental_flags (CL_ONLY, GL_ONLY); {COMMON}LiteRtGpuBackend",
        "opencl",
        "opengl",
        "webgpu",
    )
    max_delegated_partitions: int | None = number(CLASSIC, 1, 1000)
    serialization_dir: str | None = path(CLASSIC)
    model_token: str | None = text(CLASSIC, guarded=True)  # of file names
    constant_tensor_sharing: bool | None = flag(LITERT)
    infinite_float_capping: bool | None = flag(LITERT)
    benchmark_mode: bool | None = flag(LITERT)
    allow_src_quantized_fc_conv_ops: bool | None = flag(LITERT)
    hint_waiting_for_completion: bool | None = flag(
        "ai_edge_litert 2.3.0 gpu_options.py: GpuOptions.hint_waiting_for_completion"
    )
    buffer_storage_type: str | None = choice(
        f"{COMMON}LiteRtDelegateBufferStorageType", "default", "buffer", "texture_2d"
    )
    prefer_texture_weights: bool | None = flag(LITERT)
    serialize_program_cache: bool | None = flag(LITERT, needs="serialization_dir")
    serialize_external_tensors: bool | None = flag(LITERT)
    external_tensors_mode: bool | None = flag(LITERT)
    external_tensor_patterns: tuple[str, ...] | None = texts(f"{LITERT}ExternalTensorPattern")
    gpu_priority: str | None = choice(
        f"{COMMON}LiteRtGpuPriority", "default", "low", "normal", "high"
    )
    madvise_original_shared_tensors: bool | None = flag(LITERT)
    num_steps_of_command_buffer_preparations: int | None = number(LITERT, 0, 1000)
    use_metal_argument_buffers: bool | None = flag(LITERT)
    wait_type: str | None = choice(
        f"{COMMON}LiteRtGpuWaitType", "default", "passive", "active", "do_not_wait"
    )
    preferred_device_substr: str | None = text(LITERT)
    num_threads_to_upload: int | None = number(LITERT, 0, 256)
    num_threads_to_compile: int | None = number(LITERT, 0, 256)
    convert_weights_on_gpu: bool | None = flag(LITERT)
    hint_fully_delegated_to_single_delegate: bool | None = flag(LITERT)

    def __post_init__(self) -> None:
        super().__post_init__()
        priorities = [getattr(self, f"inference_priority{i}") or "auto" for i in (1, 2, 3)]
        chosen = [priority for priority in priorities if priority != "auto"]
        # delegate_options.h: "AUTO priority can only be used when higher priorities are fully
        # specified. [...] Invalid priorities will result in error."
        if priorities[: len(chosen)] != chosen:
            raise ConfigError(
                f"gpu.inference_priority1..3 are {', '.join(priorities)}: a priority needs those "
                "before it (auto may only follow)"
            )
        if len(set(chosen)) != len(chosen):
            raise ConfigError(f"gpu.inference_priority1..3 name {chosen[0]} twice: each once")
        if self.precision_loss_allowed is False and chosen and chosen[0] != "max_precision":
            raise ConfigError(
                f"gpu.inference_priority1={chosen[0]} computes in float16: allow "
                "gpu.precision_loss_allowed, or put max_precision first"
            )
