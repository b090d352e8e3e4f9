"""Making detectors smaller: pruning, quantization, weight sharing, and what wins accuracy back."""
