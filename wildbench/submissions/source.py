"""A submission's files, read once: their bytes, their hash, and the zip records in them. Nothing is executed."""

from __future__ import annotations

import hashlib
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeVar, cast

from wildbench.errors import SubmissionError
from wildbench.files import read_bounded

MOST_RECORDS = 2**16
"""Entries of a zip or a folder; a detector saved with one entry for each tensor has about a thousand."""

MOST_BYTES = 2**32
"""Of all files of a folder, or of all records of a zip after they are unzipped."""

LEAST_UNZIPPED, MOST_GROWTH = 2**28, 100
"""Bytes that any zip may unpack to, and how many more for each of its own."""

LOCAL_HEADER = b"PK\x03\x04"

AGAIN = "save or download it again"
EXPORT_AGAIN = "export it again"

# RuntimeError: encrypted, or zipped by a method that Python does not know
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, ValueError, EOFError, RuntimeError)
"""What `zipfile` raises for an archive that it cannot read."""

Parsed = TypeVar("Parsed")


class Source:
    """The bytes of one submission: a file, a file and its companions, or every file of a folder.

    Everything that is asked about a submission is answered from here, so that nobody can swap a file between two
    reads.

    Attributes:
        path: What was read, a file or a folder, for messages; it is not opened again.
        files: Bytes by name, relative to the folder; a name has slashes where a file lies deeper.
        main: Name of the file that the format begins with; empty for a folder in which none is chosen yet.
        neighbour: Gives what lies beside the file or folder, by its name; None where there is no such file.
        attached: What no format opens and what counts all the same, such as a manifest beside the file: name and
            bytes, by what it is.
        data: The bytes of that file.
    """

    def __init__(
        self,
        path: Path,
        data: bytes = b"",
        files: Mapping[str, bytes] | None = None,
        main: str | None = None,
        neighbour: Callable[[str], bytes | None] | None = None,
    ) -> None:
        self.path = path
        self.neighbour = neighbour or self._from_disk
        self.files = {path.name: data} if files is None else files
        self.main = path.name if main is None else main
        self.attached: Mapping[str, tuple[str, bytes]] = {}
        self.data = self.files.get(self.main, b"")
        self._parsed: dict[Any, Any] = {}
        self._beside: dict[str, bytes | None] = {}

    @classmethod
    def read(cls, path: Path | str) -> Source:
        """Read a file, or every file of a folder, each of them once.

        Raises:
            SubmissionError: There is no such file, it is empty, or the folder holds too much.
        """
        path = Path(path)
        try:
            if path.is_dir():
                return cls(path, files=_read_folder(path), main="")
            data = read_bounded(path, MOST_BYTES)
        except OSError as error:
            what, code = ("no such file", "no-such-file")
            if not isinstance(error, FileNotFoundError):
                what, code = f"{error.strerror}", "unreadable"
            raise SubmissionError(f"{path}: {what}", code=code, remedy="check the path") from None
        if not data:
            raise SubmissionError(f"{path}: the file is empty", code="empty", remedy=AGAIN)
        return cls(path, data)

    @property
    def suffix(self) -> str:
        """Of the main file's name: ".onnx"."""
        return PurePosixPath(self.main).suffix

    @property
    def is_folder(self) -> bool:
        """Whether the files are those of a folder, or of a zip that was unpacked."""
        return self.main != self.path.name

    @cached_property
    def size(self) -> int:
        """Bytes of all files, attached ones included."""
        return sum(len(data) for _, data in self._whole)

    @cached_property
    def sha256(self) -> str:
        """SHA-256, in hexadecimal: of a single file's bytes; of several, of their `SHA256SUMS`, sorted by name."""
        if len(self._whole) == 1:
            return hashlib.sha256(self._whole[0][1]).hexdigest()
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(self._whole)]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def _whole(self) -> list[tuple[str, bytes]]:
        return [*self.files.items(), *self.attached.values()]

    def attach(self, part: str, name: str, data: bytes) -> Source:
        """The same files, of which this one is a part that no format opens."""
        other = self.at(self.main)
        other._parsed, other.attached = self._parsed, {**self.attached, part: (name, data)}
        return other

    def at(self, main: str) -> Source:
        """The same files, beginning with another one of them."""
        return Source(self.path, files=self.files, main=main, neighbour=self.neighbour)

    def beside(self, name: str) -> bytes | None:
        """A file in the main file's folder, such as a label file, or above a folder "onnx"; None where there is none.

        It is not part of a file on disk unless it is attached: it describes the submission.
        """
        inside = str(PurePosixPath(self.main).parent / name)
        above = str(PurePosixPath(self.main).parent.parent / name)
        if self.is_folder or inside in self.files:
            return self.files.get(inside, self.files.get(above) if _is_hubs(self.main) else None)
        return self.neighbour(name)

    def with_companions(self, names: Iterable[str]) -> Source:
        """This file together with those beside it that it cannot do without, such as the weights of a graph.

        Raises:
            SubmissionError: One is missing, or its name leads out of the folder.
        """
        files = dict(self.files)
        for name in names:
            where = PurePosixPath(name)
            if where.is_absolute() or ".." in where.parts or "\\" in name:
                raise self.error(f"refers to {name!r}, outside its folder", code="outside", remedy=EXPORT_AGAIN)
            data = self.beside(name)
            if data is None:
                problem = f"{name}, which belongs to it, is not beside it"
                raise self.error(problem, code="missing-companion", remedy=f"put {name} into the same folder")
            files[str(PurePosixPath(self.main).parent / name)] = data
        if len(files) == len(self.files):
            return self
        return Source(self.path, files=files, main=self.main, neighbour=self.neighbour)

    def unzipped(self) -> Source:
        """The files of a zip, as if they lay in a folder, hidden ones apart; raises as `records` does."""
        entries = {
            info.filename: self._read(info)
            for info in self._checked_entries
            if not _hidden(PurePosixPath(info.filename))
        }
        return Source(self.path, files=entries, main="", neighbour=self.neighbour)

    def unpack(self, folder: Path) -> Path:
        """Write the files into a folder, for a runtime that reads nothing but paths; gives the main file's path."""
        for name, data in self.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return folder / self.main

    def parsed(self, parse: Callable[[Source], Parsed]) -> Parsed:
        """What a function makes of this file, made once and then remembered."""
        if parse not in self._parsed:
            self._parsed[parse] = parse(self)
        return cast("Parsed", self._parsed[parse])

    def forget(self) -> None:
        """Drop what was parsed: it takes as much memory as the file."""
        self._parsed.clear()

    @property
    def is_zip(self) -> bool:
        """Whether the file begins like a zip."""
        return self.data.startswith(LOCAL_HEADER)

    @cached_property
    def records(self) -> dict[str, zipfile.ZipInfo]:
        """Records of a torch zip, by name without the archive's root folder; empty where the file is not a zip.

        Raises SubmissionError where it is damaged, names a record twice, or would unpack to too much.
        """
        if not self.is_zip:
            return {}
        records = {entry.filename.partition("/")[2]: entry for entry in self._checked_entries}
        if len(records) != len(self._checked_entries):
            raise self.error("damaged: the zip has a record twice")
        return records

    def record(self, name: str) -> bytes:
        """The bytes of one record, its checksum verified; a SubmissionError where it is damaged or missing."""
        if name not in self.records:
            raise self.error(f"{name} is missing")
        return self._read(self.records[name])

    def error(self, problem: str, *, code: str = "damaged", remedy: str = AGAIN) -> SubmissionError:
        """The error to raise for this file; by default, that it is not what it was when it was saved."""
        return SubmissionError(f"{self.path}: {problem}", code=code, remedy=remedy)

    @contextmanager
    def reading(self, what: str, code: str) -> Iterator[None]:
        """Whatever does not hold together in the block is a SubmissionError with `code`: the file is not a `what`."""
        try:
            yield
        except (ValueError, LookupError, StopIteration, RecursionError) as error:
            problem = f"not a {what} ({error or 'a part is missing'})"
            raise self.error(problem, code=code, remedy=EXPORT_AGAIN) from None

    def _from_disk(self, name: str) -> bytes | None:
        """What lies beside the file or folder, read once."""
        if name not in self._beside:
            data = _read_inside(self.path.parent, name, self.path)
            if data is None and _is_hubs(self.path.absolute().as_posix()) and name.endswith(".json"):
                data = _read_inside(self.path.absolute().parent.parent, name, self.path)
            self._beside[name] = data
        return self._beside[name]

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self.data))

    @cached_property
    def _checked_entries(self) -> list[zipfile.ZipInfo]:
        try:
            entries = [entry for entry in self._zip.infolist() if not entry.is_dir()]
        except DAMAGE as error:
            raise self.error(f"damaged or cut short ({error})") from None
        most = min(MOST_BYTES, LEAST_UNZIPPED + MOST_GROWTH * len(self.data))
        if len(entries) > MOST_RECORDS or sum(entry.file_size for entry in entries) > most:
            problem = f"its zip has more than {MOST_RECORDS:,} records or {most:,} bytes"
            raise self.error(problem, code="zip-too-large", remedy="export the detector alone")
        if any(end > begin for (_, end), (begin, _) in pairwise(sorted(map(self._extent, entries)))):
            raise self.error("damaged: records of its zip overlap")
        return entries

    def _extent(self, entry: zipfile.ZipInfo) -> tuple[int, int]:
        """Where a record with its header begins and ends."""
        begin = entry.header_offset
        if self.data[begin : begin + 4] != LOCAL_HEADER:
            raise self.error("damaged: its zip names a record that is not there")
        name, extra = struct.unpack("<HH", self.data[begin + 26 : begin + 30].ljust(4))
        return begin, begin + 30 + name + extra + entry.compress_size

    def _read(self, entry: zipfile.ZipInfo) -> bytes:
        try:
            return self._zip.read(entry)
        except DAMAGE as error:
            name = entry.filename.partition("/")[2] or entry.filename
            raise self.error(f"{name} is damaged ({error})") from None


