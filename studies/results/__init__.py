"""The tables and charts of baselines/RESULTS.md."""
