"""What compression forgot, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wildbench.curation.named_predictions import NamedPredictions, dense_of
from wildbench.curation.questions import Answers, BoxNotes
from wildbench.datasets.coco import Dataset
from wildbench.datasets.summary import size_of


@dataclass(frozen=True)
class Lost:
    """Boxes of one category or size, and who finds them.

    Attributes:
        part: The category or size; "all" for all boxes.
        boxes: How many there are.
        dense: How many the dense detector finds.
        compressed: How many the compressed one finds.
        forgotten: How many of those that the dense one finds the compressed one does not.
        gained: How many of those that it does not find the compressed one does.
    """

    part: str
    boxes: int
    dense: int
    compressed: int
    forgotten: int
    gained: int


@dataclass(frozen=True)
class Comparison:
    """A compressed detector beside the dense one it was made from."""

    dense: str
    compressed: str
    rows: list[Lost]


def comparisons(data: Dataset, detectors: Sequence[NamedPredictions], answers: Answers) -> list[Comparison]:
    """Count what each compressed detector forgot: by category, by size, and in all; scored boxes that are no crowds."""
    names = {category["id"]: category["name"] for category in data.categories}
    boxes = [box for box in data.scored(data.annotations) if not box["iscrowd"]]
    parts = {name: [box["id"] for box in boxes if names[box["category_id"]] == name] for name in data.category_names}
    parts |= {
        size: [box["id"] for box in boxes if size_of(box["area"]) == size] for size in ("small", "medium", "large")
    }
    parts["all"] = [box["id"] for box in boxes]
    found = []
    for one in detectors:
        dense = dense_of(one, detectors)
        if dense is not None:
            rows = [_row(part, ids, answers, dense.name, one.name) for part, ids in parts.items() if ids]
            found.append(Comparison(dense.name, one.name, rows))
    return found


def _row(part: str, ids: list[int], answers: Answers, dense: str, compressed: str) -> Lost:
    finders = [set(answers.boxes.get(box, BoxNotes()).found_by) for box in ids]
    return Lost(
        part,
        len(ids),
        sum(dense in names for names in finders),
        sum(compressed in names for names in finders),
        sum(dense in names and compressed not in names for names in finders),
        sum(compressed in names and dense not in names for names in finders),
    )
