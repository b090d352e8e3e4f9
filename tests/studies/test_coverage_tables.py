"""Coverage as it is printed, and as docs/uncertainty.md prints it."""

import dataclasses
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from studies.coverage import __main__ as command
from studies.coverage.__main__ import ERR_TO_THE_SAFE_SIDE, FEWEST, HEADLINES, HIGHEST, LOWEST, app, coverage_tables
from studies.coverage.coverage import BCA, CHOSEN, DIFFERENCE, PERCENTILE, SCENARIOS, Coverage
from wildbench.errors import WildbenchError

DOCS = Path(__file__).parents[2] / "docs"


def printed(*tables: Table) -> str:
    console = Console(width=100, file=io.StringIO(), legacy_windows=False)
    for table in tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def row(figure: str, held: float, *, scenario: str = "a", method: str = CHOSEN, intervals: int = 100) -> Coverage:
    return Coverage(scenario, figure, method, 0.4681, 0.0212, intervals, 0, 0.01, 0.99 - held, 0.1114)


def line_of(text: str, first: str) -> list[str]:
    lines = [re.split(r"\s*[│┃]\s*", line.strip("│┃ ")) for line in text.splitlines()]
    return next(cells for cells in lines if cells[0] == first)


def test_a_share_out_of_bounds_is_marked_and_one_of_few_is_left_out() -> None:
    rows = [
        row("AP", 0.93),
        row("AP50", 0.9299),
        row("AR", 0.9701),
        row("AP", 0.9511, scenario="b"),
        row("AP50", 0.95, scenario="b", intervals=FEWEST - 1),
    ]
    figures = printed(coverage_tables(rows)[0])
    assert line_of(figures, "AP")[1:3] == ["93.0", "95.1"]
    assert line_of(figures, "AP50")[1:3] == ["93.0<", "-"]
    assert line_of(figures, "AR")[1:3] == ["97.0>", "-"]


def test_differences_have_a_table_of_their_own() -> None:
    figures, differences, _ = coverage_tables([row("AP", 0.95), row(f"{DIFFERENCE}AP", 0.96)])
    assert line_of(printed(figures), "AP")[1] == "95.0"
    assert line_of(printed(differences), "AP")[1] == "96.0"


def test_kinds_of_interval_stand_beside_each_other() -> None:
    rows = [row("AP", held, method=method) for held, method in ((0.95, CHOSEN), (0.63, PERCENTILE), (0.74, BCA))]
    kinds = printed(coverage_tables(rows)[2])
    assert line_of(kinds, "AP") == ["AP", "46.8", "+2.1", "95.0", "11.1", "63.0<", "11.1", "74.0<", "11.1"]


@pytest.fixture(scope="module")
def kept() -> list[Coverage]:
    return [Coverage(**entry) for entry in json.loads((DOCS / "coverage.json").read_text(encoding="utf-8"))]


def test_the_document_prints_the_tables_of_the_kept_audit(kept: list[Coverage]) -> None:
    document = (DOCS / "uncertainty.md").read_text(encoding="utf-8")
    for name, table in zip(("figures", "differences", "kinds"), coverage_tables(kept), strict=True):
        assert f"<!-- coverage of {name} -->\n```\n{printed(table)}\n```\n<!-- end -->" in document


def test_the_kept_audit_is_of_every_scenario_and_of_enough_sets(kept: list[Coverage]) -> None:
    sets = {row.scenario: row.intervals + row.without for row in kept if row.figure == "AP"}
    assert list(sets) == [scenario.name for scenario in SCENARIOS]
    assert min(sets.values()) >= 1000


def broken_promises(rows: list[Coverage]) -> list[str]:
    """Headline figures whose intervals hold the truth in other than 95 % of cases, by 2 points."""
    return [
        row.figure
        for row in rows
        if row.method == CHOSEN and row.figure in HEADLINES
        if row.held < LOWEST or (row.held > HIGHEST and row.scenario != ERR_TO_THE_SAFE_SIDE)
    ]


def test_the_kept_intervals_hold_the_truth_as_often_as_they_say(kept: list[Coverage]) -> None:
    headlines = [row for row in kept if row.method == CHOSEN and row.figure in HEADLINES]
    assert len(headlines) == len(HEADLINES) * len(SCENARIOS)
    assert broken_promises(kept) == []
    assert command.broken_promises(kept) == []


@pytest.mark.parametrize("below", [0.0, 0.2])
def test_a_kept_audit_of_worse_intervals_would_be_noticed(kept: list[Coverage], below: float) -> None:
    first = SCENARIOS[0].name
    worse = [dataclasses.replace(row, below=below, above=0.0) if row.scenario == first else row for row in kept]
    assert broken_promises(worse) == list(HEADLINES)
    assert [row.figure for row in command.broken_promises(worse)] == list(HEADLINES)


def test_the_command_prints_the_tables_and_writes_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "new" / "coverage.json"
    arguments = ["12 locations", "50 images", "--sets", "3", "--replicates", "40", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "true figures held by their interval, in %" in result.output
    assert "kinds of interval: 12 locations" in result.output
    rows = json.loads(out.read_text())
    assert list(dict.fromkeys(row["scenario"] for row in rows)) == ["12 locations", "50 images"]
    assert {row["intervals"] + row["without"] for row in rows if row["figure"] in ("AP", f"{DIFFERENCE}AP")} == {3}
    worse = [row("AP", 0.5)]
    monkeypatch.setattr(command.coverage, "audit_coverage", lambda *_, **__: worse)
    assert CliRunner().invoke(app, ["--quick"]).exit_code == 1


def test_a_mistake_is_seen_before_long_work(tmp_path: Path) -> None:
    for arguments, code in ((["12 places"], "recipe/no-such-scenario"), (["--out", str(tmp_path)], "output/")):
        error = CliRunner().invoke(app, arguments).exception
        assert isinstance(error, WildbenchError)
        assert error.code.startswith(code)
