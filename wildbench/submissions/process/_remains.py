"""What a detector's process leaves: what it printed, and its temporary folder. Neither is bounded by its maker."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import IO

LONGEST_NOISE = 4096
"""Bytes of what it printed last that are kept."""


class Noise:
    """Reads what a process prints, so that it never waits, and keeps the end of it.

    Args:
        stream: The reading end of its pipe; closed when the process has ended.
    """

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._stream, self._kept = stream, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        if self._stream is not None:
            with self._stream:
                while part := os.read(self._stream.fileno(), 2**16):
                    self._kept = (self._kept + part)[-LONGEST_NOISE:]

    def last_line(self) -> str:
        """The last line that is not blank, at most 300 characters; after the process has ended."""
        self._thread.join(timeout=1)
        lines = self._kept.decode(errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def remove_folder(folder: str) -> None:
    """Remove a folder, whatever is in it: nested deeper than any path or recursion goes, unreadable, links.

    Its process must have ended. What cannot be removed stays.
    """
    with contextlib.suppress(OSError):
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        names, waiting = [], [_empty(place)]
        try:
            while waiting:
                if waiting[-1]:
                    names.append(waiting[-1].pop())
                    place = _go(place, names[-1])
                    waiting.append(_empty(place))
                else:
                    waiting.pop()
                    if names:
                        place = _go(place, "..")
                        os.rmdir(names.pop(), dir_fd=place)
        finally:
            os.close(place)
        Path(folder).rmdir()


def _go(place: int, name: str) -> int:
    """From an open folder to one in or above it, by one name, which is quick however deep they are."""
    if name != "..":
        os.chmod(name, 0o700, dir_fd=place)
    there = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
    os.close(place)
    return there


def _empty(place: int) -> list[str]:
    """Remove the files of an open folder, and give the names of its folders."""
    folders = []
    for entry in list(os.scandir(place)):
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        else:
            os.unlink(entry.name, dir_fd=place)
    return folders
