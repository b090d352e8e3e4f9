"""What is worth a person's look: likely mistakes in the labels, and boxes that a compressed detector has lost.

FiftyOne's own evaluation does the matching. Every question is asked at a detector's own operating point: the confidence
at which its F1 over the split is largest. Compression moves confidences; under one threshold for all, that alone would
look like forgetting.

Saved views are the answers, worst first. A view chooses images and hides none of their boxes: the App, when a box is
edited, saves those that the view shows and drops the others. The boxes that a view is about carry a tag instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.curation.samples import GROUND_TRUTH, NamedPredictions, dense_of
from wildbench.datasets.coco import Dataset
from wildbench.files import atomic_writer
from wildbench.progress import Progress, silent
from wildbench.resources import bundled, cache_dir

if TYPE_CHECKING:
    import fiftyone

FOUND, NEAR = 0.5, 0.1
"""Intersection over union from which a detection finds a box, and below which it has nothing to do with one."""

WRONG_TAG, MISSING_TAG, FORGOTTEN_TAG = "likely wrong", "likely missing", "forgotten"
"""Tags of the labels that a saved view is about."""

MAP, ALIKE = "map", "alike"
"""Names in the App of the map of all images, and of their order by likeness to one of them."""

WRONG, MISSING, HARDEST, DUPLICATES = "likely wrong labels", "likely missing boxes", "hardest images", "near duplicates"
"""Names of the saved views."""

LABELS, TAGGED = "#009e73", "#ff3b00"
DETECTORS = ("#56b4e9", "#cc79a7", "#e69f00", "#f0e442", "#0072b2")
"""Colours that the colour-blind tell apart too (Okabe and Ito, 2002), from the dense detector on."""

SIDE = 224
"""Pixels to which images are resized: enough to tell scenes apart, and 20 ms an image on a laptop's processor."""


def operating_point(data: Dataset, one: NamedPredictions) -> float:
    """The confidence at which F1 is largest, at an IoU of 0.5; without a hit the highest, without a detection 1."""
    from wildbench.measures.accuracy import best_threshold
    from wildbench.measures.matching import IGNORED, TRUE, Scored

    matches = Scored(data, one.detections).matches
    outcome = matches.outcome[0, 0]
    judged = outcome != IGNORED
    boxes = int((matches.boxes[:, 1] == 0).sum())
    highest = float(matches.score.max()) if len(matches.score) else 1.0
    return best_threshold(matches.score[judged], outcome[judged] == TRUE, boxes) or highest


def evaluate(samples: fiftyone.Dataset, data: Dataset, detectors: Sequence[NamedPredictions]) -> None:
    """Compare the labels with every detector, and note the answers on images, boxes and detections.

    A label is likely wrong if a detector misses the box and covers it with a detection of another category; a box is
    likely missing where a detection has nothing to do with any box.
    """
    options: dict[str, Any] = {"gt_field": GROUND_TRUTH, "classes": data.category_names, "iscrowd": "iscrowd"}
    for one in detectors:
        samples.evaluate_detections(one.field, eval_key=f"eval_{one.field}", iou=FOUND, **options)
        samples.evaluate_detections(one.field, eval_key=f"any_{one.field}", iou=NEAR, classwise=False, **options)
    for sample in samples.iter_samples(autosave=True):
        boxes = sample[GROUND_TRUTH].detections
        _note_who_finds(boxes, detectors)
        sample["forgotten"] = sum(bool(box["forgotten_by"]) for box in boxes)
        sample["wrong_label"], sample["missing_box"] = 0.0, 0.0
        for one in detectors:
            detections = sample[one.field].detections
            sample["wrong_label"] = max(sample["wrong_label"], _note_wrong_labels(boxes, detections, one.field))
            sample["missing_box"] = max(sample["missing_box"], _note_missing_boxes(detections, one.field))
        if detectors:
            sample["hardness"] = float(np.mean([_hardness(sample, f"eval_{one.field}") for one in detectors]))
    for one in detectors:
        samples.delete_evaluation(f"any_{one.field}")


def _note_who_finds(boxes: Sequence[Any], detectors: Sequence[NamedPredictions]) -> None:
    """Name the detectors that find each box, and those that do not although the one they were made from does."""
    for box in boxes:
        crowd = box.get_attribute_value("iscrowd", 0)
        box["found_by"] = [one.name for one in detectors if box[f"eval_{one.field}"] == "tp" and not crowd]
        dense = {one.name: dense_of(one, detectors) for one in detectors if one.name not in box["found_by"]}
        box["forgotten_by"] = [name for name, parent in dense.items() if parent and parent.name in box["found_by"]]
        if box["forgotten_by"]:
            box.tags.append(FORGOTTEN_TAG)


