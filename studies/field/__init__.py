"""How often the intervals of what a ranger sees hold the truth of simulated data sets."""
