"""Differences of two detectors, against closed forms and simulation."""

import numpy as np
import pytest
from scipy import stats

from wildbench.measures.uncertainty._intervals import POWER, Difference, difference, groups_needed, holm

GROUPS = 60
BOXES = 100_000  # so many that what was not seen adds nothing


def of_means(values: np.ndarray) -> Difference:
    """The comparison of two means, [group, 2], with the bootstrap and the jackknife done by hand."""
    drawn = values[np.random.default_rng(1).integers(len(values), size=(2000, len(values)))].mean(axis=1)
    without = (values.sum(axis=0) - values) / (len(values) - 1)
    whole = values.mean(axis=0)
    found = difference(whole, drawn, without, boxes=BOXES)
    assert found is not None
    return found


def noisy(seed: int, shift: float) -> np.ndarray:
    """Two detectors whose scores on an image share a large part that says nothing about them."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0.5, 0.2, GROUPS)
    return np.stack([shared + rng.normal(0, 0.02, GROUPS), shared + shift + rng.normal(0, 0.02, GROUPS)], axis=1)


def test_the_difference_of_means_is_that_of_the_paired_t_test() -> None:
    values = noisy(0, -0.01)
    found, reference = of_means(values), stats.ttest_rel(values[:, 1], values[:, 0])
    expected = reference.confidence_interval()
    assert found.value == pytest.approx(values[:, 1].mean() - values[:, 0].mean(), abs=1e-12)
    assert found.interval == pytest.approx((expected.low, expected.high), abs=0.0015)
    assert found.p_value == pytest.approx(reference.pvalue, abs=0.03)
    assert found.baseline_better == pytest.approx(1 - found.p_value / 2)


def test_what_both_find_hard_cancels() -> None:
    values = noisy(3, 0.0)
    apart = np.stack([values[:, 0], values[np.random.default_rng(5).permutation(GROUPS), 1]], axis=1)
    assert of_means(values).smallest() < of_means(apart).smallest() / 5


def test_the_smallest_difference_shows_four_times_in_five() -> None:
    smallest = float(np.mean([of_means(noisy(seed, 0.0)).smallest() for seed in range(20)]))
    shown = [of_means(noisy(seed, smallest)).p_value <= 0.05 for seed in range(100, 400)]
    assert abs(np.mean(shown) - POWER) < 0.07  # three standard errors of a share of 300


def test_no_difference_is_called_one_in_twenty_times() -> None:
    called = [of_means(noisy(seed, 0.0)).p_value <= 0.05 for seed in range(500, 900)]
    assert 0.02 < np.mean(called) < 0.085


def test_the_same_figures_are_alike_and_what_was_not_seen_bounds_them() -> None:
    values = noisy(0, 0.0)[:, [0, 0]]
    whole, drawn = values.mean(axis=0), np.tile(values.mean(axis=0), (2000, 1))
    few, many = (difference(whole, drawn, values, boxes=boxes) for boxes in (8, 800))
    assert few is not None
    assert many is not None
    assert few.alike
    assert (few.value, few.baseline_better, few.p_value) == (0, 0.5, 1)
    assert few.interval[0] < -0.2 < 0.2 < few.interval[1]  # 8 of 8 leave a third unseen
    assert many.smallest() < few.smallest() / 10


def test_a_difference_on_every_image_alike_is_one() -> None:
    values = np.tile([1.0, 0.0], (GROUPS, 1))
    found = difference(np.array([1.0, 0.0]), np.tile([1.0, 0.0], (2000, 1)), values, boxes=16)
    assert found is not None
    assert not found.alike
    assert found.value == -1
    assert found.interval[0] == -1
    assert found.interval[1] < -0.5
    assert found.p_value < 0.001


def test_more_comparisons_take_a_larger_difference() -> None:
    found = of_means(noisy(0, 0.0))
    assert found.smallest(13) > found.smallest(2) > found.smallest()


def test_four_times_the_groups_show_half_the_difference() -> None:
    found = of_means(noisy(0, 0.0))
    assert groups_needed(found, GROUPS, found.smallest()) == GROUPS
    assert groups_needed(found, GROUPS, found.smallest() / 2) == 4 * GROUPS


def test_a_figure_that_is_undefined_has_no_difference() -> None:
    nothing = np.full((2000, 2), np.nan)
    assert difference(nothing[0], nothing, nothing[:GROUPS], boxes=1) is None


def test_one_group_has_no_difference() -> None:
    drawn = np.tile([0.5, 0.4], (2000, 1))
    assert difference(drawn[0], drawn, np.full((1, 2), np.nan), boxes=20) is None


def test_holm_s_correction_is_his() -> None:
    # alpha / 4, / 3, / 2, / 1 by rank, and never below a smaller one's
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_among_many_equals_one_false_alarm_stays_as_rare_as_among_one() -> None:
    p_values = np.random.default_rng(0).uniform(size=(4000, 13))
    alarms = np.mean([min(holm(list(row))) <= 0.05 for row in p_values])
    assert 0.035 < alarms < 0.06
