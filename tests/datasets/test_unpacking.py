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
from collections.abc import Callable
from pathlib import Path

import pytest

from wildbench.datasets.formats._archives import Limits, is_archive, unpacked
from wildbench.errors import DatasetError

SMALL = Limits(entries=20, total=1 << 20, ratio=10, free=1 << 16)
FILES = {"park/a.txt": b"first", "park/deep/b.jpg": bytes(range(256)) * 40}


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


def content(archive: Path, beside: Path, limits: Limits | None = None) -> dict[str, bytes]:
    with unpacked(archive, beside, limits=limits) as folder:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(archive: Path, words: str, limits: Limits | None = None) -> None:
    """One line, and neither the folder nor what is around it has anything more than before."""
    around = archive.parent
    beside = around / "cache"
    beside.mkdir(exist_ok=True)
    before = sorted(around.rglob("*"))
    with pytest.raises(DatasetError, match=words) as caught, unpacked(archive, beside, limits=limits):
        pytest.fail("unpacked")
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)
    assert caught.value.remedy
    assert sorted(around.rglob("*")) == before


@pytest.mark.parametrize("mode", ["zip", "stored", "w", "w:gz", "w:bz2", "w:xz"])
def test_each_form_is_unpacked_whatever_its_name(mode: str, tmp_path: Path) -> None:
    archive = tmp_path / "download"
    if mode in ("zip", "stored"):
        make_zip(archive, FILES, zipfile.ZIP_STORED if mode == "stored" else zipfile.ZIP_DEFLATED)
    else:
        make_tar(archive, FILES, mode)
    assert is_archive(archive)
    assert content(archive, tmp_path) == FILES
    assert list(tmp_path.iterdir()) == [archive]


def test_what_is_no_archive_is_known(tmp_path: Path) -> None:
    page = tmp_path / "page.zip"
    page.write_bytes(b"<!DOCTYPE html><html>Quota exceeded</html>")
    assert not is_archive(page)
    refused(page, "damaged or cut short")


def test_a_tar_whose_last_file_is_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner", FILES).read_bytes()
    assert content(make_tar(tmp_path / "outer", {"inner.zip": inner}), tmp_path) == {"inner.zip": inner}


def test_backslashes_of_windows_are_folders(tmp_path: Path) -> None:
    assert list(content(make_tar(tmp_path / "a", {"park\\deep\\b.jpg": b"x"}), tmp_path)) == ["park/deep/b.jpg"]


def test_a_name_that_is_too_long_where_it_is_unpacked(tmp_path: Path) -> None:
    deep = tmp_path
    while len(str(deep)) < 3100:
        deep /= "f" * 200
    deep.mkdir(parents=True)
    refused(make_tar(deep / "a", {"d/" * 450 + "x" * 90: b"x"}), "too long")


HOSTILE_NAMES = {
    "../evil": "leads out",
    "a/../../evil": "leads out",
    "..\\evil": "leads out",
    "/etc/evil": "absolute",
    "C:\\evil": "absolute",
    "c:evil": "absolute",
    "\\\\host\\share\\evil": "absolute|leads out",
    "a\nb": "control",
    "a\x1b[2Jb": "control",
    "x" * 300: "too long",
    "d/" * 3000 + "x": "too long",
}


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_leads_elsewhere(make: Callable[..., Path], name: str, tmp_path: Path) -> None:
    refused(make(tmp_path / "archive", {"good.txt": b"", name: b"evil"}), HOSTILE_NAMES[name])


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a/B.jpg", "a/b.jpg"), "in case only"),
        (("a/\u00e9.jpg", "a/e\u0301.jpg"), "in case only"),
        (("a", "a/b.jpg"), "both a file and a folder"),
        (("a/b.jpg", "A"), "both a file and a folder"),
    ],
)
def test_names_that_some_file_system_takes_for_one(
    make: Callable[..., Path], names: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    refused(make(tmp_path / "archive", dict.fromkeys(names, b"x")), words)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", b"1")
        archive.writestr("a.jpg", b"2")
    refused(tmp_path / "a.zip", "is there twice")


NO_FILES = (
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
    tarfile.GNUTYPE_SPARSE,
)


@pytest.mark.parametrize("kind", NO_FILES)
def test_links_and_devices_in_a_tar(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    refused(tmp_path / "a.tar", "link, a device or a sparse file|damaged")


def test_a_symbolic_link_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "link or a device")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(make_zip(tmp_path / "a.zip", {"a.jpg": b"x"}).read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    data[6] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", "is encrypted")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_tar_cut_short(mode: str, share: float, tmp_path: Path) -> None:
    files = {f"{number}.jpg": os.urandom(3000) for number in range(9)}
    data = make_tar(tmp_path / "a", files, mode).read_bytes()
    (tmp_path / "a").write_bytes(data[: int(len(data.rstrip(b"\0")) * share)])
    refused(tmp_path / "a", "cut short|has not the")


def test_a_tar_cut_between_two_files_or_damaged_in_a_header(tmp_path: Path) -> None:
    data = make_tar(tmp_path / "a", {"a": b"x", "b": b"y"}).read_bytes()
    (tmp_path / "a").write_bytes(data[:1024])
    refused(tmp_path / "a", "no end mark")
    (tmp_path / "a").write_bytes(data[:1024] + b"damage" + data[1030:])
    refused(tmp_path / "a", "no end mark")


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_zip_cut_short(share: float, tmp_path: Path) -> None:
    data = make_zip(tmp_path / "a", {f"{number}.jpg": os.urandom(3000) for number in range(9)}).read_bytes()
    (tmp_path / "a").write_bytes(data[: int(len(data) * share)])
    refused(tmp_path / "a", "damaged or cut short")


def test_a_zip_with_a_flipped_bit(tmp_path: Path) -> None:
    data = bytearray(make_zip(tmp_path / "a", FILES, zipfile.ZIP_STORED).read_bytes())
    data[data.index(b"first")] ^= 1
    (tmp_path / "a").write_bytes(data)
    refused(tmp_path / "a", "CRC")


def test_a_zip_that_states_another_size_than_it_has(tmp_path: Path) -> None:
    data = make_zip(tmp_path / "a", {"a.txt": b"x" * 5000}).read_bytes()
    for stated in (50, 50_000):
        lie = data.replace(struct.pack("<L", 5000), struct.pack("<L", stated))
        (tmp_path / "a").write_bytes(lie)
        refused(tmp_path / "a", "damaged|has not the")


@pytest.mark.parametrize("make", [make_zip, lambda path, files: make_tar(path, files, "w:gz")])
def test_a_decompression_bomb(make: Callable[..., Path], tmp_path: Path) -> None:
    bomb = make(tmp_path / "a", {"bomb": bytes(500_000)})
    refused(bomb, "bomb|more than", SMALL if zipfile.is_zipfile(bomb) else Limits(total=400_000))


def test_too_many_bytes_in_many_files(tmp_path: Path) -> None:
    files = {f"{number}": os.urandom(100_000) for number in range(12)}
    refused(make_zip(tmp_path / "a", files), "unpacks to more than 1,048,576 bytes", SMALL)
    refused(make_tar(tmp_path / "b", files), "unpacks to more than 1,048,576 bytes", SMALL)


def test_too_many_entries(tmp_path: Path) -> None:
    files = {f"{number}": b"" for number in range(21)}
    refused(make_zip(tmp_path / "a", files), "more than 20 entries", SMALL)
    refused(make_tar(tmp_path / "b", files), "more than 20 entries", SMALL)


def test_an_archive_in_an_archive_is_a_file(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"bomb": bytes(1 << 22)}).read_bytes()
    assert content(make_zip(tmp_path / "outer.zip", {"inner.zip": inner}), tmp_path) == {"inner.zip": inner}


def test_an_xz_that_asks_for_gigabytes(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3}]
    (tmp_path / "a").write_bytes(lzma.compress(bytes(2048), filters=filters))
    refused(tmp_path / "a", "damaged or cut short .*[Mm]emory")


