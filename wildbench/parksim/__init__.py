"""The embedded data set: thirteen animals in front of twenty cameras, rendered by our own code."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
