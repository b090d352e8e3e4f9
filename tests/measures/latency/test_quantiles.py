"""Percentiles and their intervals against scipy, numpy, published tables and a simulation."""

import numpy as np
import pytest
from scipy.stats import binom

from wildbench.measures.latency import mean_figure, percentile_figure, quantile_ranks

LEAST = {0.5: 6, 0.9: 36, 0.99: 368}
"""Samples from which on two order statistics enclose the quantile: 0.5^n, 0.9^n and 0.99^n fall under 2.5 %."""


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [6, 36, 100, 368, 1000, 5000])
def test_ranks_are_the_binomial_quantiles(n: int, p: float) -> None:
    lower, upper = int(binom.ppf(0.025, n, p)), int(binom.ppf(0.975, n, p)) + 1
    assert quantile_ranks(n, p) == ((lower, upper) if lower >= 1 and upper <= n else None)
    assert (quantile_ranks(n, p) is not None) == (n >= LEAST[p])


def test_ranks_enclose_the_quantile_with_the_stated_probability_and_no_narrower_ones_do() -> None:
    for n, p in ((100, 0.5), (400, 0.9), (1000, 0.99)):
        lower, upper = quantile_ranks(n, p) or (0, 0)
        assert binom.cdf(upper - 1, n, p) - binom.cdf(lower - 1, n, p) >= 0.95
        assert binom.cdf(lower, n, p) > 0.025
        assert binom.sf(upper - 2, n, p) > 0.025


def test_the_medians_ranks_are_those_of_the_tables() -> None:
    published = {10: (2, 9), 20: (6, 15), 50: (18, 33), 100: (40, 61)}  # Conover, 1999; Hahn and Meeker, 1991
    assert {n: quantile_ranks(n, 0.5) for n in published} == published


def test_intervals_of_skewed_latencies_hold_the_true_percentile_95_times_in_100() -> None:
    random = np.random.default_rng(3)
    truth = float(np.exp(0.5 * 1.2815515655446004))  # p90 of a log-normal distribution with sigma 0.5
    held = 0
    for _ in range(1000):
        interval = percentile_figure(random.lognormal(0, 0.5, 200).tolist(), 0.9, "ms").interval
        held += interval is not None and interval[0] <= truth <= interval[1]
    assert 940 <= held <= 985


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_the_percentile_is_a_sample(p: float) -> None:
    samples = np.random.default_rng(1).random(501).tolist()
    figure = percentile_figure(samples, p, "ms")
    assert figure.value == np.quantile(samples, p, method="inverted_cdf")
    assert figure.n == 501


@pytest.mark.parametrize(("p", "least"), [(0.5, 2), (0.9, 10), (0.99, 100)])
def test_a_percentile_that_would_be_the_maximum_is_undefined(p: float, least: int) -> None:
    few = percentile_figure([1.0] * (least - 1), p, "ms")
    assert few.value is None
    assert few.reason == f"p{100 * p:g} needs at least {least} samples, there are {least - 1}"
    assert percentile_figure([1.0] * least, p, "ms").value == 1.0


def test_the_mean_has_an_interval_from_30_samples_on() -> None:
    samples = np.random.default_rng(2).random(30).tolist()
    figure = mean_figure(samples, "ms")
    margin = 1.959963984540054 * np.std(samples, ddof=1) / np.sqrt(30)
    assert figure.value == pytest.approx(np.mean(samples))
    assert figure.interval == pytest.approx((np.mean(samples) - margin, np.mean(samples) + margin))
    assert mean_figure(samples[:29], "ms").interval is None
    assert mean_figure([], "ms").value is None
