"""detection_checks."""
