"""Scoring, comparing and applying model files of every kind."""
