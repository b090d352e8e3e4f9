"""What is refused, by the code of its error."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wildbench.errors import WildbenchError


@contextmanager
def refused(code: str, *parts: str) -> Iterator[None]:
    """Expect an error of one line with this code, and with these names and values in its message."""
    with pytest.raises(WildbenchError) as caught:
        yield
    assert caught.value.code == code, str(caught.value)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)
