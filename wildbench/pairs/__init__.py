"""Two detectors, one made from the other: what differs, where it comes from, and whether it matters."""
