"""Average precision and recall, as pycocotools computes them to the last bit, by hotcoco.

Reference: Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and `pycocotools.cocoeval.COCOeval`. Ten
thresholds of intersection over union, 0.50:0.05:0.95; 101 recall points; at most 1, 10 or 100 detections an image and
category; small up to 32² square pixels, medium up to 96², large above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.datasets.coco import Dataset
from wildbench.measures.accuracy._mean_iou import mean_iou
from wildbench.measures.matching import AREAS, MAX_DETECTIONS, known_categories, prepare, what_counts
from wildbench.measures.uncertainty import Uncertainty, measure_uncertainty
from wildbench.scorecard import Accuracy, BoxAccuracy, Figure, PerCategory, coco_figure

_THRESHOLD = {0.5: 0, 0.75: 5}


def measure_accuracy(
    dataset: Dataset,
    results: list[dict[str, Any]],
    *,
    predictions_file: str,
    predictions_sha256: str,
    scored_categories: set[int] | None = None,
) -> Accuracy:
    """Score detections against a data set.

    Where an image carries `annotated_categories`, it takes part for those alone: its detections and its boxes of other
    categories are left out, as if each category were scored on the images that list it. An average over categories is
    over those with at least one box that is no crowd. `n` of a figure is the number of such boxes it is over.

    Masks are scored where every detection and every box has one. As in pycocotools, a detection's size is then still
    that of its box.

    Args:
        dataset: Ground truth.
        results: COCO results of images and categories of the data set: `image_id`, `category_id`, `bbox` `[x, y, width,
            height]` in pixels, `score`, and `segmentation` for masks.
        predictions_file: Name of the file that keeps `results`.
        predictions_sha256: Its hash.
        scored_categories: Ids of the categories that the detector knows; None for all. The others have no figure.

    Returns:
        Every figure with its number of boxes and its interval, or null with the reason.

    Example:
        >>> coco = {"images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 90}],
        ...     "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}], "annotations": [
        ...         {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> found = [{"image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 30], "score": 0.9}]
        >>> from pathlib import Path
        >>> accuracy = measure_accuracy(Dataset("tiny", None, coco, Path()), found, predictions_file="p.json",
        ...                             predictions_sha256="")
        >>> round(accuracy.ap.value, 9), accuracy.per_category["bird"].ap.reason
        (0.6, 'no box of bird in the split')
    """
    truth, kept = what_counts(dataset, results)
    uncertainty = measure_uncertainty(dataset, results, "bbox", scored_categories)
    boxes = _box_accuracy(dataset, truth, kept, "bbox", scored_categories, uncertainty)
    masks = None
    if results and all(entry.get("segmentation") for entry in (*results, *dataset.annotations)):
        of_masks = measure_uncertainty(dataset, results, "segm", scored_categories)
        masks = _box_accuracy(dataset, truth, kept, "segm", scored_categories, of_masks)
    return Accuracy(
        **{name: getattr(boxes, name) for name in BoxAccuracy.model_fields},
        masks=masks,
        unknown_categories=[
            entry["name"]
            for entry in dataset.categories
            if not (scored_categories is None or entry["id"] in scored_categories)
        ],
        uncertainty=uncertainty.record(),
        predictions_file=predictions_file,
        predictions_sha256=predictions_sha256,
        detections=len(results),
    )


def _box_accuracy(
    dataset: Dataset,
    truth: list[dict[str, Any]],
    results: list[dict[str, Any]],
    kind: str,
    known: set[int] | None,
    uncertainty: Uncertainty,
) -> BoxAccuracy:
    curves = _curves(dataset, truth, results, kind, known_categories(dataset, known), uncertainty)
    per_category = {
        name: _unknown(name) if name not in curves.names else _category(curves, curves.names.index(name))
        for name in dataset.category_names
    }
    return BoxAccuracy(
        ap=curves.figure("AP"),
        ap50=curves.figure("AP", iou=0.5),
        ap75=curves.figure("AP", iou=0.75),
        ap_small=curves.figure("AP", area="small"),
        ap_medium=curves.figure("AP", area="medium"),
        ap_large=curves.figure("AP", area="large"),
        ar_1=curves.figure("AR", most=1),
        ar_10=curves.figure("AR", most=10),
        ar_100=curves.figure("AR"),
        ar_small=curves.figure("AR", area="small"),
        ar_medium=curves.figure("AR", area="medium"),
        ar_large=curves.figure("AR", area="large"),
        per_category=per_category,
        mean_iou50=mean_iou(uncertainty),
    )


@dataclass(frozen=True)
class _Curves:
    """The engine's arrays, and the boxes they are over.

    Attributes:
        precision: float64 [threshold, recall point, category, area, max detections]; -1 where undefined.
        recall: float64 [threshold, category, area, max detections]; -1 where undefined.
        boxes: int64 [category, area]: boxes that are no crowds.
        names: Names of the categories, in the order of the arrays.
        uncertainty: Of the same detections.
    """

    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    boxes: npt.NDArray[np.int64]
    names: list[str]
    uncertainty: Uncertainty

    def figure(
        self, unit: str, *, area: str = "all", iou: float | None = None, most: int = 100, only: int | None = None
    ) -> Figure:
        """One statistic, taken as `COCOeval.summarize` takes it: the mean of what is defined.

        Args:
            unit: AP or AR.
            area: A key of `AREAS`.
            iou: One threshold; None for the mean over all ten.
            most: Detections an image and category.
            only: Index of one category; None for the mean over all.
        """
        thresholds = slice(None) if iou is None else slice(_THRESHOLD[iou], _THRESHOLD[iou] + 1)
        categories = slice(None) if only is None else slice(only, only + 1)
        size, limit = list(AREAS).index(area), MAX_DETECTIONS.index(most)
        if unit == "AP":
            values = self.precision[thresholds, :, categories, size, limit]
        else:
            values = self.recall[thresholds, categories, size, limit]
        defined = values[values > -1]
        kind = "box" if area == "all" else f"{area} box"
        name = None if only is None else self.names[only]
        of = "" if only is None else f" of {name}"
        value = float(np.mean(defined)) if defined.size else -1.0
        found = coco_figure(value, unit, int(self.boxes[categories, size].sum()), f"no {kind}{of} in the split")
        return self.uncertainty.complete(found, area=area, iou=iou, most=most, category=name)


def _category(curves: _Curves, only: int) -> PerCategory:
    return PerCategory(
        ap=curves.figure("AP", only=only),
        ap50=curves.figure("AP", iou=0.5, only=only),
        ap75=curves.figure("AP", iou=0.75, only=only),
        ar_100=curves.figure("AR", only=only),
    )


def _unknown(name: str) -> PerCategory:
    reason = f"the detector does not know {name}"
    precision, recall = Figure.undefined("AP", reason), Figure.undefined("AR", reason)
    return PerCategory(ap=precision, ap50=precision, ap75=precision, ar_100=recall)


def _curves(
    dataset: Dataset,
    truth: list[dict[str, Any]],
    results: list[dict[str, Any]],
    kind: str,
    categories: list[dict[str, Any]],
    uncertainty: Uncertainty,
) -> _Curves:
    """Run the engine."""
    engine = prepare(dataset, truth, results, categories, kind)
    engine.evaluate()
    engine.accumulate()
    arrays: dict[str, Any] = engine.eval or {}
    return _Curves(
        np.asarray(arrays["precision"]),
        np.asarray(arrays["recall"]),
        _count(truth, [entry["id"] for entry in categories]),
        [entry["name"] for entry in categories],
        uncertainty,
    )


def _count(truth: list[dict[str, Any]], category_ids: list[int]) -> npt.NDArray[np.int64]:
    """Boxes that are no crowds, by category and area range."""
    boxes = np.zeros((len(category_ids), len(AREAS)), dtype=np.int64)
    rows = {category_id: row for row, category_id in enumerate(category_ids)}
    for entry in truth:
        if entry["category_id"] in rows and not entry["iscrowd"]:
            boxes[rows[entry["category_id"]]] += [low <= entry["area"] <= high for low, high in AREAS.values()]
    return boxes
