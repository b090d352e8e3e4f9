"""What the times of several sessions say, on made-up times whose truth is known."""

import numpy as np
import pytest

from wildbench.measures.latency import Plan, Session, early_stopping, quantile_of, ratio_of, two_modes, unfinished
from wildbench.measures.latency._estimates import Times, half_width, mean_of, spread_of

PLAN = Plan()


def draw(seed: int, sessions: int = 8, calls: int = 60, between: float = 0.01, within: float = 0.02) -> list[Times]:
    """Sessions around 50 ms."""
    random = np.random.default_rng(seed)
    effects = random.normal(0, between, (sessions, 1))
    return list(0.05 * np.exp(effects + random.normal(0, within, (sessions, calls))))


@pytest.mark.parametrize("between", [0.0, 0.03])
def test_intervals_hold_the_truth_of_the_next_session(between: float) -> None:
    truth = {0.5: 50.0, 0.9: 50 * np.exp(1.2816 * 0.02), 0.99: 50 * np.exp(2.3263 * 0.02)}
    held = dict.fromkeys(truth, 0)
    for seed in range(150):
        sessions = draw(seed, between=between)
        for p, true in truth.items():
            low, high = quantile_of(sessions, p).interval or (0, 0)
            held[p] += low <= true <= high
    assert all(count >= 135 for count in held.values()), held
    assert held[0.5] <= 149


def test_one_session_of_many_calls_is_not_more_than_one_session() -> None:
    apart = quantile_of(draw(0, sessions=5, calls=4000, between=0.05), 0.5)
    assert half_width(apart) > 0.02
    assert quantile_of(draw(0, sessions=4), 0.5).value is None


def test_percentiles_need_calls_for_an_interval() -> None:
    figures = [quantile_of(draw(0, calls=calls), p) for calls, p in ((4, 0.9), (5, 0.9), (45, 0.99), (46, 0.99))]
    assert [figure.value is None for figure in figures] == [True, False, True, False]


def test_percentiles_rise() -> None:
    values = [quantile_of(draw(3), p).value or 0 for p in (0.5, 0.9, 0.99)]
    assert values == sorted(values)


def test_the_ratio_cancels_what_slows_both() -> None:
    speeds = [1.0, 1.3, 0.8, 1.7, 1.1]
    sessions = [Session(8 * speed * np.ones(9), speed * np.ones(3)) for speed in speeds]
    assert ratio_of(sessions).value == pytest.approx(8)
    assert ratio_of(sessions).n == 15
    assert ratio_of(sessions[:4]).value is None


def test_it_goes_on_until_the_intervals_are_narrow() -> None:
    assert (unfinished(draw(0, sessions=7), PLAN) or "").startswith("7 of 8")
    assert unfinished(draw(0, calls=400, between=0.001), PLAN) is None
    assert "p50" in (unfinished(draw(0, between=0.1), PLAN) or "")
    assert "p99" in (unfinished(draw(0, calls=20, between=0.001), PLAN) or "")


def test_two_modes_are_found_and_not_made_up() -> None:
    random = np.random.default_rng(0)
    found = made_up = 0
    for seed in range(200):
        places = random.permutation([1, 1, 1, 1, 1, 1.5, 1.5, 1.5])
        sessions = [one * place for one, place in zip(draw(seed, between=0, within=0.005), places, strict=True)]
        within = [one * np.where(random.random(len(one)) < 0.3, 1.5, 1) for one in draw(seed)]
        found += two_modes(sessions) is not None and two_modes(within) is not None
        made_up += two_modes(draw(seed)) is not None
    assert found >= 198
    assert made_up <= 2


def test_a_tail_is_no_second_mode() -> None:
    random = np.random.default_rng(0)
    sessions = [one * (1 + 0.3 * random.pareto(3, len(one))) for one in draw(0)]
    assert two_modes(sessions) is None


def test_mlperf_wants_459_calls_for_p99_and_is_safe() -> None:
    assert early_stopping(np.ones(458)).value is None
    assert early_stopping(np.ones(459)).value == 1000.0
    random = np.random.default_rng(0)
    safe = sum((early_stopping(random.random(1000)).value or 0) >= 990 for _ in range(200))
    assert safe >= 195


def test_the_spread_is_that_of_the_medians() -> None:
    sessions = [np.full(3, place) for place in (0.9, 1.0, 1.0, 1.0, 1.1)]
    assert spread_of(sessions).value == pytest.approx(np.std([0.9, 1, 1, 1, 1.1], ddof=1))
    assert spread_of(sessions[:4]).value is None
    assert mean_of([2.0] * 5, "J").value == pytest.approx(2)
