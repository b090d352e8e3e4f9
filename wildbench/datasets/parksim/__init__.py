"""The embedded data set: thirteen animals before twenty cameras, rendered by our own code."""

from wildbench.datasets.parksim.generation import generate, render

__all__ = ["generate", "render"]
