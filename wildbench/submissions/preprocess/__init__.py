"""From an image to the network's input, and from its pixels back to those of the image."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
