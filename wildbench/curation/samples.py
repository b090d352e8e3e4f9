"""A data set as FiftyOne keeps it: one document an image, with its labels, its detections and what is known of both.

Documents are written as MongoDB takes them, after FiftyOne has been told of every field. Its own `add_samples` builds
and checks an object a box: 11 images a second where each has 100 detections, against some thousand this way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from os import urandom
from random import Random
from typing import Any

import fiftyone
from bson import ObjectId
from fiftyone.core.odm import get_db_conn
from pymongo.collection import Collection

from wildbench.curation.fields import GROUND_TRUTH, NOTES, SUMMARIES, Attribute, box_attributes, image_attributes
from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.questions import Answers, BoxNotes
from wildbench.datasets.coco import Dataset, size_of
from wildbench.progress import Progress, silent

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


BATCH = 500
"""Documents written at once."""

_TYPES: dict[type, Any] = {
    bool: fiftyone.BooleanField,
    int: fiftyone.IntField,
    float: fiftyone.FloatField,
    str: fiftyone.StringField,
    list: fiftyone.ListField,
}


def add_samples(
    samples: fiftyone.Dataset,
    data: Dataset,
    detectors: Sequence[NamedPredictions],
    answers: Answers,
    *,
    kept: dict[int, Document],
    groups: Sequence[Sequence[int]] = (),
    progress: Progress = silent,
) -> None:
    """Write a data set into an empty one of FiftyOne's.

    Args:
        samples: The empty one.
        data: Images and labels.
        detectors: Their detections; one field each, of those from the operating point on. A hundred faint detections
            an image would hide everything.
        answers: What was found out about them.
        kept: Labels to take instead of the data set's own, by image id, as FiftyOne has them.
        groups: Places of images that show the same, group by group.
        progress: Called as `progress(task, done, total)`.
    """
    group_of = {place: number for number, group in enumerate(groups, start=1) for place in group}
    _declare(samples, data, detectors)
    collection = documents_of(samples)
    batch: list[Document] = []
    for place, document in enumerate(documents(data, detectors, answers)):
        labels = kept.get(document["image_id"], document[GROUND_TRUTH])
        own = {"_dataset_id": samples._doc.id, "group": group_of.get(place), GROUND_TRUTH: labels}
        batch.append(document | own)
        if len(batch) == BATCH or place + 1 == len(data.images):
            collection.insert_many(batch)
            batch.clear()
            progress("fill the database", place + 1, len(data.images))
    samples.reload()


def labels_of(samples: fiftyone.Dataset) -> dict[int, Document]:
    """The labels of every image as they are now, by image id."""
    found = documents_of(samples).find({}, {"image_id": 1, GROUND_TRUTH: 1})
    return {document["image_id"]: document.get(GROUND_TRUTH) or {} for document in found}


def documents_of(samples: fiftyone.Dataset) -> Collection[Document]:
    """MongoDB's collection of a data set's images."""
    collection: Collection[Document] = get_db_conn()[samples._sample_collection_name]
    return collection


def _declare(samples: fiftyone.Dataset, data: Dataset, detectors: Sequence[NamedPredictions]) -> None:
    """Tell FiftyOne of every field."""
    samples.media_type = "image"
    said = {one.field: one.kind for one in image_attributes(data)}
    for name, kind in (said | {"image_id": int, "licence": str} | SUMMARIES).items():
        samples.add_sample_field(name, _TYPES[kind], subfield=fiftyone.StringField if kind is list else None)
    of_boxes = {one.field: one.kind for one in box_attributes(data)} | NOTES
    for name, extra in ({GROUND_TRUTH: of_boxes} | {one.field: {"error": str} for one in detectors}).items():
        samples.add_sample_field(name, fiftyone.EmbeddedDocumentField, embedded_doc_type=fiftyone.Detections)
        for attribute, kind in extra.items():
            subfield = fiftyone.StringField if kind is list else None
            samples.add_sample_field(f"{name}.detections.{attribute}", _TYPES[kind], subfield=subfield)
