"""What rows show of themselves: pictures where they may be shown, counted by hand, and reasons where there are none."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import pytest
from made_up_page import elsewhere, made_up
from PIL import Image

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.errors import ScorecardError
from wildbench.leaderboard import _details
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._details import WIDTH, RowDetail, details, pictures
from wildbench.leaderboard._recompute import measure_curves
from wildbench.leaderboard._results import Result, read_results
from wildbench.measures.matching import Scored

SIZE = (960, 640)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    images = [{"id": i, "file_name": f"{i}.png", "width": SIZE[0], "height": SIZE[1]} for i in range(1, 7)]
    for image in images:
        Image.new("RGB", SIZE, (40 * image["id"], 90, 30)).save(tmp_path / image["file_name"])
    categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}]
    label = {"id": 1, "image_id": 4, "category_id": 1, "bbox": [96, 64, 96, 64], "area": 6144, "iscrowd": 0}
    return Dataset("made up", None, {"images": images, "categories": categories, "annotations": [label]}, tmp_path)


def found(image: int, x: float, score: float = 0.9, category: int = 1) -> Detections:
    return Detections([image], [category], [[x, 64, 96, 64]], [score])


def every(*rows: Detections) -> Detections:
    return Detections.concatenate(rows)


def test_the_images_with_most_differences_come_first(data: Dataset) -> None:
    dense = every(found(1, 0), found(2, 0), found(4, 96), found(4, 400), found(6, 10))
    compressed = every(
        found(1, 8),  # the same lion, a little aside
        found(2, 0, category=2),  # another category: two differences
        found(4, 96),  # one of two lions lost: one difference
        found(5, 300),  # one more: one difference
        found(6, 10, score=0.2),  # below its threshold: one difference
    )
    shown = pictures(data, dense, compressed, (0.5, 0.5))
    assert [picture.file_name for picture in shown] == ["2.png", "4.png", "5.png"]
    assert [(seen.category, seen.alone) for seen in shown[1].dense] == [("lion", False), ("lion", True)]
    assert [(seen.category, seen.alone) for seen in shown[1].compressed] == [("lion", False)]
    assert [seen.box for seen in shown[1].labels] == [(0.1, 0.1, 0.1, 0.1)]
    assert shown[1].labels[0].score is None
    assert [seen.alone for seen in shown[2].compressed] == [True]


def test_each_detection_is_paired_once_and_with_the_nearest(data: Dataset) -> None:
    (picture,) = pictures(data, every(found(1, 0), found(1, 30)), found(1, 29), (0.0, 0.0))
    assert [seen.alone for seen in picture.dense] == [True, False]


def test_who_agrees_has_no_pictures(data: Dataset) -> None:
    assert pictures(data, found(1, 0), found(1, 0), (0.5, 0.5)) == []


def test_a_picture_is_small_and_the_same_each_time(data: Dataset) -> None:
    one, two = (pictures(data, found(4, 0), every(), (0.5, 0.5)) for _ in range(2))
    assert one == two
    stored = Image.open(io.BytesIO(base64.b64decode(one[0].jpeg.split(",")[1])))
    assert stored.size == (WIDTH, 320)
    assert (one[0].width, one[0].height) == SIZE


def details_of(results: list[Result]) -> dict[str, RowDetail]:
    return details(build_board(results), results)


@pytest.fixture(scope="module")
def results(baselines_board: Path) -> list[Result]:
    return read_results(baselines_board)


def test_details_are_those_of_the_card(results: list[Result]) -> None:
    found = details_of(results)
    for result in results:
        detail, card = found[result.id], result.card
        assert card.size
        assert detail.by_part == card.size.by_part
        assert detail.by_layer == card.size.by_layer
        assert detail.tide == {name: kind.count for name, kind in card.errors.tide.items()}
        assert detail.calibration == card.errors.calibration.bins


def test_curves_kept_by_add_are_what_the_detections_give(results: list[Result]) -> None:
    data = load_dataset("parksim", with_images=False)
    assert details_of(results)[results[0].id].curves == measure_curves(Scored(data, results[0].detections(data)))


def test_a_compressed_row_is_drawn_beside_its_parent(results: list[Result]) -> None:
    found = details_of(results)
    dense, compressed = (found[result.id] for result in results)
    assert dense.no_pictures == "it names no dense parent to be compared with"
    assert compressed.no_pictures is None
    assert 1 <= len(compressed.pictures) <= 3
    for picture in compressed.pictures:
        assert picture.jpeg.startswith("data:image/jpeg;base64,")
        assert any(seen.alone for seen in (*picture.dense, *picture.compressed))
        assert all(seen.score is not None for seen in picture.compressed)


def test_each_row_without_pictures_says_why(results: list[Result], monkeypatch: pytest.MonkeyPatch) -> None:
    dense, child = results
    orphan = made_up(dense, 1, parent="9" * 64)
    version = child.card.dataset.model_copy(update={"sha256": "1" * 64})
    other = [
        replace(one, id=f"other-{one.id}", card=one.card.model_copy(update={"dataset": version})) for one in results
    ]
    found = details_of([dense, orphan, elsewhere(child), *other])
    reasons = {name: detail.no_pictures or "" for name, detail in found.items()}
    assert reasons[orphan.id] == "its parent has no row in this section"
    assert "no card of a data set says" in reasons[elsewhere(child).id]
    assert reasons[other[1].id].startswith("scored on another version of parksim")
    monkeypatch.setattr(_details, "PICTURED", 0)
    assert (details_of(results)[child.id].no_pictures or "").startswith("only the 0 compressed rows")


def test_a_damaged_file_of_curves_is_one_line(results: list[Result], tmp_path: Path) -> None:
    (tmp_path / "curves.json").write_text('{"by_iou": {')
    with pytest.raises(ScorecardError) as error:
        details_of([replace(results[0], predictions=tmp_path / "predictions.json.xz")])
    assert error.value.code == "scorecard/damaged"
    assert "reference-391e1c9f/curves.json" in error.value.what


def test_pictures_are_drawn_beside_the_parent_that_the_lineage_names(results: list[Result]) -> None:
    """A second protocol has the same two submissions: each row's parent is the one of its own section."""
    newer = []
    for one in results:
        protocol = one.card.protocol.model_copy(update={"version": 9})
        card = one.card.model_copy(update={"protocol": protocol})
        newer.append(replace(one, id=f"newer-{one.id}", card=card))
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
