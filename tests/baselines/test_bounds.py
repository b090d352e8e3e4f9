"""Whether a bound holds: by real bytes and by AP50, on a made-up sweep whose answers are plain."""

from typing import Any

import pytest
from made_up_points import point, summary

from wildbench.baselines.bounds import BOUNDS, Bound, examine

CHANNELS = next(bound for bound in BOUNDS if bound.title.startswith("Channels"))
FILTERS: list[dict[str, Any]] = [{"method": "filters", "settings": {}}, {"method": "fine-tune", "settings": {}}]


def filtered(cost: float, ratio: float, **changes: Any) -> dict[str, Any]:
    return point("filters-tuned", cost, ratio=ratio, steps=FILTERS, **changes)


def test_the_bounds_are_those_that_were_set() -> None:
    found = [(bound.least_ratio, bound.most_loss) for bound in BOUNDS]
    assert found == [(1, 0.005), (4, 0.005), (1.6, 0.01), (12, 0.01)]
    assert [bound.claim for bound in BOUNDS][::3] == ["within 0.5 AP50", "within 1 AP50, 12 times smaller"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("weights", {"ratio": 0.3, "scope": "backbone", "criterion": "l1"})], ["Unstructured pruning"]),
        ([("weights", {"ratio": 0.4, "scope": "backbone", "criterion": "l1"})], []),
        ([("weights", {"ratio": 0.3, "scope": "both", "criterion": "l1"})], []),
        ([("weights", {"ratio": 0.3, "scope": "backbone", "criterion": "random"})], []),
        ([("weights", {"ratio": 0.3, "scope": "backbone", "criterion": "l1"}), ("fine-tune", {})], []),
        ([("quantize", {"weights": 8, "activations": 8})], ["INT8"]),
        ([("quantize", {"weights": 4, "activations": None})], []),
        ([("filters", {}), ("distil", {})], ["Channels removed"]),
        ([("filters", {}), ("recalibrate", {})], ["Channels removed"]),
        ([("filters", {})], []),
        ([("filters", {}), ("from-scratch", {})], []),
        ([("weights", {}), ("share", {}), ("code", {})], ["Deep Compression"]),
    ],
)
def test_an_attempt_is_told_by_its_steps(steps: list[tuple[str, dict[str, Any]]], expected: list[str]) -> None:
    plain = [{"method": method, "settings": settings} for method, settings in steps]
    (one,) = summary(point(steps=plain)).points
    found = [bound.title for bound in BOUNDS if bound.applies(one)]
    assert len(found) == len(expected)
    assert all(title.startswith(wanted) for title, wanted in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("attempts", "best", "met"),
    [
        ([(-0.005, 1.7), (-0.02, 3.0)], 1.7, True),
        ([(-0.005, 1.5), (-0.009, 1.7)], 1.7, True),  # what keeps most is too large
        ([(-0.005, 1.5), (-0.02, 1.7)], 1.7, False),  # what is small enough loses too much
        ([(-0.005, 1.3), (0.0, 1.5)], 1.5, False),  # nothing is small enough: the smallest
        ([(0.02, 1.6)], 1.6, True),
        ([(-0.0101, 1.6)], 1.6, False),
    ],
)
def test_the_best_attempt_is_small_enough_and_keeps_most(
    attempts: list[tuple[float, float]], best: float, met: bool
) -> None:
    points = summary(*(filtered(cost, ratio, settings={"ratio": ratio}) for cost, ratio in attempts)).points
    finding = examine(CHANNELS, points)
    assert finding is not None
    assert (finding.best[0].ratio, finding.met, len(finding.tried)) == (best, met, len(attempts))


def test_the_mean_over_parents_decides() -> None:
    costs = {"a": -0.018, "b": -0.006, "c": -0.005}
    finding = examine(CHANNELS, summary(*(filtered(cost, 1.7, dense=name) for name, cost in costs.items())).points)
    assert finding is not None
    assert (len(finding.best), finding.met) == (3, True)
    worse = examine(
        CHANNELS, summary(*(filtered(cost - 0.001, 1.7, dense=name) for name, cost in costs.items())).points
    )
    assert worse is not None
    assert not worse.met


def test_an_undefined_difference_meets_nothing() -> None:
    one = filtered(0.0, 2.0)
    one["overall"]["ap50"] |= {"value": None, "difference": None, "interval": None}
    finding = examine(CHANNELS, summary(one).points)
    assert finding is not None
    assert not finding.met


def test_what_was_not_tried_has_no_finding() -> None:
    assert examine(Bound("nothing", lambda _: False, 1, 0.5), summary(point()).points) is None
