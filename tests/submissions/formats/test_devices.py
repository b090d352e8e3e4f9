import pytest
from refusals import refused

from wildbench.submissions.formats import resolve_device


@pytest.mark.parametrize(
    ("wanted", "count", "found"),
    [
        ("cpu", 0, "cpu"),
        ("cpu", 2, "cpu"),
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cuda", 2, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_name_stands_for_one_device(wanted: str, count: int, found: str) -> None:
    assert resolve_device(wanted, "torch", lambda number: number < count) == found


def test_any_other_name_is_refused_even_where_there_is_cuda() -> None:
    for wanted in ("tpu", "tpu:0", "mps", "cuda:2", "cuda:x", "cuda:", "cuda:-1", "auto:0", ""):
        with refused("submission/no-such-device"):
            resolve_device(wanted, "torch", lambda number: number < 2)
