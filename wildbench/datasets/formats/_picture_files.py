"""Picture files as they really are: size, orientation, damage, and the same picture under two names."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from wildbench.datasets.formats._corners import Box
from wildbench.datasets.images import decode
from wildbench.datasets.label_checks import Finding
from wildbench.errors import DatasetError
from wildbench.progress import Progress

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
"""What Pillow may take a file for, whatever its name; of others, PostScript is run as a program by it."""

_EXIF_ORIENTATION = 0x0112

_READ_ALIKE = ("JPEG", "MPO", "PNG")
"""Forms that Pillow (it calls some JPEGs MPO) and `decode` of evaluation both read; others `decode` judges."""

_LITTER = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Picture:
    """A picture file.

    Attributes:
        path: Where it lies.
        name: Its path below the folder that was read, with slashes.
        width: Of the stored pixels.
        height: Of the stored pixels.
        orientation: EXIF orientation, 1 to 8; from 5 on the tag swaps width and height.
        sha256: Of the file.
    """

    path: Path
    name: str
    width: int
    height: int
    orientation: int
    sha256: str


def files_below(folder: Path) -> list[PurePosixPath]:
    """Every file below a folder, sorted, without hidden files and what systems leave behind; links are followed.

    Raises:
        DatasetError: A folder that cannot be read, or a name that is not UTF-8, which no JSON can hold.
    """
    found, seen = [], set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [name for name in folders if real not in seen and not _is_litter(name)]
        if real in seen:  # a link in a circle
            continue
        seen.add(real)
        below = PurePosixPath(Path(place).relative_to(folder).as_posix())
        found += [below / name for name in names if not _is_litter(name)]
    for path in found:
        if any(0xD800 <= ord(letter) < 0xE000 for letter in str(path)):
            raise DatasetError(f"{folder}: the name {str(path)!r} is not UTF-8", remedy="rename the file")
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise DatasetError(f"{error.filename}: {error.strerror}", remedy="see that the folder can be read") from error


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LITTER


def look_at(
    folder: Path, names: Sequence[PurePosixPath], progress: Progress, workers: int = 4
) -> tuple[list[Picture], list[Finding]]:
    """Read every picture file to its end.

    Args:
        folder: The folder.
        names: Picture files below it.
        progress: Called with the pictures read.
        workers: Reading threads.

    Returns:
        The pictures that can be read, and findings: `image-unreadable`, `image-repeated`.

    Raises:
        DatasetError: A picture of more pixels than Pillow opens without a warning (a decompression bomb).
    """
    pictures, findings = [], []
    with ThreadPoolExecutor(workers) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's, about EXIF and palettes
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for done, seen in enumerate(pool.map(lambda name: _look(folder, name), names), start=1):
            progress("read pictures", done, len(names))
            if isinstance(seen, Picture):
                pictures.append(seen)
            else:
                findings.append(seen)
    return pictures, findings + list(_repeated(pictures))


def _look(folder: Path, name: PurePosixPath) -> Picture | Finding:
    path = folder / name
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
                width, height = image.size
                if image.format in _READ_ALIKE:
                    image.draft("L", (1, 1))  # a JPEG is read to its end, but not in full detail
                    image.load()
                else:
                    height, width = decode(path).shape[:2]
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DatasetError(f"{name}: {error}", remedy="take the picture out, if you trust the others") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, DatasetError) as error:
        why = _why(error)
        message = f"no whole picture ({why}); left out with its boxes"
        return Finding("image-unreadable", str(name), message, "replace the file")
    orientation = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    return Picture(path, str(name), width, height, orientation, digest.hexdigest())


def _why(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "of no form that is read"
    return "it cannot be decoded" if isinstance(error, DatasetError) else " ".join(str(error).split())[:100]


def _repeated(pictures: Iterable[Picture]) -> Iterable[Finding]:
    first: dict[str, str] = {}
    for picture in pictures:
        if picture.sha256 in first:
            message = f"the same file as {first[picture.sha256]}; both are kept"
            yield Finding("image-repeated", picture.name, message, "keep both in one split", "warning")
        first.setdefault(picture.sha256, picture.name)


def short_names(pictures: Sequence[Picture]) -> dict[str, Picture]:
    """Pictures by their names below the deepest folder that holds them all.

    Example:
        >>> a, b = (Picture(Path(name), name, 4, 4, 1, "") for name in ("park/images/a.jpg", "park/images/b.jpg"))
        >>> list(short_names([a, b]))
        ['a.jpg', 'b.jpg']
    """
    folders = [PurePosixPath("/", picture.name).parent for picture in pictures]
    shared = os.path.commonpath(folders) if folders else "/"
    return {PurePosixPath("/", picture.name).relative_to(shared).as_posix(): picture for picture in pictures}


def stored_box(box: Box, width: int, height: int, orientation: int) -> Box:
    """Turn a box back.

    Args:
        box: Left, top, right, bottom in the turned picture, which is `height` wide and `width` high.
        width: Of the stored pixels.
        height: Of the stored pixels.
        orientation: EXIF orientation, 5 to 8.

    Returns:
        Left, top, right, bottom in the stored pixels.

    Example:
        >>> box = (Decimal(0), Decimal(0), Decimal(2), Decimal(1))
        >>> [int(value) for value in stored_box(box, 30, 20, 6)]  # the top left is stored at the bottom left
        [0, 18, 1, 20]
    """
    left, top, right, bottom = box
    across = (top, bottom) if orientation in (5, 6) else (width - bottom, width - top)
    down = (left, right) if orientation in (5, 8) else (height - right, height - left)
    return Decimal(across[0]), Decimal(down[0]), Decimal(across[1]), Decimal(down[1])