def test_a_pax_header_of_many_bytes(tmp_path: Path) -> None:
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 1 << 28
    (tmp_path / "a").write_bytes(gzip.compress(member.tobuf() + bytes(1 << 20)))
    refused(tmp_path / "a", "header of 268,435,456 bytes")


def test_other_compressions_of_something_else(tmp_path: Path) -> None:
    for number, data in enumerate((gzip.compress(b"x"), bz2.compress(b"x" * 600), lzma.compress(b"y" * 600))):
        (tmp_path / f"{number}").write_bytes(data)
        refused(tmp_path / f"{number}", "damaged or cut short")


MEASURE = """
import re, sys
from pathlib import Path
from wildbench.datasets.formats._archives import unpacked
from wildbench.errors import DatasetError
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
try:
    with unpacked(Path(sys.argv[1]), Path(sys.argv[1]).parent):
        print("unpacked")
except DatasetError as error:
    print(error)
print((peak() - before) // 1024)
"""


def measured(archive: Path) -> tuple[str, int]:
    """What is said, and by how many MiB the peak memory grows, in a process of its own.

    `getrusage` would not do: its peak is never below that of the process that started it.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")
    result = subprocess.run([sys.executable, "-c", MEASURE, archive], capture_output=True, text=True, check=True)
    said, grown = result.stdout.splitlines()
    return said, int(grown)


def many_entries(count: int) -> bytes:
    """A zip whose directory has `count` entries; the files themselves are one and the same."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + b"%08x" % number for number in range(count))
    start = struct.pack("<4s5HL2L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), len(start))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(start) + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return start + directory + wide + locator + end


def test_a_million_entries_are_refused_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(many_entries(1_000_000))
    said, grown = measured(tmp_path / "a.zip")
    assert "directory or header of 54,000,000 bytes" in said
    assert grown < 20
    assert list(tmp_path.iterdir()) == [tmp_path / "a.zip"]


def test_a_million_entries_of_a_tar_are_refused_in_little_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("folder")
    member.type = tarfile.DIRTYPE
    (tmp_path / "a.tgz").write_bytes(gzip.compress(member.tobuf() * 10_000) * 100)
    said, grown = measured(tmp_path / "a.tgz")
    assert "more than 50,000 entries" in said
    assert grown < 200
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tgz"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bomb_of_gigabytes_is_refused_in_little_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    if kind == "zip":
        make_zip(path, {f"{number}": bytes(1 << 25) for number in range(3)})
    else:
        member = tarfile.TarInfo("bomb")
        member.size = 100 << 30
        path.write_bytes(gzip.compress(member.tobuf() + bytes(1 << 20)))
    said, grown = measured(path)
    assert "bomb" in said or "unpacks to more than" in said
    assert grown < 20
    assert list(tmp_path.iterdir()) == [path]
