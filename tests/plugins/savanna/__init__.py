"""One of each kind of what wildbench can be extended with; docs/extending.md shows these files."""
