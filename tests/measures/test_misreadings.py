"""Mistakes in a manifest that nothing refuses: each is noticed, and sound detectors are left in peace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from small_networks import beside

import wildbench
from wildbench.datasets.coco import Dataset, subset
from wildbench.datasets.findings import Finding
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.evaluation import detections_of
from wildbench.evaluator import known_categories
from wildbench.measures import misreadings
from wildbench.measures.matching import Scored
from wildbench.resources import bundled
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process import Sandbox

SHARED = Path(__file__).parents[3] / "shared"
SIDE, STEP = 64, 16
NAMES = ["zebra", "lion", "elephant"]
COLOURS = np.array([[240, 30, 30], [30, 240, 30], [60, 60, 240]], np.uint8)
"""Of the animal of each category; the ground is dark."""


def cells() -> np.ndarray:
    """Corners of a grid of 16 boxes, 12 pixels wide and 10 high."""
    x, y = np.meshgrid(np.arange(0, SIDE, STEP), np.arange(0, SIDE, STEP))
    return np.stack([x + 2, y + 3, x + 14, y + 13], axis=-1).reshape(-1, 4).astype(np.float32)


@pytest.fixture(scope="module")
def herd(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twenty-four pictures of coloured boxes in cells of a grid; the category is the colour."""
    folder, generator = tmp_path_factory.mktemp("herd"), np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 25):
        pixels = np.full((SIDE, SIDE, 3), 10, np.uint8)
        for cell in generator.choice(16, 4, replace=False):
            x1, y1, x2, y2 = cells()[cell].astype(int)
            category = int(generator.integers(3))
            pixels[y1:y2, x1:x2] = COLOURS[category]
            bbox = [int(x1), int(y1), int(x2 - x1), int(y2 - y1)]
            identity = {"id": len(annotations) + 1, "image_id": number, "category_id": category + 1}
            annotations.append(identity | {"bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0})
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
    categories = [{"id": place, "name": name} for place, name in enumerate(NAMES, start=1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "herd.json").write_text(json.dumps(document))
    return load_dataset(folder / "herd.json")


def detector(path: Path, boxes: np.ndarray, full: float = 1.0, gain: float = 1.0, **changes: Any) -> Path:
    """A network that scores each cell by how near its mean colour is to that of each animal: [1, 16, 4 + 3].

    `full` is its white; `gain` below 1 makes it hear little of the picture.
    """
    wanted = COLOURS.astype(np.float32) / 255 * full
    norms = -(wanted**2).sum(axis=1) / 2  # wanted . colour - wanted^2 / 2 is highest where they are equal
    weights = {
        "ones": np.full((3, 1, STEP, STEP), 1 / (12 * 10), np.float32),
        "ground": np.float32(-0.4 * 10 / 255 * full),  # 136 of a cell's 256 pixels are ground
        "wanted": wanted.reshape(3, 3, 1, 1),
        "norms": norms,
        "steep": np.float32(20 * gain / full**2),
        "flat": np.array([1, 3, 16]),
        "boxes": boxes[None],
    }
    nodes = [
        helper.make_node("Conv", ["image", "ones"], ["sums"], strides=[STEP, STEP], group=3),
        helper.make_node("Add", ["sums", "ground"], ["means"]),
        helper.make_node("Conv", ["means", "wanted", "norms"], ["near"]),
        helper.make_node("Mul", ["near", "steep"], ["steeper"]),
        helper.make_node("Reshape", ["steeper", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Sigmoid", ["turned"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=2),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, 3, SIDE, SIDE]), ("output0", [1, 16, 7]))
    ]
    stored = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "cells", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)
    limits = {"score_threshold": 0.001, "nms_iou": 0.6, "max_detections": 100}
    output = {"kind": "yolov8", "transposed": True, **limits}
    keys: dict[str, Any] = {"categories": NAMES, "input": {"scale": "0-1" if full == 1 else "0-255"}, "output": output}
    return beside(path, **{**keys, **changes})


def centres() -> np.ndarray:
    corners = cells()
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)


def doubts(path: Path, data: Dataset, manifest: Manifest | None = None) -> tuple[float, list[Finding]]:
    """AP50 by its manifest, and what is found wrong with that."""
    from wildbench.datasets.images import decode

    with Sandbox(path, manifest=manifest, threads=1) as box:
        ids = known_categories(box.manifest.label_names, data, "it")
        parts = [
            detections_of(image["id"], box.predict(decode(data.image_path(image))).detections, ids)
            for image in data.images
        ]
        scored = Scored(data, Detections.concatenate(parts), frozenset(ids.values()))
        return misreadings.ap50(scored), misreadings.find_misreadings(box, scored, ids)


def mistake(finding: Finding) -> str:
    """Its short name."""
    assert finding.code == "manifest-misread"
    return finding.message.partition(":")[0]


DESCRIBED: dict[str, Any] = {
    "kind": "described",
    "boxes": {"columns": (0, 4), "form": "xyxy"},
    "scores": {"columns": (4, 7)},
    **{"score_threshold": 0.001, "nms_iou": 0.6, "max_detections": 100},
}
WRONG: dict[str, tuple[str, float, Mapping[str, Any]]] = {
    "corners-as-centres": ("corners", 1, {}),
    "centres-as-corners": ("centres", 1, {"output": DESCRIBED}),
    "scale": ("centres", 255, {"input": {"scale": "0-1"}}),
    "channel-order": ("centres", 1, {"input": {"channels": "bgr"}}),
    "labels-shifted": ("centres", 1, {"categories": ["N/A", "zebra", "lion"]}),
}


@pytest.mark.parametrize("code", WRONG)
def test_each_mistake_is_noticed(code: str, tmp_path: Path, herd: Dataset) -> None:
    form, full, changes = WRONG[code]
    boxes = cells() if form == "corners" else centres()
    score, [finding] = doubts(detector(tmp_path / "cells.onnx", boxes, full, **changes), herd)
    assert (mistake(finding), finding.severity) == (code, "warning")
    assert score < misreadings.LOW or code == "channel-order"


@pytest.mark.parametrize("full", [1, 255])
def test_a_sound_detector_is_left_in_peace(full: float, tmp_path: Path, herd: Dataset) -> None:
    score, findings = doubts(detector(tmp_path / "cells.onnx", centres(), full), herd)
    assert score > 0.95
    assert findings == []


def test_a_weak_detector_is_left_in_peace(tmp_path: Path, herd: Dataset) -> None:
    """One that looks elsewhere, one that hears nothing, and one that calls everything by one name."""
    moved = centres() + np.float32([7, 6, 0, 0])
    deaf = detector(tmp_path / "deaf.onnx", centres(), gain=0.0)
    for path in (detector(tmp_path / "moved.onnx", moved), deaf):
        score, findings = doubts(path, herd)
        assert score < misreadings.LOW
        assert findings == []


def test_few_boxes_tell_nothing(tmp_path: Path, herd: Dataset) -> None:
    few = replace(herd, coco=subset(herd.coco, {1}))
    assert doubts(detector(tmp_path / "cells.onnx", cells()), few)[1] == []


def test_the_bundled_reference_is_left_in_peace() -> None:
    """Its format says what it takes: it is not even run."""
    data = load_dataset("parksim", limit=2, with_images=False)
    with Sandbox(bundled("baselines/reference.pt")) as box:
        ids = known_categories(box.manifest.label_names, data, "reference")
        assert misreadings.find_misreadings(box, Scored(data, Detections.concatenate([])), ids) == []


def test_the_note_is_in_the_record(tmp_path: Path, herd: Dataset) -> None:
    card = wildbench.evaluate(detector(tmp_path / "cells.onnx", cells()), dataset=herd)
    [note] = [note for note in card.notes if "manifest-misread" in note]
    assert note.startswith(
        "warning manifest-misread: output.boxes: corners-as-centres: with output.boxes.form 'xyxy' AP50"
    )


def test_a_case_of_strangers_is_noticed(tmp_path: Path, herd: Dataset) -> None:
    """Constant corners, read as centres; its data set has these corners as boxes in every picture."""
    path = SHARED / "cases" / "artifacts" / "boxes_xyxy_read_as_cxcywh.onnx"
    if not path.exists():
        pytest.skip("../shared/cases is not here")
    right = json.loads(path.with_suffix(".manifest.json").read_text())
    right["output"] = DESCRIBED | {"boxes": {"columns": (0, 4), "candidates": "columns"}}
    right["output"]["scores"] = {"columns": (4, 7), "candidates": "columns"}
    right["output"]["score_threshold"] = 0.5
    with Sandbox(path, manifest=Manifest.model_validate(right), threads=1) as box:
        found = box.predict(np.zeros((SIDE, SIDE, 3), np.uint8)).detections
    annotations = [
        {"image_id": image["id"], "category_id": int(label), "iscrowd": 0, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for image in herd.images[:4]
        for (x1, y1, x2, y2), label in zip(found.boxes.tolist(), found.labels, strict=True)
    ]
    annotations = [one | {"id": place, "area": 100.0} for place, one in enumerate(annotations, start=1)]
    data = replace(herd, coco={**herd.coco, "images": herd.images[:4], "annotations": annotations})
    _, [finding] = doubts(path, data)
    assert mistake(finding) == "corners-as-centres"


def test_corners_read_as_centres_show_without_a_label_that_they_fit(tmp_path: Path, herd: Dataset) -> None:
    corners = cells() + np.float32([3.5, 4.5, 3.5, 4.5])
    for boxes, expected in ((corners, ["box-form"]), (centres() + np.float32([7.5, 6.5, 0, 0]), [])):
        score, findings = doubts(detector(tmp_path / "cells.onnx", boxes, gain=0.0), herd)
        assert score < misreadings.LOW
        assert list(map(mistake, findings)) == expected


@pytest.fixture(scope="module")
def wildlife() -> Dataset:
    """Twenty-four photographs with animals that COCO's detectors know."""
    path = SHARED / "data" / "wildlife_real" / "annotations" / "val.json"
    if not path.exists() or not (SHARED / "weights" / "yolox_nano.onnx").exists():
        pytest.skip("../shared/data or ../shared/weights is not here")
    data = load_dataset(path)
    known = {entry["id"] for entry in data.categories if entry["name"] in ("zebra", "elephant", "giraffe", "person")}
    ids = [image["id"] for image in data.images if known & {box["category_id"] for box in data.boxes(image["id"])}]
    return replace(data, coco=subset(data.coco, set(ids[:: len(ids) // 24][:24])))


REAL: dict[str | None, dict[str, Any]] = {
    None: {},
    "scale": {"scale": "0-1"},
    "scale-and-channels": {"scale": "0-1", "channels": "rgb"},
    "labels-shifted": {"categories": 1},
}


@pytest.mark.parametrize("code", REAL)
def test_yolox_on_photographs(code: str | None, wildlife: Dataset) -> None:
    document = json.loads((Path(__file__).parents[2] / "docs" / "yolox_nano.manifest.json").read_text())
    document["category_map"] = {}
    change = dict(REAL[code])
    document["categories"] = ["N/A"] * change.pop("categories", 0) + document["categories"]
    document["categories"] = document["categories"][:80]
    document["input"] |= change
    _, findings = doubts(SHARED / "weights" / "yolox_nano.onnx", wildlife, Manifest.model_validate(document))
    allowed = {"scale", "scale-and-channels"} if code == "scale-and-channels" else {code}  # both explain it as well
    assert set(map(mistake, findings)) <= allowed
    assert bool(findings) == (code is not None)


@pytest.mark.slow
@pytest.mark.parametrize("channels", ["bgr", "rgb"])
def test_yolox_in_the_other_order_of_the_colours(channels: str) -> None:
    """It loses two points of AP50 by it; 211 photographs with animals show it, and leave the right order in peace."""
    path = SHARED / "data" / "wildlife_real" / "annotations" / "val.json"
    if not path.exists() or not (SHARED / "weights" / "yolox_nano.onnx").exists():
        pytest.skip("../shared/data or ../shared/weights is not here")
    document = json.loads((Path(__file__).parents[2] / "docs" / "yolox_nano.manifest.json").read_text())
    document["input"]["channels"] = channels
    manifest = Manifest.model_validate(document)
    score, findings = doubts(SHARED / "weights" / "yolox_nano.onnx", load_dataset(path), manifest)
    assert score > 0.8
    assert [mistake(finding) for finding in findings] == (["channel-order"] if channels == "rgb" else [])
