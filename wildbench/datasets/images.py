"""The pixels of image files, decoded ahead of whoever looks at them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.errors import DatasetError

Pixels = npt.NDArray[np.uint8]
"""uint8 [height, width, 3], RGB."""

_AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decode(path: Path | str) -> Pixels:
    """Decode a JPEG, PNG, WebP, TIFF, BMP or GIF file to 8-bit RGB, uint8 [height, width, 3].

    Pixels are taken as they are stored: COCO's boxes, width and height are of stored pixels, so an EXIF orientation is
    not applied (validation says where a file was boxed as the tag turns it). Grey is repeated, alpha dropped, CMYK
    converted, and of 16 bits the upper 8 are kept.

    Raises:
        DatasetError: No such file, or it is truncated or not an image.
    """
    try:
        data = np.frombuffer(Path(path).read_bytes(), np.uint8)
    except OSError as error:
        remedy = "put the image there, or name its folder"
        raise DatasetError(f"{path}: {error.strerror}", code="image-missing", remedy=remedy) from error
    try:
        pixels = cv2.imdecode(data, _AS_STORED) if len(data) else None
    except cv2.error:
        pixels = None  # more pixels than OpenCV takes
    if pixels is None:
        raise DatasetError(f"{path}: truncated, or not an image", code="image-unreadable", remedy="replace the file")
    return np.asarray(pixels, dtype=np.uint8)


def read_ahead(paths: Iterable[Path], workers: int = 1, depth: int = 4) -> Generator[Pixels]:
    """Decode images in order, in threads, while the consumer works on earlier ones.

    At most `depth` decoded images wait. Closing the iterator early drops them and ends the threads. `decode` says what
    is yielded; its DatasetError is raised at the file's turn.
    """
    waiting: deque[Future[Pixels]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for path in paths:
                waiting.append(pool.submit(decode, path))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
