"""Formats of submission files: one module a format, what they share, and the check of a new one."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
