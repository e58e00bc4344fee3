"""From weights to a .tflite whose graph is asserted before it is written."""
