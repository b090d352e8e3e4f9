"""Files read within a bound, written whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from wildbench.errors import OutputError, WildbenchError, needs

MOST_PIXELS = 200_000_000
"""Of a picture: the largest cameras have 150 million."""

LONGEST = 240
"""Bytes of a file's name: most systems take 255, and a temporary file beside it has a longer one."""


def read_bounded(path: Path | str, most: int) -> bytes:
    """The bytes of a regular file, links followed; a pipe, a device or a file of `/proc` is never waited for.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read, is not a regular file (`EINVAL`), or is larger (`EFBIG`).

    Example:
        >>> read_bounded("/dev/zero", 1000)
        Traceback (most recent call last):
        OSError: [Errno 22] not a regular file: '/dev/zero'
    """
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:  # noqa: PTH123 - a descriptor
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            folder = stat.S_ISDIR(about.st_mode)
            number, problem = (errno.EISDIR, "Is a directory") if folder else (errno.EINVAL, "not a regular file")
            raise OSError(number, problem, str(path))
        if about.st_size > most:
            raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
        return file.read(about.st_size)


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its name when the block ends well, and vanishes when it does not.

    A reader never sees half a file, and a full disk or a Ctrl-C leaves the old one as it was.

    Raises:
        OutputError: The folder cannot be written, the disk is full, or `path` is a folder.
    """
    path = Path(path)
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp's 0600 would hide the file from others
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            what = f"{path}: cannot be written ({error.strerror})"
            raise OutputError(what, code="not-written", remedy="choose another place") from error
        raise


def check_writable(path: Path) -> None:
    """Check, before long work, that a file can be written here or in folders to be made for it.

    Raises:
        OutputError: It cannot.
    """
    if len(os.fsencode(path.name)) > LONGEST:
        what = f"{path}: its name is longer than {LONGEST} bytes"
        raise OutputError(what, code="name-too-long", remedy="choose a shorter one")
    if path.is_dir():
        raise OutputError(f"{path} is a folder", code="folder", remedy="name a file in it")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = f"{path}: {there} is not a writable directory"
        raise OutputError(what, code="not-writable", remedy="choose another place")


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, creating its folder; the file is there whole or not at all.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> write_atomically(folder / "new" / "a.txt", b"whole")
        >>> (folder / "new" / "a.txt").read_bytes()
        b'whole'
    """
    with atomic_writer(path) as file:
        file.write(data)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_sums(path: Path) -> dict[str, str]:
    """Name to SHA-256, of a file as `sha256sum` writes it; a name alone has none. Nothing where there is no file."""
    if not path.is_file():
        return {}
    lines = (line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {parts[-1].strip(): parts[0] if len(parts) > 1 else "" for parts in lines}


def sums_text(folder: Path, names: Iterable[str]) -> bytes:
    """What `sha256sum` would write of some files of a folder."""
    return "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names).encode()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Make a folder if there is none, and wait until no other process is in such a block with it; not on Windows.

    Example:
        >>> import tempfile
        >>> with locked(Path(tempfile.mkdtemp()) / "cache") as folder:
        ...     folder.is_dir()
        True
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)


def pyarrow() -> Any:  # noqa: ANN401 - it has no types
    """The library, with its Parquet and JSON; or a MissingExtra."""
    with needs("scale"):
        import pyarrow
        import pyarrow.json
        import pyarrow.parquet
    return pyarrow


def write_table(path: Path, table: Any, metadata: Mapping[bytes, bytes] | None = None) -> None:  # noqa: ANN401
    """Write a pyarrow table; the same table gives the same bytes.

    Raises:
        OutputError: It cannot be written; no file is left.
    """
    with atomic_writer(path) as file:
        pyarrow().parquet.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")


def read_table(path: Path, error: type[WildbenchError], code: str, remedy: str) -> tuple[Any, dict[bytes, bytes]]:
    """Read a pyarrow table and its metadata.

    Raises:
        WildbenchError: Of the class `error`, with `code` and `remedy`: it is truncated, or no Parquet.
    """
    arrow = pyarrow()
    try:
        table = arrow.parquet.read_table(path, partitioning=None)
    except (arrow.ArrowException, OSError, ValueError) as problem:
        what = f"{path}: truncated, or not a Parquet file ({' '.join(str(problem).split())[:100]})"
        raise error(what, code=code, remedy=remedy) from None
    return table, dict(table.schema.metadata or {})
