"""One board with real rows for all tests of the page; adding them measures every figure again, which takes a while."""

from pathlib import Path

import pytest
from made_up_page import write_baselines


@pytest.fixture(scope="session")
def baselines_board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a leaderboard of the two bundled baselines. Not to be changed."""
    return write_baselines(tmp_path_factory.mktemp("baselines"))
