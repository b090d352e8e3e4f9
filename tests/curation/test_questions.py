import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_up_labels import found
from made_up_photographs import photograph, save

from wildbench.curation.questions import ALIKE, DUPLICATES, MAP, SIDE, comparisons, looks_of, operating_point
from wildbench.curation.review import Review, lay_out
from wildbench.curation.samples import GROUND_TRUTH, NamedPredictions, read_named
from wildbench.datasets.coco import Dataset, read_coco, write_coco
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.resources import bundled

pytestmark = pytest.mark.usefixtures("database")

LION, ZEBRA, BIRD = 1, 2, 7


def detector(name: str, *results: dict[str, object]) -> NamedPredictions:
    return NamedPredictions(name, name, Detections.from_coco(results))


FOUND = [
    found(11, LION, [10, 20, 100, 90], 0.9),  # box 1
    found(11, ZEBRA, [200, 30, 33, 44], 0.8),  # box 2
    found(12, LION, [50, 60, 20, 20], 0.7),  # a lion on box 3, a zebra
    found(12, BIRD, [100, 100, 60, 60], 0.9),  # box 4
    found(13, LION, [30, 30, 40, 40], 0.8),  # where no box is
    found(14, ZEBRA, [200, 200, 20, 20], 0.95),  # not labelled in this image
    found(15, LION, [100, 100, 20, 20], 0.9),  # one of the crowd
    found(14, LION, [5, 5, 50, 50], 0.7),  # box 5
    found(11, BIRD, [0, 200, 20, 20], 0.01),  # below the operating point
]
DENSE = detector("dense", *FOUND)
PRUNED = detector(
    "pruned", *(FOUND[place] for place in (1, 7)), found(12, ZEBRA, [50, 60, 20, 20], 0.9)
)  # fmt: skip


def test_the_operating_point_is_where_f1_is_largest(data: Dataset) -> None:
    by_hand = {}
    for score, right, judged in ((0.9, 2, 2), (0.8, 3, 4), (0.7, 4, 6), (0.01, 4, 7)):
        by_hand[score] = 2 * right / (judged + 5)
    assert operating_point(data, DENSE) == max(by_hand, key=lambda score: by_hand[score]) == 0.7
    assert operating_point(data, detector("nothing")) == 1.0


def laid_out(data: Dataset, *detectors: NamedPredictions) -> tuple[Review, Any]:
    import fiftyone

    review = lay_out(data, detectors, look=False, fresh=True)
    return review, fiftyone.load_dataset(review.name)


def boxes_of(samples: Any) -> Iterator[tuple[int, Any]]:
    return ((box.annotation_id, box) for boxes in samples.values(f"{GROUND_TRUTH}.detections") for box in boxes or [])


def test_answers_are_noted_on_images_boxes_and_detections(data: Dataset) -> None:
    review, samples = laid_out(data, DENSE, PRUNED)
    boxes = dict(boxes_of(samples))
    assert {number for number, box in boxes.items() if box["forgotten_by"]} == {1, 4}
    assert (boxes[3]["suggested"], boxes[3]["wrong_label"], boxes[3].tags) == ("lion", 0.7, ["likely wrong"])
    assert [sample["forgotten"] for sample in samples] == [1, 1, 0, 0, 0]
    missing = {
        (sample["image_id"], each.label) for sample in samples for each in sample["dense"].detections if each.tags
    }
    assert missing == {(13, "lion")}
    assert samples.values("missing_box") == [0.0, 0.0, 0.8, 0.0, 0.0]
    assert samples.values("hardness")[:4] == pytest.approx([(0 + 1 / 3) / 2, (0.5 + 1 / 3) / 2, 0.5, 0.0])
    assert {name: count for name, count in review.views.items() if ":" not in name} == {
        "likely wrong labels": 1, "likely missing boxes": 1, "hardest images": 4, "forgotten by pruned": 2,
    }  # fmt: skip
    assert review.views["forgotten by pruned: lion"] == review.views["forgotten by pruned: medium"] - 1 == 1


def test_what_compression_forgot_is_counted_by_category_and_size(data: Dataset) -> None:
    review, samples = laid_out(data, DENSE, PRUNED)
    assert review.comparisons == comparisons(samples, data, [DENSE, PRUNED])
    assert review.comparisons == {
        ("dense", "pruned"): [
            ("lion", 2, 2, 1, 1, 0),
            ("zebra", 2, 1, 2, 0, 1),
            ("bird", 1, 1, 0, 1, 0),
            ("small", 1, 0, 1, 0, 1),
            ("medium", 4, 4, 2, 2, 0),
            ("all", 5, 4, 3, 2, 1),
        ]
    }


