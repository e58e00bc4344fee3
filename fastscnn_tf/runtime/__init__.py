"""Running a .tflite: needs only numpy, Pillow and ai-edge-litert."""

MAX_THREADS = 256  # the interpreter crashes when it cannot start them all
