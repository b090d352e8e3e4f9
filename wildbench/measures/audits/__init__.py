"""Whether a detector looks at the pictures: what it finds in fresh scenes and altered photographs, and exact boxes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
