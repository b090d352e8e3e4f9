"""Files are written whole or not at all."""

import hashlib
import stat
from pathlib import Path

import pytest
from codes import coded

from wildbench.errors import OutputError
from wildbench.files import atomic_writer, sha256_of, write_atomically


def test_a_file_and_its_folder_are_created(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b.json", b"{}")
    assert (tmp_path / "a" / "b.json").read_bytes() == b"{}"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_writer(path) as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    plain.write_bytes(b"")
    write_atomically(ours, b"")
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_name_that_no_temporary_file_can_carry_is_told(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("a" * 240), b"whole")
    with pytest.raises(OutputError, check=coded("output/name-too-long")):
        write_atomically(tmp_path / ("a" * 241), b"whole")
    with pytest.raises(OutputError, check=coded("output/folder", text=str(tmp_path))):
        write_atomically(tmp_path, b"whole")
    with pytest.raises(OutputError, check=coded("output/not-writable")):
        write_atomically(tmp_path / ("a" * 240) / "b", b"whole")


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"wildbench")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"wildbench").hexdigest()
