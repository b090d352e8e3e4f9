"""What is wrong with files is listed by `data validate`, and said in a line by whatever scores them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LABELS: dict[str, Any] = {
    "images": [{"id": key, "file_name": f"{key}.jpg", "width": 300, "height": 200} for key in range(1, 11)],
    "categories": [{"id": 1, "name": "lion"}],
    "annotations": [
        {"id": key, "image_id": key, "category_id": 1, "bbox": [10 * key, 60, 50, 40], "area": 2000, "iscrowd": 0}
        for key in range(1, 11)
    ],
}
FOUND = [
    {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5 + entry["id"] / 100}
    for entry in LABELS["annotations"]
]
CORNERS = [
    entry | {"bbox": [x, y, x + width, y + height]} for entry in FOUND for x, y, width, height in [entry["bbox"]]
]


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "herd.json").write_text(json.dumps(LABELS))
    (tmp_path / "honest.json").write_text(json.dumps(FOUND))
    (tmp_path / "corners.json").write_text(json.dumps(CORNERS))
    (tmp_path / "percent.json").write_text(json.dumps([entry | {"score": 50} for entry in FOUND]))
    return tmp_path


def test_validate_lists_what_is_wrong_with_detections(folder: Path) -> None:
    honest = run("data", "validate", "herd.json", "--predictions", "honest.json", cwd=folder)
    assert honest.stdout.splitlines() == ["herd.json: no findings", "honest.json: no findings"]
    assert honest.returncode == 0
    odd = run("data", "validate", "herd.json", "--predictions", "corners.json", cwd=folder)
    assert "detections-xyxy" in odd.stdout
    assert odd.returncode == 0
    wrong = run("data", "validate", "herd.json", "--predictions", "percent.json", cwd=folder)
    assert "score-range" in wrong.stdout
    assert "10 findings" in wrong.stdout
    assert wrong.returncode == 2


def test_detections_wait_for_sound_labels(folder: Path) -> None:
    without = LABELS | {"categories": []}
    (folder / "cut.json").write_text(json.dumps(without))
    result = run("data", "validate", "cut.json", "--predictions", "honest.json", cwd=folder)
    assert result.returncode == 2
    assert "section-empty" in result.stdout
    assert "honest.json not checked: mend cut.json first" in result.stderr


def test_scoring_says_what_is_odd_in_one_line_and_keeps_it(folder: Path) -> None:
    result = run("score", "corners.json", "--dataset", "herd.json", "--out", "card.json", cwd=folder)
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("wildbench: warning detections-xyxy: all 10 detections: read as [x1, y1, x2, y2]")
    assert json.loads((folder / "card.json").read_text())["notes"] == [line.removeprefix("wildbench: ")]


def test_scoring_honest_detections_says_nothing(folder: Path) -> None:
    result = run("score", "honest.json", "--dataset", "herd.json", "--out", "card.json", cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads((folder / "card.json").read_text())["notes"] == []


def test_scoring_refuses_in_one_line_with_the_code(folder: Path) -> None:
    result = run("score", "percent.json", "--dataset", "herd.json", cwd=folder)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "percent.json: [0]: score 50 [score-range, the first of 10 errors]; give a score in 0..1" in line
    assert "divide by 100" in line
