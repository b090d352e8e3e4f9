"""Our MACs beside those of torch's FlopCounterMode and of fvcore, every difference explained by a rule."""