def test_a_label_that_a_detector_finds_too_is_not_likely_wrong(data: Dataset) -> None:
    surer = detector("surer", *FOUND[:4], found(12, ZEBRA, [50, 60, 20, 20], 0.75))
    _, samples = laid_out(data, surer)
    assert not any(box.tags for _, box in boxes_of(samples))


def test_the_documents_table_adds_up_and_its_dense_detector_is_the_bundled_one() -> None:
    """What the compressed one finds takes minutes: `python docs/pictures/make_review.py` measures it."""
    document = Path(__file__).parents[2] / "docs" / "review.md"
    written = document.read_text(encoding="utf-8").partition("<!-- review prints -->")[2].partition("<!-- end -->")[0]
    rows = {part: tuple(map(int, counts.split("│"))) for part, counts in re.findall(r"│ (\w+) +│(.*)│", written)}
    parksim = load_dataset("parksim", with_images=False)
    (dense,) = read_named([bundled("baselines/scorecards/reference.json")], parksim)
    review, _ = laid_out(parksim, dense, detector("nothing"))
    counted = {part: counts[:2] for part, *counts in review.comparisons["reference", "nothing"]}
    assert {part: list(counts[:2]) for part, counts in rows.items()} == counted
    assert all(after == before - forgotten + gained for _, before, after, forgotten, gained in rows.values())
    for parts in (parksim.category_names, ("small", "medium", "large")):
        assert tuple(map(sum, zip(*(rows[part] for part in parts), strict=True))) == rows["all"]


COPY, SMALLER = 4, 5
"""Places of what was made from images 0 and 2."""


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Four photographs, the first again, the third again at half its size; no boxes."""
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))
    originals = [photograph(seed) for seed in range(4)]
    smaller = cv2.resize(originals[2], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    images = []
    for number, pixels in enumerate([*originals, originals[0], smaller], start=1):
        path = save(pixels, tmp_path / f"{number}.jpg")
        height, width = pixels.shape[:2]
        images.append({"id": number, "file_name": path.name, "width": width, "height": height})
    coco = {"images": images, "categories": [{"id": 1, "name": "lion"}], "annotations": []}
    write_coco(coco, tmp_path / "set.json")
    return read_coco(tmp_path / "set.json", tmp_path)


def test_copies_stand_side_by_side_in_the_view_and_first_in_the_order_by_likeness(photographs: Dataset) -> None:
    import fiftyone

    review = lay_out(photographs, [])
    assert review.views == {DUPLICATES: 4}
    samples = fiftyone.load_dataset(review.name)
    view = samples.load_saved_view(DUPLICATES)
    assert [view.values("group"), view.values("image_id")] == [[1, 1, 2, 2], [1, COPY + 1, 3, SMALLER + 1]]
    for place, copy in ((0, COPY), (2, SMALLER)):
        number = samples.skip(place).first().id
        assert samples.sort_by_similarity(number, brain_key=ALIKE, k=2).values("image_id") == [place + 1, copy + 1]
    points = samples.load_brain_results(MAP).points
    assert points.shape == (6, 2)
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert [int(np.argsort(far[place])[1]) for place in (0, 2)] == [COPY, SMALLER]


def test_features_are_the_bundled_detectors_and_computed_once_until_an_image_changes(photographs: Dataset) -> None:
    import torch

    from wildbench.submissions.process import open_submission

    tasks: set[str] = set()
    _, features = looks_of(photographs, lambda task, *_: tasks.add(task))
    assert tasks
    model: Any = open_submission(bundled("baselines/reference.pt")).module
    model.transform.min_size, model.transform.max_size = (SIDE,), SIDE
    levels: list[dict[str, torch.Tensor]] = []
    model.get_submodule("backbone.body").register_forward_hook(lambda _, given, answer: levels.append(answer))
    pixels = cv2.imread(str(photographs.image_path(photographs.images[1])), cv2.IMREAD_COLOR_RGB)
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        model([torch.from_numpy(small).permute(2, 0, 1) / 255])
    expected = list(levels[0].values())[-1].mean(dim=(0, 2, 3))
    assert len(expected) > 100
    np.testing.assert_allclose(features[1], expected.numpy(), atol=1e-5)
    tasks.clear()
    looks_of(photographs, lambda task, *_: tasks.add(task))
    assert not tasks
    save(photograph(9), photographs.image_path(photographs.images[COPY]))
    group, _ = looks_of(photographs, lambda task, *_: tasks.add(task))
    assert tasks
    assert group.tolist() == [0, 0, 1, 0, 0, 1]
