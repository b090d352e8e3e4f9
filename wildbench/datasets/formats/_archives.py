"""Archives taken apart without trusting them: each entry is judged before a byte of it is written.

Refused: names that leave the folder, links and devices, encrypted entries, names twice or apart in case only, damage,
and more entries or bytes than a data set of photographs has. Archives inside an archive are never opened. Memory is
bounded by what is read, never by what the archive says of itself.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from wildbench.errors import DatasetError, OutputError
from wildbench.progress import Progress, silent

REMEDY = "get the archive from its authors again, or unpack it by hand and import the folder"
_CHUNK = 1 << 20
_LONGEST = 1000
"""Bytes of a path in an archive; no data set nests so deep, and systems end at 1024 or 4096 with their own folders."""

_DRIVE = re.compile(r"[A-Za-z]:")
_XZ = b"\xfd7zXZ\x00"
_COMPRESSIONS: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    _XZ: lzma.LZMAFile,
}
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold.

    Attributes:
        entries: Files and folders.
        total: Bytes of all files, unpacked.
        ratio: Times the archive's own size, for archives that unpack to more than `free` bytes.
        free: Bytes below which the ratio does not matter.
        read: Bytes that an archive's directory, or one header in it, may have.
    """

    entries: int = 50_000
    total: int = 40 << 30
    ratio: int = 100
    free: int = 64 << 20
    read: int = 16 << 20


@dataclass(frozen=True)
class _Entry:
    """A file in an archive: its name and size as stated, what is wrong with it, and its bytes."""

    name: str
    size: int
    problem: str | None
    open: Callable[[], IO[bytes] | None]


class _Watched(io.BufferedIOBase):
    """A stream that gives no more at once than `limit` bytes, whatever an archive's header asks for."""

    def __init__(self, stream: io.BufferedIOBase, limit: int) -> None:
        self.stream, self.limit, self.last = stream, limit, b""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self.limit:
            raise DatasetError(f"a directory or header of {size:,} bytes, far more than photographs need")
        self.last = self.stream.read(-1 if size is None else size)
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def is_archive(path: Path) -> bool:
    """Whether a file starts, or ends, as a zip or a tar does; its name says nothing."""
    with path.open("rb") as file:
        start = file.read(512)
    return start.startswith((*_COMPRESSIONS, b"PK\x03\x04")) or start[257:262] == b"ustar" or zipfile.is_zipfile(path)


@contextlib.contextmanager
def unpacked(
    archive: Path, beside: Path, *, limits: Limits | None = None, progress: Progress = silent
) -> Iterator[Path]:
    """Unpack a zip or tar (plain, gz, bz2, xz) into a folder that is gone when the block ends, however it ends.

    Args:
        archive: The file.
        beside: Folder in which the temporary folder is made; it has to exist.
        limits: How much the archive may hold.
        progress: Called with entries done, for a zip.

    Yields:
        The temporary folder.

    Raises:
        DatasetError: The archive is hostile, damaged, encrypted, or none.
        OutputError: The disk is full.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(dir=beside, prefix=".unpacking-") as folder:
        try:
            with contextlib.ExitStack() as stack:
                _write(_entries(archive, limits, stack), Path(folder), archive.stat().st_size, limits, progress)
        except DatasetError as error:
            raise DatasetError(f"{archive}: {error.what}", remedy=error.remedy or REMEDY) from None
        except (*_DAMAGE, NotImplementedError, RuntimeError) as error:
            raise DatasetError(f"{archive}: damaged or cut short ({error})", remedy=REMEDY) from error
        except OSError as error:
            if error.errno in (None, errno.EINVAL):  # damage, to gzip, to bz2, and to a seek before the start
                raise DatasetError(f"{archive}: damaged or cut short ({error})", remedy=REMEDY) from error
            if error.errno == errno.ENAMETOOLONG:  # below a folder whose own name is long
                raise DatasetError(f"{archive}: has a name that is too long for {beside}", remedy=REMEDY) from error
            raise OutputError(f"{folder}: {error.strerror}", remedy="make room, or set WILDBENCH_CACHE") from error
        yield Path(folder)


def _write(
    entries: Iterator[tuple[int, _Entry]], folder: Path, packed: int, limits: Limits, progress: Progress
) -> None:
    names = _Names()
    total = 0
    for count, (known, entry) in enumerate(entries, start=1):
        path = folder / names.admit(entry)
        total += entry.size
        _check_amount(count, total, packed, limits)
        source = entry.open()
        if source is None:
            raise DatasetError(f"{entry.name!r} is no file")
        path.parent.mkdir(parents=True, exist_ok=True)
        with source, path.open("xb") as target:
            _copy(source, target, entry)
        if known:
            progress("unpack", count, known)


def _copy(source: IO[bytes], target: IO[bytes], entry: _Entry) -> None:
    written = 0
    while chunk := source.read(min(_CHUNK, entry.size - written + 1)):
        written += len(chunk)
        if written > entry.size:
            break
        target.write(chunk)
    if written != entry.size:
        raise DatasetError(f"{entry.name!r} has not the {entry.size} bytes that the archive states")


def _check_amount(entries: int, total: int, packed: int, limits: Limits) -> None:
    if entries > limits.entries:
        raise DatasetError(f"more than {limits.entries:,} entries")
    if total > limits.total:
        raise DatasetError(f"unpacks to more than {limits.total:,} bytes")
    if total > limits.free and total > limits.ratio * packed:
        raise DatasetError(f"a decompression bomb: unpacks to more than {limits.ratio} times its size")


class _Names:
    """The names seen so far, as a file system sees them that does not tell case apart."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.folders: set[str] = set()

    def admit(self, entry: _Entry) -> PurePosixPath:
        """Return the path of an entry below the folder, or refuse it."""
        path = PurePosixPath(entry.name.replace("\\", "/"))
        problem = entry.problem or _unsafe(entry.name, path)
        key, above = _folded(path), {_folded(parent) for parent in path.parents}
        if problem is None and key in self.files:
            first = self.files[key]
            problem = "is there twice" if first == entry.name else f"differs from {first!r} in case only"
        if problem is None and (key in self.folders or any(folder in self.files for folder in above)):
            problem = "is both a file and a folder"
        if problem is not None:
            raise DatasetError(f"its entry {entry.name[:100]!r} {problem}")
        self.files[key] = entry.name
        self.folders |= above
        return path


