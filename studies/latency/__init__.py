"""How often the protocol of latency is right, on a simulated machine whose truth is known."""
