"""label_checks."""
