"""Detectors by name, those of installed packages among them; asking for the names imports no torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
