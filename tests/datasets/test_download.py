"""Downloads from a server on this machine that breaks off, lies, or hands out something else."""

import json
import os
import re
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from codes import coded
from park_server import Server, serving

from wildbench.datasets.parks import URL, _trust, check_trusted, fetch
from wildbench.errors import DatasetError, DownloadError, OutputError
from wildbench.files import sha256_of

QUOTA = b"""<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-caption">Sorry, you can't view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p></body></html>"""
LOGIN = b"<!doctype html><html><head><title>Sign in - Google Accounts</title></head><body></body></html>"
CONFIRM = (
    '<html><body><form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
    '<input type="hidden" name="id" value="{id}"><input type="hidden" name="confirm" value="t"></form></body></html>'
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    path = tmp_path / "source.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.bin", os.urandom(3_000_000))
    data = path.read_bytes()
    path.unlink()
    with serving(Server(data)) as running:
        yield running


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "archive"


def left(archive: Path) -> list[str]:
    return sorted(path.name for path in archive.parent.iterdir()) if archive.parent.exists() else []


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_file_is_fetched_once(server: Server, archive: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    assert fetch(server.url, archive, progress=lambda *step: seen.append(step))
    assert archive.read_bytes() == server.data
    assert left(archive) == ["archive"]
    assert seen[-1] == ("download (kB)", 3001, 3001)
    assert len(seen) > 3
    assert not fetch(server.url, archive)
    assert server.asked == [""]


def test_a_connection_that_breaks_half_way_is_taken_up_again(server: Server, archive: Path) -> None:
    server.breaks = [2_000_000, 1]  # the second answer is to gdown's look at the file, before it asks for the rest
    assert fetch(server.url, archive)
    assert archive.read_bytes() == server.data
    assert left(archive) == ["archive"]
    (resumed,) = [int(re.findall(r"\d+", asked)[0]) for asked in server.asked if asked]
    assert 1_000_000 < resumed <= 2_000_000


def test_a_server_that_cannot_resume_is_asked_from_the_start(server: Server, archive: Path) -> None:
    server.ranges, server.breaks = False, [2_000_000]
    assert fetch(server.url, archive)
    assert archive.read_bytes() == server.data
    assert left(archive) == ["archive"]


def test_a_connection_that_always_breaks_leaves_its_part_for_the_next_time(server: Server, archive: Path) -> None:
    server.breaks = [600_000] * 40
    with pytest.raises(DownloadError, check=coded("download/interrupted")) as error:
        fetch(server.url, archive)
    one_line(error)
    (part,) = left(archive)
    kept = (archive.parent / part).stat().st_size
    assert part.endswith(".part")
    assert kept > 0
    server.breaks, server.asked = [], []
    assert fetch(server.url, archive)
    assert archive.read_bytes() == server.data
    assert f"bytes={kept}-" in server.asked
    assert left(archive) == ["archive"]


def test_a_part_of_one_address_is_not_resumed_from_another(server: Server, archive: Path) -> None:
    server.breaks = [600_000] * 40
    with pytest.raises(DownloadError, check=coded("download/interrupted")):
        fetch(server.url, archive)
    server.breaks, server.asked = [], []
    server.data = bytes(100) + server.data[100:]
    assert fetch(f"{server.url}?mirror", archive)
    assert (server.asked, archive.read_bytes() == server.data, left(archive)) == ([""], True, ["archive"])


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_a_refusal_is_named_and_leaves_nothing(status: int, server: Server, archive: Path) -> None:
    server.status = status
    with pytest.raises(DownloadError, check=coded("download/refused", text=str(status))) as error:
        fetch(server.url, archive)
    one_line(error)
    assert left(archive) == []


def test_a_refusal_keeps_what_was_there(server: Server, archive: Path) -> None:
    server.breaks = [600_000] * 40
    with pytest.raises(DownloadError):
        fetch(server.url, archive)
    before = left(archive)
    server.status, server.ranges = 403, False
    with pytest.raises(DownloadError, check=coded("download/refused", text="403")):
        fetch(server.url, archive)
    assert left(archive) == before


@pytest.mark.parametrize("page", [QUOTA, LOGIN, b"", b"PK is not enough", b"\x00" * 4000])
def test_an_answer_that_is_no_archive_is_recognised(page: bytes, server: Server, archive: Path) -> None:
    server.page, server.data = page, b""
    with pytest.raises(DownloadError, check=coded("download/not-an-archive")) as error:
        fetch(server.url, archive)
    one_line(error)
    assert left(archive) == []


def test_a_size_that_is_not_what_was_stated(server: Server, archive: Path) -> None:
    server.stated = len(server.data) + 1000
    with pytest.raises(DownloadError, check=coded("download/interrupted")):
        fetch(server.url, archive)
    assert not archive.exists()


def test_addresses_that_lead_nowhere(archive: Path) -> None:
    for url, code in (
        ("file:///etc/passwd", "bad-address"),
        ("parks.zip", "bad-address"),
        ("http://127.0.0.1:9/x", "no-connection"),
    ):
        with pytest.raises(DownloadError, check=coded(f"download/{code}")) as error:
            fetch(url, archive)
        one_line(error)
    assert left(archive) == []


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, check=coded("output/not-writable", text="file")):
        fetch(server.url, tmp_path / "file" / "cache" / "archive")
    assert server.asked == []


