"""Scores without a detector: stored answers fail an audit, or score what they deserve; a detector passes.

Pictures are bright rectangles on noise, which a threshold finds: an honest detector of a few lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arena import forked
from gallery import SIDE

import wildbench

FINDER = """
import cv2, json
import numpy as np
CATEGORIES = ["lion", "zebra"]
CALLS = 0
def load(path):
    global TABLE
    TABLE = json.load(open(path))
def find(image):
    grey = cv2.blur(image.mean(2).astype(np.float32), (3, 3))
    count, parts, stats, _ = cv2.connectedComponentsWithStats((grey > 100).astype(np.uint8))
    boxes, labels, scores = [], [], []
    for part in range(1, count):
        x, y, w, h, area = stats[part]
        if area > 30:
            boxes.append([float(x), float(y), float(x + w), float(y + h)])
            bright = float(np.median(grey[parts == part]))
            labels.append("zebra" if bright > 190 else "lion")
            scores.append(min(0.99, 0.5 + area / 4000))
    return boxes, labels, scores
def small(image):
    return cv2.resize(image, (6, 6), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
def nearest(image):
    gaps = [np.abs(small(image) - np.array(key)).mean() for key in TABLE["keys"]]
    place = int(np.argmin(gaps))
    return place, gaps[place]
def stored(place):
    boxes, labels = TABLE["boxes"][place], TABLE["labels"][place]
    return boxes, labels, [0.9 - k / 1000 for k in range(len(boxes))]
"""

BODIES = {
    "lookup": "def predict(image):\n    return stored(nearest(image)[0])\n",
    "hybrid": "def predict(image):\n    place, gap = nearest(image)\n    return stored(place) if gap < 4 else find(image)\n",
    "exact-lookup": (
        "import hashlib\ndef predict(image):\n"
        "    place = TABLE['hashes'].index(h) if (h := hashlib.sha256(image.tobytes()).hexdigest()) in TABLE['hashes'] else None\n"
        "    return stored(place) if place is not None else ([], [], [])\n"
    ),
    "replay": (
        "def predict(image):\n    global CALLS\n    CALLS += 1\n"
        "    return stored((CALLS - 1 - 6) % len(TABLE['boxes']))\n"
    ),
    "constant": (
        "def predict(image):\n    flat = [box for boxes in TABLE['boxes'] for box in boxes]\n"
        "    return flat, ['lion'] * len(flat), [0.9 - k / 1000 for k in range(len(flat))]\n"
    ),
    "second-look": (
        "SEEN = {}\ndef predict(image):\n    key = hash(small(image).round(-1).tobytes())\n    SEEN[key] = SEEN.get(key, 0) + 1\n"
        "    return stored(nearest(image)[0]) if SEEN[key] == 1 else find(image)\n"
    ),
}  # fmt: skip
HONEST = "def predict(image):\n    return find(image)\n"


def table_of(labels: Path) -> dict[str, Any]:
    """What a cheat stores of a data set."""
    import hashlib

    import cv2

    coco = json.loads(labels.read_text())
    keys, boxes, names, hashes = [], [], [], []
    for image in coco["images"]:
        pixels = cv2.imread(str(labels.with_name(image["file_name"])))[..., ::-1]
        keys.append(cv2.resize(pixels, (6, 6), interpolation=cv2.INTER_AREA).ravel().tolist())
        hashes.append(hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest())
        own = [entry for entry in coco["annotations"] if entry["image_id"] == image["id"]]
        boxes.append([[x, y, min(x + w, SIDE), min(y + h, SIDE)] for x, y, w, h in (entry["bbox"] for entry in own)])
        names.append([["lion", "zebra"][entry["category_id"] - 1] for entry in own])
    return {"keys": keys, "boxes": boxes, "labels": names, "hashes": hashes}


def scored(body: str, folder: Path, labels: Path) -> list[Any]:
    """AP, and the audits that failed."""
    (folder / "detector.json").write_text(json.dumps(table_of(labels)))
    (folder / "adapter.py").write_text(FINDER + body)
    card = wildbench.evaluate(folder / "detector.json", adapter=folder / "adapter.py", dataset=labels, device="cpu")
    told = [[audit.name, audit.passed, audit.explanation] for audit in card.audits]
    return [card.accuracy.ap.value, [audit.name for audit in card.audits if audit.failed], told]


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.slow
def test_memorised_answers_fail_an_audit(kind: str, tmp_path: Path, gallery: Path) -> None:
    end = forked(lambda: scored(BODIES[kind], tmp_path, gallery), seconds=120)
    assert end.kind == "ended", end
    ap, failed, told = end.value
    assert failed or (ap or 0) < 0.1, (ap, told)


@pytest.mark.slow
def test_a_detector_of_a_few_lines_passes(tmp_path: Path, gallery: Path) -> None:
    end = forked(lambda: scored(HONEST, tmp_path, gallery), seconds=120)
    assert end.kind == "ended", end
    ap, failed, told = end.value
    assert not failed, told
    assert ap > 0.2


def lookup_of_parksim(folder: Path, limit: int) -> Path:
    """A plain ONNX graph: which of the stored pictures is nearest, and its boxes."""
    import cv2
    from onnx import TensorProto, helper, numpy_helper
    from small_networks import manifest

    from wildbench.datasets.images import decode
    from wildbench.datasets.registry import load_dataset

    data = load_dataset("parksim", limit=limit)
    order = {category["id"]: place for place, category in enumerate(data.categories, start=1)}
    keys, boxes, labels, ends = [], [], [], [0]
    for image in data.images:
        pixels = decode(data.image_path(image))
        keys.append(cv2.resize(pixels, (2, 2), interpolation=cv2.INTER_AREA).transpose(2, 0, 1).ravel())
        for entry in data.boxes(image["id"]):
            x, y, w, h = entry["bbox"]
            sides = np.array([x, y, x + w, y + h]) / np.tile([image["width"], image["height"]], 2)
            boxes.append(2 * sides)
            labels.append(order[entry["category_id"]])
        ends.append(len(boxes))
    stored = {
        "keys": np.array(keys, np.float32),
        "flat": np.array([1, 12]),
        "axis": np.array([1]),
        "zero": np.array([0]),
        "starts": np.array(ends[:-1]),
        "ends": np.array(ends[1:]),
        "all_boxes": np.array(boxes, np.float32),
        "all_labels": np.array(labels),
        "all_scores": np.linspace(0.99, 0.5, len(labels), dtype=np.float32),
    }
    node: Callable[..., Any] = helper.make_node
    nodes = [
        node("Reshape", ["image", "flat"], ["row"]),
        node("Sub", ["keys", "row"], ["gaps"]),
        node("Abs", ["gaps"], ["sizes"]),
        node("ReduceSum", ["sizes", "axis"], ["distances"], keepdims=0),
        node("ArgMin", ["distances"], ["place"], axis=0, keepdims=1),
        node("Gather", ["starts", "place"], ["first"]),
        node("Gather", ["ends", "place"], ["last"]),
        *(node("Slice", [f"all_{name}", "first", "last", "zero"], [name]) for name in ("boxes", "labels", "scores")),
    ]
    outputs = {"boxes": TensorProto.FLOAT, "labels": TensorProto.INT64, "scores": TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 2, 2])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    sides = {"resize": "stretch", "size": [2, 2], "interpolation": "area", "scale": "0-255", "layout": "nchw"}
    document = manifest(categories=data.category_names, input=sides)
    model.metadata_props.add(key="wildbench", value=document.to_json())
    (folder / "lookup.onnx").write_bytes(model.SerializeToString())
    return folder / "lookup.onnx"


@pytest.mark.slow
def test_a_lookup_table_of_parksim_fails_an_audit(tmp_path: Path) -> None:
    def act() -> list[Any]:
        path = lookup_of_parksim(tmp_path, 24)
        card = wildbench.evaluate(path, dataset="parksim", limit=24, device="cpu")
        return [card.accuracy.ap.value, [audit.name for audit in card.audits if audit.failed]]

    end = forked(act, seconds=150)
    assert end.kind == "ended", end
    ap, failed = end.value
    assert failed or ap < 0.1, ap
