"""wildbench."""
