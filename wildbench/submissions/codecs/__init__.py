"""Tensor codecs: how one tensor is stored as plain data, how it comes back bit for bit, and how many bytes it takes."""
