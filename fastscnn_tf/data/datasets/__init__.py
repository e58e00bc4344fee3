"""The data sets: how each lies on disk, and opening one by name."""
