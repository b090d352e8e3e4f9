"""Whether detections say something else than their numbers read: another box form, another scale, other labels.

Every reading is judged by the labels it agrees with. A weak detector agrees with few of them under any reading, so
that only one under which the agreement is several times better is evidence of a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from wildbench.datasets.agreement import Boxes, Flags, Located, Numbers, agreeing, pairs
from wildbench.datasets.findings import Finding

AS_IS = "[x, y, width, height]"
MORE = 6
"""Labels that a reading has to agree with beyond those it loses; by chance alone 1 in 2 to the power of it."""

TIMES, SHARE = 3.0, 0.15
"""How much better than the numbers as they are, and with which share of the labels at least."""

Form = Callable[[Boxes, Boxes], Boxes]
FORMS: dict[str, tuple[str, Form, str]] = {
    "detections-xyxy": (
        "[x1, y1, x2, y2]",
        lambda box, _: np.hstack([box[:, :2], box[:, 2:] - box[:, :2]]),
        "give [x1, y1, x2 - x1, y2 - y1]",
    ),
    "detections-cxcywh": (
        "[centre x, centre y, width, height]",
        lambda box, _: np.hstack([box[:, :2] - box[:, 2:] / 2, box[:, 2:]]),
        "subtract half of width and height from the centre",
    ),
    "detections-transposed": ("[y, x, height, width]", lambda box, _: box[:, [1, 0, 3, 2]], "give x before y"),
    "detections-yxyx": (
        "[y1, x1, y2, x2]",
        lambda box, _: np.hstack([box[:, [1, 0]], box[:, [3, 2]] - box[:, [1, 0]]]),
        "give [x1, y1, x2 - x1, y2 - y1]",
    ),
    "detections-normalised": ("shares of the image's size", lambda box, size: box * np.tile(size, 2), "multiply by it"),
    "detections-normalised-xyxy": (
        "corners in shares of the image's size",
        lambda box, size: np.hstack([box[:, :2], box[:, 2:] - box[:, :2]]) * np.tile(size, 2),
        "multiply by it, then give [x1, y1, x2 - x1, y2 - y1]",
    ),
    "detections-normalised-cxcywh": (
        "centres in shares of the image's size",
        lambda box, size: np.hstack([box[:, :2] - box[:, 2:] / 2, box[:, 2:]]) * np.tile(size, 2),
        "multiply by it, then subtract half of width and height from the centre",
    ),
}
"""Code, the form in words, its boxes in pixels, and the remedy."""


def check_readings(labels: Located, detections: Located, sizes: Boxes, names: list[str]) -> Iterator[Finding]:
    """Report the reading that agrees with far more labels than the numbers as they are; at most one.

    Args:
        labels: Boxes that are no crowds.
        detections: Detections in the same images.
        sizes: float64 [images, 2], width and height by image.
        names: Names of the categories.
    """
    paired = pairs(labels, detections)
    as_is = agreeing(labels, detections.boxes, paired)
    size = sizes[detections.image] if len(sizes) else np.zeros((len(detections.image), 2))
    found: list[tuple[Flags, str, str, str]] = []
    for code, (words, form, remedy) in FORMS.items():
        found.append((agreeing(labels, form(detections.boxes, size), paired), code, f"read as {words}", remedy))
    for words, boxes in _scales(labels, detections, size, paired):
        agree = agreeing(labels, boxes, paired)
        remedy = "give boxes in pixels of the stored image, not of the detector's input"
        found.append((agree, "detections-rescaled", words, remedy))
    found += _other_places(labels, detections, names)
    agree, code, words, remedy = max(found, key=lambda reading: int(reading[0].sum()))
    if _far_better(agree, as_is):
        message = f"{words} the boxes agree with {agree.mean():.0%} of the {len(agree)} labels, as they are ({AS_IS}) "
        yield Finding(
            code, f"all {len(detections.boxes)} detections", f"{message}with {as_is.mean():.0%}", remedy, "warning"
        )


def _far_better(agree: Flags, as_is: Flags) -> bool:
    gained, lost = int((agree & ~as_is).sum()), int((as_is & ~agree).sum())
    return gained - 4 * lost >= MORE and agree.sum() >= max(TIMES * as_is.sum(), SHARE * len(agree))


def _scales(
    labels: Located, detections: Located, size: Boxes, paired: tuple[Numbers, Numbers]
) -> Iterator[tuple[str, Boxes]]:
    """Boxes at the scale that the sides of labels and detections suggest: one factor, or a square input."""
    found, wanted = paired
    sides, true = detections.boxes[found, 2:], labels.boxes[wanted, 2:]
    usable = (sides > 0).all(1) & (np.bincount(found, minlength=len(detections.boxes))[found] == 1)
    if not usable.any():
        return
    sides, true, image = sides[usable], true[usable], size[found][usable]
    longest = size.max(1, keepdims=True)
    factor = np.median(true / sides, axis=0)
    yield f"times {factor[0]:.3g} and {factor[1]:.3g}", detections.boxes * np.tile(factor, 2)
    stretched = np.median(image * sides / true, axis=0)
    words = f"as pixels of an input of {stretched[0]:.0f} x {stretched[1]:.0f}"
    yield words, detections.boxes * np.tile(size / stretched, 2)
    square = float(np.median(image.max(1, keepdims=True) * sides / true))
    padded = detections.boxes * (longest / square)
    yield f"as pixels of a padded input of {square:.0f}", padded
    margin = np.hstack([(longest - size) / 2, np.zeros_like(size)])
    yield f"as pixels of an input of {square:.0f}, padded on both sides", padded - margin


def _other_places(labels: Located, detections: Located, names: list[str]) -> Iterator[tuple[Flags, str, str, str]]:
    """Labels, images and scores that count from elsewhere."""
    for step in (1, -1):
        moved = detections.shifted(category=step)
        agree = agreeing(labels, moved.boxes, pairs(labels, moved))
        if len(set(labels.category[agree].tolist())) > 1:  # one category alone may well be taken for another
            words = (
                f"with each category_id taken for the {'next' if step > 0 else 'previous'} of {len(names)} categories"
            )
            remedy = "map the detector's labels to the data set's ids; mind the background label"
            yield agree, "detections-labels-shifted", words, remedy
        moved = detections.shifted(image=step)
        agree = agreeing(labels, moved.boxes, pairs(labels, moved))
        words = f"with each image_id taken for the {'next' if step > 0 else 'previous'} image"
        yield agree, "detections-images-shifted", words, "give each detection the id of its own image"
    worst_first = replace(detections, score=-detections.score)
    agree = agreeing(labels, detections.boxes, pairs(labels, worst_first))
    yield (
        agree,
        "scores-reversed",
        "with the lowest scores taken for the best",
        "give the surest detection the highest score",
    )