def _note_wrong_labels(boxes: Sequence[Any], detections: Sequence[Any], field: str) -> float:
    """Suggest another category for boxes that a detector takes for one; the highest confidence among them, or 0."""
    by_id = {detection.id: detection for detection in detections}
    highest = 0.0
    for box in boxes:
        other = by_id.get(box[f"any_{field}_id"])
        if box[f"eval_{field}"] == "tp" or other is None or box[f"any_{field}_iou"] < FOUND:
            continue
        if other.label != box.label and other.confidence > (box.get_attribute_value("wrong_label", None) or 0.0):
            box["wrong_label"], box["suggested"] = other.confidence, other.label
            box.tags = [*{*box.tags, WRONG_TAG}]
            highest = max(highest, other.confidence)
    return highest


def _note_missing_boxes(detections: Sequence[Any], field: str) -> float:
    """Tag detections that no box is near; the highest confidence among them, or 0."""
    alone = [each for each in detections if not each[f"eval_{field}_id"] and not each[f"any_{field}_id"]]
    for detection in alone:
        detection.tags.append(MISSING_TAG)
    return max((detection.confidence for detection in alone), default=0.0)


def _hardness(sample: Any, key: str) -> float:  # noqa: ANN401 - FiftyOne has no types
    """1 - F1 of one image; 0 where there is nothing to find and nothing was found."""
    right, wrong = sample[f"{key}_tp"], sample[f"{key}_fp"] + sample[f"{key}_fn"]
    return wrong / (2 * right + wrong) if wrong else 0.0


Row = tuple[str, int, int, int, int, int]
"""Category, size or "all"; boxes; those that the dense detector finds, the compressed one finds, forgets, gains."""


def comparisons(
    samples: fiftyone.Dataset, data: Dataset, detectors: Sequence[NamedPredictions]
) -> dict[tuple[str, str], list[Row]]:
    """Count what each pair of a dense and a compressed detector finds, by category, by size, and in all, no crowds."""
    names = {category["id"]: category["name"] for category in data.categories}
    scored = {image["id"]: {names[number] for number in data.scored_categories(image)} for image in data.images}
    parts = (*data.category_names, "small", "medium", "large", "all")
    finders: dict[str, list[set[str]]] = {part: [] for part in parts}
    for image, boxes in zip(*samples.values(["image_id", f"{GROUND_TRUTH}.detections"]), strict=True):
        for box in boxes or []:
            if box.label in scored[image] and not box.get_attribute_value("iscrowd", 0):
                for part in {box.label, box.get_attribute_value("size", "all"), "all"}:
                    finders[part].append(set(box["found_by"]))
    pairs = [(dense.name, one.name) for one in detectors if (dense := dense_of(one, detectors)) is not None]
    return {pair: [_row(part, listed, *pair) for part, listed in finders.items() if listed] for pair in pairs}


def _row(part: str, finders: Sequence[set[str]], dense: str, compressed: str) -> Row:
    pairs = [(dense in names, compressed in names) for names in finders]
    before, after = (sum(finds) for finds in zip(*pairs, strict=True))
    return part, len(finders), before, after, pairs.count((True, False)), pairs.count((False, True))