FETCH = """
import resource, sys
from pathlib import Path
from wildbench.datasets.parks import fetch
from wildbench.errors import WildbenchError
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
def progress(task, done, total):
    print(done, flush=True)
try:
    fetch(sys.argv[1], Path(sys.argv[2]), progress=progress)
except WildbenchError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_full_disk_is_one_line_and_keeps_the_part(server: Server, archive: Path) -> None:
    command = [sys.executable, "-c", FETCH, server.url, str(archive), "1000000"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("OutputError: ")
    assert len(result.stderr.splitlines()) == 1
    assert [name.rsplit(".", 1)[1] for name in left(archive)] == ["part"]
    assert fetch(server.url, archive)
    assert archive.read_bytes() == server.data


def test_an_interrupt_keeps_the_part_and_the_next_run_goes_on(server: Server, archive: Path) -> None:
    command = [sys.executable, "-c", FETCH.replace("print(done, flush=True)", "raise KeyboardInterrupt"), server.url]
    result = subprocess.run([*command, str(archive)], capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in result.stderr
    (part,) = left(archive)
    kept = (archive.parent / part).stat().st_size
    assert 0 < kept < len(server.data)
    server.asked = []
    assert fetch(server.url, archive)
    assert f"bytes={kept}-" in server.asked
    assert archive.read_bytes() == server.data


def test_the_first_file_is_trusted_and_another_one_refused(archive: Path) -> None:
    archive.parent.mkdir()
    archive.write_bytes(b"first")
    record = archive.with_name("trusted.json")
    first = check_trusted(archive, record)
    assert not record.exists()
    _trust(archive, first, record)
    assert json.loads(record.read_text())["sha256"] == first == sha256_of(archive)
    assert check_trusted(archive, record) == first
    archive.write_bytes(b"other")
    with pytest.raises(DatasetError, check=coded("dataset/another-archive")) as error:
        check_trusted(archive, record)
    for words in (first, sha256_of(archive), str(record)):
        assert words in one_line(error)


@pytest.fixture
def drive(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Google Drive's addresses, answered by this machine: a proxy that speaks TLS in their name."""
    authority = trustme.CA()
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("drive.google.com", "drive.usercontent.google.com").configure_cert(server.tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, server.url.removesuffix("/parks.zip"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    return server


def test_google_drive_s_confirmation_page_is_passed(drive: Server, archive: Path) -> None:
    paths = []

    def answer(path: str) -> tuple[bytes, bool]:
        paths.append(path)
        return (drive.data, True) if "confirm=t" in path else (CONFIRM.format(id=URL.split("=")[1]).encode(), False)

    drive.drive, drive.breaks = answer, [2_000_000]  # more than the page has
    assert fetch(URL, archive)
    assert archive.read_bytes() == drive.data
    assert paths[0] == "/uc?id=141iHvqb_rD_WwtIhespCSA9maHzQCbb2"
    assert paths[1].startswith("/download?id=141iHvqb_rD_WwtIhespCSA9maHzQCbb2")
    assert any(drive.asked)  # it broke, and went on


@pytest.mark.parametrize("page", [QUOTA, LOGIN])
def test_google_drive_s_quota_and_login_pages_are_refused(page: bytes, drive: Server, archive: Path) -> None:
    drive.drive = lambda path: (page, False)
    with pytest.raises(DownloadError, check=coded("download/refused")) as error:
        fetch(URL, archive)
    one_line(error)
    assert left(archive) == []
