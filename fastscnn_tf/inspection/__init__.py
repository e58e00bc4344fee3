"""What a .tflite from anywhere contains, costs, and which delegate takes it."""
