"""Where the rendered pictures are; the renderer, which loads slowly, is imported only when one has to be made.

Every picture is compared with its hash whenever the folder is asked for: whatever wrote into the cache meanwhile, the
pictures are the renderer's.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from wildbench.files import locked, read_sums, sha256_of, sums_text, write_atomically
from wildbench.progress import Progress, silent
from wildbench.resources import bundled

EDITION = 1
"""Raise it with any change of the renderer that changes a pixel; until then existing pictures stay valid."""

SUMS = "annotations/parksim/SHA256SUMS"
"""Hashes of the bundled seed's pictures, as the pinned versions of the packages render them."""

_LIST = "complete"


def pictures(cache: Path, progress: Progress = silent, *, seed: int = 0) -> Path:
    """The folder of the pictures below `cache`; those that are missing or changed are rendered first.

    Args:
        cache: Pictures of another edition of the renderer or of another seed are in other folders below it.
        progress: Called with the task, the pictures done and the total, before the first picture and after each.
        seed: See `generate`.

    Returns:
        The folder with the JPEGs of all splits, to which the `file_name` of the annotations is relative.
    """
    folder = Path(cache) / f"parksim-{seed}-edition{EDITION}"
    published = read_sums(bundled(SUMS)) if seed == 0 else {}
    if not _wrong(folder, published, seed):
        return folder
    from wildbench.parksim._generation import render

    with locked(folder):  # another process may be rendering them just now
        if wrong := _wrong(folder, published, seed):
            for name in wrong:
                (folder / name).unlink(missing_ok=True)
            names = render(folder, progress, seed=seed)
            write_atomically(folder / _LIST, sums_text(folder, names))
    return folder


def _wrong(folder: Path, published: Mapping[str, str], seed: int) -> list[str]:
    """Pictures to be rendered, and the list where it is not finished.

    Packages of other versions may render other bytes than those published. So the hashes that were listed when this
    folder was rendered count too, but only while the renderer still makes one of those pictures so, drawn by chance:
    what writes a picture can write the list as well.
    """
    finished = (folder / _LIST).is_file()
    listed = read_sums(folder / _LIST)
    names = listed if finished else published
    hashes = {name: sha256_of(path) if (path := folder / name).is_file() else "" for name in names}
    other = [name for name in names if hashes[name] != published.get(name)]
    if not finished:
        return [_LIST, *other]
    wrong = any(not hashes[name] or hashes[name] != listed[name] for name in other)
    return other if wrong or (published and other and not _renders(folder, secrets.choice(other), seed)) else []


def _renders(folder: Path, name: str, seed: int) -> bool:
    """Whether the renderer makes this picture as it is there."""
    from wildbench.parksim._generation import picture_of

    return picture_of(name, seed) == (folder / name).read_bytes()
