"""How often the intervals of a pair of detectors hold the truth of simulated data sets."""
