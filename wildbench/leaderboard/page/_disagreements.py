"""Pictures in which a compressed detector and the dense one it was made from see different animals."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import Field

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.scorecard import Figure, Record, Scorecard

PICTURES = 3
"""Of one row."""

WIDTH, QUALITY = 480, 70
"""Of an embedded JPEG: 15 to 30 kB each."""

SAME = 0.5
"""Intersection over union from which two detections of one category are the same."""

Detection = Mapping[str, Any]


class SeenBox(Record):
    """One detection, or one label."""

    box: tuple[float, float, float, float] = Field(description="x, y, width, height as shares of the picture.")
    category: str
    score: float | None = Field(description="null for a label.")
    alone: bool = Field(description="Whether the other detector has no such box.")


class Picture(Record):
    """One image, and what each detector finds in it."""

    file_name: str
    jpeg: str = Field(description="The image as a data URI.")
    width: int
    height: int
    labels: list[SeenBox]
    dense: list[SeenBox]
    compressed: list[SeenBox]


def threshold(card: Scorecard) -> Figure | None:
    """The score from which a detection counts: where its detector's F1 is best. None in older records."""
    return card.errors.images.threshold if card.errors else None


def pictures(
    data: Dataset, dense: Sequence[Detection], compressed: Sequence[Detection], thresholds: tuple[float, float]
) -> list[Picture]:
    """The images with the most detections that only one of the two has.

    Args:
        data: With images at hand.
        dense: COCO results of the parent.
        compressed: Those of the child.
        thresholds: Score from which each one's detections are looked at.

    Returns:
        At most `PICTURES`; those with more differences first, ties by image id. Images without any are left out.
    """
    sides = [_by_image(results, least) for results, least in zip((dense, compressed), thresholds, strict=True)]
    ranked = []
    for image in data.images:
        one, other = (side.get(image["id"], []) for side in sides)
        shared = _paired(one, other)
        differing = len(one) + len(other) - 2 * len(shared)
        if differing:
            ranked.append((-differing, image["id"], image, one, other, shared))
    ranked.sort(key=lambda entry: entry[:2])
    return [_picture(data, image, one, other, shared) for _, _, image, one, other, shared in ranked[:PICTURES]]


def _by_image(results: Sequence[Detection], least: float) -> dict[int, list[Detection]]:
    found: dict[int, list[Detection]] = defaultdict(list)
    for result in results:
        if result["score"] >= least:
            found[result["image_id"]].append(result)
    return found


def _paired(one: Sequence[Detection], other: Sequence[Detection]) -> list[tuple[int, int]]:
    """Places of the detections that both have: best overlap first, each once."""
    overlaps = sorted(
        (-overlap(a["bbox"], b["bbox"]), i, j)
        for i, a in enumerate(one)
        for j, b in enumerate(other)
        if a["category_id"] == b["category_id"]
    )
    pairs: list[tuple[int, int]] = []
    for negative, i, j in overlaps:
        if -negative >= SAME and all(i != left and j != right for left, right in pairs):
            pairs.append((i, j))
    return pairs


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes, each x, y, width, height.

    Example:
        >>> overlap([0, 0, 2, 1], [1, 0, 2, 1])
        0.3333333333333333
    """
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    union = a[2] * a[3] + b[2] * b[3] - shared
    return shared / union if union else 0.0


def _picture(
    data: Dataset,
    image: Mapping[str, Any],
    one: Sequence[Detection],
    other: Sequence[Detection],
    shared: Sequence[tuple[int, int]],
) -> Picture:
    width, height = image["width"], image["height"]
    names = {entry["id"]: entry["name"] for entry in data.categories}

    def seen(entries: Sequence[Detection], common: set[int]) -> list[SeenBox]:
        return [
            SeenBox(
                box=tuple(
                    round(side / whole, 4) for side, whole in zip(entry["bbox"], (width, height) * 2, strict=True)
                ),
                category=names[entry["category_id"]],
                score=round(entry["score"], 3) if "score" in entry else None,
                alone=place not in common,
            )
            for place, entry in enumerate(entries)
        ]

    labels = data.boxes(image["id"])
    return Picture(
        file_name=str(image["file_name"]),
        jpeg=small_jpeg(data.image_path(dict(image))),
        width=width,
        height=height,
        labels=seen(labels, set(range(len(labels)))),
        dense=seen(one, {left for left, _ in shared}),
        compressed=seen(other, {right for _, right in shared}),
    )


def small_jpeg(path: Path) -> str:
    """An image, `WIDTH` pixels wide at most, as a data URI."""
    picture = Image.fromarray(decode(path))
    picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
