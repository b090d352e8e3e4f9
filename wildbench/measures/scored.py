"""What counts of a data set's labels and of a detector's detections, and which finds which: made once, used by all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import hotcoco
import numpy as np

from wildbench.datasets.coco import Dataset, Ints, Labels
from wildbench.datasets.predictions import Detections
from wildbench.measures.matching import Matches, match

ENGINE = f"hotcoco {hotcoco.__version__}"
"""The library that computed AP, with its version."""


@dataclass(frozen=True, eq=False)
class Scored:
    """One detector's detections on one data set, ready to be measured.

    Only what is exhaustively boxed in its image counts; categories that the detector does not know have no figure.
    Each part is made when it is first asked for, and once.

    Attributes:
        dataset: Ground truth.
        detections: Everything the detector said of its images, in the order in which ties are ranked.
        known: Ids of the categories that the detector knows; None for all.
        kind: `bbox`, or `segm` where every detection and every box has a mask.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 4, "width": 90, "height": 90}], "categories": [{"id": 7, "name": "lion"}],
        ...         "annotations": [{"id": 1, "image_id": 4, "category_id": 7, "bbox": [9, 9, 40, 40], "area": 1600,
        ...                          "iscrowd": 0}]}
        >>> found = Detections([4], [7], [[9, 9, 40, 30]], scores=[0.9])
        >>> Scored(Dataset("tiny", None, coco, Path()), found).matches.outcome[0, :, 0].tolist()
        [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    """

    dataset: Dataset
    detections: Detections
    known: frozenset[int] | None = None
    kind: Literal["bbox", "segm"] = "bbox"

    @cached_property
    def labels(self) -> Labels:
        """The boxes that count, crowds too."""
        return self.dataset.scored(self.dataset.labels)

    @cached_property
    def counted(self) -> Detections:
        """The detections that count."""
        return self.dataset.scored(self.detections)

    @cached_property
    def categories(self) -> list[dict[str, Any]]:
        """Entries of the categories that the detector knows, by ascending id."""
        return [entry for entry in self.dataset.categories if self.known is None or entry["id"] in self.known]

    @cached_property
    def image_ids(self) -> Ints:
        """int64 [image], rising: the engine numbers images from 1 in this order, matches from 0."""
        return np.array(sorted(image["id"] for image in self.dataset.images), dtype=np.int64)

    @cached_property
    def with_masks(self) -> Scored | None:
        """The same for masks; None where a detection or a box has none."""
        masks = self.dataset.labels.masks
        every = masks is not None and all(mask is not None for mask in masks)
        return replace(self, kind="segm") if every and self.detections.masks is not None else None

    @cached_property
    def engine(self) -> hotcoco.COCOeval:
        """The engine, with everything evaluated and accumulated.

        It has ids from 1 in the order of the data set's own: pycocotools orders images and categories by id, and takes
        a match with annotation 0 for none. Its ids of boxes and detections are places in `labels` and `counted`,
        from 1.
        """
        labels, found = self.labels, self.counted
        entries = {image["id"]: image for image in self.dataset.images}
        numbers = {entry["id"]: number for number, entry in enumerate(self.dataset.categories, start=1)}
        category_ids = np.array(list(numbers), dtype=np.int64)
        masks = [None if rows.masks is None or self.kind == "bbox" else rows.masks.tolist() for rows in (labels, found)]
        image, category = (
            [np.searchsorted(ids, column) + 1 for column in columns]
            for ids, columns in (
                (self.image_ids, (labels.image_ids, found.image_ids)),
                (category_ids, (labels.category_ids, found.category_ids)),
            )
        )
        truth = hotcoco.COCO.from_arrays(
            [
                {"id": number, "width": entries[key]["width"], "height": entries[key]["height"]}
                for number, key in enumerate(self.image_ids.tolist(), start=1)
            ],
            [{"id": numbers[entry["id"]], "name": entry["name"]} for entry in self.dataset.categories],
            image[0],
            category[0],
            labels.boxes,
            ids=np.arange(1, len(labels) + 1),
            area=labels.areas,
            iscrowd=labels.crowd,
            segmentation=masks[0],
        )
        results = np.column_stack([image[1], found.boxes, found.scores, category[1]])
        engine = hotcoco.COCOeval(truth, truth.load_res(results, segmentation=masks[1]), self.kind)
        engine.params.cat_ids = [numbers[entry["id"]] for entry in self.categories]
        engine.evaluate()
        engine.accumulate()
        return engine

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The engine's arrays: precision [threshold, recall point, category, area, most], recall without the points."""
        return self.engine.eval or {}

    @cached_property
    def matches(self) -> Matches:
        """What became of each detection, in the form that is drawn again."""
        known = np.array([entry["id"] for entry in self.categories], dtype=np.int64)
        sizes = {image["id"]: (image["height"], image["width"]) for image in self.dataset.images if self.kind == "segm"}
        return match(
            self.labels[np.isin(self.labels.category_ids, known)],
            self.counted[np.isin(self.counted.category_ids, known)],
            image_ids=self.image_ids,
            categories={entry["id"]: entry["name"] for entry in self.dataset.categories},
            sizes=sizes or None,
        )
