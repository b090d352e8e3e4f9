"""Every file that lies is named by its code; honest files raise no alarm; the page tells all codes."""

import ast
import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from findings_page import NEED_PICTURES, PAGE, PEERS, SOURCES, page
from malformed import LIES, Lie, spoilt
from peers import sentence
from scoring import suspect

from wildbench.categories import SPLITS
from wildbench.datasets.coco import Dataset, check_coco, read_coco
from wildbench.datasets.detection_checks import validate_predictions
from wildbench.datasets.findings import Finding, read_document
from wildbench.datasets.label_checks import validate
from wildbench.datasets.predictions import Detections, read_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DatasetError, PredictionsError, WildbenchError
from wildbench.resources import bundled


def findings_in(labels: Path, detections: Path) -> list[Finding]:
    """What `wildbench data validate` finds in both files."""
    _, _, findings = check_coco(labels)
    if any(finding.severity == "error" for finding in findings):
        return findings
    return findings + validate_predictions(detections, read_coco(labels))


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_every_lie_is_named(lie: Lie, tmp_path: Path) -> None:
    labels, detections = spoilt(lie, tmp_path)
    findings = findings_in(labels, detections)
    assert lie.code in [finding.code for finding in findings]
    first = next(finding for finding in findings if finding.code == lie.code)
    assert (first.place, first.severity) == (lie.place, lie.severity)
    assert first.message
    assert first.remedy
    alarms = {finding.code for finding in findings if finding.severity != "note"}
    assert alarms <= {lie.code, *lie.also}, "one mistake is reported as one"


@pytest.mark.parametrize("lie", [lie for lie in LIES if lie.severity == "error"], ids=lambda lie: lie.name)
def test_an_error_refuses_the_file_in_one_line_with_its_code(lie: Lie, tmp_path: Path) -> None:
    labels, detections = spoilt(lie, tmp_path)
    wrong: type[WildbenchError] = DatasetError if lie.which == "labels" else PredictionsError
    with pytest.raises(wrong) as caught:
        read_predictions(detections, read_coco(labels))
    assert caught.value.code.partition("/")[2] == lie.code
    assert "\n" not in str(caught.value)
    assert str(tmp_path / f"{lie.which}.json") in str(caught.value)


@pytest.mark.parametrize("lie", [lie for lie in LIES if lie.severity != "error"], ids=lambda lie: lie.name)
def test_what_is_no_error_can_be_scored(lie: Lie, tmp_path: Path) -> None:
    labels, detections = spoilt(lie, tmp_path)
    assert isinstance(read_predictions(detections, read_coco(labels)), Detections)


def emitted() -> set[str]:
    """Every code that these modules name; `*` for a part that is filled in."""
    codes = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding" and node.args:
                code = node.args[0]
                if isinstance(code, ast.JoinedStr):
                    codes.add("".join(part.value if isinstance(part, ast.Constant) else "*" for part in code.values))
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                codes |= {node.value} if re.fullmatch(r"[a-z]+(-[a-z]+)+", node.value) else set()
    return codes - {"unknown-image", "unknown-category", "utf-8"}  # parts of codes


def test_the_page_is_that_of_the_collection() -> None:
    assert PAGE.read_text() == page(), "run python tests/datasets/findings_page.py"


def test_the_page_tells_every_code_and_no_other() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text().split("## Importing")[0], re.M))
    patterns = [re.compile(code.replace("*", "[a-z-]+")) for code in emitted()]
    assert {code for code in emitted() if "*" not in code} <= listed
    for code in listed:
        assert any(pattern.fullmatch(code) for pattern in patterns), code
    for pattern in patterns:
        assert any(pattern.fullmatch(code) for code in listed), pattern


def test_other_evaluators_do_what_the_page_says() -> None:
    for name in ("pycocotools", "hotcoco"):
        if f"{name} {version(name)}" not in PEERS:
            pytest.skip(f"the page is of another {name} than {version(name)}")
    assert sentence() == PEERS


def test_what_needs_pictures_is_told_as_it_is(tmp_path: Path) -> None:
    coco, _ = spoilt(Lie("", "labels", "", "note", "", lambda document: document), tmp_path)
    (finding,) = {entry.code: entry for entry in validate(json.loads(coco.read_text()), tmp_path)}.values()
    assert (finding.code, finding.severity, finding.remedy) == (
        "image-missing",
        "error",
        NEED_PICTURES[finding.code][2],
    )
    document, (unreadable,) = read_document(tmp_path / "absent.json")
    assert document is None
    assert (unreadable.code, unreadable.remedy) == ("file-unreadable", NEED_PICTURES["file-unreadable"][2])


def test_there_are_many_lies_and_each_is_another() -> None:
    assert len(LIES) >= 60
    assert len({lie.name for lie in LIES}) == len(LIES)


def test_the_honest_pair_raises_nothing(tmp_path: Path) -> None:
    labels, detections = spoilt(Lie("", "labels", "", "note", "", lambda document: document), tmp_path)
    assert findings_in(labels, detections) == []


