"""Scores of label maps: regions, outlines, instances."""
