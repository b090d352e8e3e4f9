import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_reference import Coco, Results, pycocotools_run, random_set
from scoring import measure_accuracy

from wildbench.categories import SPLITS
from wildbench.datasets.coco import Dataset, read_coco
from wildbench.datasets.predictions import Detections, read_predictions, results_bytes
from wildbench.datasets.registry import load_dataset
from wildbench.scorecard import Accuracy, BoxAccuracy, Figure

STATISTICS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large"),
)
"""In the order of `COCOeval.stats`."""


def measure(coco: Coco, results: Results, **options: Any) -> Accuracy:
    data = Dataset("random", None, copy.deepcopy(coco), Path())
    return measure_accuracy(data, results, **options)


def as_coco(figure: Figure) -> float:
    return -1.0 if figure.value is None else figure.value


def assert_statistics(own: BoxAccuracy, expected: np.ndarray) -> None:
    """Equal to the last bit."""
    assert [as_coco(getattr(own, name)) for name in STATISTICS] == [float(value) for value in expected]


def assert_equal(own: BoxAccuracy, coco: Coco, results: Results, kind: str = "bbox") -> None:
    """All twelve statistics, and four for each category scored alone."""
    assert_statistics(own, pycocotools_run(coco, results, kind).stats)
    for category in coco["categories"]:
        alone = pycocotools_run(coco, results, kind, categories=[category["id"]]).stats
        figures = own.per_category[category["name"]]
        shown = [as_coco(figure) for figure in (figures.ap, figures.ap50, figures.ap75, figures.ar_100)]
        assert shown == [float(alone[place]) for place in (0, 1, 2, 8)]


def jittered(coco: Coco, seed: int = 0, shift: float = 0.08) -> Results:
    """Detections as a fair detector would make them: moved, missed, doubled, mistaken; float32 numbers."""
    rng = np.random.default_rng(seed)
    categories = [category["id"] for category in coco["categories"]]
    results = []
    for annotation in coco["annotations"]:
        for _ in range(int(rng.choice([0, 1, 1, 1, 2]))):
            x, y, width, height = annotation["bbox"]
            moved = np.array([x, y, width, height]) + rng.normal(0, shift, 4) * [width, height, width, height]
            box = np.maximum(moved.astype(np.float32), [0, 0, 1, 1]).tolist()
            category = annotation["category_id"] if rng.random() < 0.85 else int(rng.choice(categories))
            score = float(np.float32(rng.random()))
            results.append({"image_id": annotation["image_id"], "category_id": category, "bbox": box, "score": score})
    return results


@pytest.mark.parametrize("seed", range(40))
def test_boxes_equal_pycocotools_on_random_sets(seed: int) -> None:
    coco, results = random_set(seed)
    assert_equal(measure(coco, results), coco, results)


@pytest.mark.parametrize("seed", range(100, 115))
def test_masks_equal_pycocotools_on_random_sets(seed: int) -> None:
    coco, results = random_set(seed, masks=True)
    own = measure(coco, results)
    assert_equal(own, coco, results)
    assert (own.masks is not None) == bool(results)
    if own.masks:
        assert_equal(own.masks, coco, results, "segm")


def test_the_random_sets_hold_what_they_are_meant_to() -> None:
    sets = [random_set(seed) for seed in range(40)]
    images = [
        (image["id"], coco, [result for result in results if result["image_id"] == image["id"]])
        for coco, results in sets
        for image in coco["images"]
    ]
    assert any(not results for _, results in sets)
    assert any(len(found) > 100 and len({r["category_id"] for r in found}) == 1 for _, _, found in images)
    assert any(len(found) > 10 and len({result["score"] for result in found}) == 1 for _, _, found in images)
    assert any(all(a["image_id"] != key for a in coco["annotations"]) and found for key, coco, found in images)
    assert any(annotation["iscrowd"] for coco, _ in sets for annotation in coco["annotations"])
    assert any(annotation["area"] in (1024, 9216) for coco, _ in sets for annotation in coco["annotations"])
    used = [{annotation["category_id"] for annotation in coco["annotations"]} for coco, _ in sets]
    assert any(len(ids) < len(coco["categories"]) for ids, (coco, _) in zip(used, sets, strict=True))


