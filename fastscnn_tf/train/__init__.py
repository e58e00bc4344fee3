"""Losses, metrics, callbacks and the trainer around `model.fit`."""
