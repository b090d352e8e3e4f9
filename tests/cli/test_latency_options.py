"""What is said of time on the command line."""

import pytest
from refusals import refused

from wildbench.cli.evaluate import _minutes


@pytest.mark.parametrize(("time", "minutes"), [("10m", 10), ("90s", 1.5), ("1h", 60), (None, 0)])
def test_times_are_minutes(time: str | None, minutes: float) -> None:
    assert _minutes(time) == minutes


@pytest.mark.parametrize("time", ["", "10", "m", "-3m", "1.5m", "ten"])
def test_anything_else_is_refused(time: str) -> None:
    with refused("recipe/no-time"):
        _minutes(time)
