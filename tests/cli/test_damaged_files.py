"""Every verb that takes data, on files with fields dropped, types changed and bytes cut."""

import contextlib
import copy
import io
import json
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_parks import picture

import wildbench
from wildbench.cli import main
from wildbench.errors import WildbenchError

SIZE = (64, 48)
NAMES = ["a/1.jpg", "a/2.jpg", "b/3.jpg"]
PICTURES = {f"images/{name}": picture(number, SIZE) for number, name in enumerate(NAMES)}
COCO: dict[str, Any] = {
    "info": {"year": 2026},
    "images": [
        {"id": number, "file_name": name, "width": 64, "height": 48, "location": name[0], "seq_id": f"s{number}"}
        for number, name in enumerate(NAMES, start=1)
    ],
    "categories": [{"id": 1, "name": "deer"}, {"id": 2, "name": "fox"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 20], "area": 600, "iscrowd": 0,
         "segmentation": [[10, 20, 40, 20, 40, 40]], "attributes": {"rotation": 0}},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [1.5, 2, 20, 9.5], "iscrowd": 1},
        {"id": 3, "image_id": 3, "category_id": 1, "bbox": [0, 0, 64, 48], "ignore": 0},
    ],
}  # fmt: skip
TRAPS: dict[str, Any] = {
    "images": [{"id": name, "file_name": name, "seq_id": "q", "seq_num_frames": 3, "location": 4} for name in NAMES],
    "categories": [{"id": 0, "name": "empty"}, {"id": 7, "name": "deer"}],
    "annotations": [
        {"id": "x", "image_id": NAMES[0], "category_id": 7, "bbox": [10, 20, 30, 20], "count": 1},
        {"id": "y", "image_id": NAMES[1], "category_id": 0},
        {"id": "z", "image_id": NAMES[2], "category_id": 7},
    ],
}
RESULTS = [
    {"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 20], "score": 0.9},
    {"image_id": 3, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.2},
]
MEGADETECTOR = {
    "info": {"format_version": "1.4"},
    "detection_categories": {"1": "animal"},
    "images": [
        {"file": NAMES[0], "detections": [{"category": "1", "conf": 0.9, "bbox": [0.1, 0.2, 0.3, 0.2]}]},
        {"file": NAMES[1], "failure": "image access", "detections": None},
    ],
}
SPECIESNET = {
    "predictions": [
        {
            "filepath": NAMES[0],
            "detections": [{"category": "1", "label": "animal", "conf": 0.9, "bbox": [0.1, 0.2, 0.3, 0.2]}],
            "prediction": "u;;;;;;deer",
        }
    ]
}
SPLIT = {
    "format_version": 1, "name": "s", "dataset": "labels", "sha256": "0" * 64, "labels_sha256": None,
    "method": "by hand", "seed": None, "parts": {"train": [1, 2], "test": [3]},
}  # fmt: skip
LABELS: dict[str, Any] = {"coco": COCO, "traps": TRAPS}
DETECTIONS: dict[str, Any] = {"coco": RESULTS, "megadetector": MEGADETECTOR, "speciesnet": SPECIESNET}
ODD: list[Any] = [
    None, True, -1, 0, 1.5, 2**70, 1e308, float("nan"), "", "x", "\x00", "\ud800", "../a", "🦁", [], [1], [None] * 4,
    {}, {"a": 1}, [[1, 2]], "1" * 5000,
]  # fmt: skip
QUICK = [
    ["data", "validate", "labels.json"],
    ["data", "validate", "labels.json", "--headers-only", "--predictions", "found.json"],
    ["data", "info", "labels.json"],
    ["data", "import", ".", "--out", "new", "--form", "coco", "--contact-sheet", "sheet.jpg"],
    ["data", "export", "labels.json", "--to", "yolo", "--out", "new"],
    ["data", "export", "labels.json", "--to", "voc", "--out", "new", "--split-file", "s.json"],
    ["data", "export", "labels.json", "--to", "coco", "--out", "new"],
    [
        "data",
        "split",
        "labels.json",
        "--out",
        "t.json",
        "--no-duplicates",
        "--group-by",
        "folder:1",
        "--share",
        "one=1",
        "--share",
        "other=1",
    ],
    ["data", "leaks", "labels.json", "--split-file", "s.json"],
]
SLOW = [
    ["score", "found.json", "--dataset", "labels.json", "--out", "c.json"],
    ["score", "found.json", "--dataset", "labels.json", "--class-agnostic", "--limit", "2", "--out", "c.json"],
    ["score", "found.json", "--dataset", "labels.json", "--split-file", "s.json", "--split", "test", "--out", "c.json"],
    ["compare", "card.json", "card.json", "--dataset", "labels.json"],
    ["train", "r.toml", "--dataset", "labels.json", "--split-file", "s.json", "--split", "test", "-o", "o.pt"],
    ["evaluate"],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


@st.composite
def folders(draw: st.DrawFn) -> dict[str, bytes]:
    """A folder of labels, detections, a split file and pictures, of which one file is damaged, or two."""
    documents = {
        "labels.json": draw(st.sampled_from(list(LABELS.values()))),
        "found.json": draw(st.sampled_from(list(DETECTIONS.values()))),
        "s.json": SPLIT,
    }
    files = {name: json.dumps(one).encode() for name, one in documents.items()} | PICTURES
    damaged = draw(st.lists(st.sampled_from(["labels.json", *files]), min_size=1, max_size=2, unique=True))
    for name in damaged:
        if name in documents and draw(st.booleans()):
            document = copy.deepcopy(documents[name])
            path = draw(st.sampled_from(places(document)[1:]))
            owner = document
            for key in path[:-1]:
                owner = owner[key]
            if draw(st.booleans()):
                del owner[path[-1]]
            else:
                owner[path[-1]] = draw(st.sampled_from(ODD))
            files[name] = json.dumps(document).encode()
        else:
            data = files[name]
            at = draw(st.integers(0, len(data) - 1))
            byte = bytes([draw(st.integers(0, 255))])
            files[name] = draw(st.sampled_from([data[:at], data[at:], data[:at] + byte + data[at + 1 :]]))
    return files


def said(arguments: list[str]) -> tuple[int, str]:
    """Exit code of a command and what it wrote to stderr; a traceback where it ended by an exception."""
    streams = io.StringIO(), io.StringIO()
    kept, sys.argv = sys.argv, ["wildbench", *arguments]
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            if arguments == ["evaluate"]:
                wildbench.evaluate(_see, dataset="labels.json", categories=["deer"], skip_unreadable=True)
            else:
                main()
    except SystemExit as ended:
        return int(ended.code or 0), streams[1].getvalue()
    except WildbenchError as error:
        return 2, error.line()
    except BaseException:
        return 1, traceback.format_exc()
    finally:
        sys.argv = kept
    return 0, streams[1].getvalue()


def _see(image: np.ndarray) -> dict[str, np.ndarray]:
    boxes = np.array([[1.0, 1.0, 30.0, 30.0]], np.float32)
    return {"boxes": boxes, "scores": np.array([0.5], np.float32), "labels": np.array([1])}


def check(files: dict[str, bytes], arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, data in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(data)
        Path("r.toml").write_text("")
        if arguments[0] == "compare":
            Path("found2.json").write_text(json.dumps(RESULTS))
            Path("sound.json").write_text(json.dumps(COCO))
            assert said(["score", "found2.json", "--dataset", "sound.json", "--out", "card.json"])[0] == 0
        status, errors = said(arguments)
        assert status in (0, 2), errors
        assert "Traceback" not in errors
        return status


def test_what_is_whole_is_taken() -> None:
    files = {"labels.json": COCO, "found.json": RESULTS, "s.json": SPLIT}
    sound = {name: json.dumps(one).encode() for name, one in files.items()} | PICTURES
    for arguments in QUICK:
        assert check(sound, arguments) == 0, arguments


def test_no_library_writes_to_the_terminal(tmp_path: Path) -> None:
    """Of a JPEG with bytes that belong to nothing, libjpeg warns by itself."""
    data = picture(1, SIZE)
    for number, name in enumerate(NAMES):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(data[:-2] + bytes(40) * (number == 0) + data[-2:])
    (tmp_path / "labels.json").write_text(json.dumps(COCO))
    code = "from wildbench.cli import main; main()"
    command = [sys.executable, "-c", code, "data", "validate", "labels.json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    missing = subprocess.run([*command[:-1], "none.json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert missing.stderr.startswith("wildbench: ")


@given(folders(), st.sampled_from(QUICK))
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_damage_is_borne_or_refused_in_one_line(files: dict[str, bytes], arguments: list[str]) -> None:
    check(files, arguments)


@pytest.mark.slow
@given(folders(), st.sampled_from([*QUICK, *SLOW]))
@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_five_hundred_kinds_of_damage_are_borne_or_refused_in_one_line(
    files: dict[str, bytes], arguments: list[str]
) -> None:
    check(files, arguments)
