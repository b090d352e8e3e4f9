"""Where the rendered pictures are; the renderer, which loads slowly, is imported only when one is missing."""

from __future__ import annotations

from pathlib import Path

from wildbench.files import locked, write_atomically
from wildbench.progress import Progress, silent

EDITION = 1
"""Raise it with any change of the renderer that changes a pixel; until then existing pictures stay valid."""

_LIST = "complete"


def pictures(cache: Path, progress: Progress = silent, *, seed: int = 0) -> Path:
    """The folder of the pictures below `cache`, rendered first if any is missing; an interrupted run is resumed.

    Args:
        cache: Pictures of another edition of the renderer or of another seed are in other folders below it.
        progress: Called with the task, the pictures done and the total, before the first picture and after each.
        seed: See `generate`.

    Returns:
        The folder with the JPEGs of all splits, to which the `file_name` of the annotations is relative.
    """
    folder = Path(cache) / f"parksim-{seed}-edition{EDITION}"
    if _is_complete(folder):
        return folder
    from wildbench.parksim._generation import render

    with locked(folder):  # another process may be rendering them just now
        if not _is_complete(folder):
            write_atomically(folder / _LIST, "\n".join(render(folder, progress, seed=seed)).encode())
    return folder


def _is_complete(folder: Path) -> bool:
    """Whether every picture was rendered, and is still there."""
    complete = folder / _LIST
    return complete.exists() and all((folder / name).is_file() for name in complete.read_text().split())
