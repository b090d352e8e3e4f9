"""Each rule with its violation; and honest files, in which nothing is found."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wildbench.datasets.findings import Finding
from wildbench.datasets.label_checks import validate

Coco = dict[str, Any]


def sound() -> Coco:
    """Twelve animals in four images of 100 x 80, in every corner of them."""
    corners = [(0, 0, 30, 20), (60, 50, 40, 30), (10.4, 30.2, 25.5, 49.8)]
    annotations = []
    for image_id in range(1, 5):
        for x, y, width, height in corners:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": 1 + len(annotations) % 2,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    return {
        "images": [{"id": key, "file_name": f"{key}.png", "width": 100, "height": 80} for key in range(1, 5)],
        "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}],
        "annotations": annotations,
    }


RUNS = {"size": [80, 100], "counts": [830, *[50, 30] * 25, 50, 64 * 80]}
"""The third box of an image, filled."""


def found(coco: object, images_dir: Path | None = None) -> list[tuple[str, str]]:
    return [(finding.code, finding.place) for finding in validate(coco, images_dir)]


def test_a_sound_file_has_no_findings() -> None:
    assert validate(sound()) == []


def test_optional_parts_are_no_findings() -> None:
    coco = sound()
    coco["info"] = {"description": "x"}
    coco["images"][0]["annotated_categories"] = ["lion", "zebra"]
    coco["annotations"][0]["segmentation"] = []
    coco["annotations"][1]["segmentation"] = [[60, 50, 100, 50, 100, 80]]
    coco["annotations"][2] |= {"iscrowd": 1, "segmentation": RUNS}
    coco["annotations"] = coco["annotations"][:9]  # an image without boxes
    assert validate(coco) == []


def test_less_than_a_pixel_outside_is_rounding() -> None:
    coco = sound()
    coco["annotations"][0]["bbox"] = [-0.6, -0.9, 30, 20]
    coco["annotations"][1]["bbox"] = [60, 50, 40.9, 30.7]
    assert validate(coco) == []


@pytest.mark.parametrize("split", ["train", "val"])
def test_real_photographs_raise_no_false_alarm(wildlife_real: Path, split: str) -> None:
    coco = json.loads((wildlife_real / "annotations" / f"{split}.json").read_text())
    assert validate(coco, wildlife_real / "images") == []


def repeat(entries: list[Coco], **change: str) -> None:
    entries.append(entries[0] | change)


def list_categories(coco: Coco, *names: str) -> None:
    coco["images"][0]["annotated_categories"] = list(names)


BOX = "annotations[5] (id 6)"
VIOLATIONS: list[tuple[str, str, str, Callable[[Coco], object]]] = [
    ("image-id-duplicate", "images[4] (id 1)", "error", lambda c: repeat(c["images"], file_name="b")),
    ("category-id-duplicate", "categories[2] (id 1)", "error", lambda c: repeat(c["categories"], name="c")),
    ("annotation-id-duplicate", "annotations[5] (id 3)", "error", lambda c: c["annotations"][5].update(id=3)),
    ("category-name-duplicate", "categories[1] (id 2)", "error", lambda c: c["categories"][1].update(name="lion")),
    ("image-file-duplicate", "images[3] (id 4)", "warning", lambda c: c["images"][3].update(file_name="1.png")),
    ("annotation-id-zero", "annotations[5] (id 0)", "warning", lambda c: c["annotations"][5].update(id=0)),
    ("annotation-unknown-image", BOX, "error", lambda c: c["annotations"][5].update(image_id=99)),
    ("annotation-unknown-category", BOX, "error", lambda c: c["annotations"][5].update(category_id=99)),
    ("box-negative-side", BOX, "error", lambda c: c["annotations"][5].update(bbox=[50, 50, -5, 8])),
    ("box-zero-side", BOX, "warning", lambda c: c["annotations"][5].update(bbox=[50, 50, 5, 0])),
    ("box-not-finite", BOX, "error", lambda c: c["annotations"][5].update(bbox=[50, float("nan"), 5, 8])),
    ("box-not-finite", BOX, "error", lambda c: c["annotations"][5].update(bbox=[50, 10, float("inf"), 8])),
    ("box-beyond-edge", BOX, "warning", lambda c: c["annotations"][5].update(bbox=[90, 70, 12, 5], area=60)),
    ("box-outside-image", BOX, "error", lambda c: c["annotations"][5].update(bbox=[-5, 70, 12, 5])),
    ("box-outside-image", BOX, "error", lambda c: c["annotations"][5].update(bbox=[500, 500, 12, 5])),
    ("box-normalised", BOX, "error", lambda c: c["annotations"][5].update(bbox=[0.2, 0.3, 0.1, 0.4])),
    ("key-missing", BOX, "error", lambda c: c["annotations"][5].pop("bbox")),
    ("key-missing", "annotations[5]", "error", lambda c: c["annotations"][5].pop("id")),
    ("key-missing", "images[2] (id 3)", "error", lambda c: c["images"][2].pop("width")),
    ("key-type", "images[2] (id 3)", "error", lambda c: c["images"][2].update(height="80")),
    ("key-type", "images[2] (id 3)", "error", lambda c: c["images"][2].update(height=0)),
    ("key-type", "images[2] (id 3)", "error", lambda c: c["images"][2].update(file_name="")),
    ("key-type", "categories[0] (id lion)", "error", lambda c: c["categories"].insert(0, {"id": "lion", "name": "c"})),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(bbox=[1, 2, 3])),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(bbox={"x": 1})),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(bbox=["1", "2", "3", "4"])),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(bbox=[10**400, 2, 3, 4])),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(image_id=True)),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(area=float("nan"))),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(area=-4)),
    ("key-type", BOX, "error", lambda c: c["annotations"][5].update(iscrowd=2)),
    ("entry-type", "annotations[12]", "error", lambda c: c["annotations"].append([1, 2, 3, 4])),
    ("area-missing", BOX, "warning", lambda c: c["annotations"][5].pop("area")),
    ("mask-invalid", BOX, "error", lambda c: c["annotations"][5].update(segmentation=[[1, 2, 3]])),
    ("key-type", "images[2] (id 3)", "error", lambda c: c["images"][2].update(annotated_categories="lion")),
    ("annotated-category-unknown", "images[0] (id 1)", "error", lambda c: list_categories(c, "lion", "zebra", "Loin")),
    ("value-not-json", BOX, "error", lambda c: c["annotations"][5].update(score=float("nan"))),
    ("value-not-json", BOX, "error", lambda c: c["annotations"][5].update(segmentation=RUNS | {"by": [float("inf")]})),
    ("value-not-json", "images[2] (id 3)", "error", lambda c: c["images"][2].update(exif={"gps": [1, float("nan")]})),
    ("value-not-json", "licenses[0]", "error", lambda c: c.update(licenses=[{"name": "\ud83d"}])),
    ("value-not-json", "info", "error", lambda c: c.update(info={"version": float("nan")})),
    ("section-empty", "images", "error", lambda c: c["images"].clear()),
    ("section-empty", "categories", "error", lambda c: c["categories"].clear()),
    ("section-missing", "annotations", "error", lambda c: c.pop("annotations")),
    ("section-missing", "images", "error", lambda c: c.update(images={})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "place", "severity", "spoil"), VIOLATIONS, ids=[f"{v[0]}-{n}" for n, v in enumerate(VIOLATIONS)]
)
def test_each_violation_is_found_once_and_alone(
    code: str, place: str, severity: str, spoil: Callable[[Coco], object]
) -> None:
    coco = sound()
    spoil(coco)
    (finding,) = validate(coco)
    assert (finding.code, finding.place, finding.severity) == (code, place, severity)
    assert finding.message
    assert finding.remedy


def test_boxes_of_a_category_that_is_not_listed_are_a_warning() -> None:
    coco = sound()
    coco["images"][0]["annotated_categories"] = ["lion"]
    (finding,) = validate(coco)
    assert (finding.code, finding.place, finding.severity) == ("box-not-scored", "annotations[1] (id 2)", "warning")


@pytest.mark.parametrize("other", [[], "text", None, 3, [{"image_id": 1}]])
def test_what_is_no_coco_file_says_so(other: object) -> None:
    assert found(other) == [("not-coco", "the file")]


def rewritten(coco: Coco, form: Callable[[list[float], Coco], list[float]]) -> Coco:
    """The same boxes, in another form."""
    coco = copy.deepcopy(coco)
    images = {image["id"]: image for image in coco["images"]}
    for annotation in coco["annotations"]:
        annotation["bbox"] = form(annotation["bbox"], images[annotation["image_id"]])
    return coco


def as_corners(box: list[float], image: Coco) -> list[float]:
    return [box[0], box[1], box[0] + box[2], box[1] + box[3]]


def as_shares(box: list[float], image: Coco) -> list[float]:
    size = [image["width"], image["height"]] * 2
    return [value / side for value, side in zip(box, size, strict=True)]


@pytest.mark.parametrize(("form", "code"), [(as_corners, "boxes-xyxy"), (as_shares, "boxes-normalised")])
def test_another_form_of_the_whole_set_is_one_finding(
    form: Callable[[list[float], Coco], list[float]], code: str
) -> None:
    (finding,) = validate(rewritten(sound(), form))
    assert (finding.code, finding.place) == (code, "annotations (all 12 boxes)")


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(("form", "code"), [(as_corners, "boxes-xyxy"), (as_shares, "boxes-normalised")])
def test_another_form_is_recognised_on_real_boxes(
    wildlife_real: Path, split: str, form: Callable[[list[float], Coco], list[float]], code: str
) -> None:
    coco = json.loads((wildlife_real / "annotations" / f"{split}.json").read_text())
    assert [finding.code for finding in validate(rewritten(coco, form))] == [code]


def test_areas_betray_corners_that_all_fit_as_sides() -> None:
    coco = sound()
    coco["annotations"] = coco["annotations"][:4]
    for annotation, corner in zip(coco["annotations"], (2, 5, 8, 11), strict=True):
        annotation |= {"bbox": [corner, corner, 30, 30], "area": (30 - corner) ** 2}
    assert [code for code, _ in found(coco)] == ["boxes-xyxy"]
    for annotation in coco["annotations"]:
        annotation["area"] = 900
    assert found(coco) == []


def test_one_box_that_might_be_corners_is_also_reported_as_what_it_surely_is() -> None:
    coco = sound()
    coco["annotations"] = [coco["annotations"][0] | {"bbox": [60, 50, 90, 70]}]
    assert [code for code, _ in found(coco)] == ["boxes-xyxy", "box-outside-image"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The four images that `sound` names."""
    for key in range(1, 5):
        Image.fromarray(np.zeros((80, 100, 3), np.uint8)).save(tmp_path / f"{key}.png")
    return tmp_path


