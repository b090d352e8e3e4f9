"""A child in place of its parent: what changes at the parent's threshold, and which of its own is like it."""

from pathlib import Path
from typing import Any

import pytest
from made_up_pair import cards_of, detections, herd
from refusals import refused

from wildbench.comparison import compare
from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.measures.field import FieldChange, field_change
from wildbench.measures.matching import Scored


@pytest.fixture(scope="module")
def change() -> FieldChange:
    data = herd()
    parent, child = (Scored(data, detections(data, 1, shift)) for shift in (0.0, 0.15))
    return field_change(parent, child, 0.2, slices={"time": [str(n % 2) for n in range(120)]}, replicates=300)


def by_hand(found: Detections, threshold: float) -> tuple[float, float]:
    """Animals kept and false alarms, image by image."""
    kept = {image: score >= threshold for image, score in zip(found.image_ids.tolist(), found.scores, strict=True)}
    with_animal, empty = ([kept[n] for n in range(120) if (n % 3 > 0) == wanted] for wanted in (True, False))
    return sum(with_animal) / len(with_animal), sum(empty) / len(empty)


def test_the_figures_are_those_of_a_count_by_hand(change: FieldChange) -> None:
    data = herd()
    before, after = detections(data, 1), detections(data, 1, 0.15)
    recall, alarms = by_hand(before, 0.2)
    again, more = by_hand(after, 0.2)
    kept = change.kept
    assert (kept.recall.baseline, kept.recall.value) == pytest.approx((recall, again))
    assert (kept.false_alarms.baseline, kept.false_alarms.value) == pytest.approx((alarms, more))
    assert change.times == pytest.approx(more / alarms)
    assert change.matched
    assert change.quiet
    assert by_hand(after, change.matched.threshold)[0] >= recall > by_hand(after, change.matched.threshold + 0.001)[0]
    assert by_hand(after, change.matched.threshold)[1] == pytest.approx(change.matched.false_alarms.value)
    below = after.scores[after.scores < change.quiet.threshold].max()
    assert by_hand(after, change.quiet.threshold)[1] <= alarms < by_hand(after, below)[1]
    assert by_hand(after, change.quiet.threshold)[0] == pytest.approx(change.quiet.recall.value)
    assert (change.with_animals, change.empty, change.hard_negatives) == (80, 40, 0)
    assert change.by_share[">10"].n == 80
    assert change.by_share[">10"].value == change.kept.boxes.value


def test_a_rise_is_shown_with_its_interval(change: FieldChange) -> None:
    assert change.kept.false_alarms.sign == 1
    assert change.kept.recall.sign == 0
    assert change.times_interval
    assert 1 < change.times_interval[0] < (change.times or 0) < change.times_interval[1]
    assert change.matched_interval
    assert change.matched
    assert change.matched_interval[0] <= change.matched.threshold <= change.matched_interval[1]
    times = change.slices["time"]
    assert sum(one.images for one in times.values()) == 120
    assert sum(one.false_alarms.n for one in times.values()) == 40
    assert FieldChange.model_validate_json(change.model_dump_json()) == change


def test_a_twin_changes_nothing() -> None:
    data = herd()
    one = Scored(data, detections(data, 1))
    change = field_change(one, one, 0.2, replicates=100)
    assert change.kept.false_alarms.sign == change.kept.recall.sign == 0
    assert change.times == 1
    assert change.matched
    assert change.matched.recall.difference == 0


def test_a_child_that_finds_nothing_matches_at_no_threshold() -> None:
    data = herd()
    change = field_change(
        Scored(data, detections(data, 1)), Scored(data, Detections.from_coco([])), 0.2, replicates=100
    )
    assert change.matched is None
    assert change.kept.recall.value == 0
    assert change.kept.recall.sign == -1
    assert change.times == 0


def test_images_that_may_hold_other_animals_are_told() -> None:
    coco: dict[str, Any] = dict(herd(categories=2).coco)
    coco["images"] = [image | {"annotated_categories": ["lion"]} for image in coco["images"]]
    data = Dataset("herd", None, coco, Path())
    one = Scored(data, detections(data, 1))
    change = field_change(one, one, 0.2, replicates=100)
    assert change.hard_negatives == change.empty == 40
    assert change.note()


def test_compare_has_it_for_every_row(tmp_path: Path) -> None:
    cards = cards_of(tmp_path, parent=0.0, child=0.15)
    found = compare(cards, dataset=tmp_path / "herd.json", by=["time"], replicates=300).rows[0].field
    assert found
    assert (found.threshold, found.threshold_source) == (0.2, "usual")
    assert found.kept.false_alarms.sign == 1
    assert set(found.slices["time"]) == {"0", "1"}
    other = compare(cards, dataset=tmp_path / "herd.json", threshold=0.5, replicates=100).rows[0].field
    assert other
    assert (other.threshold, other.threshold_source) == (0.5, "given")
    with refused("scorecard/threshold-range"):
        compare(cards, dataset=tmp_path / "herd.json", threshold=50)
    with refused("dataset/bad-group"):
        compare(cards, dataset=tmp_path / "herd.json", by=["season"])
