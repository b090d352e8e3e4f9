"""The engine that matches detections with boxes, set up as pycocotools is; every measure of accuracy starts here."""

from __future__ import annotations

from typing import Any

import hotcoco

from wildbench.datasets.coco import LARGE, SMALL, Dataset

ENGINE = f"hotcoco {hotcoco.__version__}"
"""The library that computed AP, with its version."""

AREAS = {"all": (0.0, 1e10), "small": (0.0, SMALL), "medium": (SMALL, LARGE), "large": (LARGE, 1e10)}
"""COCO's area ranges in square pixels, both ends included; the order is that of the engine's arrays."""

MAX_DETECTIONS = (1, 10, 100)
"""Detections an image and category; the order is that of the engine's arrays."""


def what_counts(dataset: Dataset, results: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The boxes and the detections whose category is exhaustively boxed in their image.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 1, "annotated_categories": ["lion"]}], "annotations": [],
        ...         "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}]}
        >>> found = [{"image_id": 1, "category_id": 1}, {"image_id": 1, "category_id": 2}]
        >>> what_counts(Dataset("tiny", None, coco, Path()), found)
        ([], [{'image_id': 1, 'category_id': 1}])
    """
    return dataset.scored(dataset.annotations), dataset.scored(results)


def known_categories(dataset: Dataset, known: set[int] | None) -> list[dict[str, Any]]:
    """Category entries that a detector knows, by ascending id; all where `known` is None."""
    return [entry for entry in dataset.categories if known is None or entry["id"] in known]


def image_numbers(dataset: Dataset) -> dict[int, int]:
    """The engine's number of each image, from 1 in the order of the ids."""
    return {
        image_id: number for number, image_id in enumerate(sorted(image["id"] for image in dataset.images), start=1)
    }


def category_numbers(dataset: Dataset) -> dict[int, int]:
    """The engine's number of each category, from 1 in the order of the ids."""
    return {category["id"]: number for number, category in enumerate(dataset.categories, start=1)}


def prepare(
    dataset: Dataset,
    truth: list[dict[str, Any]],
    results: list[dict[str, Any]],
    categories: list[dict[str, Any]],
    kind: str = "bbox",
) -> hotcoco.COCOeval:
    """Hand boxes and detections to the engine.

    It gets ids from 1 in the order of the data set's own: pycocotools orders images and categories by id, and takes a
    match with annotation 0 for none.

    Args:
        dataset: Whose images and categories they are.
        truth: Boxes that count, in file order; the engine's id of one is its place here, from 1.
        results: Detections that count; likewise.
        categories: Category entries to evaluate.
        kind: `bbox` or `segm`.

    Returns:
        An engine that has evaluated nothing yet.
    """
    image_number, category_number = image_numbers(dataset), category_numbers(dataset)
    shape = ("bbox", "segmentation") if kind == "segm" else ("bbox",)

    def renumbered(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
        ids = {"image_id": image_number[entry["image_id"]], "category_id": category_number[entry["category_id"]]}
        return ids | {key: entry[key] for key in (*keys, *shape)}

    gt = hotcoco.COCO(
        {
            "images": [
                {"id": image_number[image["id"]], "width": image["width"], "height": image["height"]}
                for image in sorted(dataset.images, key=lambda image: image["id"])
            ],
            "categories": [{"id": category_number[entry["id"]], "name": entry["name"]} for entry in dataset.categories],
            "annotations": [
                renumbered(entry, "area", "iscrowd") | {"id": place} for place, entry in enumerate(truth, start=1)
            ],
        }
    )
    engine = hotcoco.COCOeval(gt, gt.load_res([renumbered(entry, "score") for entry in results]), kind)
    engine.params.cat_ids = [category_number[entry["id"]] for entry in categories]
    return engine
