"""The pixels of image files, decoded ahead of whoever looks at them."""

from __future__ import annotations

import errno
import hashlib
import io
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from wildbench.errors import DatasetError
from wildbench.files import MOST_PIXELS, read_bounded

Pixels = npt.NDArray[np.uint8]
"""uint8 [height, width, 3], RGB."""

Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # above which Pillow warns, and refuses twice as many

MOST_BYTES = 2 << 30
"""Of a picture's file: so many pixels, uncompressed, in 16 bits."""

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "AVIF", "JPEG2000")
"""What Pillow may take a file for, whatever its name; of others, PostScript is run as a program by it."""

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it cannot decode is said in our words

_AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decode(path: Path | str, sha256: str | None = None) -> Pixels:
    """Decode a JPEG, PNG, WebP, TIFF, BMP or GIF file to 8-bit RGB, uint8 [height, width, 3].

    Pixels are taken as they are stored: COCO's boxes, width and height are of stored pixels, so an EXIF orientation is
    not applied (validation says where a file was boxed as the tag turns it). Grey is repeated, alpha dropped, CMYK
    converted, and of 16 bits the upper 8 are kept.

    Args:
        path: The file.
        sha256: What its bytes must have; None where nobody knows.

    Raises:
        DatasetError: No such file, it has changed, it is truncated or not an image, or has more than `MOST_PIXELS`.
    """
    data = _read(path)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        what = f"{path}: not the picture that was imported: its SHA-256 differs"
        raise DatasetError(what, code="image-changed", remedy="put the picture back, or import the data set again")
    return decode_bytes(data, str(path))


def decode_bytes(data: bytes, name: str) -> Pixels:
    """Decode the bytes of an image file, as `decode` does.

    Raises:
        DatasetError: They are truncated or not an image, or it has more than `MOST_PIXELS`.
    """
    return _decoded(name, data)[0]


def glance(path: Path, side: int) -> tuple[Pixels, tuple[int, int], str]:
    """Grey pixels, uint8 [height, width], of a long side of at least `side`, or as stored where that is less.

    A large JPEG is reduced while it is decoded, which takes half of the time.

    Returns:
        The pixels, width and height as stored, and the SHA-256 of the file.

    Raises:
        DatasetError: As `decode`.
    """
    data = _read(path)
    pixels, size = _decoded(str(path), data, side)
    return pixels, size, hashlib.sha256(data).hexdigest()


def _read(path: Path | str) -> bytes:
    try:
        return read_bounded(path, MOST_BYTES)
    except OSError as error:
        code = "image-unreadable" if error.errno in (errno.EINVAL, errno.EFBIG) else "image-missing"
        remedy = "put the image there, or name its folder"
        raise DatasetError(f"{path}: {error.strerror}", code=code, remedy=remedy) from error


def _decoded(name: str, data: bytes, side: int | None = None) -> tuple[Pixels, tuple[int, int]]:
    """Pixels in RGB, or in grey of about a side, and width and height as stored."""
    size, pixels = (0, 0), None
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:  # the header alone
            size = image.size
        large = size[0] * size[1] > MOST_PIXELS
        mode = _AS_STORED if side is None else _reduced(max(size) // side)
        pixels = None if large else cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except Image.DecompressionBombError:
        large = True
    except (cv2.error, UnidentifiedImageError, OSError, ValueError, SyntaxError):
        large = False
    if large:
        what = f"{name}: more than {MOST_PIXELS:,} pixels"
        raise DatasetError(what, code="image-too-large", remedy="take it out, or store it smaller")
    if pixels is None:
        raise DatasetError(f"{name}: truncated, or not an image", code="image-unreadable", remedy="replace the file")
    return np.asarray(pixels, dtype=np.uint8), size


def _reduced(factor: int) -> int:
    """The mode that decodes to grey, smaller by no more than a factor."""
    modes = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 8: cv2.IMREAD_REDUCED_GRAYSCALE_8}
    mode = next((modes[one] for one in (8, 4, 2) if one <= factor), cv2.IMREAD_GRAYSCALE)
    return mode | cv2.IMREAD_IGNORE_ORIENTATION


def unreadable(paths: Iterable[Path], workers: int = 4) -> dict[Path, DatasetError]:
    """What is wrong with each of some pictures that cannot be decoded; all of them are."""

    def fault(path: Path) -> tuple[Path, DatasetError | None]:
        try:
            decode(path)
        except DatasetError as error:
            return path, error
        return path, None

    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        return {path: error for path, error in pool.map(fault, paths) if error is not None}


def read_ahead(
    paths: Sequence[Path], workers: int = 1, depth: int = 4, sums: Mapping[Path, str] = MappingProxyType({})
) -> Generator[Pixels]:
    """Decode images in order, in threads, while the consumer works on earlier ones.

    `sums` has the SHA-256 of files where it is known. At most `depth` decoded images wait. Closing the iterator early
    drops them and ends the threads. `decode` says what is yielded; at the first that cannot be decoded all others are
    looked at, so that one DatasetError names them all.
    """
    waiting: deque[Future[Pixels]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(decode, path, sums.get(path)))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except DatasetError as error:
            raise (error if error.code == "dataset/image-changed" else naming_all(error, paths)) from None
        finally:
            for future in waiting:
                future.cancel()


def naming_all(first: DatasetError, paths: Sequence[Path]) -> DatasetError:
    """The same error, with the names of all that cannot be decoded."""
    faults = unreadable(paths)
    names = ", ".join(path.name for path in [*faults][:10]) + (", ..." if len(faults) > 10 else "")
    more = f" (one of {len(faults)} that cannot be decoded: {names})" if len(faults) > 1 else ""
    remedy = f"{first.remedy}; or leave such pictures out by --skip-unreadable"
    return DatasetError(f"{first.what}{more}", code=first.code.partition("/")[2], remedy=remedy)
