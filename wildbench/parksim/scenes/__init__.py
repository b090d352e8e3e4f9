"""The twenty cameras: what they see before an animal walks in, in which light, and how it is photographed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
