"""Augmentation: written once, run by TensorFlow or NumPy."""
