"""A package that adds a format, a detector, a method, a data set and a measure to wildbench."""
