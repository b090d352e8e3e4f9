"""The usual intervals are scipy's."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from studies.coverage.usual import bca_interval, percentile_interval


@pytest.mark.parametrize("statistic", [np.mean, np.var, np.median])
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_bca_and_percentile_are_scipy_s(statistic: object, level: float) -> None:
    sample = np.random.default_rng(3).exponential(size=40)
    options = {"confidence_level": level, "n_resamples": 3000, "rng": np.random.default_rng(1), "vectorized": True}
    for method in ("BCa", "percentile"):
        reference = bootstrap((sample,), statistic, method=method, **options)  # type: ignore[call-overload]
        drawn = reference.bootstrap_distribution
        without = np.array([statistic(np.delete(sample, one)) for one in range(40)])  # type: ignore[operator]
        if method == "BCa":
            found = bca_interval(float(statistic(sample)), drawn, without, level=level)  # type: ignore[operator]
        else:
            found = percentile_interval(drawn, level=level)
        assert found == pytest.approx(tuple(reference.confidence_interval), abs=1e-12)
