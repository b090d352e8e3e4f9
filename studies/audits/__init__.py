"""Detectors that look and detectors that remember: what the audits measure of each."""
