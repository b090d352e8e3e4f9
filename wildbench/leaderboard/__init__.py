"""Many scorecards side by side."""
