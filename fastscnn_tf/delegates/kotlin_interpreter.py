"""Kotlin for TFLite's `Interpreter` with `GpuDelegate` or `NnApiDelegate`."""

from __future__ import annotations

from pathlib import PurePath

from ..core.foreign_text import comment, kotlin_string
from .cpu import CpuSettings
from .device import DeviceSettings
from .gpu import GpuSettings
from .kotlin_text import OBJECT, Written, left_out, literal, private_folder
from .nnapi import NnapiSettings
from .places import model_token

TFLITE = "org.tensorflow.lite"
# option -> setter of NnApiDelegate.Options
_NNAPI = {
    "accelerator_name": "setAcceleratorName",
    "max_delegated_partitions": "setMaxNumberOfDelegatedPartitions",
    "allow_fp16": "setAllowFp16",
}


def interpreter(settings: DeviceSettings, model: PurePath, sha256: str) -> Written:
    """The source that opens an `Interpreter` and the delegate that it needs."""
    missing: list[str] = []
    token = model_token(model, sha256)
    delegate: list[str] = []
    imports = {"android.content.Context", "java.io.FileInputStream", f"{TFLITE}.Interpreter"}
    imports |= {"java.nio.MappedByteBuffer", "java.nio.channels.FileChannel"}
    if settings.accelerator == "gpu":
        delegate = _gpu(settings.gpu or GpuSettings(), token, missing)
        imports |= {f"{TFLITE}.gpu.GpuDelegate", f"{TFLITE}.gpu.GpuDelegateFactory"}
    if settings.accelerator == "nnapi":
        delegate = _nnapi(settings.nnapi or NnapiSettings(), token, missing)
        imports |= {f"{TFLITE}.nnapi.NnApiDelegate"}
    if settings.cpu_fallback is False:
        missing.append("cpu_fallback = False: the interpreter runs on the CPU what is refused")
    options = _options(settings.cpu or CpuSettings(), missing)
    if delegate:
        options.append(".addDelegate(delegate)")
    lines = [
        f"/** {comment(model.name)} with its settings; close it after use. */",
        f"class {OBJECT}(context: Context) : AutoCloseable {{",
        *(f"  {line}" for line in delegate),
        "  private val options = Interpreter.Options()",
        *(f"    {option}" for option in options),
        f"  val interpreter = Interpreter(asset(context, {kotlin_string(model.name)}), options)",
        "",
        "  override fun close() {",
        "    interpreter.close()",
        *(["    delegate.close()"] if delegate else []),
        "  }",
        "",
        "  private fun asset(context: Context, name: String): MappedByteBuffer =",
        "    context.assets.openFd(name).use { file ->",
        "      FileInputStream(file.fileDescriptor).channel.use {",
        "        it.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)",
        "      }",
        "    }",
        "}",
    ]
    imports |= {"java.io.File"} if any("File(" in line for line in delegate) else set()
    return Written(imports, lines, missing)


def _options(cpu: CpuSettings, missing: list[str]) -> list[str]:
    options = []
    if cpu.num_threads is not None:
        options.append(f".setNumThreads({cpu.num_threads})")
    taken = ["num_threads"]
    if cpu.kernel_mode in ("xnnpack", "builtin"):
        options.append(f".setUseXNNPACK({literal(cpu.kernel_mode == 'xnnpack')})")
        taken.append("kernel_mode")
    missing += left_out(cpu, *taken)
    return options


def _gpu(gpu: GpuSettings, token: str, missing: list[str]) -> list[str]:
    kind = "GpuDelegateFactory.Options"
    setters, taken = [], ["precision_loss_allowed", "experimental_quantized"]
    if gpu.precision_loss_allowed is not None:
        setters.append(f".setPrecisionLossAllowed({literal(gpu.precision_loss_allowed)})")
    if gpu.experimental_quantized is not None:
        setters.append(f".setQuantizedModelsAllowed({literal(gpu.experimental_quantized)})")
    if gpu.inference_preference in ("fast_single_answer", "sustained_speed"):
        preference = gpu.inference_preference.upper()
        setters.append(f".setInferencePreference({kind}.INFERENCE_PREFERENCE_{preference})")
        taken.append("inference_preference")
    if gpu.serialization_dir:
        folder = private_folder(gpu.serialization_dir)
        name = kotlin_string(gpu.model_token or token)
        setters.append(f".setSerializationParams({folder}, {name})")
        taken += ["serialization_dir", "model_token"]
    missing += left_out(gpu, *taken)
    return _delegate("GpuDelegate", kind, setters)


def _nnapi(nnapi: NnapiSettings, token: str, missing: list[str]) -> list[str]:
    kind = "NnApiDelegate.Options"
    setters, taken = [], [*_NNAPI, "disallow_nnapi_cpu", "execution_preference"]
    if nnapi.execution_preference:
        preference = nnapi.execution_preference.upper()
        setters.append(f".setExecutionPreference({kind}.EXECUTION_PREFERENCE_{preference})")
    if nnapi.disallow_nnapi_cpu is not None:
        setters.append(f".setUseNnapiCpu({literal(not nnapi.disallow_nnapi_cpu)})")
    for name, setter in _NNAPI.items():
        if (value := getattr(nnapi, name)) is not None:
            setters.append(f".{setter}({literal(value)})")
    if nnapi.cache_dir:
        setters.append(f".setCacheDir({private_folder(nnapi.cache_dir)})")
        setters.append(f".setModelToken({kotlin_string(nnapi.model_token or token)})")
        taken += ["cache_dir", "model_token"]
    missing += left_out(nnapi, *taken)
    # Legacy: NNAPI is deprecated since Android 15.
    return [
        '@Suppress("DEPRECATION")  // NNAPI: deprecated since Android 15',
        *_delegate("NnApiDelegate", kind, setters),
    ]


def _delegate(name: str, kind: str, setters: list[str]) -> list[str]:
    return [
        f"private val delegate = {name}(",
        f"  {kind}()",
        *(f"    {setter}" for setter in setters),
        ")",
    ]
