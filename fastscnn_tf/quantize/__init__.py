"""Folding, calibration and quantization-aware training with TFMOT."""
