"""A data set laid out for review in FiftyOne, and the edits made there collected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone

from wildbench.curation.edits import collect, edited_labels
from wildbench.curation.fields import GROUND_TRUTH, box_attributes
from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.patch import Patch
from wildbench.curation.questions import Answers, answer
from wildbench.curation.samples import add_samples, labels_of
from wildbench.curation.similarity import add_similarity, near_duplicates
from wildbench.curation.views import dress, save_views
from wildbench.datasets.coco import Dataset
from wildbench.errors import CurationError
from wildbench.progress import Progress, silent

_COMPONENTS = {bool: ("bool", "toggle"), int: ("int", "text"), float: ("float", "text"), str: ("str", "text")}


@dataclass(frozen=True)
class Review:
    """What was laid out.

    Attributes:
        name: Of FiftyOne's data set.
        answers: What was found out about labels and detections.
        views: Saved views, with the number of their images.
        edited: Number of images whose labels were edited before and are shown as edited.
    """

    name: str
    answers: Answers
    views: dict[str, int]
    edited: int


def lay_out(
    data: Dataset,
    detectors: Sequence[NamedPredictions],
    *,
    look: bool = True,
    fresh: bool = False,
    progress: Progress = silent,
) -> Review:
    """Fill FiftyOne's database with a data set and detections, for `database.running`'s block.

    Edits made to these very labels before, and not yet part of them, are kept.

    Args:
        data: Images and labels.
        detectors: Detections to show; the first is the dense one where no scorecard names its parent.
        look: Whether to look at the pixels too, for near duplicates and similarity.
        fresh: Drop the edits instead.
        progress: Called as `progress(task, done, total)`.
    """
    name = name_of(data)
    kept = {}
    if fiftyone.dataset_exists(name):
        kept = {} if fresh else edited_labels(labels_of(fiftyone.load_dataset(name)), data)
        fiftyone.delete_dataset(name)
    answers = answer(data, detectors)
    groups = near_duplicates(data, progress) if look else []
    samples = fiftyone.Dataset(name, persistent=True)
    add_samples(samples, data, detectors, answers, kept=kept, groups=groups, progress=progress)
    _describe(samples, data)
    dress(samples, detectors)
    samples.save()
    if look:
        add_similarity(samples, data, progress)
    return Review(name, answers, save_views(samples, detectors), len(kept))


def bring_back(data: Dataset, *, author: str, reason: str = "") -> Patch:
    """Collect the edits made to a data set that was laid out.

    Raises:
        CurationError: It never was, or an edit lacks its author or reason.
    """
    name = name_of(data)
    if not fiftyone.dataset_exists(name):
        raise CurationError(f"{name}: not reviewed yet", remedy="run wildbench review on it first, and edit")
    return collect(labels_of(fiftyone.load_dataset(name)), data, author=author, reason=reason)


def name_of(data: Dataset) -> str:
    """Name of FiftyOne's data set: it tells the version, so that edits never meet other labels than their own."""
    plain = re.sub(r"[^\w.]+", "-", f"{data.name} {data.split or ''}").strip("-")
    return f"{plain}-{data.sha256[:8]}"


def _describe(samples: fiftyone.Dataset, data: Dataset) -> None:
    """Say what may be edited, and how the App begins."""
    parts = {one.field: _COMPONENTS[one.kind] for one in box_attributes(data) if one.kept and one.kind in _COMPONENTS}
    listed = [{"name": field, "type": kind, "component": part} for field, (kind, part) in parts.items()]
    listed.append({"name": "reason", "type": "str", "component": "text"})
    schema = {"type": "detections", "component": "dropdown", "classes": data.category_names, "attributes": listed}
    samples.set_label_schemas({GROUND_TRUTH: schema})
    samples.activate_label_schemas(GROUND_TRUTH)
    samples.info = {"data set": data.name, "split": data.split, "sha256": data.sha256}
