"""Hostile archives, really built: refused with one line, and nothing left behind."""

import bz2
import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from wildbench.datasets.transfer._archives import BYTES, ENTRIES, is_archive, unpacked
from wildbench.errors import DatasetError

FILES = {"park/a.txt": b"first", "park/deep/b.jpg": bytes(range(256)) * 40}
HOSTILE, DAMAGED, LARGE = (f"dataset/{code}" for code in ("hostile-archive", "damaged-archive", "archive-too-large"))


def make_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def content(archive: Path, beside: Path) -> dict[str, bytes]:
    with unpacked(archive, beside) as folder:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(archive: Path, *codes: str, entries: int = ENTRIES, most: int = BYTES) -> None:
    """One line, and neither the folder nor what is around it has anything more than before."""
    beside = archive.parent / "cache"
    beside.mkdir(exist_ok=True)
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(DatasetError) as caught, unpacked(archive, beside, entries=entries, most=most):
        pytest.fail("unpacked")
    assert caught.value.code in codes, caught.value
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)
    assert caught.value.remedy
    assert sorted(archive.parent.rglob("*")) == before


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Path]:
    """Paths for archives."""
    return (tmp_path / f"{number}" for number in count())


def test_each_form_is_unpacked_whatever_its_name(tmp_path: Path) -> None:
    for mode in ("zip", "stored", "w", "w:gz", "w:bz2", "w:xz"):
        archive = tmp_path / "download"
        if mode in ("zip", "stored"):
            make_zip(archive, FILES, zipfile.ZIP_STORED if mode == "stored" else zipfile.ZIP_DEFLATED)
        else:
            make_tar(archive, FILES, mode)
        assert is_archive(archive)
        assert content(archive, tmp_path) == FILES
        assert list(tmp_path.iterdir()) == [archive]


