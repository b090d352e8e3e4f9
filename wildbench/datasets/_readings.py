"""Whether detections say something else than their numbers read: another box form, another scale, other labels.

Every reading is judged by the labels it agrees with. A weak detector agrees with few of them under any reading, so
that only one under which the agreement is several times better is evidence of a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from hotcoco import primitives

from wildbench.datasets.coco import Columns, Dataset
from wildbench.datasets.findings import Finding
from wildbench.datasets.predictions import Detections

Boxes = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

IOU = 0.5
"""Overlap from which a detection and a label agree."""


def located(rows: Columns, dataset: Dataset) -> Detections:
    """Labels or detections with images and categories numbered from 0, by rising id; the score of a label is 1."""
    images = np.array(sorted(image["id"] for image in dataset.images), dtype=np.int64)
    categories = np.array([entry["id"] for entry in dataset.categories], dtype=np.int64)
    scores = rows.scores if isinstance(rows, Detections) else np.ones(len(rows))
    places = np.searchsorted(images, rows.image_ids), np.searchsorted(categories, rows.category_ids)
    return Detections(*places, rows.boxes, scores)


def pairs(labels: Detections, detections: Detections) -> tuple[Numbers, Numbers]:
    """Indices of detections and of labels of their category, among as many of an image's best as it has labels.

    So a flood of detections of low score agrees with no more labels than a handful does.
    """
    images, counts = np.unique(labels.image_ids, return_counts=True)
    order = np.lexsort((-detections.scores, detections.image_ids))
    ranked = detections.image_ids[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
    limits = dict(zip(images.tolist(), counts.tolist(), strict=True))
    best = order[rank < np.array([limits.get(image, 0) for image in ranked.tolist()], dtype=np.int64)]
    repeats = np.array([limits[image] for image in detections.image_ids[best].tolist()], dtype=np.int64)
    by_image = np.argsort(labels.image_ids, kind="stable")
    starts = np.searchsorted(labels.image_ids[by_image], detections.image_ids[best])
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    near, wanted = np.repeat(best, repeats), by_image[np.repeat(starts, repeats) + within]
    same = detections.category_ids[near] == labels.category_ids[wanted]
    return near[same], wanted[same]


def agreeing(labels: Detections, boxes: Boxes, paired: tuple[Numbers, Numbers], iou: float = IOU) -> Flags:
    """Labels (bool [labels]) that a detection paired with them overlaps by `iou`, its `boxes` read as x, y, w, h."""
    detections, wanted = paired
    agree = np.zeros(len(labels.boxes), dtype=np.bool_)
    agree[wanted[overlap(boxes[detections], labels.boxes[wanted]) >= iou]] = True
    return agree


def overlap(boxes: Boxes, others: Boxes) -> Boxes:
    """Intersection over union, pair by pair; 0 where a side is not positive."""
    near = np.maximum(boxes[:, :2], others[:, :2])
    far = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    common = np.clip(far - near, 0, None).prod(1)
    union = boxes[:, 2:].prod(1) + others[:, 2:].prod(1) - common
    sound = (boxes[:, 2:] > 0).all(1) & (others[:, 2:] > 0).all(1)
    return np.asarray(np.where(sound, common / np.where(union > 0, union, 1.0), 0.0))


MORE = 6
"""Labels that a reading has to agree with beyond those it loses; by chance alone 1 in 2 to the power of it."""

TIMES, SHARE = 3.0, 0.15
"""How much better than the numbers as they are, and with which share of the labels at least."""

FITTED_IOU = 0.75
"""Overlap that counts where the scale was fitted: large boxes about the middle overlap by half at many a scale."""

Form = Callable[[Boxes, Boxes], Boxes]


def _corners(box: Boxes) -> Boxes:
    return np.hstack([box[:, :2], box[:, 2:] - box[:, :2]])


def _centred(box: Boxes) -> Boxes:
    return np.hstack([box[:, :2] - box[:, 2:] / 2, box[:, 2:]])


_SUBTRACT = "give [x1, y1, x2 - x1, y2 - y1]"
_HALVE = "subtract half of width and height from the centre"


def _exchanged(box: Boxes, _: Boxes) -> Boxes:
    return box[:, [1, 0, 3, 2]]


def _right(box: Boxes, size: Boxes) -> Boxes:
    """From a picture that was turned a quarter to the right (EXIF 6)."""
    return np.hstack([box[:, 1:2], size[:, 1:] - box[:, :1] - box[:, 2:3], box[:, [3, 2]]])


def _left(box: Boxes, size: Boxes) -> Boxes:
    """From a picture that was turned a quarter to the left (EXIF 8)."""
    return np.hstack([size[:, :1] - box[:, 1:2] - box[:, 3:], box[:, :1], box[:, [3, 2]]])


def _over(box: Boxes, size: Boxes) -> Boxes:
    """From a picture upside down (EXIF 3)."""
    return np.hstack([size - box[:, :2] - box[:, 2:], box[:, 2:]])


def _of_shares(turn: Form) -> Form:
    """The same where shares of the turned picture were multiplied by the sides of the stored one."""
    return lambda box, size: turn(box / np.tile(size, 2), np.ones_like(size)) * np.tile(size, 2)


_SIDE = "look at both in pictures as they are stored: one of the two is of pictures that EXIF turns, the other is not"

TURNED = 0.3
"""Share of the labels of images in which nothing agrees that have to agree with boxes that are turned."""

_QUARTERS = (("a quarter to the left", _right), ("a quarter to the right", _left), ("upside down", _over))

_EXCHANGED = "look at the labels of these images first: some tools write y before x"

TURNS: tuple[tuple[str, str, str, Form], ...] = tuple(
    (code, words, remedy, form)
    for code, words, remedy, turn in (
        ("boxes-partly-transposed", "whose x and y are exchanged", _EXCHANGED, _exchanged),
        *(("boxes-partly-turned", f"turned {words}", _SIDE, turn) for words, turn in _QUARTERS),
    )
    for form in (turn, _of_shares(turn))
)
"""Code, words, remedy, and the boxes in the stored picture."""

FORMS: dict[str, tuple[str, Form, str]] = {
    "detections-xyxy": ("[x1, y1, x2, y2]", lambda box, _: _corners(box), _SUBTRACT),
    "detections-cxcywh": ("[centre x, centre y, width, height]", lambda box, _: _centred(box), _HALVE),
    "detections-transposed": ("[y, x, height, width]", lambda box, _: box[:, [1, 0, 3, 2]], "give x before y"),
    "detections-yxyx": ("[y1, x1, y2, x2]", lambda box, _: _corners(box[:, [1, 0, 3, 2]]), _SUBTRACT),
    "detections-normalised": ("shares of the image's size", lambda box, size: box * np.tile(size, 2), "multiply by it"),
    "detections-normalised-xyxy": (
        "corners in shares of the image's size",
        lambda box, size: _corners(box) * np.tile(size, 2),
        f"multiply by it, then {_SUBTRACT}",
    ),
    "detections-normalised-cxcywh": (
        "centres in shares of the image's size",
        lambda box, size: _centred(box) * np.tile(size, 2),
        f"multiply by it, then {_HALVE}",
    ),
    "detections-mirrored-x": (
        "mirrored, left for right",
        lambda box, size: np.hstack([size[:, :1] - box[:, :1] - box[:, 2:3], box[:, 1:]]),
        "turn the boxes back with the picture: x = image width - x - width",
    ),
    "detections-mirrored-y": (
        "mirrored, top for bottom",
        lambda box, size: np.hstack([box[:, :1], size[:, 1:] - box[:, 1:2] - box[:, 3:], box[:, 2:]]),
        "count y from the top of the image: y = image height - y - height",
    ),
}
"""Code, the form in words, its boxes in pixels, and the remedy."""


@dataclass(frozen=True)
class Reading:
    """One way to read the numbers.

    Attributes:
        code, words, remedy: Of the finding where it is the right way; the words go before "the boxes agree with".
        boxes: float64 [detections, 4], as they are read, in pixels.
        paired: Detections and labels to compare.
        fitted: Whether its scale was chosen for the best agreement.
        as_is: What it is compared with, where that is other labels; one category alone may well be taken for another,
            so that agreement in one is no evidence then.
    """

    code: str
    words: str
    remedy: str
    boxes: Boxes
    paired: tuple[Numbers, Numbers]
    fitted: bool = False
    as_is: tuple[Boxes, tuple[Numbers, Numbers]] | None = None

    def fits(self, agree: Flags, labels: Detections, iou: float) -> bool:
        """Whether agreement at this overlap can be evidence for it."""
        several = len(set(labels.category_ids[agree].tolist())) > 1
        return (iou == FITTED_IOU or not self.fitted) and (several or self.as_is is None)


def check_readings(
    labels: Detections, detections: Detections, everything: Detections, sizes: Boxes, names: list[str]
) -> Iterator[Finding]:
    """Report the reading that agrees with far more labels than the numbers as they are; at most one.

    `labels` are no crowds, `detections` are of categories that are boxed in their image, and `everything` is all of
    them: under other labels, others may be boxed. `sizes` are width and height [images, 2].
    """
    paired = pairs(labels, detections)
    size = sizes[detections.image_ids] if len(sizes) else np.zeros((len(detections.image_ids), 2))
    readings = [
        Reading(code, f"read as {words}", remedy, form(detections.boxes, size), paired)
        for code, (words, form, remedy) in FORMS.items()
    ]
    readings += [*_scales(labels, detections, size, paired), *_other_places(labels, detections)]
    readings += _other_labels(labels, everything, names)
    better = []
    for iou in (IOU, FITTED_IOU):
        for reading in readings:
            as_is = agreeing(labels, *(reading.as_is or (detections.boxes, paired)), iou)
            agree = agreeing(labels, reading.boxes, reading.paired, iou)
            if reading.fits(agree, labels, iou) and _far_better(agree, as_is):
                better.append((float(agree.mean()), float(as_is.mean()), iou, reading))
    if better:
        share, before, iou, best = max(better, key=lambda one: one[0])
        message = (
            f"{best.words} the boxes agree with {share:.0%} of the {len(labels.boxes)} labels at IoU {iou}, "
            f"as they are ([x, y, width, height]) with {before:.0%}"
        )
        yield Finding(best.code, f"all {len(detections.boxes)} detections", message, best.remedy, "warning")
    else:
        yield from _check_turned(labels, detections, size, paired)


def _check_turned(
    labels: Detections, detections: Detections, size: Boxes, paired: tuple[Numbers, Numbers]
) -> Iterator[Finding]:
    """Report the images whose boxes agree only where they are turned or exchange x and y; at most one way to turn."""
    as_is = agreeing(labels, detections.boxes, paired)
    unlike = ~np.isin(labels.image_ids, labels.image_ids[as_is])  # images in which nothing agrees
    ways = [(agreeing(labels, turn(detections.boxes, size), paired) & unlike, way) for *way, turn in TURNS]
    agree, (code, words, remedy) = max(ways, key=lambda way: int(way[0].sum()))
    if agree.sum() >= max(MORE, TURNED * unlike.sum()):
        images = len(set(labels.image_ids[agree].tolist()))
        message = (
            f"{agree.sum()} labels of these images agree at IoU {IOU} with boxes {words}, none with boxes as they are"
        )
        yield Finding(code, f"{images} images", message, remedy, "warning")


def _far_better(agree: Flags, as_is: Flags) -> bool:
    gained, lost = int((agree & ~as_is).sum()), int((as_is & ~agree).sum())
    return gained - 4 * lost >= MORE and agree.sum() >= max(TIMES * as_is.sum(), SHARE * len(agree))


def _scales(
    labels: Detections, detections: Detections, size: Boxes, paired: tuple[Numbers, Numbers]
) -> Iterator[Reading]:
    """Boxes at the scale that the sides of labels and detections suggest: one factor, or a square input."""
    near, wanted = paired
    sides, true = detections.boxes[near, 2:], labels.boxes[wanted, 2:]
    usable = (sides > 0).all(1) & (true > 0).all(1) & (np.bincount(near, minlength=len(detections.boxes))[near] == 1)
    if not usable.any():
        return
    sides, true, image = sides[usable], true[usable], size[near][usable]
    longest = size.max(1, keepdims=True)
    factor = np.median(true / sides, axis=0)
    readings = {f"times {factor[0]:.3g} and {factor[1]:.3g}": detections.boxes * np.tile(factor, 2)}
    across, down = (_input_size(value) for value in np.median(image * sides / true, axis=0))
    words = f"as pixels of an input of {across:.0f} x {down:.0f}"
    readings[words] = detections.boxes * np.tile(size / np.array([across, down]), 2)
    square = _input_size(np.median(image.max(1, keepdims=True) * sides / true))
    padded = detections.boxes * (longest / square)
    readings[f"as pixels of a padded input of {square:.0f}"] = padded
    margin = np.hstack([(longest - size) / 2, np.zeros_like(size)])
    readings[f"as pixels of an input of {square:.0f}, padded on both sides"] = padded - margin
    remedy = "give boxes in pixels of the stored image, not of the detector's input"
    for words, boxes in readings.items():
        yield Reading("detections-rescaled", words, remedy, boxes, paired, fitted=True)


def _input_size(fitted: float) -> float:
    """The multiple of 32 that a detector's input has, where it is near; else what was fitted."""
    usual = 32.0 * round(fitted / 32)
    return usual if abs(usual - fitted) <= 0.03 * fitted else float(fitted)


