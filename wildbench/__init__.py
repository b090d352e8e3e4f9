"""wildbench: a dataset and benchmark harness for compressed wildlife detectors.

The stub beside this file lists every public name; each is imported when it is first used, so that `import wildbench`
costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
