"""Imports torchvision without torch's compiler, which takes as long as torch itself and which nothing here uses.

torchvision's `roi_align` imports all of `torch._dynamo` for one question, whether a device can compile. While
torchvision is imported, a stand-in answers to that name; the question itself is still put to torch when it is asked.
"""

from __future__ import annotations

import sys
from types import ModuleType

COMPILER = "torch._dynamo.utils"


def _is_compile_supported(device_type: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(device_type))


def _import_torchvision() -> None:
    if "torchvision" in sys.modules or "torch._dynamo" in sys.modules:
        return
    import torch  # noqa: F401 - first, so that the stand-in is met by torchvision alone

    if COMPILER in sys.modules:
        return
    stand_in = ModuleType(COMPILER)
    stand_in.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    sys.modules[COMPILER] = stand_in
    try:
        import torchvision  # noqa: F401
    except ImportError:  # a torchvision that asks torch for more
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    finally:
        del sys.modules[COMPILER]


_import_torchvision()

import torchvision  # noqa: E402, F401
