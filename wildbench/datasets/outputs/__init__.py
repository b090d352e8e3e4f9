"""What detectors' tools write, read as detections: one module for each form, found by its content."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