def test_images_that_are_there_are_no_findings(folder: Path) -> None:
    assert validate(sound(), folder) == []


@pytest.mark.parametrize("name", ["5.png", "3.png\0"])
def test_a_missing_image_is_found(folder: Path, name: str) -> None:
    coco = sound()
    coco["images"][2]["file_name"] = name
    assert found(coco, folder) == [("image-missing", "images[2] (id 3)")]


def test_a_file_that_is_no_image_is_found(folder: Path) -> None:
    (folder / "3.png").write_text("<html>not found</html>")
    assert found(sound(), folder) == [("image-unreadable", "images[2] (id 3)")]


def test_another_size_than_stated_is_found(folder: Path) -> None:
    Image.fromarray(np.zeros((160, 200, 3), np.uint8)).save(folder / "3.png")
    (finding,) = validate(sound(), folder)
    assert finding == Finding(
        "image-size",
        "images[2] (id 3)",
        "100 x 80 stated, 200 x 160 in the file",
        "state the size of the stored pixels",
    )


def test_a_picture_that_was_boxed_as_its_exif_tag_turns_it_is_found(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((100, 80, 3), np.uint8)).save(folder / "3.png", exif=exif)
    (finding,) = validate(sound(), folder)
    assert finding.code == "image-size"
    assert "EXIF" in finding.message
    assert "upright" in finding.remedy