@pytest.mark.parametrize("split", SPLITS)
def test_parksim_equals_pycocotools(split: str) -> None:
    coco = load_dataset("parksim", split=split, with_images=False).coco
    results = jittered(coco)
    own = measure(coco, results)
    assert_equal(own, coco, results)
    assert 0.2 < as_coco(own.ap50) < 0.95


def test_parksim_masks_equal_pycocotools() -> None:
    coco = load_dataset("parksim", split="val", with_images=False).coco
    rng = np.random.default_rng(0)
    results = []
    for annotation in coco["annotations"]:
        drawn = rng.choice(coco["annotations"]) if rng.random() < 0.3 else annotation
        found = {key: annotation[key] for key in ("image_id", "category_id", "bbox")}
        results.append(found | {"segmentation": drawn["segmentation"], "score": float(rng.random())})
    own = measure(coco, results)
    assert own.masks is not None
    assert_equal(own.masks, coco, results, "segm")
    assert 0.3 < as_coco(own.masks.ap) < 0.9


def test_real_photographs_equal_pycocotools_category_by_category(wildlife_real: Path) -> None:
    data = read_coco(wildlife_real / "annotations" / "val.json")
    results = jittered(data.coco)
    own = measure(data.coco, results)
    assert_equal_where_listed(own, data.coco, results)
    scored = [a for a in data.annotations if not a["iscrowd"]]
    assert own.per_category["zebra"].ap.n == sum(a["category_id"] == 3 for a in scored) == 104
    assert own.per_category["hyena"].ap.reason == "no box of hyena in the split"


def assert_equal_where_listed(own: BoxAccuracy, coco: Coco, results: Results) -> None:
    """Each category alone by pycocotools on the images that list it, and the means over what that gives."""
    precision, recall, boxes = [], [], 0
    for category in sorted(coco["categories"], key=lambda category: category["id"]):
        name = category["name"]
        images = [image["id"] for image in coco["images"] if name in image.get("annotated_categories", [name])]
        figures = own.per_category[name]
        if not images:
            assert figures.ap.reason == f"no box of {name} in the split"
            continue
        alone = pycocotools_run(coco, results, categories=[category["id"]], images=images)
        shown = [as_coco(figure) for figure in (figures.ap, figures.ap50, figures.ap75, figures.ar_100)]
        assert shown == [float(alone.stats[place]) for place in (0, 1, 2, 8)]
        precision.append(alone.eval["precision"][:, :, :, 0, 2])
        recall.append(alone.eval["recall"][:, :, 0, 2])
        boxes += figures.ap.n or 0
    for figure, arrays in ((own.ap, precision), (own.ar_100, recall)):
        every = np.concatenate(arrays, axis=-1)
        assert as_coco(figure) == (np.mean(every[every > -1]) if (every > -1).any() else -1)
    assert own.ap.n == boxes


@pytest.mark.parametrize("seed", range(12))
def test_partial_labels_score_a_category_where_it_is_listed(seed: int) -> None:
    coco, results = random_set(seed)
    rng = np.random.default_rng(seed)
    names = [category["name"] for category in coco["categories"]]
    for image in coco["images"]:
        if rng.random() < 0.8:
            image["annotated_categories"] = [name for name in names if rng.random() < 0.5]
    assert_equal_where_listed(measure(coco, results), coco, results)


def test_a_detection_of_a_category_that_is_not_listed_costs_nothing() -> None:
    coco, results = lion_and_bird()
    stray = {"image_id": 1, "category_id": 2, "bbox": [50, 50, 20, 20], "score": 0.99}
    assert as_coco(measure(coco, [*results, stray]).per_category["bird"].ap) < 1 / 1.9
    coco["images"][0]["annotated_categories"] = ["lion"]
    assert as_coco(measure(coco, [*results, stray]).per_category["bird"].ap) == pytest.approx(1)
    coco["images"][0]["annotated_categories"] = []
    assert measure(coco, results).per_category["lion"].ap.reason == "no box of lion in the split"


