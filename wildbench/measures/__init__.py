"""What a scorecard states: accuracy, size, compute, latency; each a function that stands alone."""
