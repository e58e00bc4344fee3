"""Losses, for Keras 3 on any backend and for tf_keras."""
