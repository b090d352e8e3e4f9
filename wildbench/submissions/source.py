"""A submission's file, read once: its bytes, their hash, and the zip records in them. Nothing in it is executed."""

from __future__ import annotations

import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

from wildbench.errors import SubmissionError

MOST_RECORDS = 2**16
"""Entries of a zip; a detector saved with one entry for each tensor has about a thousand."""

MOST_BYTES = 2**32
"""Of all records of a zip after they are unzipped."""

AGAIN = "save or download it again"
EXPORT_AGAIN = "export it again"

# RuntimeError: encrypted, or zipped by a method that Python does not know
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, ValueError, EOFError, RuntimeError)
"""What `zipfile` raises for an archive that it cannot read."""

Parsed = TypeVar("Parsed")


class Source:
    """The bytes of one file.

    Everything that is asked about a submission is answered from here, so that nobody can swap the file between two
    reads.

    Attributes:
        path: Where it was read, for messages; it is not opened again.
        data: The whole file.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data = path, data
        self._parsed: dict[Any, Any] = {}

    @classmethod
    def read(cls, path: Path | str) -> Source:
        """Open a file, once, and read all of it; a SubmissionError where there is no such file, or it is empty."""
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            missing = isinstance(error, (FileNotFoundError, IsADirectoryError))
            what, code = ("no such file", "no-such-file") if missing else (f"{error.strerror}", "unreadable")
            raise SubmissionError(f"{path}: {what}", code=code, remedy="check the path") from None
        if not data:
            raise SubmissionError(f"{path}: the file is empty", code="empty", remedy=AGAIN)
        return cls(path, data)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def parsed(self, parse: Callable[[Source], Parsed]) -> Parsed:
        """What a function makes of this file, made once and then remembered."""
        if parse not in self._parsed:
            self._parsed[parse] = parse(self)
        return cast("Parsed", self._parsed[parse])

    @property
    def is_zip(self) -> bool:
        """Whether the file begins like a zip."""
        return self.data.startswith(b"PK\x03\x04")

    @cached_property
    def records(self) -> dict[str, zipfile.ZipInfo]:
        """Records of a torch zip, by name without the archive's root folder; empty where the file is not a zip.

        Raises SubmissionError where it is damaged, names a record twice, or would unpack to too much.
        """
        if not self.is_zip:
            return {}
        try:
            entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        except DAMAGE as error:
            raise self.error(f"damaged or cut short ({error})") from None
        if len(entries) > MOST_RECORDS or sum(entry.file_size for entry in entries) > MOST_BYTES:
            problem = f"its zip has more than {MOST_RECORDS:,} records or {MOST_BYTES:,} bytes"
            raise self.error(problem, code="zip-too-large", remedy="export the detector alone")
        records = {entry.filename.partition("/")[2]: entry for entry in entries}
        if len(records) != len(entries):
            raise self.error("damaged: the zip has a record twice")
        return records

    def record(self, name: str) -> bytes:
        """The bytes of one record, its checksum verified; a SubmissionError where it is damaged or missing."""
        if name not in self.records:
            raise self.error(f"{name} is missing")
        try:
            return self._zip.read(self.records[name])
        except DAMAGE as error:
            raise self.error(f"{name} is damaged ({error})") from None

    def error(self, problem: str, *, code: str = "damaged", remedy: str = AGAIN) -> SubmissionError:
        """The error to raise for this file; by default, that it is not what it was when it was saved."""
        return SubmissionError(f"{self.path}: {problem}", code=code, remedy=remedy)

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self.data))
