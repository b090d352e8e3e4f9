"""Many scorecards side by side: a folder of results, ranked so that anyone can compute the ranking again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
