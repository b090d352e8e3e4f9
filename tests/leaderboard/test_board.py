"""The board: ranked, deterministic, and only of what compares."""

import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
from made_up_cards import make_card
from made_up_results import energy, make_named, make_result, names, with_energy

from wildbench.errors import ScorecardError
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._model import FORMAT_VERSION, Board, Section, json_schema, read_board
from wildbench.leaderboard._results import Result
from wildbench.leaderboard.exports import to_csv, to_markdown
from wildbench.scorecard import Scorecard

GOLDEN = Path(__file__).parent / "golden"
DOCUMENT = Path(__file__).parents[2] / "docs" / "leaderboard.md"
SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "leaderboard.schema.json"


def golden_results() -> list[Result]:
    """Two that cannot be told apart, their child, a worse one, one without AP, one claimed; hostile names."""
    dense = make_named("dense", 0.60, seed=1, file_bytes=8_000_000)
    return [
        dense,
        make_named("<script>alert(1)</script>", 0.605, seed=2, file_bytes=9_000_000),
        make_named("a|b & 50%_c", 0.58, seed=3, noise=0.001, file_bytes=2_000_000, parent=dense.card.submission.sha256),
        make_named("=1+1", 0.30, seed=4, file_bytes=1_000_000, cpu="another", p50=9.0),
        make_named("blind", None, parent="f" * 64),
        make_result(make_card("z", ap=0.9, dataset="3"), seed=5),
        replace(make_named("claimed", 0.85, seed=6, file_bytes=10_000), reproduction=None),
    ]


def section_of(*results: Result) -> Section:
    (section,) = build_board(results).sections
    return section


def test_the_board_is_the_one_that_was_looked_at() -> None:
    """To make it anew: write `build_board(golden_results())` there, and look at the difference."""
    assert build_board(golden_results()).to_json() == (GOLDEN / "leaderboard.json").read_text(encoding="utf-8")


def test_the_order_of_the_results_does_not_show() -> None:
    expected = build_board(golden_results()).to_json()
    for order in itertools.islice(itertools.permutations(golden_results()), 0, 720, 97):
        assert build_board(order).to_json() == expected


def test_rows_that_cannot_be_told_apart_share_a_rank_and_stand_by_ap() -> None:
    rows = section_of(*golden_results()[:4]).rows
    assert [(row.name, row.standing and row.standing.rank) for row in rows] == [
        ("<script>alert(1)</script>", 1),
        ("dense", 1),
        ("a|b & 50%_c", 1),
        ("=1+1", 4),
    ]
    assert rows[0].standing is not None
    assert rows[0].standing.to_best is None
    assert rows[3].standing is not None
    assert rows[3].standing.to_best is not None
    assert rows[3].standing.to_best.value == pytest.approx(0.30 - 0.605)
    low, high = rows[3].standing.to_best.interval or (0, 0)
    assert low < 0.30 - 0.605 < high < 0


def test_equal_rows_stand_by_bytes() -> None:
    results = [make_named(name, 0.5, file_bytes=size) for name, size in (("a", 9), ("b", 5), ("c", 7))]
    assert names(section_of(*results).rows) == ["b", "c", "a"]


def test_an_undefined_ap_has_no_rank_and_stands_last() -> None:
    rows = section_of(make_named("none", None), make_named("some", 0.01)).rows
    assert names(rows) == ["some", "none"]
    assert rows[1].standing is None
    assert rows[1].ranked_by.reason == "no box"
    assert rows[0].standing is not None
    assert (rows[0].standing.rank, rows[0].standing.last) == (1, 1)
    assert section_of(make_named("none", None)).rows[0].standing is None


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": {"sha256": "9" * 64}},
        {"protocol": {"version": 2}},
        {"accuracy": {"unknown_categories": ["lion"]}},
    ],
    ids=["another version of the data set", "another protocol", "a category it does not know"],
)
def test_what_does_not_compare_is_in_another_section(changes: dict[str, dict[str, object]]) -> None:
    one = make_card("a")
    other: Scorecard = one.model_copy(
        update={part: getattr(one, part).model_copy(update=update) for part, update in changes.items()}
    )
    board = build_board([make_result(one), make_result(other)])
    assert [names(section.rows) for section in board.sections] == [["a"], ["a"]]
    assert len({section.id for section in board.sections}) == 2
    assert all(row.standing and row.standing.rank == 1 for section in board.sections for row in section.rows)


def test_names_make_no_section_of_their_own() -> None:
    """Two files with the same labels compare whatever they are called; the first by id names the section."""
    one, other = make_named("one", 0.5), make_named("other", 0.6)
    renamed = other.card.dataset.model_copy(update={"name": "a private park", "split": "hard", "limit": 2})
    other = replace(other, card=other.card.model_copy(update={"dataset": renamed}))
    for results in ((one, other), (other, one)):
        section = section_of(*results)
        assert names(section.rows) == ["other", "one"]
        assert (section.dataset.name, section.dataset.split) == ("d", None)


def test_a_child_stands_against_its_parent() -> None:
    by_name = {row.name: row for row in section_of(*golden_results()[:4]).rows}
    loss = by_name["a|b & 50%_c"].parent
    assert loss is not None
    assert (loss.name, loss.id) == ("dense", by_name["dense"].id)
    assert loss.ap.value == pytest.approx(-0.02)
    assert loss.ap.interval is not None
    assert loss.ap.interval[0] < -0.02 < loss.ap.interval[1]
    assert {key: figure.value for key, figure in loss.costs.items()} == {
        "file_bytes": 0.25,
        "macs": 1.0,
        "latency_ratio": 1.0,
        "latency": 1.0,
    }
    assert by_name["dense"].parent is None