def _unsafe(name: str, path: PurePosixPath) -> str | None:
    if path.is_absolute() or _DRIVE.match(name):
        return "has an absolute path"
    if ".." in path.parts or not path.parts:
        return "leads out of the folder"
    if any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        return "has control characters in its name, or a name that is not UTF-8"
    if any(len(part.encode()) > 255 for part in path.parts) or len(name.encode()) > _LONGEST:
        return "has a name that is too long"
    return None


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _entries(archive: Path, limits: Limits, stack: contextlib.ExitStack) -> Iterator[tuple[int, _Entry]]:
    """Each file of an archive with the number of all, where that is known beforehand (0 where it is not)."""
    with archive.open("rb") as file:
        start = file.read(512)
    for magic, opened in _COMPRESSIONS.items():
        if start.startswith(magic):
            _check_dictionary(archive)
            return _tar_entries(stack.enter_context(opened(archive)), limits)
    raw = stack.enter_context(archive.open("rb"))
    if start[257:262] != b"ustar" and zipfile.is_zipfile(archive):  # a tar may end with a zip
        return _zip_entries(raw, limits)
    return _tar_entries(raw, limits)


def _check_dictionary(archive: Path) -> None:
    """Refuse an xz file that asks for more memory than xz -9 takes; `lzma.open` has no such limit."""
    with archive.open("rb") as file:
        start = file.read(4096)
    if start.startswith(_XZ):
        lzma.LZMADecompressor(memlimit=128 << 20).decompress(start, max_length=1)


def _zip_entries(raw: io.BufferedIOBase, limits: Limits) -> Iterator[tuple[int, _Entry]]:
    """`zipfile` itself checks the CRCs as it reads, and gives no more of a file than its stated size."""
    with zipfile.ZipFile(_Watched(raw, limits.read)) as source:
        infos = source.infolist()
        _check_amount(len(infos), sum(info.file_size for info in infos), raw.seek(0, 2), limits)
        files = [info for info in infos if not info.is_dir()]
        entries = [
            _Entry(info.filename, info.file_size, _zip_problem(info), lambda info=info: source.open(info))  # type: ignore[misc]
            for info in files
        ]
        for entry in entries:
            yield len(entries), entry


def _zip_problem(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 0x1:
        return "is encrypted"
    if kind not in (0, stat.S_IFREG):
        return "is a link or a device"
    return "has a NUL in its name" if "\0" in info.orig_filename else None


def _tar_entries(stream: io.BufferedIOBase, limits: Limits) -> Iterator[tuple[int, _Entry]]:
    watched = _Watched(stream, limits.read)
    with tarfile.open(fileobj=watched, mode="r:") as source:
        for count, member in enumerate(source, start=1):
            _check_amount(count, member.size, limits.total, limits)  # before tarfile reads past this member
            if not member.isdir():
                problem = None if member.isreg() and not member.issparse() else "is a link, a device or a sparse file"
                yield (
                    0,
                    _Entry(member.name, member.size, problem, lambda member=member: source.extractfile(member)),  # type: ignore[misc]
                )
    if watched.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes damage after the first entry for the end
        raise DatasetError("damaged or cut short: it has no end mark")
