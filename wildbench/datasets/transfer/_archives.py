"""Archives unpacked without trust: every entry is judged before a byte of it is written.

Refused: names that lead out of the folder, links and devices, encrypted entries, two entries of one name, damage, and
more entries or bytes than a data set of photographs has. Archives inside an archive are never opened.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from wildbench.errors import DatasetError, OutputError
from wildbench.progress import Progress, silent

ENTRIES = 50_000
BYTES = 40 << 30
REMEDY = "get the archive from its authors again, or unpack it by hand and import the folder"

_RATIO, _FREE = 100, 64 << 20
"""An archive may unpack to 64 MiB, or to a hundred times its own size: photographs are compressed already."""

_LARGEST_READ = 16 << 20
"""Bytes of an archive's directory, or of one header in it."""

_XZ = b"\xfd7zXZ\x00"
_COMPRESSIONS: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    _XZ: lzma.LZMAFile,
}
_UNSAFE = re.compile(r"^[A-Za-z]:|^/|(^|/)\.\.(/|$)|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error)
_DAMAGE = (*_BROKEN, EOFError, ValueError, RuntimeError)


class _Bounded(io.BufferedReader):
    """A stream that refuses to give very much at once, whatever an archive's header asks for."""

    last = b""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _LARGEST_READ:
            raise _hostile(f"a directory or header of {size:,} bytes, far more than photographs need")
        self.last = super().read(size)
        return self.last


def is_archive(path: Path) -> bool:
    """Whether a file starts, or ends, as a zip or a tar does, whatever its name."""
    with path.open("rb") as file:
        start = file.read(512)
    return start.startswith((*_COMPRESSIONS, b"PK\x03\x04")) or start[257:262] == b"ustar" or zipfile.is_zipfile(path)


@contextlib.contextmanager
def unpacked(
    archive: Path, beside: Path, *, entries: int = ENTRIES, most: int = BYTES, progress: Progress = silent
) -> Iterator[Path]:
    """Unpack a zip or tar (plain, gz, bz2, xz) into a folder that is gone when the block ends, however it ends."""
    most = min(most, max(_FREE, _RATIO * archive.stat().st_size))
    with tempfile.TemporaryDirectory(dir=beside, prefix=".unpacking-") as folder:
        try:
            _unpack(archive, _Target(Path(folder), entries, most), progress)
        except DatasetError as error:
            code = error.code.partition("/")[2]
            raise DatasetError(f"{archive}: {error.what}", code=code, remedy=REMEDY) from None
        except _DAMAGE as error:
            raise _damaged(f"{archive}: {error}") from error
        except OSError as error:
            if error.errno in (None, errno.EINVAL):  # damage, to gzip, to bz2, and to a seek before the start
                raise _damaged(f"{archive}: {error}") from error
            if error.errno in (errno.ENAMETOOLONG, errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
                what = f"{archive}: an entry cannot be written below {beside} ({error.strerror})"
                raise DatasetError(what, code="hostile-archive", remedy=REMEDY) from error
            remedy = "make room, or set WILDBENCH_CACHE"
            raise OutputError(f"{folder}: {error.strerror}", code="not-written", remedy=remedy) from error
        yield Path(folder)


def _hostile(what: str) -> DatasetError:
    return DatasetError(what, code="hostile-archive", remedy=REMEDY)


def _damaged(what: str) -> DatasetError:
    return DatasetError(f"{what}: damaged or cut short", code="damaged-archive", remedy=REMEDY)


@dataclass
class _Target:
    """A folder to unpack into, how much at most, and what was unpacked."""

    folder: Path
    entries: int
    most: int
    count: int = 0
    total: int = 0
    names: set[str] = field(default_factory=set)

    def admit(self, size: int) -> None:
        """Count an entry, or refuse it."""
        self.count, self.total = self.count + 1, self.total + size
        if self.count > self.entries or self.total > self.most:
            what = f"more than {self.entries:,} entries, or unpacks to more than {self.most:,} bytes"
            raise DatasetError(what, code="archive-too-large", remedy=REMEDY)

    def place(self, name: str, problem: str) -> Path:
        """Where the file of this name goes, its folder made; or refuse it."""
        path = PurePosixPath(name.replace("\\", "/"))
        key = unicodedata.normalize("NFC", str(path)).casefold()
        if _UNSAFE.search(name.replace("\\", "/")) or not path.parts:
            problem = "leads out of the folder, or has control characters in its name"
        elif key in self.names:
            problem = "occurs twice, or differs from another in case only"
        if problem:
            raise _hostile(f"its entry {name[:100]!r} {problem}")
        self.names.add(key)
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        return self.folder / path


def _unpack(archive: Path, target: _Target, progress: Progress) -> None:
    with archive.open("rb") as file:
        start = file.read(4096)
    opened = next((opened for magic, opened in _COMPRESSIONS.items() if start.startswith(magic)), None)
    if start.startswith(_XZ):  # more memory than xz -9 takes is refused; LZMAFile has no such limit
        lzma.LZMADecompressor(memlimit=128 << 20).decompress(start, max_length=1)
    with opened(archive) if opened else archive.open("rb") as raw, _Bounded(raw) as stream:
        if not opened and start[257:262] != b"ustar" and zipfile.is_zipfile(archive):  # a tar may end with a zip
            _unpack_zip(stream, target, progress)
        else:
            _unpack_tar(stream, target)


def _unpack_zip(stream: _Bounded, target: _Target, progress: Progress) -> None:
    """`zipfile` checks the CRCs as it reads, and gives no more of a file than its stated size."""
    with zipfile.ZipFile(stream) as source:
        infos = source.infolist()
        for info in infos:
            target.admit(info.file_size)
        for done, info in enumerate(infos, start=1):
            if not info.is_dir():
                kind = stat.S_IFMT(info.external_attr >> 16)
                problem = "is encrypted" if info.flag_bits & 0x1 else ""
                problem = problem if kind in (0, stat.S_IFREG) else "is a link or a device"
                path = target.place(info.orig_filename, problem)
                with source.open(info) as packed, path.open("xb") as file:
                    shutil.copyfileobj(packed, file)
                if path.stat().st_size != info.file_size:
                    raise _damaged(f"{info.filename!r} does not have {info.file_size:,} bytes")
            progress("unpack", done, len(infos))


def _unpack_tar(stream: _Bounded, target: _Target) -> None:
    with tarfile.open(fileobj=stream, mode="r:") as source:
        for member in source:
            target.admit(member.size)
            if not member.isdir():
                regular = member.isreg() and not member.issparse()
                path = target.place(member.name, "" if regular else "is a link, a device or a sparse file")
                own = member.replace(name=path.relative_to(target.folder).as_posix(), deep=False)
                source.extract(own, target.folder, set_attrs=False, filter=tarfile.data_filter)
    if stream.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes damage after the first entry for the end
        raise _damaged("no end mark")