def test_a_cost_against_a_parent_is_stated_where_the_two_compare() -> None:
    dense = make_named("dense", 0.5, p50=10.0)
    sha256 = dense.card.submission.sha256
    here = make_named("here", 0.5, p50=5.0, parent=sha256)
    there = make_named("there", 0.5, p50=5.0, cpu="other", parent=sha256)
    gpu = make_named("gpu", 0.5, p50=5.0, device="H100", reference="in torch", parent=sha256)
    losses = {row.name: row.parent.costs for row in section_of(dense, here, there, gpu).rows if row.parent}
    assert [losses[name]["latency"].value for name in ("here", "there", "gpu")] == [0.5, None, None]
    assert [losses[name]["latency_ratio"].value for name in ("here", "there", "gpu")] == [1.0, 1.0, None]


def test_a_parent_that_is_not_on_the_board_is_said_to_be_missing() -> None:
    (row,) = section_of(make_named("orphan", 0.5, parent="f" * 64)).rows
    assert row.parent is not None
    assert row.parent.id is None
    assert row.parent.ap.reason == "its parent has no row in this section"
    assert row.lineage == []


def test_lineage_goes_back_to_the_first_and_never_round() -> None:
    a = make_named("a", 0.5, sha256="1" * 64, parent="3" * 64)  # forged: its own grandchild
    b = make_named("b", 0.5, sha256="2" * 64, parent="1" * 64)
    c = make_named("c", 0.5, sha256="3" * 64, parent="2" * 64)
    rows = {row.name: row for row in section_of(a, b, c).rows}
    assert rows["c"].lineage == [rows["b"].id, rows["a"].id]
    assert rows["a"].lineage == [rows["c"].id, rows["b"].id]


def test_no_results_are_no_board() -> None:
    with pytest.raises(ScorecardError) as error:
        build_board([])
    assert error.value.code == "scorecard/no-results"


def test_the_published_schema_is_the_code_s() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema()


def test_it_loads_in_pandas_in_the_line_that_the_document_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaderboard").mkdir()
    shutil.copy(GOLDEN / "leaderboard.json", tmp_path / "leaderboard")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    found: dict[str, Any] = {}
    exec(code, found)
    table: pandas.DataFrame = found["rows"]
    assert len(table) == 7
    best = table.loc[table["figures.ap.value"].idxmax()]
    assert (best["name"], best["standing.rank"], best["figures.file_bytes.value"]) == ("z", 1, 1000)
    assert (best["sections.dataset.name"], best["sections.dataset.split"]) == ("d", None)
    assert table["sections.id"].value_counts().tolist() == [6, 1]
    assert table["figures.ap.value"].dtype == float


def test_a_board_survives_its_file(tmp_path: Path) -> None:
    board = build_board(golden_results())
    board.write(tmp_path / "leaderboard.json")
    again = read_board(tmp_path / "leaderboard.json")
    assert again == board
    assert again.to_json() == board.to_json()


def test_a_damaged_board_is_one_line(tmp_path: Path) -> None:
    texts = ("{", "[]", json.dumps({"format_version": FORMAT_VERSION + 1}), json.dumps({"format_version": 1}))
    for text in texts:
        (tmp_path / "board.json").write_text(text)
        with pytest.raises(ScorecardError) as error:
            read_board(tmp_path / "board.json")
        assert "\n" not in str(error.value)


def test_ids_are_plain_whatever_the_name() -> None:
    board = build_board([*golden_results(), make_named("../../etc/passwd", 0.1), make_named("стая", 0.1)])
    for row in Board.rows(board).values():
        assert row.id.replace("-", "").isalnum()
        assert row.id.isascii()
        assert row.id == row.id.lower()


def test_a_measure_of_another_package_is_a_column_and_the_axis_of_a_front(tmp_path: Path) -> None:
    dense = with_energy(make_named("dense", 0.6), 8.0)
    small = with_energy(make_named("small", 0.5, parent=dense.card.submission.sha256), 2.0)
    away = with_energy(make_named("away", 0.4, cpu="another"), 1.0)
    with energy():
        board = build_board([dense, small, away, make_named("bare", 0.3)])
    assert [column.key for column in board.headlines][-1] == "energy"
    (section,) = board.sections
    rows = {row.name: row for row in section.rows}
    assert rows["small"].figures["energy"].value == 2.0
    assert "energy" not in rows["bare"].figures
    (front,) = [front for front in section.fronts if front.axis == "energy"]  # one row alone elsewhere has none
    assert (front.within, front.rows, front.limits) == ("c", [rows["small"].id, rows["dense"].id], (1e-3, 1e6))
    assert rows["small"].parent is not None
    assert rows["small"].parent.costs["energy"].value == 0.25
    board.write(tmp_path / "leaderboard.json")
    again = read_board(tmp_path / "leaderboard.json")  # which needs no package
    assert to_markdown(again).splitlines()[2].split(" | ")[-2] == "energy, mJ"
    assert to_csv(again).splitlines()[0].endswith(",energy,energy_within")


def test_a_measure_that_no_row_has_is_no_column() -> None:
    assert "energy" not in {column.key for column in build_board(golden_results()).measures}
