from pathlib import Path

import pytest
from commands import Run, runner


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command in this process and an empty folder."""
    return runner(monkeypatch, capsys, tmp_path)