def alarms(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity != "note"]


@pytest.mark.parametrize("split", SPLITS)
def test_parksim_raises_no_alarm(split: str) -> None:
    assert load_dataset("parksim", split=split, with_images=False).warnings == ()


@pytest.mark.parametrize("name", ["reference", "reference-tiny"])
def test_the_bundled_detections_raise_no_alarm(name: str) -> None:
    data = load_dataset("parksim", with_images=False)
    assert validate_predictions(bundled(f"baselines/scorecards/{name}.predictions.json"), data) == []


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_labels_raise_no_alarm(wildlife_real: Path, split: str) -> None:
    assert read_coco(wildlife_real / "annotations" / f"{split}.json").warnings == ()


def clipped(box: Any, image: dict[str, Any]) -> list[float]:
    near = np.clip(np.array(box[:2], dtype=float), 0, np.array([image["width"], image["height"]]) - 2)
    far = np.clip(np.array(box[:2]) + box[2:], near + 1, [image["width"], image["height"]])
    return [*near.tolist(), *(far - near).tolist()]


def about(factor: float) -> Callable[[Any], Any]:
    """A box with its sides times a factor, about its middle."""
    return lambda box: np.array([*(box[:2] - (factor - 1) / 2 * box[2:]), *(factor * box[2:])])


MOVED: dict[str, Callable[[Any], Any]] = {
    "twice as large": about(2),
    "half as large": about(0.5),
    "half as large again": about(1.5),
    "wrong names": about(1),
    "one name": about(1),
    "the first of two look-alikes": about(1),
    "either of two look-alikes": about(1),
}
EVERYWHERE: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "whole": lambda whole, rng: whole,
    "middle": lambda whole, rng: about(0.5)(whole),
    "specks in the corner": lambda whole, rng: np.array([0, 0, *rng.uniform(1, 2, 2)]),
}
KINDS = [*MOVED, *EVERYWHERE, "junk", "far off, and junk", "one category alone", "no suppression"]