def _other_places(labels: Detections, detections: Detections) -> Iterator[Reading]:
    """Images and scores that count from elsewhere."""
    remedy = "give each detection the id of its own image"
    for step, way in ((1, "next"), (-1, "previous")):
        paired = pairs(labels, replace(detections, image_ids=detections.image_ids + step))
        words = f"with each image_id taken for the {way} image"
        yield Reading("detections-images-shifted", words, remedy, detections.boxes, paired)
    paired = pairs(labels, replace(detections, scores=1 - detections.scores))
    words, remedy = "with the lowest scores taken for the best", "give the surest detection the highest score"
    yield Reading("scores-reversed", words, remedy, detections.boxes, paired)


def _other_labels(labels: Detections, everything: Detections, names: list[str]) -> Iterator[Reading]:
    """Categories that count from elsewhere, as where the background has a label or has none."""
    boxes = everything.boxes
    as_is = (boxes, pairs(labels, everything))
    remedy = "map the detector's labels to the data set's ids; mind the background label"
    for step, way in ((1, "next"), (-1, "previous")):
        paired = pairs(labels, replace(everything, category_ids=everything.category_ids + step))
        words = f"with each category_id taken for the {way} of {len(names)} categories"
        yield Reading("detections-labels-shifted", words, remedy, boxes, paired, as_is=as_is)


