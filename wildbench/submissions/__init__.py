"""Submissions: manifest, file format, tensor codecs, openers, and the child process that a detector runs in."""
