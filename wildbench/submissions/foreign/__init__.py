"""Files in no registered format: named, with the command that makes them acceptable, or opened by an adapter."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