def test_a_tar_whose_last_file_is_a_zip_is_a_tar_and_the_zip_is_not_opened(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner", {"bomb": bytes(1 << 22)}).read_bytes()
    assert content(make_tar(tmp_path / "a", {"inner.zip": inner}), tmp_path) == {"inner.zip": inner}
    assert content(make_zip(tmp_path / "b", {"inner.zip": inner}), tmp_path) == {"inner.zip": inner}


def test_backslashes_of_windows_are_folders(new: Iterator[Path], tmp_path: Path) -> None:
    for make in (make_zip, make_tar):
        assert list(content(make(next(new), {"park\\deep\\b.jpg": b"x"}), tmp_path)) == ["park/deep/b.jpg"]


def test_names_that_lead_elsewhere_or_cannot_be_written(new: Iterator[Path]) -> None:
    names = ["../evil", "a/../../evil", "..\\evil", "/etc/evil", "C:\\evil", "c:evil", "\\\\host\\share\\evil"]
    names += ["a\nb", "a\x1b[2Jb", "x" * 300, "d/" * 3000 + "x"]
    for name in names:
        for make in (make_zip, make_tar):
            refused(make(next(new), {"good.txt": b"", name: b"evil"}), HOSTILE)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_some_file_system_takes_for_one(new: Iterator[Path]) -> None:
    for names in (("a/B.jpg", "a/b.jpg"), ("a/\u00e9.jpg", "a/e\u0301.jpg"), ("a", "a/b.jpg"), ("a/b.jpg", "a")):
        for make in (make_zip, make_tar):
            refused(make(next(new), dict.fromkeys(names, b"x")), HOSTILE)
    path = make_zip(next(new), {"a.jpg": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a.jpg", b"2")
    refused(path, HOSTILE)


def test_links_devices_and_encrypted_entries(new: Iterator[Path]) -> None:
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    for kind in (*kinds, tarfile.GNUTYPE_SPARSE):
        with tarfile.open(path := next(new), "w") as archive:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        refused(path, HOSTILE, DAMAGED)
    with zipfile.ZipFile(path := next(new), "w") as file:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    refused(path, HOSTILE)
    data = bytearray(make_zip(path := next(new), {"a.jpg": b"x"}).read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    data[6] |= 1
    path.write_bytes(data)
    refused(path, HOSTILE)


def test_archives_cut_short(new: Iterator[Path]) -> None:
    files = {f"{number}.jpg": os.urandom(3000) for number in range(9)}
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        data = make_tar(path := next(new), files, mode).read_bytes()
        for share in (0.3, 0.6, 0.95):
            path.write_bytes(data[: int(len(data.rstrip(b"\0")) * share)])
            refused(path, DAMAGED)
    data = make_zip(path := next(new), files).read_bytes()
    for share in (0.5, 0.99):
        path.write_bytes(data[: int(len(data) * share)])
        refused(path, DAMAGED)


def test_a_tar_cut_between_two_files_or_damaged_in_a_header(new: Iterator[Path]) -> None:
    data = make_tar(path := next(new), {"a": b"x", "b": b"y"}).read_bytes()
    path.write_bytes(data[:1024])
    refused(path, DAMAGED)
    path.write_bytes(data[:1024] + b"damage" + data[1030:])
    refused(path, DAMAGED)


def test_a_zip_with_a_flipped_bit_or_a_wrong_size(new: Iterator[Path]) -> None:
    data = bytearray(make_zip(path := next(new), FILES, zipfile.ZIP_STORED).read_bytes())
    data[data.index(b"first")] ^= 1
    path.write_bytes(data)
    refused(path, DAMAGED)
    honest = make_zip(path, {"a.txt": b"x" * 5000}).read_bytes()
    for stated in (50, 50_000):
        path.write_bytes(honest.replace(struct.pack("<L", 5000), struct.pack("<L", stated)))
        refused(path, DAMAGED)


def test_too_many_bytes_or_entries(new: Iterator[Path]) -> None:
    for make in (make_zip, make_tar, lambda path, files: make_tar(path, files, "w:gz")):
        refused(make(next(new), {"bomb": bytes(500_000)}), LARGE, most=400_000)
        refused(make(next(new), {f"{number}": os.urandom(100_000) for number in range(12)}), LARGE, most=1 << 20)
        refused(make(next(new), {f"{number}": b"" for number in range(21)}), LARGE, entries=20)


def test_what_is_not_an_archive_or_compressed_something_else(new: Iterator[Path]) -> None:
    for data in (b"<!DOCTYPE html><html>Quota exceeded</html>", b""):
        (path := next(new)).write_bytes(data)
        assert not is_archive(path)
        refused(path, DAMAGED)
    for data in (gzip.compress(b"x"), bz2.compress(b"x" * 600), lzma.compress(b"y" * 600)):
        (path := next(new)).write_bytes(data)
        refused(path, DAMAGED)


def test_headers_that_ask_for_much_memory(new: Iterator[Path]) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}]
    (path := next(new)).write_bytes(lzma.compress(bytes(2048), filters=filters))
    refused(path, DAMAGED)
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 1 << 28
    path.write_bytes(gzip.compress(member.tobuf() + bytes(1 << 20)))
    refused(path, HOSTILE)


MEASURE = """
import re, sys
from pathlib import Path
from wildbench.datasets.transfer._archives import unpacked
from wildbench.errors import DatasetError
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
for path in map(Path, sys.argv[1:]):
    before = peak()
    try:
        with unpacked(path, path.parent):
            print("unpacked", 0)
    except DatasetError as error:
        print(error.code, (peak() - before) // 1024)
"""


def many_entries(number: int) -> bytes:
    """A zip whose directory has that many entries; the files themselves are one and the same."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%08x" % number for number in range(number))
    start = struct.pack("<4s5HL2L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, number, number, len(directory), len(start))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(start) + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return start + directory + wide + locator + end


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_bombs_are_refused_in_little_memory(new: Iterator[Path], tmp_path: Path) -> None:
    """A million entries, and bombs of gigabytes; one process of its own, whose peak is not below that of its parent."""
    (directory := next(new)).write_bytes(many_entries(1_000_000))
    folder, huge = tarfile.TarInfo("folder"), tarfile.TarInfo("bomb")
    folder.type, huge.size = tarfile.DIRTYPE, 100 << 30
    (tar_bomb := next(new)).write_bytes(gzip.compress(huge.tobuf() + bytes(1 << 20)))
    zip_bomb = make_zip(next(new), {f"{number}": bytes(1 << 25) for number in range(3)})
    (folders := next(new)).write_bytes(gzip.compress(folder.tobuf() * 10_000) * 100)
    paths = [directory, tar_bomb, zip_bomb, folders]
    result = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    codes, grown = zip(*(line.split() for line in result.stdout.splitlines()), strict=True)
    assert codes == (HOSTILE, LARGE, LARGE, LARGE)
    assert max(map(int, grown[:3])) < 20
    assert int(grown[3]) < 200
    assert sorted(tmp_path.iterdir()) == paths
