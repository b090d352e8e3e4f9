"""What rows show of themselves: pictures where they may be shown, and reasons where there are none."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_up_page import elsewhere, made_up

from wildbench.datasets.registry import load_dataset
from wildbench.errors import ScorecardError
from wildbench.leaderboard.board._board import build_board
from wildbench.leaderboard.page import _row_details
from wildbench.leaderboard.page._row_details import RowDetail, details
from wildbench.leaderboard.results._kept import measure_curves
from wildbench.leaderboard.results._results import Result, read_results


def details_of(results: list[Result]) -> dict[str, RowDetail]:
    return details(build_board(results), results)


@pytest.fixture(scope="module")
def results(baselines_board: Path) -> list[Result]:
    return read_results(baselines_board)[0]


def test_details_are_those_of_the_card(results: list[Result]) -> None:
    found = details_of(results)
    for result in results:
        detail, card = found[result.id], result.card
        assert card.size
        assert card.errors
        assert detail.by_part == card.size.by_part
        assert detail.by_layer == card.size.by_layer
        assert detail.tide == {name: kind.count for name, kind in card.errors.tide.items()}
        assert detail.calibration == card.errors.calibration.bins


def test_curves_kept_by_add_are_what_the_detections_give(results: list[Result]) -> None:
    data = load_dataset("parksim", with_images=False)
    assert details_of(results)[results[0].id].curves == measure_curves(data, results[0].detections(data), None)


def test_a_compressed_row_is_drawn_beside_its_parent(results: list[Result]) -> None:
    found = details_of(results)
    dense, compressed = (found[result.id] for result in results)
    assert dense.no_pictures == "it names no dense parent to be set against"
    assert compressed.no_pictures is None
    assert 1 <= len(compressed.pictures) <= 3
    for picture in compressed.pictures:
        assert picture.jpeg.startswith("data:image/jpeg;base64,")
        assert any(seen.alone for seen in (*picture.dense, *picture.compressed))
        assert all(seen.score is not None for seen in picture.compressed)


def test_each_row_without_pictures_says_why(results: list[Result], monkeypatch: pytest.MonkeyPatch) -> None:
    dense, child = results
    orphan = made_up(dense, 1, parent="9" * 64)
    old = replace(child, id="old", card=child.card.model_copy(update={"errors": None}))
    version = child.card.dataset.model_copy(update={"sha256": "1" * 64})
    other = [
        replace(one, id=f"other-{one.id}", card=one.card.model_copy(update={"dataset": version})) for one in results
    ]
    found = details_of([dense, orphan, old, elsewhere(child), *other])
    reasons = {name: detail.no_pictures or "" for name, detail in found.items()}
    assert reasons[orphan.id] == "its parent has no row in this section"
    assert "says no score" in reasons["old"]
    assert "only those of parksim are embedded" in reasons[elsewhere(child).id]
    assert reasons[other[1].id].startswith("scored on another version of parksim")
    monkeypatch.setattr(_row_details, "PICTURED", 0)
    assert (details_of(results)[child.id].no_pictures or "").startswith("only the 0 compressed rows")


def test_a_damaged_file_of_curves_is_one_line(results: list[Result], tmp_path: Path) -> None:
    (tmp_path / "curves.json").write_text('{"by_iou": {')
    with pytest.raises(ScorecardError, match=r"reference-391e1c9f/curves.json: damaged"):
        details_of([replace(results[0], predictions=tmp_path / "predictions.json.xz")])


def test_pictures_are_drawn_beside_the_parent_that_the_lineage_names(results: list[Result]) -> None:
    """A second protocol has the same two submissions: each row's parent is the one of its own section."""
    newer = []
    for one in results:
        protocol = one.card.protocol.model_copy(update={"version": 9})
        card = one.card.model_copy(update={"protocol": protocol})
        newer.append(replace(one, id=f"newer-{one.id}", card=card))
    assert newer[0].card.errors
    images = newer[0].card.errors.images
    higher = images.model_copy(update={"threshold": images.threshold.model_copy(update={"value": 0.625})})
    errors = newer[0].card.errors.model_copy(update={"images": higher})
    newer[0] = replace(newer[0], card=newer[0].card.model_copy(update={"errors": errors}))
    for order in ([*results, *newer], [*newer, *results]):
        found = details_of(order)
        first, second = (found[one.id].thresholds for one in (results[1], newer[1]))
        assert first
        assert second
        assert (first[0] == 0.625, second[0] == 0.625) == (False, True)
    apart = details_of([results[0], newer[1]])[newer[1].id]
    assert (apart.pictures, apart.no_pictures) == ([], "its parent has no row in this section")
