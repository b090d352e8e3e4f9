"""The repository's own board, which holds the two bundled baselines, for all tests of the page."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def baselines_board() -> Path:
    """Folder of a leaderboard of the two bundled baselines. Not to be changed."""
    return Path(__file__).parents[2] / "leaderboard"
