"""Tensor codecs: how one tensor is stored as plain data, how it comes back bit for bit, and how many bytes it takes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
