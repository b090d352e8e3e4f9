"""The twenty cameras: the scene before an animal walks in, its light, and how the picture is taken."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
