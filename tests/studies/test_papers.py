"""`python -m studies.papers`: both tables, and whether every printed megabyte follows from the network."""

import pytest
from typer.testing import CliRunner

from studies.papers import muhawenayo
from studies.papers.__main__ import app


def test_both_papers_are_printed_with_what_is_known_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["--quick"], env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "51.3" in text
    assert text.count("87.97") == 2, "the ROI head's row repeats the backbone's"
    assert "The paper's figure shows other values" in text
    assert "compression ratio, reported" in text
    assert text.count("AP50, wildlife_real/val") == 3
    assert text.count("AP50 in %, wildlife_real/val") == 4
    assert "27 of 27 printed megabytes" in text
    monkeypatch.setattr(muhawenayo, "megabytes", lambda counts, row, percent: "1.0")
    result = CliRunner().invoke(app, ["--quick"], env={"COLUMNS": "140"})
    assert result.exit_code == 1
    assert "0 of 27 printed megabytes" in result.output
