"""Compression baselines measured: sweeps over recipes, their summaries, and what they say of the bounds."""
