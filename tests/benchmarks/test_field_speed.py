"""What a ranger's figures add to a score: at most half of what it took before, slices and 2,000 draws included."""

import time
from collections.abc import Callable

import pytest

from wildbench.datasets.predictions import read_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.evaluation import score
from wildbench.measures.field import OperatingPoint, measure_field, slice_values
from wildbench.measures.matching import Scored
from wildbench.resources import bundled

pytestmark = pytest.mark.timed

MOST = 0.5
SLICES = ["location", "time_of_day"]


def test_a_score_takes_at_most_half_more() -> None:
    data = load_dataset("parksim", split="test", with_images=False)
    path = bundled("baselines/scorecards/reference.predictions.json")
    scored = Scored(data, read_predictions(path, data))

    def whole() -> None:
        score(path, dataset="parksim", threshold=0.5, by=SLICES)

    def added() -> None:
        slices = slice_values(data, SLICES)
        measure_field(scored, OperatingPoint(0.5, "given"), slices=slices)

    def fastest(measure: Callable[[], None]) -> float:
        measure()  # compiles
        times = []
        for _ in range(3):
            start = time.process_time()
            measure()
            times.append(time.process_time() - start)
        return min(times)

    taken = fastest(added)
    assert taken <= MOST * (fastest(whole) - taken)
