"""Running a .tflite: needs only numpy, Pillow and ai-edge-litert; other runtimes are extras."""

from ..delegates.cpu import MAX_THREADS as MAX_THREADS

MAX_PROCESSES = 256
RUNTIMES = ("litert", "onnxruntime", "openvino")
RUNTIME_VARIABLE = "FASTSCNN_RUNTIME"  # names the one for all files
