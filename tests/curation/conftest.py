"""One database for all tests of curation."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from wildbench.curation.database import running


@pytest.fixture(scope="session")
def review_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("review")


@pytest.fixture(scope="session")
def database(review_folder: Path) -> Iterator[None]:
    with running(review_folder):
        yield
