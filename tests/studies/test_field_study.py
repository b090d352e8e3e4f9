"""The study of a ranger's figures: its document is what it prints, and its simulation is what it says."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from studies.field.__main__ import audit, broken_promises, table_of
from studies.field.simulation import SCENARIOS, Scenario, draw, figures, truths

DOCS = Path(__file__).parents[2] / "docs"


def test_the_document_prints_the_numbers_that_were_kept() -> None:
    console = Console(width=100, file=io.StringIO(), legacy_windows=False)
    console.print(table_of(json.loads((DOCS / "field_coverage.json").read_text())))
    assert isinstance(console.file, io.StringIO)
    printed = "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())
    assert f"<!-- coverage -->\n```\n{printed}\n```\n<!-- end -->" in (DOCS / "field.md").read_text(encoding="utf-8")


def test_a_large_sample_has_the_figures_of_the_population() -> None:
    scenario = SCENARIOS[0]
    known = truths(scenario)
    large = draw(Scenario("large", images=3000), np.random.default_rng(0))
    for name, value, _ in figures(large, replicates=2):
        assert value == pytest.approx(known[name], abs=0.13 if "burst f" in name else 0.1), name  # there are few


def test_a_few_data_sets_are_counted() -> None:
    rows = audit(SCENARIOS[1], sets=3, replicates=40)
    assert {row["figure"] for row in rows} == set(truths(SCENARIOS[1]))
    assert all(0 <= float(row["held"]) <= 1 for row in rows)
    assert audit(SCENARIOS[1], sets=3, replicates=40) == rows
    worse = {"scenario": SCENARIOS[0].name, "figure": "recall", "held": 0.5, "intervals": 100}
    assert broken_promises([worse]) == [worse]
