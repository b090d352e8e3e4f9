"""`wildbench audit coverage` as a person runs it."""

import json
import subprocess
import sys
from pathlib import Path

from studies.coverage.coverage import DIFFERENCE


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from wildbench.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "audit", "coverage", *arguments], capture_output=True, text=True
    )


def test_the_tables_are_printed_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "new" / "coverage.json"
    result = run("12 locations", "50 images", "--sets", "3", "--replicates", "40", "--out", str(out))
    assert result.returncode == 0, result.stderr
    assert "true figures held by their interval, in %" in result.stdout
    assert "kinds of interval: 12 locations" in result.stdout
    rows = json.loads(out.read_text())
    assert list(dict.fromkeys(row["scenario"] for row in rows)) == ["12 locations", "50 images"]
    assert {row["intervals"] + row["without"] for row in rows if row["figure"] in ("AP", f"{DIFFERENCE}AP")} == {3}
    assert "12 locations: 3/3" in result.stderr


def test_an_unknown_scenario_is_one_line() -> None:
    result = run("12 places")
    assert result.returncode == 2
    assert result.stderr.startswith("wildbench: no scenario is called '12 places'; choose from 168 images, 50 images")
    assert len(result.stderr.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_found_before_long_work(tmp_path: Path) -> None:
    result = run("--out", str(tmp_path))
    assert result.returncode == 2
    assert f"{tmp_path} is a folder" in result.stderr
