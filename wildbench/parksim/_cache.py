"""Where rendered pictures are kept, and whether all of them are there: without the renderer, which loads slowly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wildbench.files import write_atomically

SEED = 0
EDITION = 1
"""Raise it with any change of the renderer that changes a pixel; until then pictures that are there stay valid."""

_LIST = "complete"


def pictures_folder(cache: Path, seed: int = SEED) -> Path:
    """The folder for the pictures of this edition of the renderer: those of another are never mixed with them."""
    return Path(cache) / f"parksim-{seed}-edition{EDITION}"


def is_complete(folder: Path) -> bool:
    """Whether every picture was rendered, and is still there."""
    complete = folder / _LIST
    return complete.exists() and all((folder / name).is_file() for name in complete.read_text().split())


def mark_complete(folder: Path, names: Iterable[str]) -> None:
    """Say which pictures there are, all of them."""
    write_atomically(folder / _LIST, "\n".join(names).encode())
