"""Detecting with a real file, in processes of their own, on pictures in a folder, behind a URL and in tars."""

import json
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import Run, runner
from refusals import refused
from submissions.made_up_graphs import ULTRALYTICS, graph, yolov8

from wildbench.distributed import detect, merge
from wildbench.distributed._remote import pictures_at
from wildbench.errors import DatasetError

COUNT = 6


@pytest.fixture(scope="module")
def herd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs with labels, one that is damaged, and a detector that says the same of each."""
    folder = tmp_path_factory.mktemp("herd")
    (folder / "images" / "north").mkdir(parents=True)
    noise = np.random.default_rng(3)
    names = [f"north/{number}.jpg" for number in range(COUNT)]
    for name in names:
        cv2.imwrite(str(folder / "images" / name), noise.integers(0, 256, (64, 64, 3), np.uint8))
    damaged = folder / "images" / names[4]
    damaged.write_bytes(damaged.read_bytes()[:300])
    images = [{"id": 7 + at, "file_name": name, "width": 64, "height": 64} for at, name in enumerate(names)]
    boxes = [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [8, 8, 32, 16], "area": 512, "iscrowd": 0}]
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "zebra"}]}
    (folder / "labels.json").write_text(json.dumps(coco))
    graph(folder / "yolo.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS)
    with tarfile.open(folder / "shard-00.tar", "w") as first, tarfile.open(folder / "shard-01.tar", "w") as second:
        for at, name in enumerate(names):
            (first, second)[at % 2].add(folder / "images" / name, name)
    return folder


@contextmanager
def served(folder: Path, fail_first: int = 0, forbidden: bool = False) -> Iterator[tuple[str, Counter[str]]]:
    """A web server on this machine that breaks off the first answers for each file."""
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked[self.path] += 1
            file = folder / self.path.lstrip("/")
            if asked[self.path] <= fail_first and not forbidden:
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(b"only this")
                self.close_connection = True
            else:
                self.answer(file.read_bytes() if file.is_file() and not forbidden else None)

        def answer(self, data: bytes | None) -> None:
            wanted = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            ranged = data is not None and wanted[1] == "-"
            self.send_response(403 if forbidden else 404 if data is None else 206 if ranged else 200)
            if data is not None and ranged:
                start, whole = int(wanted[0] or 0), len(data)
                data = data[start : int(wanted[2] or whole) + 1]
                self.send_header("Content-Range", f"bytes {start}-{start + len(data) - 1}/{whole}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def test_the_command_line_detects_in_shards_and_merges(
    herd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: Run = runner(monkeypatch, capsys, tmp_path)
    common = ("--dataset", herd / "labels.json", "--device", "cpu", "--out", "parts")
    for shard in ("2/2", "1/2"):
        assert run("detect", herd / "yolo.onnx", *common, "--shard", shard, "--workers", 1).status == 0
    again = run("detect", herd / "yolo.onnx", *common, "--shard", "1/2", "--workers", 1)
    assert again.stdout == "parts: 2 of 3 images answered, 2 of them before, 1 failed\n"
    assert run("merge", "parts", "-o", "found.json").status == 0
    assert "north/4.jpg" in Path("found.unanswered.csv").read_text()
    found = json.loads(Path("found.json").read_text())
    assert [one["image_id"] for one in found] == [7, 8, 9, 10, 12]
    assert found[0]["bbox"] == [8.0, 8.0, 32.0, 16.0]
    run("merge", "parts", "-o", "found.parquet")
    cards = []
    for name in ("found.json", "found.parquet"):
        assert run("score", name, "--dataset", herd / "labels.json", "--out", f"{name}.card.json").status == 0
        cards.append(json.loads(Path(f"{name}.card.json").read_text())["accuracy"]["ap50"])
    assert cards[0] == cards[1]
    assert cards[0]["value"] == pytest.approx(1)
    run("merge", "nowhere", "-o", "x.json").refused("job/no-job", "nowhere")
    run("detect", herd / "yolo.onnx", *common, "--shard", "3/2").refused("job/bad-shard", "3/2")


@pytest.mark.parametrize("place", ["folder", "http", "tar", "http tar", "file url"])
def test_pictures_are_read_where_they_lie(herd: Path, tmp_path: Path, place: str) -> None:
    with served(herd) as (url, _):
        where = {
            "folder": str(herd / "images"),
            "http": f"{url}/images",
            "tar": str(herd / "shard-{00..01}.tar"),
            "http tar": f"{url}/shard-{{00..01}}.tar",
            "file url": f"file://{herd}/images",
        }[place]
        ran = detect(
            herd / "yolo.onnx",
            dataset=herd / "labels.json",
            images=where,
            out=tmp_path,
            workers=1,
            device="cpu",
        )
    assert (ran.images, ran.failed) == (COUNT, 1)
    merged = merge([tmp_path])
    assert list(merged.failed) == [4]
    assert merged.detections.image_ids.tolist() == [7, 8, 9, 10, 12]


def test_a_server_that_breaks_off_is_asked_again(herd: Path) -> None:
    waits: list[float] = []
    with served(herd, fail_first=2) as (url, asked):
        pixels = pictures_at(f"{url}/images", waits.append)("north/0.jpg")
    assert pixels.shape == (64, 64, 3)
    assert waits == [0.5, 1.0]
    assert asked["/images/north/0.jpg"] == 3


def test_what_never_comes_is_a_failure_that_is_counted(herd: Path) -> None:
    waits: list[float] = []
    with served(herd, fail_first=99) as (url, _):
        read = pictures_at(f"{url}/images", waits.append)
        with refused("dataset/image-unreadable", "north/0.jpg", kind=DatasetError):
            read("north/0.jpg")
    assert len(waits) == 4
    with served(herd) as (url, _), refused("dataset/image-missing", "none.jpg", kind=DatasetError):
        pictures_at(f"{url}/images")("none.jpg")


def test_no_permission_no_such_place_and_no_library_are_one_line(herd: Path, tmp_path: Path) -> None:
    with served(herd, forbidden=True) as (url, _), refused("dataset/remote-unreachable", url, kind=DatasetError):
        pictures_at(f"{url}/shard-00.tar", lambda _: None)
    for place in (
        f"file://{tmp_path}/none",
        f"{tmp_path}/none.tar",
        "nosuch://a/b",
        str(herd / "labels.json") + ".tar",
    ):
        with refused("dataset/remote-unreachable", place.rsplit("/", 1)[-1], kind=DatasetError):
            pictures_at(place, lambda _: None)
