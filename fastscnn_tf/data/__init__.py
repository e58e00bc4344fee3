"""Data sets (no TensorFlow) and the tf.data pipeline that feeds training."""
