"""Whether a million images can be detected in, merged, scored and compared on a small machine."""