def detections_of(kind: str, data: Dataset, rng: np.random.Generator) -> list[dict[str, Any]]:
    """What an honest detector of little worth may give: boxes near the labels, the same everywhere, or anywhere."""
    categories = [category["id"] for category in data.categories]
    found = []
    for image in data.images:
        whole = np.array([0.0, 0.0, image["width"], image["height"]])
        own = [(np.array(entry["bbox"], dtype=float), entry["category_id"]) for entry in data.boxes(image["id"])]
        if kind in EVERYWHERE:
            drawn = [(EVERYWHERE[kind](whole, rng), category) for category in categories]
        elif kind in MOVED:
            places = np.array([categories.index(category) for _, category in own], dtype=int)
            look_alike = np.minimum(places // 2 * 2 + rng.integers(0, 2, len(own)), len(categories) - 1)
            names = {
                "wrong names": rng.choice(categories, len(own)),
                "one name": [categories[0]] * len(own),
                "the first of two look-alikes": [categories[place] for place in places // 2 * 2],
                "either of two look-alikes": [categories[place] for place in look_alike],
            }
            named = names.get(kind, [category for _, category in own])
            drawn = [(MOVED[kind](box), category) for (box, _), category in zip(own, named, strict=True)]
        elif kind == "one category alone":
            drawn = [(box, category) for box, category in own if category == categories[0]]
        elif kind == "no suppression":
            drawn = [(box + rng.normal(0, 0.02, 4) * np.tile(box[2:], 2), name) for box, name in own for _ in range(6)]
        else:
            drawn = [(rng.uniform(0, 0.7, 4) * np.tile(whole[2:], 2), rng.choice(categories)) for _ in range(30)]
            far = own if kind == "far off, and junk" else []
            drawn += [(box + rng.normal(0, 0.5, 4) * np.tile(box[2:], 2), category) for box, category in far]
        for box, category in drawn:
            keys = {"image_id": image["id"], "category_id": int(category)}
            found.append(keys | {"bbox": clipped(box, image), "score": float(rng.random())})
    return found


def of(data: Dataset, rng: np.random.Generator, count: int) -> Dataset:
    """Some images of a data set."""
    kept = {data.images[place]["id"] for place in rng.choice(len(data.images), count, replace=False)}
    coco = data.coco | {
        "images": [image for image in data.images if image["id"] in kept],
        "annotations": [entry for entry in data.annotations if entry["image_id"] in kept],
    }
    return Dataset(data.name, None, coco, Path())


@pytest.mark.parametrize("count", [1, 3, 10, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_weak_detectors_raise_no_alarm(kind: str, count: int) -> None:
    data = load_dataset("parksim", split="train", with_images=False)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        some = of(data, rng, count)
        assert alarms(suspect(detections_of(kind, some, rng), some)) == []


@pytest.mark.parametrize("count", [1, 10, 700])
@pytest.mark.parametrize("kind", KINDS)
def test_weak_detectors_raise_no_alarm_on_real_labels(wildlife_real: Path, kind: str, count: int) -> None:
    """Photographs filled by their animals, of many sizes, partly labelled: here wrong readings agree most."""
    data = read_coco(wildlife_real / "annotations" / "train.json")
    for seed in range(1 if count == 700 else 3):
        rng = np.random.default_rng(seed)
        some = of(data, rng, count)
        assert alarms(suspect(detections_of(kind, some, rng), some)) == []


def test_images_without_animals_at_the_end_are_not_cut_off() -> None:
    """A detector that misses one image, before all those in which there is nothing to find."""
    data = load_dataset("parksim", split="train", with_images=False)
    filled = [image["id"] for image in data.images if data.boxes(image["id"])][:40]
    empty = [{"id": 10**6 + n, "file_name": f"e{n}.jpg", "width": 512, "height": 384} for n in range(20)]
    images = [image for image in data.images if image["id"] in filled]
    labels = [entry for entry in data.annotations if entry["image_id"] in filled]
    some = Dataset("some", None, data.coco | {"images": images + empty, "annotations": labels}, Path())
    found = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5 + entry["id"] % 100 / 250}
        for entry in labels
        if entry["image_id"] != filled[-1]
    ]
    findings = suspect(found, some)
    assert [(entry.code, entry.severity) for entry in findings] == [("images-without-detections", "note")]


def test_a_detector_that_falls_silent_now_and_then_raises_no_alarm() -> None:
    """It gives few boxes elsewhere, so that giving none is nothing strange."""
    data = load_dataset("parksim", split="train", with_images=False)
    rng = np.random.default_rng(0)
    found = [entry for entry in detections_of("no suppression", data, rng) if rng.random() < 0.1]
    missing = {image["id"] for image in data.images} - {entry["image_id"] for entry in found}
    assert len(missing) > len(data.images) / 10
    assert [entry.severity for entry in suspect(found, data)] == ["note"]


def fixture(boxes: list[list[float]], found: list[tuple[list[float], float]], **image: Any) -> tuple[Any, Any]:
    """One image with boxes of one category, as the fixtures of evaluators have it."""
    size = {"width": 640, "height": 480} | image
    labels = {
        "info": {},
        "licenses": [],
        "images": [{"id": 1001, "file_name": "img.jpg"} | size],
        "categories": [{"id": 999, "name": "cat", "supercategory": "animal"}],
        "annotations": [
            {"id": 5000 + n, "image_id": 1001, "category_id": 999, "bbox": box, "area": box[2] * box[3], "iscrowd": 0,
             "segmentation": []}
            for n, box in enumerate(boxes)
        ],
    }  # fmt: skip
    keys = {"image_id": 1001, "category_id": 999, "segmentation": []}
    return labels, [
        {key: value for key, value in keys.items() if key != "segmentation"} | {"bbox": box, "score": score}
        for box, score in found
    ]


FIXTURES = {
    "tied scores": fixture(
        [[60.0 * n, 0.0, 50.0, 50.0] for n in range(10)], [([60.0 * n + 2, 2.0, 46.0, 46.0], 0.5) for n in range(10)]
    ),
    "101 tied detections of one box": fixture(
        [[0.0, 0.0, 100.0, 100.0]], [([float(n), 0.0, 95.0, 95.0], 0.5) for n in range(101)], width=2000, height=2000
    ),
    "two boxes, two good detections": fixture(
        [[10, 20, 100, 80], [200, 150, 60, 40]], [([12, 22, 98, 78], 0.95), ([205, 155, 55, 35], 0.7)]
    ),
    "boxes in boxes": fixture(
        [[0, 0, 300, 300], [50, 50, 100, 100]], [([5, 5, 290, 290], 0.8), ([10, 10, 100, 100], 0.7)], width=500
    ),
    "only false detections": fixture([[10, 10, 50, 50]], [([300, 300, 50, 50], 0.9), ([400, 100, 80, 80], 0.9)]),
    "a box at each overlap": fixture(
        [[0, 100.0, 100, 100]], [([0, 100.0, 100, 100 * iou], 0.9) for iou in np.arange(0.5, 1, 0.05).round(2).tolist()]
    ),
    "an image of one pixel": fixture([[0, 0, 1, 1]], [([0, 0, 1, 1], 0.9)], width=1, height=1),
    "a box of a hundredth": fixture([[5, 5, 600, 400]], [([5, 5, 6, 4], 0.9)]),
}
"""Of the shape that pycocotools' and hotcoco's own fixtures have, drawn anew."""


@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures_of_evaluators_raise_no_alarm(name: str, tmp_path: Path) -> None:
    labels, found = FIXTURES[name]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "found.json").write_text(json.dumps(found))
    assert alarms(findings_in(tmp_path / "labels.json", tmp_path / "found.json")) == []
