"""What files of other tools say about themselves: one module a way of saying it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
