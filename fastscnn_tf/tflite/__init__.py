"""Reading a .tflite without an interpreter: structure, metadata, what it costs."""
