"""The pictures, rendered where they are missing: without the renderer, which loads slowly, where none is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wildbench.parksim._cache import is_complete, pictures_folder
from wildbench.progress import Progress, silent


def pictures(cache: Path, progress: Progress = silent) -> Path:
    """Render the pictures into a folder below `cache`, unless they are there already, and return that folder."""
    if is_complete(folder := pictures_folder(cache)):
        return folder
    from wildbench.parksim._generation import render

    return render(cache, partial(progress, "render parksim"))