MUTUAL = 5.0
"""How many times as often a category has the one wrong name as its own: a poor detector may well reach TIMES."""

SHOWN = 4
"""Names that a message spells out."""


class Confusion(NamedTuple):
    """What the labels that detections lie on are called, whatever their own category.

    Attributes:
        table: int64 [categories, categories], labels by what a detection calls them and by what they are.
        found: int64 [categories], labels that any detection lies on.
        labels: int64 [categories], all of them.
    """

    table: Numbers
    found: Numbers
    labels: Numbers


def confusion(labels: Detections, detections: Detections, categories: int) -> Confusion:
    """Count what labels are called by the best detections of their image, as many as it has labels."""
    unnamed = (replace(rows, category_ids=np.zeros_like(rows.category_ids)) for rows in (labels, detections))
    near, wanted = pairs(*unnamed)
    agree = overlap(detections.boxes[near], labels.boxes[wanted]) >= IOU
    near, wanted = near[agree], wanted[agree]
    each = np.unique(np.stack([detections.category_ids[near], wanted]), axis=1)
    table = np.zeros((categories, categories), dtype=np.int64)
    np.add.at(table, (each[0], labels.category_ids[each[1]]), 1)
    found = np.bincount(labels.category_ids[np.unique(wanted)], minlength=categories)
    return Confusion(table, found, np.bincount(labels.category_ids, minlength=categories))


