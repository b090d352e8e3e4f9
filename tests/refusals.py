"""What is refused, by the code of its error."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wildbench.errors import WildbenchError


@contextmanager
def refused(
    code: str, *parts: str, kind: type[WildbenchError] = WildbenchError
) -> Iterator[pytest.ExceptionInfo[WildbenchError]]:
    """Expect an error of one line with this code, and with these names and values in its message."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.code == code, str(caught.value)
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)
