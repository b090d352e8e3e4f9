"""The thirteen species as data: drawings, coats, colours, postures."""
