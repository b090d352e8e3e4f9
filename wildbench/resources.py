"""Files that come with the package, and the folder of what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_PACKAGE = Path(__file__).parent


def cache_dir() -> Path:
    """Where what can be made again is kept: $WILDBENCH_CACHE, else the platform's cache folder."""
    return Path(os.environ.get("WILDBENCH_CACHE") or platformdirs.user_cache_path("wildbench"))


def bundled(path: str) -> Path:
    """Locate a file of the repository's `annotations/` or `baselines/`, which an installed package carries in itself.

    Example:
        >>> bundled("annotations/parksim/test.json").name
        'test.json'
    """
    installed = _PACKAGE / "_bundled"
    return (installed if installed.is_dir() else _PACKAGE.parent) / path
