"""The documents that a data set becomes: one an image, as MongoDB takes it, with its labels and detections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from os import urandom
from random import Random
from typing import Any

from bson import ObjectId

from wildbench.curation.fields import GROUND_TRUTH, Attribute, box_attributes, image_attributes
from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.questions import Answers, BoxNotes
from wildbench.datasets.coco import Dataset
from wildbench.datasets.summary import size_of

WRONG_TAG, MISSING_TAG, FORGOTTEN_TAG = "likely wrong", "likely missing", "forgotten"
"""Tags of the labels that a saved view is about."""

Document = dict[str, Any]


def documents(data: Dataset, detectors: Sequence[NamedPredictions], answers: Answers) -> Iterator[Document]:
    """Every image with its labels, its detections from the operating points on, and what was found out about them.

    Args:
        data: Images and labels.
        detectors: One field each.
        answers: What was found out.
    """
    names = {category["id"]: category["name"] for category in data.categories}
    licences = {entry["id"]: entry.get("name") for entry in data.coco.get("licenses", [])}
    of_images, of_boxes = image_attributes(data), box_attributes(data)
    shown_of = {one.field: _by_image(one, answers.errors[one.name]) for one in detectors}
    ids, order, now = _ids(), Random(0), datetime.now(UTC)
    for image in data.images:
        boxes = [
            _label(names[box["category_id"]], relative(box["bbox"], image), next(ids))
            | _said(box, of_boxes)
            | _noted(box, answers.boxes.get(box["id"], BoxNotes()))
            for box in data.boxes(image["id"])
        ]
        document: Document = {
            "filepath": str(data.image_path(image).absolute()),
            "tags": [data.split] if data.split else [],
            "metadata": {"_cls": "ImageMetadata", "width": image["width"], "height": image["height"]},
            "_media_type": "image",
            "_rand": order.random(),
            "created_at": now,
            "last_modified_at": now,
            "image_id": image["id"],
            "licence": licences.get(image.get("license")),
            **_said(image, of_images),
            GROUND_TRUTH: {"_cls": "Detections", "detections": boxes},
        }
        missing, scored = 0.0, data.scored_categories(image)
        for one in detectors:
            labels = []
            for place in shown_of[one.field][image["id"]]:
                result, error = one.results[place], answers.errors[one.name][place]
                label = _label(names[result["category_id"]], relative(result["bbox"], image), next(ids))
                labels.append(label | {"confidence": float(result["score"]), "error": error})
                if error == "background" and result["category_id"] in scored:
                    labels[-1]["tags"] = [MISSING_TAG]
                    missing = max(missing, float(result["score"]))
            document[one.field] = {"_cls": "Detections", "detections": labels}
        yield document | {
            "wrong_label": max((box["wrong_label"] or 0.0 for box in boxes), default=0.0),
            "missing_box": missing,
            "hardness": answers.hardness.get(image["id"]),
            "forgotten": sum(bool(box["forgotten_by"]) for box in boxes),
        }


def _said(entry: dict[str, Any], about: Sequence[Attribute]) -> Document:
    return {one.field: one.shown(entry[one.key]) for one in about if entry.get(one.key) is not None}


def _by_image(one: NamedPredictions, places: Iterable[int]) -> dict[int, list[int]]:
    """Places of the detections of each image."""
    by_image = defaultdict(list)
    for place in places:
        by_image[one.results[place]["image_id"]].append(place)
    return by_image


def relative(bbox: list[float], image: dict[str, Any]) -> list[float]:
    """A box in shares of its image, as FiftyOne has it."""
    width, height = image["width"], image["height"]
    return [bbox[0] / width, bbox[1] / height, bbox[2] / width, bbox[3] / height]


def _ids() -> Iterator[ObjectId]:
    """New ids: 8 random bytes and a number, which takes a third of the time of MongoDB's own."""
    start = urandom(8)
    return (ObjectId(start + number.to_bytes(4, "big")) for number in count())


def _label(name: str, box: list[float], new_id: ObjectId) -> Document:
    return {"_id": new_id, "_cls": "Detection", "attributes": {}, "tags": [], "label": name, "bounding_box": box}


def _noted(box: dict[str, Any], notes: BoxNotes) -> Document:
    return {
        "tags": [WRONG_TAG] * bool(notes.suggested) + [FORGOTTEN_TAG] * bool(notes.forgotten_by),
        "annotation_id": box["id"],
        "size": size_of(box["area"]),
        "found_by": notes.found_by,
        "forgotten_by": notes.forgotten_by,
        "wrong_label": notes.wrong_label or None,
        "suggested": notes.suggested,
        "reason": None,
    }
