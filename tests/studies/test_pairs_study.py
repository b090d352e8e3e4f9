"""The study of a pair's intervals: its figures are those of the population."""

import numpy as np
import pytest

from studies.field.simulation import SCENARIOS, Scenario, draw
from studies.pairs.__main__ import agreement, audit, transfer, truths


def test_every_figure_has_an_interval_around_the_truth_of_a_large_set() -> None:
    rng = np.random.default_rng(3)
    sample = draw(Scenario("large", 6000), rng)
    found = dict([*transfer(sample, 60), *agreement(sample, rng)])
    assert found.keys() == truths().keys()
    for name, truth in truths().items():
        ends = found[name]
        assert ends is not None
        width = ends[1] - ends[0]
        assert ends[0] - width < truth < ends[1] + width, name


@pytest.mark.slow
def test_they_hold_it_in_some_95_of_100_sets() -> None:
    for row in audit(SCENARIOS[0], 300, 300, 1):
        assert 0.9 <= float(row["held"]) <= 1, row
