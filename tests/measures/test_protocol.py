"""docs/protocol.md states what every number of a scorecard means."""

from pathlib import Path

import pytest

from wildbench.measures.latency import _stopwatch as latency
from wildbench.scorecard import Accuracy, Compute, Figure, Latency, PerCategory, Record, Size

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("part", [Figure, Accuracy, PerCategory, Size, Compute, Latency])
def test_every_field_is_explained(part: type[Record]) -> None:
    missing = [name for name in part.model_fields if f"`{name}`" not in PROTOCOL and f'"{name}"' not in PROTOCOL]
    assert missing == []


def test_the_rules_are_those_of_the_code() -> None:
    assert (latency.ROUND, latency.MOST_ROUNDS, latency.TOLERANCE, latency.SHARE) == (3, 6, 0.10, 0.03)
    assert (latency.LEAST_BLOCKS, latency.RESAMPLES) == (10, 1000)
    for rule in (
        "Rounds of three",
        "at most 6",
        "within 10 %",
        "about 3 %",
        "from 10 reference runs",
        "1000 resamples",
    ):
        assert rule in PROTOCOL
