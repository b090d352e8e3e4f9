"""What is kept of images while all are compared: in a file, so that memory is bounded and no work is done twice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import overload

import cv2
import numpy as np

from wildbench.datasets.duplicates._keypoints import LONG_SIDE, Keypoints, find_keypoints
from wildbench.datasets.images import glance, naming_all
from wildbench.errors import DatasetError, OutputError
from wildbench.progress import Progress, silent

_VERSION = f"1 {cv2.__version__}"
"""Of what is kept; an older one is looked at again."""

_AT_ONCE = 64
"""Images after which what was seen is kept: so many are lost where the work is interrupted."""

_IN_MEMORY = 512
_TABLE = """CREATE TABLE IF NOT EXISTS looks (
    path TEXT PRIMARY KEY, stamp TEXT, file_sha256 TEXT, seen_sha256 TEXT, points BLOB, descriptors BLOB, png BLOB
)"""


@dataclass(frozen=True, eq=False)
class Look:
    """What tells an image from others, about 80 kB.

    Attributes:
        path: The file.
        file_sha256: Of its bytes.
        seen_sha256: Of its size and of its pixels in grey, reduced; where two differ, so do their pixels.
        keypoints: Of the reduced image.
    """

    path: Path
    file_sha256: str
    seen_sha256: str
    keypoints: Keypoints


class Looks(Sequence[Look]):
    """Looks at image files, in their order, read from the file that keeps them when they are asked for."""

    def __init__(self, paths: Sequence[Path], file: Path | None) -> None:
        self.paths, self._lock = paths, threading.Lock()
        with _told(file):
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            self._kept = sqlite3.connect(file or "", timeout=60, check_same_thread=False)
            self._kept.execute(_TABLE)
        self._read = lru_cache(_IN_MEMORY)(self._read_one)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Look: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Look]: ...
    def __getitem__(self, place: int | slice) -> Look | Sequence[Look]:
        if isinstance(place, slice):
            return [self[one] for one in range(len(self))[place]]
        return self._read(range(len(self))[place])

    def __iter__(self) -> Iterator[Look]:
        return (self._read_one(place) for place in range(len(self)))

    def _read_one(self, place: int) -> Look:
        query = "SELECT file_sha256, seen_sha256, points, descriptors, png FROM looks WHERE path = ?"
        with self._lock:
            file, seen, points, descriptors, png = self._kept.execute(query, (_name(self.paths[place]),)).fetchone()
        keypoints = Keypoints(
            np.frombuffer(points, np.float32).reshape(-1, 2), np.frombuffer(descriptors, np.uint8).reshape(-1, 128), png
        )
        return Look(self.paths[place], file, seen, keypoints)

    def missing(self) -> list[Path]:
        """Files that nobody has looked at since they were written."""
        query = "SELECT 1 FROM looks WHERE path = ? AND stamp = ?"
        every = dict.fromkeys(self.paths)
        return [path for path in every if not self._kept.execute(query, (_name(path), _stamp(path))).fetchone()]

    def keep(self, stamped: Sequence[tuple[str, Look]]) -> None:
        """Put looks into the file, each with the stamp of its image."""
        rows = [
            (
                _name(look.path),
                stamp,
                look.file_sha256,
                look.seen_sha256,
                look.keypoints.points.tobytes(),
                look.keypoints.descriptors.tobytes(),
                look.keypoints.png,
            )
            for stamp, look in stamped
        ]
        with self._kept:
            self._kept.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def look_at(paths: Sequence[Path], progress: Progress = silent, *, file: Path | None = None) -> Looks:
    """Decode images and keep what tells them apart.

    Args:
        paths: Image files.
        progress: Called as `progress(task, done, total)`.
        file: Where looks are kept: images that were looked at before, and are as they were, are not decoded again. By
            default a temporary file that goes with what is returned.

    Raises:
        DatasetError: An image cannot be decoded.
        OutputError: The file cannot be written.
    """
    with _told(file):
        looks = Looks(paths, file)
        missing = looks.missing()
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="look") as pool:
            done = len(set(paths)) - len(missing)
            for some in (missing[start : start + _AT_ONCE] for start in range(0, len(missing), _AT_ONCE)):
                try:
                    looks.keep(list(pool.map(_look, some)))
                except DatasetError as error:
                    raise naming_all(error, paths) from None
                done += len(some)
                progress("look at images", done, len(set(paths)))
    return looks


def _look(path: Path) -> tuple[str, Look]:
    stamp = _stamp(path)
    grey, size, file_sha256 = glance(path, 2 * LONG_SIDE)
    seen = hashlib.sha256(repr(size).encode() + grey.tobytes()).hexdigest()
    return stamp, Look(path, file_sha256, seen, find_keypoints(grey))


def _name(path: Path) -> str:
    return os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")  # noqa: PTH100 - links stay


def _stamp(path: Path) -> str:
    """What changes with an image's bytes; of a missing one, whose decoding will say so, nothing."""
    with contextlib.suppress(OSError):
        about = path.stat()
        return f"{_VERSION} {about.st_size} {about.st_mtime_ns}"
    return ""


@contextlib.contextmanager
def _told(file: Path | None) -> Iterator[None]:
    """Say in our words what is wrong with the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        remedy = "make room, set WILDBENCH_CACHE to another folder, or remove the file: it is made again"
        raise OutputError(f"{file or 'temporary file'}: {error}", code="looks-not-kept", remedy=remedy) from error
