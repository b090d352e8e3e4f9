"""How often 95 % intervals hold the true AP of simulated data sets."""
