"""Ranks by paired intervals, and Pareto fronts and hypervolumes against counting and closed forms."""

import itertools
import math

import numpy as np
import pytest
from made_up_results import made_up_samples, make_named, names

from wildbench.leaderboard import Front, Section
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._results import Samples
from wildbench.leaderboard._standings import Paired, hypervolume, pareto
from wildbench.measures.uncertainty import difference_interval
from wildbench.scorecard import Figure


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


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_nothing_beats(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [(float(cost), float(ap)) for cost, ap in rng.integers(0, 8, (30, 2))]  # with ties

    def beaten(point: tuple[float, float]) -> bool:
        return any(c <= point[0] and a >= point[1] and (c, a) != point for c, a in points)

    assert sorted(pareto(points)) == [index for index, point in enumerate(points) if not beaten(point)]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], 0.0),
        ([(1e4, 1.0)], 1.0),  # the far corner is the whole box
        ([(1e8, 1.0)], 0.0),  # at the reference point's cost
        ([(1e9, 1.0)], 0.0),  # outside
        ([(1e6, 0.5)], 0.25),
        ([(1e2, 0.5)], 0.5),  # cheaper than the box: from its lower limit on
        ([(1e5, 0.2), (1e7, 0.6)], (0.2 * 2 + 0.6 * 1) / 4),
        ([(1e5, 0.2), (1e7, 0.6), (1e7, 0.1), (1e6, 0.2)], (0.2 * 2 + 0.6 * 1) / 4),  # the beaten add nothing
    ],
)
def test_hypervolume_by_closed_form(points: list[tuple[float, float]], expected: float) -> None:
    assert hypervolume(points, (1e4, 1e8)) == pytest.approx(expected, abs=1e-12)


def test_hypervolume_is_the_mean_best_ap_over_budgets() -> None:
    rng = np.random.default_rng(1)
    points = [(10 ** rng.uniform(3, 9), rng.random()) for _ in range(12)]
    budgets = 10 ** rng.uniform(4, 8, 200_000)
    best = np.max([np.where(cost <= budgets, ap, 0) for cost, ap in points], axis=0)
    assert hypervolume(points, (1e4, 1e8)) == pytest.approx(best.mean(), abs=4 * best.std() / math.sqrt(len(best)))


def test_hypervolume_by_inclusion_and_exclusion() -> None:
    points = [(1e5, 0.1), (1e6, 0.4), (1e7, 0.9)]

    def box(group: tuple[tuple[float, float], ...]) -> float:
        return min(ap for _, ap in group) * (8 - max(math.log10(cost) for cost, _ in group)) / 4

    union = sum(
        (-1) ** (size + 1) * sum(box(group) for group in itertools.combinations(points, size)) for size in (1, 2, 3)
    )
    assert hypervolume(points, (1e4, 1e8)) == pytest.approx(union, abs=1e-12)


def section_of(*results: object) -> Section:
    (section,) = build_board(results).sections  # type: ignore[arg-type]
    return section


def members(section: Section, front: Front) -> list[str]:
    by_id = {row.id: row for row in section.rows}
    return names([by_id[row] for row in front.rows])


def test_milliseconds_stay_on_their_hardware_and_ratios_with_their_reference() -> None:
    section = section_of(
        make_named("slow", 0.6, cpu="old", p50=80.0),
        make_named("fast", 0.5, cpu="new", p50=10.0),
        make_named("worse", 0.4, cpu="new", p50=20.0),
        make_named("gpu", 0.9, device="H100", reference="in torch", p50=1.0),
    )
    fronts = {(front.axis, front.within): members(section, front) for front in section.fronts}
    assert fronts["latency", "new, unknown number of threads"] == ["fast"]
    assert fronts["latency_ratio", "a small network"] == ["slow"]
    assert fronts["macs", None] == ["gpu"]


def test_a_row_measured_like_no_other_has_no_front_to_itself() -> None:
    alike = make_named("here", 0.6, p50=80.0), make_named("there", 0.5, cpu="another", p50=10.0)
    other = make_named("gpu", 0.1, device="H100", reference="in torch", p50=1.0)
    fronts = [(front.axis, front.within) for front in section_of(*alike, other).fronts]
    assert fronts == [("file_bytes", None), ("macs", None), ("latency_ratio", "a small network")]
    (ratio,) = [front for front in section_of(alike[0]).fronts if front.axis == "latency_ratio"]
    assert members(section_of(alike[0]), ratio) == ["here"]  # the only one of its section


def test_across_hardware_time_is_the_ratio_to_the_reference() -> None:
    ratios = Figure(value=2.0, unit="1", n=9), Figure(value=1.0, unit="1", n=9)
    section = section_of(
        make_named("slow here", 0.6, cpu="fast", p50=10.0, reference_ratio=ratios[0]),
        make_named("fast there", 0.7, cpu="slow", p50=90.0, reference_ratio=ratios[1]),
    )
    times = {front.axis: members(section, front) for front in section.fronts if front.axis.startswith("latency")}
    assert times == {"latency_ratio": ["fast there"]}


def test_a_front_stands_on_its_limits_and_its_rows() -> None:
    section = section_of(make_named("big", 0.6, file_bytes=10**7), make_named("small", 0.3, file_bytes=10**5))
    (front,) = [front for front in section.fronts if front.axis == "file_bytes"]
    assert members(section, front) == ["small", "big"]
    assert front.limits == (1e4, 1e9)
    assert front.hypervolume.value == pytest.approx((0.3 * 2 + 0.6 * 2) / 5)
    assert front.hypervolume.n == 2
