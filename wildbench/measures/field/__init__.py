"""What a ranger sees: empty images removed, false alarms, animals found and counted, place by place."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
