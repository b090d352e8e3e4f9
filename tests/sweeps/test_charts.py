"""Tables, CSV and charts of a sweep show every measure that is registered, another package's too."""

import csv
from pathlib import Path

import pytest
from made_up_points import figure, point, summary

from wildbench import plugins
from wildbench.measures import Measure
from wildbench.sweeps.charts import chart, headings, rows
from wildbench.sweeps.record import Summary


class Energy(Measure):
    key, title, unit, better, limits = "energy", "energy", "mJ", "lower", (1e-3, 1e6)


def spent(millijoules: float | None, **changes: object) -> dict[str, object]:
    one = point(**changes)  # type: ignore[arg-type]
    energy = {} if millijoules is None else {"energy": figure(millijoules, "mJ", (millijoules - 1, millijoules + 1))}
    return {**one, "figures": one["figures"] | energy}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Summary:
    monkeypatch.setitem(plugins.measures._targets, "energy", Energy)
    monkeypatch.setattr(plugins.measures, "_resolved", {})
    return summary(spent(4.0), spent(8.0, seed=1), spent(None, seed=2))


def test_the_table_has_a_column_for_it(measured: Summary) -> None:
    column = headings().index("energy in mJ")
    cells = [row[column] for row in rows(measured)]
    assert cells == ["-", "4.00\n[3.00, 5.00]", "8.00\n[7.00, 9.00]", "-"]
    assert all(len(row) == len(headings()) for row in rows(measured))


def test_the_csv_has_columns_for_it(measured: Summary, tmp_path: Path) -> None:
    measured.write_csv(tmp_path / "a.csv")
    found = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["energy"] for row in found] == ["4.0", "8.0", ""]
    assert [row["energy_low"] for row in found] == ["3.0", "7.0", ""]


def test_the_chart_has_an_axis_for_it(measured: Summary) -> None:
    ap, ap50 = chart(measured)["vconcat"]
    for row, accuracy in ((ap, "AP in %"), (ap50, "AP50 in %")):
        axes = [panel["layer"][0]["encoding"] for panel in row["hconcat"]]
        assert [axis["x"]["title"] for axis in axes] == ["file size in MB", "energy in mJ"]  # nothing else differs
        assert {axis["y"]["title"] for axis in axes} == {accuracy}
    values = chart(measured)["data"]["values"]
    assert [value["energy"] for value in values] == [None, 4.0, 8.0, None]
    assert [value["file_bytes"] for value in values] == [8.0, 4.0, 4.0, 4.0]
