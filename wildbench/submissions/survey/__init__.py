"""What can be said of any file, also where nobody has written a manifest: by its answers to two pictures."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
