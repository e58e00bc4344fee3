"""What every other part builds on; imports neither TensorFlow nor Keras."""
