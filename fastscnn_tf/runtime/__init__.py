"""Running a .tflite: needs only numpy, Pillow and ai-edge-litert."""