def _is_hubs(name: str) -> bool:
    """Whether it lies as exports do on the Hugging Face Hub: in a folder below that with their configuration."""
    return PurePosixPath(name).parent.name in ("onnx", "openvino")


def _hidden(name: PurePath) -> bool:
    """Whether a file begins with a dot or lies in such a folder, or macOS put it into a zip beside every other."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _read_folder(path: Path) -> dict[str, bytes]:
    """Every file of a folder by its name, hidden ones apart."""
    found = list(islice((file for file in path.rglob("*") if file.is_file()), MOST_RECORDS + 1))
    names = sorted(file.relative_to(path) for file in found)
    names = [name for name in names if not _hidden(name)]
    if len(found) > MOST_RECORDS or sum((path / name).stat().st_size for name in names) > MOST_BYTES:
        problem = f"{path}: the folder has more than {MOST_RECORDS:,} files or {MOST_BYTES:,} bytes"
        raise SubmissionError(problem, code="folder-too-large", remedy="name the detector's own folder")
    files = {name.as_posix(): _read_inside(path, name.as_posix(), path) for name in names}
    return {name: data for name, data in files.items() if data is not None}


def _read_inside(folder: Path, name: str, submission: Path) -> bytes | None:
    """A regular file in or below a folder; None where there is none. Only what links reach from there is read.

    That is the folder itself, where the submission really lies, and the store of a snapshot from the Hugging Face Hub.
    """
    where = PurePosixPath(name)
    if where.is_absolute() or ".." in where.parts or "\0" in name:
        return None
    try:
        real, root = (folder / name).resolve(strict=True), folder.resolve()
        store = root.parents[1] / "blobs" if root.parent.name == "snapshots" else root
        home = root if submission == folder else submission.resolve().parent
        if not real.is_file():
            return None
        if not any(real.is_relative_to(one) for one in (root, store, home)):
            problem = f"{submission}: {name} is a link that leads out of its folder"
            raise SubmissionError(problem, code="outside", remedy=f"put a copy of the file there (cp -L {name} ...)")
        return read_bounded(real, MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        problem = f"{submission}: {name} cannot be read ({getattr(error, 'strerror', None) or 'links in a circle'})"
        raise SubmissionError(problem, code="unreadable", remedy="check the file") from None