def check_namings(labels: Detections, detections: Detections, names: list[str]) -> Iterator[Finding]:
    """Report categories that have each other's names, else one name for all detections; at most one of the two."""
    if len(names) < 2 or not len(labels.boxes):
        return
    counts = confusion(labels, detections, len(names))
    called = _called(counts)
    moved = _moved(counts, called)
    where = f"all {len(detections.boxes)} detections"
    right = counts.table.diagonal()
    if moved:
        wrong = [f"{names[called[place]]} taken for {names[place]}" for place in moved]
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        total, before = counts.labels[moved].sum(), right[moved].sum()
        share = counts.table[called[moved], moved].sum() / total
        message = (
            f"with {', '.join(wrong[:SHOWN])}{more} the boxes agree with {share:.0%} of the {total} labels of these "
            f"categories at IoU {IOU}, as they are with {before / total:.0%}"
        )
        remedy = "map the detector's labels to the data set's ids by name, not by place"
        yield Finding("detections-labels-permuted", where, message, remedy, "warning")
    elif len(set(detections.category_ids.tolist())) == 1:
        found, total, before = counts.found.sum(), counts.labels.sum(), right.sum()
        if found >= TIMES * before and found - before >= MORE:
            name = names[int(detections.category_ids[0])]
            message = (
                f"every one is called {name}: whatever their category the boxes agree with {found / total:.0%} of the "
                f"{total} labels at IoU {IOU}, as they are with {before / total:.0%}"
            )
            remedy = "give each detection its own category, if the detector tells them apart"
            yield Finding("detections-one-category", where, message, remedy, "note")


def _called(counts: Confusion) -> Numbers:
    """What each category is called, if every name has one meaning and as many labels as possible are to agree."""
    own = 0.5 * np.eye(len(counts.table))  # where nothing speaks against it, a name means what it says
    return primitives.lsap((counts.table + own).T, maximize=True)[1].astype(np.int64)


def _moved(counts: Confusion, called: Numbers) -> list[int]:
    """Categories that surely have another's name: they have each other's, or they are most of what is found."""
    wrong = counts.table[called, np.arange(len(called))]
    right = counts.table.diagonal()
    sure = (wrong - right >= MORE) & (wrong >= MUTUAL * right)
    sure &= (wrong > counts.found / 2) & (wrong >= SHARE * counts.labels)
    sure &= called != np.arange(len(called))
    places = [int(place) for place in np.flatnonzero(sure)]
    if len(places) > 2 and counts.found[sure].sum() > counts.found.sum() / 2:
        return places
    return [place for place in places if sure[_circle(called, place)].all()]


def _circle(called: Numbers, place: int) -> list[int]:
    """The categories whose names go round: this one, what it is called, what that is called, and back."""
    circle = [place]
    while (following := int(called[circle[-1]])) != place:
        circle.append(following)
    return circle
