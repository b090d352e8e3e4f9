"""Pareto fronts and hypervolumes against counting and closed forms."""

import itertools
import math

import numpy as np
import pytest
from made_up_results import make_named, names

from wildbench.leaderboard.board._board import build_board
from wildbench.leaderboard.board._fronts import LIMITS, hypervolume, pareto
from wildbench.leaderboard.board._model import Front, Section
from wildbench.scorecard import Figure


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
    assert fronts["latency_p50", "new, unknown number of threads"] == ["fast"]
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
    assert front.limits == LIMITS["file_bytes"] == (1e4, 1e9)
    assert front.hypervolume.value == pytest.approx((0.3 * 2 + 0.6 * 2) / 5)
    assert front.hypervolume.n == 2
