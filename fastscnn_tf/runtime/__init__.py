"""Running a .tflite: needs only numpy, Pillow and ai-edge-litert."""

from ..delegates.cpu import MAX_THREADS as MAX_THREADS
