"""Whether a bound holds: by real bytes and by AP50, on a made-up sweep whose answers are plain."""

from typing import Any

import pytest
from made_up_points import point, summary

from studies.results.bounds import BOUNDS, BY_MEAN, BY_VALUE, NO, YES, Bound, examine, verdict
from wildbench.compression.recipes._recipes import find_recipe, load_recipe

CHANNELS = next(bound for bound in BOUNDS if bound.title.startswith("Channels"))
FILTERS: list[dict[str, Any]] = [{"method": "filters", "settings": {}}, {"method": "fine-tune", "settings": {}}]


def filtered(cost: float, ratio: float, **changes: Any) -> dict[str, Any]:
    return point("filters-tuned", cost, ratio=ratio, steps=FILTERS, **changes)


def bundled_steps(recipe: str) -> list[dict[str, Any]]:
    steps = load_recipe(find_recipe(recipe)).steps
    return [{"method": step.method, "settings": step.settings.model_dump(mode="json")} for step in steps]


def declared(cost: float, interval: tuple[float, float] | None, **changes: Any) -> dict[str, Any]:
    return point(CHANNELS.recipe, cost, interval, steps=bundled_steps(CHANNELS.recipe), **changes)


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
        ([("share", {}), ("code", {})], []),
    ],
)
def test_an_attempt_is_told_by_its_steps(steps: list[tuple[str, dict[str, Any]]], expected: list[str]) -> None:
    plain = [{"method": method, "settings": settings} for method, settings in steps]
    (one,) = summary(point(steps=plain)).points
    found = [bound.title for bound in BOUNDS if bound.applies(one)]
    assert len(found) == len(expected)
    assert all(title.startswith(wanted) for title, wanted in zip(found, expected, strict=True))


def judge(*points: dict[str, Any]) -> str:
    finding = examine(CHANNELS, summary(*points).points)
    assert finding is not None
    assert finding.judged is not None
    return verdict(CHANNELS, finding.judged)


@pytest.mark.parametrize(
    ("cost", "interval", "ratio", "met"),
    [
        (-0.005, (-0.01, 0.0), 1.6, YES),
        (-0.005, (-0.0101, 0.0), 1.6, BY_VALUE),
        (-0.005, None, 1.6, BY_VALUE),
        (-0.005, (-0.01, 0.0), 1.59, NO),
        (-0.0101, (-0.02, 0.0), 1.6, NO),
        (0.02, (-0.02, 0.06), 3.0, BY_VALUE),
    ],
)
def test_a_bound_is_met_where_the_interval_ends_inside_it(
    cost: float, interval: tuple[float, float] | None, ratio: float, met: str
) -> None:
    assert judge(declared(cost, interval, ratio=ratio)) == met


def test_every_parent_s_interval_and_the_mean_decide() -> None:
    inside, beyond = (-0.01, 0.0), (-0.03, 0.01)
    assert judge(declared(-0.005, inside, dense="a"), declared(-0.006, inside, dense="b")) == YES
    assert judge(declared(-0.005, inside, dense="a"), declared(-0.009, beyond, dense="b")) == BY_VALUE
    assert judge(declared(-0.005, inside, dense="a"), declared(-0.012, beyond, dense="b")) == BY_MEAN
    assert judge(declared(-0.005, inside, dense="a"), declared(-0.016, beyond, dense="b")) == NO


def test_an_undefined_difference_meets_nothing() -> None:
    one = declared(0.0, (-0.01, 0.01), ratio=2.0)
    one["overall"]["ap50"] |= {"value": None, "difference": None, "interval": None}
    assert judge(one) == NO


def test_the_bound_s_own_recipe_is_judged_however_good_another_attempt_is() -> None:
    better, changed = filtered(0.01, 3.0), declared(0.02, (0.0, 0.04), settings={"ratio": 0.25})
    finding = examine(CHANNELS, summary(better, declared(-0.5, None), changed).points)
    assert finding is not None
    assert finding.judged is not None
    assert [point.ratio for point in finding.judged] == [2.0]
    assert finding.judged[0].overall["ap50"].difference == pytest.approx(-0.5)
    assert [place[0].recipe for place in finding.others] == ["filters-tuned", "filters-distilled"]
    alone = examine(CHANNELS, summary(better).points)
    assert alone is not None
    assert alone.judged is None


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.recipe)
def test_the_recipe_of_a_bound_is_an_attempt_at_it(bound: Bound) -> None:
    (one,) = summary(point(bound.recipe, steps=bundled_steps(bound.recipe))).points
    assert bound.applies(one)


def test_what_was_not_tried_has_no_finding() -> None:
    assert examine(Bound("nothing", "int8", lambda _: False, 1, 0.5), summary(point()).points) is None
