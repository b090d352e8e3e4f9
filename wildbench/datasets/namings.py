"""Whether detections call one category by the name of another, as where ids were mapped in another order.

Any detector takes some categories for others. A mistake in the mapping is told from that by its being mutual: of each
category that it moves, most boxes that are found at all have the one wrong name, and hardly any the right one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wildbench.datasets.agreement import IOU, Located, Numbers, overlap, pairs
from wildbench.datasets.findings import Finding
from wildbench.datasets.readings import MORE, SHARE, TIMES

MUTUAL = 5.0
"""How many times as often a category has the one wrong name as its own: a poor detector may well reach TIMES."""

SHOWN = 4
"""Names that a message spells out."""


@dataclass(frozen=True)
class Confusion:
    """What the labels that detections lie on are called, whatever their own category.

    Attributes:
        table: int64 [categories, categories], labels by what a detection calls them and by what they are.
        found: int64 [categories], labels that any detection lies on.
        labels: int64 [categories], all of them.
    """

    table: Numbers
    found: Numbers
    labels: Numbers


def confusion(labels: Located, detections: Located, categories: int) -> Confusion:
    """Count what labels are called by the best detections of their image, as many as it has labels."""
    near, wanted = pairs(labels.unnamed(), detections.unnamed())
    agree = overlap(detections.boxes[near], labels.boxes[wanted]) >= IOU
    near, wanted = near[agree], wanted[agree]
    each = np.unique(np.stack([detections.category[near], wanted]), axis=1)
    table = np.zeros((categories, categories), dtype=np.int64)
    np.add.at(table, (each[0], labels.category[each[1]]), 1)
    found = np.bincount(labels.category[np.unique(wanted)], minlength=categories)
    return Confusion(table, found, np.bincount(labels.category, minlength=categories))


def check_namings(labels: Located, detections: Located, names: list[str]) -> Iterator[Finding]:
    """Report categories that have each other's names, else one name for all; at most one of the two.

    Args:
        labels: Boxes that are no crowds.
        detections: All detections.
        names: Names of the categories.
    """
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
    elif len(set(detections.category.tolist())) == 1:
        found, total, before = counts.found.sum(), counts.labels.sum(), right.sum()
        if found >= TIMES * before and found - before >= MORE:
            name = names[int(detections.category[0])]
            message = (
                f"every one is called {name}: whatever their category the boxes agree with {found / total:.0%} of the "
                f"{total} labels at IoU {IOU}, as they are with {before / total:.0%}"
            )
            remedy = "give each detection its own category, if the detector tells them apart"
            yield Finding("detections-one-category", where, message, remedy, "note")


def _called(counts: Confusion) -> Numbers:
    """What each category is called, if every name has one meaning and as many labels as possible are to agree.

    Example:
        >>> table = np.array([[0, 9], [8, 1]])
        >>> _called(Confusion(table, table.sum(0), table.sum(0))).tolist()
        [1, 0]
    """
    from scipy.optimize import linear_sum_assignment  # here, because it loads slowly and most commands do without

    own = 0.5 * np.eye(len(counts.table))  # where nothing speaks against it, a name means what it says
    return np.asarray(linear_sum_assignment((counts.table + own).T, maximize=True)[1])


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
    """The categories whose names go round: this one, what it is called, what that is called, and back.

    Example:
        >>> _circle(np.array([2, 1, 0]), 0), _circle(np.array([2, 1, 0]), 1)
        ([0, 2], [1])
    """
    circle = [place]
    while (following := int(called[circle[-1]])) != place:
        circle.append(following)
    return circle
