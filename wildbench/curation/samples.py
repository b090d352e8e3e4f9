"""A data set as FiftyOne keeps it: one document an image, with its labels, its detections and what is known of both.

Documents are written as MongoDB takes them, after FiftyOne has been told of every field. Its own `add_samples` builds
and checks an object a box: 11 images a second where each has 100 detections, against some thousand this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone
from fiftyone.core.odm import get_db_conn
from pymongo.collection import Collection

from wildbench.curation.documents import Document, documents
from wildbench.curation.fields import GROUND_TRUTH, NOTES, SUMMARIES, box_attributes, image_attributes
from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.questions import Answers
from wildbench.datasets.coco import Dataset
from wildbench.progress import Progress, silent

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
