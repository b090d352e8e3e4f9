"""Fixtures that several rooms need."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wildlife_real() -> Path:
    """Folder of real photographs that are not part of this repository."""
    folder = Path(os.environ.get("WILDBENCH_WILDLIFE_REAL") or REPOSITORY.parent / "shared" / "data" / "wildlife_real")
    if not folder.is_dir():
        pytest.skip(f"the real photographs are not at {folder}: set WILDBENCH_WILDLIFE_REAL")
    return folder
