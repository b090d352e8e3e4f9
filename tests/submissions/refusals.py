"""How a refusal is tested: by its code, and that it is one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from wildbench.errors import SubmissionError


@contextmanager
def refused(
    code: str, kind: type[SubmissionError] = SubmissionError
) -> Iterator[pytest.ExceptionInfo[SubmissionError]]:
    """A block that raises an error of this kind with this code ("submission/damaged"), in one line."""
    with pytest.raises(kind) as caught:
        yield caught
    assert caught.value.code == code, str(caught.value)
    assert "\n" not in str(caught.value)