def looks_of(data: Dataset, progress: Progress = silent) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Find which images are one photograph, and what they look like; computed once for a set of images.

    Returns:
        int64 [image]: number of its group of copies, however encoded, cropped or turned, 0 for none; float32 [image,
        feature]: the bundled detector's deepest features, averaged over the image (FiftyOne would download a model).
    """
    from wildbench.datasets.duplicates import KINDS, find_pairs, groups

    paths = [data.image_path(image) for image in data.images]
    listed = "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths)
    cached = cache_dir() / "review" / "looks" / f"{hashlib.sha256(listed.encode()).hexdigest()[:16]}.npz"
    if not cached.is_file():
        same = [(pair.a, pair.b) for pair in find_pairs(paths, progress=progress) if pair.kind != KINDS[-1]]
        group = np.zeros(len(paths), dtype=np.int64)
        for number, copies in enumerate((each for each in groups(len(paths), same) if len(each) > 1), start=1):
            group[copies] = number
        with atomic_writer(cached) as file:
            np.savez(file, group=group, features=_features(paths, progress))
    with np.load(cached) as looks:
        return looks["group"], looks["features"]


def _features(paths: Sequence[Path], progress: Progress) -> npt.NDArray[np.float32]:
    import cv2
    import torch

    from wildbench.datasets.images import read_ahead
    from wildbench.submissions.process import open_submission

    model: Any = open_submission(bundled("baselines/reference.pt")).module
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (model.transform.image_mean, model.transform.image_std))
    rows = []
    with torch.inference_mode():
        for pixels in read_ahead(paths):
            small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            planes = torch.from_numpy(small).permute(2, 0, 1) / 255
            deepest = list(model.backbone.body((planes[None] - mean) / deviation).values())[-1]
            rows.append(deepest.mean(dim=(0, 2, 3)).numpy())
            progress("look at images' features", len(rows), len(paths))
    return np.stack(rows)


def save_views(samples: fiftyone.Dataset, detectors: Sequence[NamedPredictions]) -> dict[str, int]:
    """Save every view that shows something: the number of images by name."""
    from fiftyone import ViewField as F

    views: dict[str, tuple[Any, str]] = {}
    if detectors:
        covered = "Boxes that a detector misses and covers with another category; most confident first."
        for name, field, description in (
            (WRONG, "wrong_label", covered),
            (MISSING, "missing_box", "Confident detections where no box is; most confident first."),
            (HARDEST, "hardness", "Images by 1 - F1, mean over the detectors."),
        ):
            views[name] = (samples.match(F(field) > 0).sort_by(field, reverse=True), description)
    if samples.has_field("group"):
        copies = samples.match(F("group") > 0).sort_by("group")
        views[DUPLICATES] = (copies, "Images that show the same, group by group.")
    for one in detectors:
        dense = dense_of(one, detectors)
        if dense is not None:
            views |= _forgotten_views(samples, one, dense)
    counts = {}
    for name, (view, description) in views.items():
        if images := len(view):
            samples.save_view(name, view, description=description, overwrite=True)
            counts[name] = images
    return counts


def _forgotten_views(
    samples: fiftyone.Dataset, one: NamedPredictions, dense: NamedPredictions
) -> dict[str, tuple[Any, str]]:
    """Boxes that the dense detector finds and this one does not: all of them, then by category and size."""
    from fiftyone import ViewField as F

    lost = F("forgotten_by").contains(one.name)
    boxes = F(f"{GROUND_TRUTH}.detections")
    description = f"Images with boxes that {dense.name} finds and {one.name} does not."
    view = samples.match(boxes.filter(lost).length() > 0).sort_by("forgotten", reverse=True)
    views = {f"forgotten by {one.name}": (view, description)}
    for key in ("label", "size"):
        for value in samples.filter_labels(GROUND_TRUTH, lost).distinct(f"{GROUND_TRUTH}.detections.{key}"):
            part = samples.match(boxes.filter(lost & (F(key) == value)).length() > 0)
            views[f"forgotten by {one.name}: {value}"] = (part, f"{description} Only {value}.")
    return views


def add_similarity(samples: fiftyone.Dataset, features: npt.NDArray[np.float32]) -> None:
    """Let the App sort images by likeness, and draw them on a map of principal components.

    Args:
        samples: The images.
        features: float32 [image, feature].
    """
    import fiftyone.brain as fob

    if len(features) < 3:
        return  # neither a map nor an order
    fob.compute_similarity(samples, embeddings=features, brain_key=ALIKE, backend="sklearn", metric="cosine")
    fob.compute_visualization(samples, embeddings=features, brain_key=MAP, method="pca")


def colour(samples: fiftyone.Dataset, detectors: Sequence[NamedPredictions]) -> None:
    """Give labels, each detector and tagged boxes a colour of their own."""
    import fiftyone

    fields = {GROUND_TRUTH: LABELS}
    fields |= {one.field: DETECTORS[place % len(DETECTORS)] for place, one in enumerate(detectors)}
    samples.app_config.color_scheme = fiftyone.ColorScheme(
        color_by="field",
        color_pool=[LABELS, *DETECTORS],
        fields=[{"path": path, "fieldColor": chosen} for path, chosen in fields.items()],
        label_tags={"fieldColor": TAGGED, "valueColors": []},
    )
