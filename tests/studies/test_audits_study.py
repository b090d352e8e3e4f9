"""`python -m studies.audits` as a person runs it."""

import pytest
from typer.testing import CliRunner

from studies.audits.__main__ import app


@pytest.mark.slow
def test_the_quick_study_has_every_verdict_right() -> None:
    result = CliRunner().invoke(app, ["--quick"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert result.stdout.rstrip().endswith("5 detectors, 0 with the wrong verdict")


@pytest.mark.slow
@pytest.mark.exhaustive
def test_no_honest_detector_fails_and_nothing_else_passes() -> None:
    result = CliRunner().invoke(app, [], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert result.stdout.rstrip().endswith("25 detectors, 0 with the wrong verdict")
