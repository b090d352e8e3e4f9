"""Intervals: against scipy, closed forms, and the cases where a bootstrap has nothing to say."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from wildbench.measures.uncertainty import _intervals
from wildbench.measures.uncertainty._intervals import (
    Spread,
    caution,
    difference_interval,
    interval,
    spread_of,
)


def mean_of(sample: np.ndarray, replicates: int = 2000, seed: int = 0) -> tuple[float, np.ndarray, np.ndarray]:
    """A mean, its bootstrap and its jackknife."""
    drawn = np.random.default_rng(seed).integers(len(sample), size=(replicates, len(sample)))
    without = (sample.sum() - sample) / (len(sample) - 1)
    return float(sample.mean()), sample[drawn].mean(axis=1), without


def wilson(share: float, trials: float, quantile: float) -> tuple[float, float]:
    """The roots of (share - p)² = q² p (1 - p) / n."""
    a, b, c = 1 + quantile**2 / trials, -(2 * share + quantile**2 / trials), share**2
    root = np.sqrt(b * b - 4 * a * c)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def test_of_a_share_of_independent_boxes_the_interval_is_about_wilson_s() -> None:
    found = np.repeat([1.0, 0.0], [310, 90])
    low, high = interval(*mean_of(found, 20_000), boxes=400) or (0, 0)
    assert (low, high) == pytest.approx(wilson(0.775, 400, norm.ppf(0.975)), abs=0.004)
    narrow = interval(*mean_of(found, 20_000), boxes=400, level=0.8) or (0, 0)
    assert narrow == pytest.approx(wilson(0.775, 400, norm.ppf(0.9)), abs=0.004)


def test_of_a_normal_mean_the_difference_s_interval_is_about_student_s() -> None:
    sample = np.random.default_rng(5).normal(0.02, 0.1, 400)
    low, high = difference_interval(*mean_of(sample, 20_000)) or (0, 0)
    margin = student.ppf(0.975, 399) * sample.std(ddof=1) / 20
    assert (low, high) == pytest.approx((sample.mean() - margin, sample.mean() + margin), abs=0.0005)


def test_a_bias_in_proportion_to_the_standard_error_is_taken_off() -> None:
    rng = np.random.default_rng(0)
    bias = np.sqrt(2 / np.pi) * 0.01  # of the larger of a number around 0.5 and one around its negative
    held = []
    for _ in range(2000):
        noise = rng.normal(0, 0.01)
        measured = 0.5 + bias + noise
        drawn = 0.5 + np.sqrt(2) * bias + noise + rng.normal(0, 0.01, 400)
        without = measured + rng.normal(0, 0.01 / np.sqrt(99), 100)
        low, high = interval(measured, drawn, without, 10**6) or (0, 0)
        held.append(low < 0.5 < high)
    assert 0.93 < np.mean(held) < 0.98


def test_the_correction_is_two_and_a_half_times_the_excess_and_adds_its_error() -> None:
    """Replicates that are all 0.01 too large, and a figure that has no other error."""
    low, high = interval(0.5, np.full(400, 0.51), np.full(100, 0.5), 10**6) or (0, 0)
    assert low == pytest.approx(0.5 - 0.01 * (np.sqrt(2) + 1) - 0.01 * norm.ppf(0.975), abs=1e-4)
    assert high == pytest.approx(0.5, abs=1e-4), "the figure itself is always in the interval"


def test_few_groups_give_student_s_quantile_for_few() -> None:
    few, many = (
        difference_interval(*mean_of(np.random.default_rng(1).permutation(np.repeat([-0.1, 0.1], half))))
        for half in (3, 300)
    )
    assert few is not None
    assert many is not None
    errors = [0.1 / np.sqrt(5), 0.1 / np.sqrt(599)]
    assert (few[1] - few[0]) / 2 / errors[0] == pytest.approx(student.ppf(0.975, 5), rel=0.05)
    assert (many[1] - many[0]) / 2 / errors[1] == pytest.approx(norm.ppf(0.975), rel=0.05)


def test_groups_without_a_say_do_not_count() -> None:
    """Eleven of 168 images hold the category: t has about as many degrees of freedom as eleven images give."""
    values = np.zeros(168)
    values[:11] = np.random.default_rng(2).normal(0, 1, 11)
    estimate, drawn, without = mean_of(values)
    pulled = without - without.mean()
    kurtosis = 168 * (pulled**4).sum() / (pulled**2).sum() ** 2
    freedom = 2 * 168 / (kurtosis - 1)
    error = drawn.std(ddof=1) * np.sqrt((freedom + 1) / freedom)
    low, high = difference_interval(estimate, drawn, without) or (0, 0)
    assert 4 < freedom < 15
    assert (high - low) / 2 == pytest.approx(error * student.ppf(0.975, freedom))


@pytest.mark.parametrize(("estimate", "boxes"), [(1.0, 15), (0.0, 15), (1.0, 1), (0.6, 30)])
def test_where_nothing_varies_the_ends_are_wilson_s_for_none_of_n(estimate: float, boxes: int) -> None:
    low, high = interval(estimate, np.full(500, estimate), np.full(20, estimate), boxes) or (0, 0)
    unseen = wilson(0.0, boxes, norm.ppf(0.975))[1]
    assert (low, high) == pytest.approx((estimate * (1 - unseen), estimate + (1 - estimate) * unseen))


@pytest.mark.parametrize(("estimate", "boxes"), [(0.0, 8), (-1.0, 8), (0.3, 1), (0.0, 327)])
def test_a_difference_that_no_image_changes_may_be_another_on_boxes_not_seen(estimate: float, boxes: int) -> None:
    """As of a detector that was right on all of 8 boxes 68 % is told at least, two such may differ by 32."""
    constant = estimate, np.full(500, estimate), np.full(20, estimate)
    unseen = wilson(0.0, boxes, norm.ppf(0.975))[1]
    low, high = difference_interval(*constant, boxes=boxes) or (0, 0)
    assert (low, high) == pytest.approx((max(estimate - unseen, -1), min(estimate + unseen, 1)), abs=1e-12)
    spread = spread_of(*constant, boxes=boxes)
    assert spread is not None
    assert spread.margin() == pytest.approx(unseen)
    assert spread.above_zero() == pytest.approx(norm.cdf(estimate / (unseen / norm.ppf(0.975))))


def test_what_one_category_hides_is_its_part_of_the_mean() -> None:
    """Thirteen categories of 25 boxes, alike on all: up to a seventh of one may be unlike, a hundredth of the mean."""
    constant = 0.0, np.zeros(500), np.zeros(20)
    together, alone = spread_of(*constant, boxes=325, categories=13), spread_of(*constant, boxes=25)
    assert together is not None
    assert alone is not None
    assert together.margin() == pytest.approx(alone.margin() / 13)
    assert difference_interval(*constant, boxes=325, categories=13) == pytest.approx((-0.01024, 0.01024), abs=1e-4)


def test_what_was_seen_outweighs_what_was_not() -> None:
    sample = mean_of(np.random.default_rng(5).normal(0.02, 0.1, 400))
    assert spread_of(*sample, boxes=1000) == spread_of(*sample)
    assert difference_interval(*sample, boxes=1000) == difference_interval(*sample)
    seen, unseen = spread_of(*sample), spread_of(*sample, boxes=100)
    assert seen is not None
    assert unseen is not None
    assert unseen.margin() > 3 * seen.margin()


@pytest.mark.parametrize(("differ", "boxes"), [(0.02, 60), (0.05, 20), (0.005, 300), (0.3, 60)])
def test_the_true_difference_of_rarely_unlike_detectors_is_held(differ: float, boxes: int) -> None:
    """One box an image; on a share of the boxes, mostly on none of those seen, one detector alone is right."""
    rng = np.random.default_rng(boxes)
    held, bare = [], []
    for _ in range(200):
        sample = mean_of((rng.random(boxes) < differ) * 1.0, replicates=200)
        for found, options in ((held, {"boxes": boxes}), (bare, {})):
            low, high = difference_interval(*sample, **options) or (0, 0)
            found.append(low <= differ <= high)
    assert np.mean(held) > 0.92
    assert differ > 0.1 or np.mean(bare) < 0.9


@pytest.mark.parametrize(("centre", "probability"), [(0.01, 1), (0, 0.5), (-1, 0)])
def test_without_an_error_the_sign_is_certain(centre: float, probability: float) -> None:
    assert Spread(centre, 0.0, np.inf).above_zero() == probability


@pytest.mark.parametrize("function", [lambda *given: interval(*given, boxes=9), difference_interval])
def test_there_is_none_where_it_would_rest_on_one_group(function: object) -> None:
    drawn, without = np.linspace(0.4, 0.6, 100), np.linspace(0.45, 0.55, 10)
    assert callable(function)
    assert function(0.5, drawn, without) is not None
    assert function(np.nan, drawn, without) is None
    assert function(0.5, drawn, without[:1]) is None
    assert function(0.5, drawn, np.append(without, np.nan)) is None
    assert function(0.5, np.full(100, np.nan), without) is None


def test_replicates_without_a_box_are_left_out() -> None:
    drawn, without = np.linspace(0.4, 0.6, 100), np.linspace(0.45, 0.55, 10)
    padded = np.insert(drawn, [0, 7, 50], np.nan)
    assert interval(0.5, padded, without, 9) == pytest.approx(interval(0.5, drawn, without, 9))
    assert difference_interval(0.5, padded, without) == pytest.approx(difference_interval(0.5, drawn, without))


def test_the_ends_stay_within_bounds_and_enclose_the_figure() -> None:
    rng = np.random.default_rng(9)
    for _ in range(300):
        estimate = float(rng.choice([0.0, 1.0, rng.random(), 1 - 1e-9]))
        drawn = np.clip(estimate + rng.normal(rng.normal(0, 0.3), rng.random(), 50), 0, 1)
        without = np.clip(estimate + rng.normal(0, 0.2 * rng.random(), 12), 0, 1)
        low, high = interval(estimate, drawn, without, int(rng.integers(1, 40))) or (-1, -1)
        assert 0 <= low <= estimate <= high <= 1
        low, high = difference_interval(estimate - 1, drawn - 1, without - 1) or (-2, -2)
        assert -1 <= low <= estimate - 1 <= high <= 1


def test_more_boxes_alike_give_a_shorter_interval() -> None:
    widths = []
    for images in (20, 80, 320):
        low, high = interval(*mean_of(np.tile([1.0, 1.0, 1.0, 0.0], images // 4)), boxes=images) or (0, 0)
        widths.append(high - low)
    assert widths[0] > 1.8 * widths[1] > 3.2 * widths[2]


@pytest.mark.parametrize(
    ("boxes", "images", "groups", "says"),
    [
        (327, 155, 168, None),
        (15, 11, 168, None),
        (_intervals.FEW_BOXES, _intervals.FEW_IMAGES, _intervals.FEW_GROUPS, None),
        (_intervals.FEW_BOXES - 1, 9, 168, "9 boxes"),
        (29, _intervals.FEW_IMAGES - 1, 168, "4 images"),
        (327, 155, 5, "5 locations"),
    ],
)
def test_a_caution_says_what_there_is_too_little_of(boxes: int, images: int, groups: int, says: str | None) -> None:
    found = caution(boxes, images, groups)
    assert found == says if says is None else says in (found or "")
