"""Weights in files: ours, those of other frameworks, and what may be wrong with them."""
