"""Data sets packed into TFRecord shards; no TensorFlow."""
