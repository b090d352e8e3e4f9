"""`wildbench evaluate FILE`, where the file says it all or nearly all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Run, runner
from made_up_graphs import BY_CLASS, LABELS, NAMES, SCORES, ULTRALYTICS, XYXY, graph, rows, yolov8
from onnx import TensorProto
from PIL import Image

from wildbench.submissions.manifest import manifest_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return runner(monkeypatch, capsys, tmp_path)


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of noise, 64 x 64, labelled with what the graphs answer."""
    folder = tmp_path_factory.mktemp("constant")
    noise = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for number in (1, 2):
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        for (x, y, right, low), label in zip(XYXY.tolist(), LABELS.tolist(), strict=True):
            box = [x, y, right - x, low - y]
            labels.append({"id": len(labels) + 1, "image_id": number, "category_id": label + 1, "bbox": box})
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)]
    path = folder / "constant.json"
    path.write_text(json.dumps({"images": images, "annotations": labels, "categories": categories}))
    return path


def evaluated(run: Run, coco: Path, path: Path) -> dict[str, Any]:
    card = path.with_suffix(".card.json")
    run("evaluate", path, "--dataset", coco, "--device", "cpu", "--out", card)
    document: dict[str, Any] = json.loads(card.read_text())
    assert document["accuracy"]["ap"]["value"] == pytest.approx(1)
    return document


def test_metadata_of_an_export(tmp_path: Path, coco: Path, run: Run) -> None:
    card = evaluated(run, coco, graph(tmp_path / "best.onnx", {"output0": yolov8()}, metadata=ULTRALYTICS))
    assert card["submission"]["manifest"].startswith("manifest: read from the file: ")
    assert card["submission"]["name"] == "best"


def test_finished_rows_in_bytes_with_the_colours_last(tmp_path: Path, coco: Path, run: Run) -> None:
    path = graph(
        tmp_path / "end.onnx",
        {"output0": rows(XYXY, SCORES, LABELS)},
        (1, 64, 64, 3),
        TensorProto.UINT8,
        metadata=ULTRALYTICS | {"end2end": "True"},
    )
    evaluated(run, coco, path)


def test_boxes_and_scores_with_a_sidecar_of_categories(tmp_path: Path, coco: Path, run: Run) -> None:
    path = graph(tmp_path / "nas.onnx", {"boxes": XYXY[None], "scores": BY_CLASS[None]}, (8, 3, 64, 64))
    manifest_path(path).write_text(json.dumps({"categories": NAMES, "input": {"resize": "letterbox"}}))
    card = evaluated(run, coco, path)
    assert "completed by outputs from the graph" in card["submission"]["manifest"]
