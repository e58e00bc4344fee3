"""Settings of CPU, GPU, NNAPI and NPU delegates: checked, saved as JSON, turned into code."""
