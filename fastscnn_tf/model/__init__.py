"""The network: one topology, written once, and the blocks that turn it into Keras models."""
