"""Training by recipes: the samples drawn from a data set, and the loop; the networks are in `zoo`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
