"""Ranks by paired intervals: those of one pair exactly as elsewhere, and what follows for many rows."""

import itertools

import numpy as np
import pytest
from made_up_results import made_up_samples

from wildbench.leaderboard.board._ranking import Paired
from wildbench.leaderboard.results._kept import Samples
from wildbench.measures.uncertainty._intervals import difference_interval


@pytest.mark.parametrize("boxes", [None, 8, 300])
@pytest.mark.parametrize("noise", [0.001, 0.02, 0.1])
def test_intervals_are_those_of_a_pair_by_itself(noise: float, boxes: int | None) -> None:
    samples = [made_up_samples(0.5 + 0.01 * k, noise=noise, seed=k) for k in range(5)]
    paired = Paired(samples, boxes=boxes, categories=3)
    for one in range(5):
        for other in set(range(5)) - {one}:
            a, b = samples[one], samples[other]
            expected = difference_interval(
                float(a.whole[0] - b.whole[0]), a.drawn - b.drawn, a.without - b.without, boxes=boxes, categories=3
            )
            assert expected is not None
            assert paired.interval(one, other) == pytest.approx(expected, abs=2e-6)


def test_a_row_and_its_copy_share_everything() -> None:
    one = made_up_samples(0.5)
    assert Paired([one, one]).interval(0, 1) == (0.0, 0.0)
    assert Paired([one, one]).ranks() == [(1, 2), (1, 2)]


def test_what_few_boxes_cannot_show_is_not_claimed() -> None:
    """Always apart by two points, on eight boxes: a ninth may tell another story."""
    a, b = made_up_samples(0.52), made_up_samples(0.50)
    assert Paired([a, b]).ranks() == [(1, 1), (2, 2)]
    assert Paired([a, b], boxes=8).ranks() == [(1, 2), (1, 2)]
    assert Paired([a, b], boxes=10_000).ranks() == [(1, 1), (2, 2)]


def test_far_apart_is_a_plain_order_whatever_order_they_come_in() -> None:
    samples = [made_up_samples(ap, noise=0.001, seed=k) for k, ap in enumerate((0.3, 0.9, 0.5, 0.7))]
    assert Paired(samples).ranks() == [(4, 4), (1, 1), (3, 3), (2, 2)]


def test_where_only_the_ends_differ_two_are_first_and_one_is_second() -> None:
    """A over C, B between them and told from neither."""
    samples = [made_up_samples(ap, noise=0.01, seed=k) for k, ap in enumerate((0.52, 0.50, 0.48))]
    paired = Paired(samples)
    assert (paired.interval(0, 2) or (0, 0))[0] > 0
    assert all(low < 0 < high for low, high in (paired.interval(0, 1) or (1, 1), paired.interval(1, 2) or (1, 1)))
    assert paired.ranks() == [(1, 2), (1, 3), (2, 3)]


def test_what_is_better_than_a_better_row_is_better() -> None:
    """A can be told from B and B from C; between A and C all hangs on one group of images, and the interval says so."""
    rng = np.random.default_rng(0)
    (one, two), groups = rng.normal(0, 0.011, (2, 2000)), np.linspace(-0.01, 0.01, 30)
    outlier = np.where(np.arange(30) == 0, 0.005, 0.0)
    a = Samples(np.array([0.53]), np.full(2000, 0.53), np.full(30, 0.53))
    b = Samples(np.array([0.50]), 0.50 + one, 0.50 + groups + outlier)
    c = Samples(np.array([0.47]), 0.47 + one + two, 0.47 + 2 * outlier)
    paired = Paired([c, a, b])
    assert (paired.interval(1, 2) or (0, 0))[0] > 0
    assert (paired.interval(2, 0) or (0, 0))[0] > 0
    assert (paired.interval(1, 0) or (1, 1))[0] < 0
    assert paired.ranks() == [(3, 3), (1, 1), (2, 2)]


@pytest.mark.parametrize("seed", range(4))
def test_rows_share_a_rank_unless_one_is_better_and_the_better_is_always_ahead(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = [
        made_up_samples(float(ap), noise=float(noise), seed=k)
        for k, (ap, noise) in enumerate(zip(rng.uniform(0.4, 0.6, 25), rng.uniform(0.005, 0.05, 25), strict=True))
    ]
    paired = Paired(drawn)
    ranks = paired.ranks()
    for row, other in itertools.combinations(np.argsort(-paired.ap), 2):
        (first, last), (others_first, others_last) = ranks[row], ranks[other]
        if (paired.interval(row, other) or (0, 0))[0] > 0:
            assert first < others_first
            assert last < others_last
        else:  # nothing between them here is told from both
            assert min(last, others_last) - max(first, others_first) >= 1, "two ranks in common: each may be ahead"


def test_ranks_are_what_counting_pairs_gives() -> None:
    rng = np.random.default_rng(3)
    samples = [made_up_samples(float(ap), noise=0.03, seed=k) for k, ap in enumerate(rng.uniform(0.3, 0.6, 20))]
    paired = Paired(samples)
    for row, (rank, last) in enumerate(paired.ranks()):
        others = [paired.interval(row, other) or (0, 0) for other in range(20) if other != row]
        assert rank == 1 + sum(high < 0 for _, high in others)
        assert last == 20 - sum(low > 0 for low, _ in others)
        assert rank <= last


def test_sharing_noise_is_what_tells_two_apart() -> None:
    """Paired: what every detector finds hard cancels; drawn apart, the same two cannot be told."""
    a, b = made_up_samples(0.52, noise=0.001, seed=1), made_up_samples(0.50, noise=0.001, seed=2)
    apart = Samples(b.whole, np.random.default_rng(5).permutation(b.drawn), b.without)
    assert Paired([a, b]).ranks() == [(1, 1), (2, 2)]
    assert Paired([a, apart]).ranks() == [(1, 2), (1, 2)]


def test_draws_without_a_box_are_left_out_for_all() -> None:
    samples = [made_up_samples(0.5, seed=1), made_up_samples(0.6, seed=2)]
    holes = [Samples(one.whole, np.where(np.arange(2000) < 7, np.nan, one.drawn), one.without) for one in samples]
    kept = [Samples(one.whole, one.drawn[7:], one.without) for one in samples]
    assert Paired(holes).interval(0, 1) == Paired(kept).interval(0, 1)


def test_with_everything_in_one_group_nobody_is_better() -> None:
    samples = [Samples(np.array([ap]), np.full(2000, ap), np.array([np.nan])) for ap in (0.2, 0.9)]
    assert Paired(samples).interval(0, 1) is None
    assert Paired(samples).ranks() == [(1, 2), (1, 2)]