def lion_and_bird() -> tuple[Coco, Results]:
    """A lion in image 1 and a bird in image 2, both found exactly."""
    places = [(1, 1, [10.0, 10.0, 40.0, 40.0]), (2, 2, [5.0, 5.0, 20.0, 20.0])]
    truth = [
        {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, (image, category, box) in enumerate(places, start=1)
    ]
    coco = {
        "images": [{"id": key, "file_name": f"{key}.jpg", "width": 100, "height": 100} for key in (1, 2)],
        "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}, {"id": 3, "name": "gorilla"}],
        "annotations": truth,
    }
    found = [{"image_id": image, "category_id": category, "bbox": box, "score": 0.8} for image, category, box in places]
    return coco, found


def test_undefined_is_null_with_the_reason() -> None:
    own = measure(*lion_and_bird())
    assert own.ap_large == Figure.undefined("AP", "no large box in the split", 0)
    assert own.ar_large == Figure.undefined("AR", "no large box in the split", 0)
    gorilla = own.per_category["gorilla"]
    assert gorilla.ap == gorilla.ap50 == gorilla.ap75 == Figure.undefined("AP", "no box of gorilla in the split", 0)
    assert own.ap.value == pytest.approx(1)  # over lion and bird only


def test_n_is_the_number_of_boxes_that_count() -> None:
    coco, results = lion_and_bird()
    template = coco["annotations"][0]
    crowd = template | {"id": 3, "iscrowd": 1}
    border = template | {"id": 4, "area": 1024.0}  # both ends of a range belong to it, as in pycocotools
    coco["annotations"] += [crowd, border]
    own = measure(coco, results)
    sizes = (own.ap, own.ap_small, own.ap_medium, own.ap_large)
    assert [figure.n for figure in sizes] == [3, 2, 2, 0]
    assert [own.per_category[name].ap50.n for name in ("lion", "bird", "gorilla")] == [2, 1, 0]


def test_no_detections_score_zero() -> None:
    coco, _ = lion_and_bird()
    own = measure(coco, [])
    assert own.ap.value == own.ar_100.value == own.per_category["lion"].ap50.value == 0.0
    assert own.detections == 0
    assert_equal(own, coco, [])


def test_a_category_the_detector_does_not_know_is_left_out() -> None:
    coco, results = lion_and_bird()
    lions = results[:1]
    assert measure(coco, lions).ap.value == pytest.approx(0.5)
    own = measure(coco, lions, scored_categories={1})
    assert own.per_category["bird"].ap.reason == "the detector does not know bird"
    assert_statistics(own, pycocotools_run(coco, lions, categories=[1]).stats)
    assert own.ap.n == 1


def test_an_annotation_of_id_zero_is_found_like_any_other() -> None:
    """pycocotools takes a match with id 0 for none; numbered from 1, it agrees."""
    coco, results = lion_and_bird()
    renumbered = copy.deepcopy(coco)
    coco["annotations"][0]["id"] = 0
    renumbered["annotations"][0]["id"] = 7
    assert pycocotools_run(coco, results).stats[0] < 0.6
    assert_equal(measure(coco, results), renumbered, results)


def test_ids_and_the_order_of_images_do_not_matter() -> None:
    coco, results = random_set(3)
    shifted = copy.deepcopy(coco)
    shifted["images"].reverse()
    for entry in (*shifted["images"], *shifted["annotations"]):
        entry["image_id" if "image_id" in entry else "id"] -= 100_000
    moved = [result | {"image_id": result["image_id"] - 100_000} for result in results]
    assert measure(shifted, moved) == measure(coco, results)


def test_what_else_a_file_says_does_not_matter() -> None:
    coco, results = random_set(4)
    chatty = copy.deepcopy(coco)
    for entry in (*chatty["images"], *chatty["annotations"], *chatty["categories"]):
        entry |= {"license": "CC BY", "date_captured": 2026, "coco_url": None, "segmentation": None, "ignore": 1}
    assert measure(chatty, [result | {"id": "x", "area": "large"} for result in results]) == measure(coco, results)


@pytest.mark.parametrize("seed", range(8))
def test_the_written_file_scores_the_same(seed: int, tmp_path: Path) -> None:
    coco, results = random_set(seed, masks=seed % 2 == 0)
    path = tmp_path / "p.json"
    path.write_bytes(results_bytes(Detections.from_coco(results)))
    read = read_predictions(path, Dataset("random", None, coco, tmp_path))
    assert measure(coco, read) == measure(coco, results)
    if len(read):
        assert_statistics(measure(coco, results), pycocotools_run(coco, json.loads(path.read_text())).stats)
