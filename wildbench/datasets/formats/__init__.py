"""Forms in which labels lie on disk: one module for each, found by its files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
