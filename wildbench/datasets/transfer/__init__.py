"""Data sets in VOC, YOLO or COCO form, read into one folder of COCO files and written again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
