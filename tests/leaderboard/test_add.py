"""What gets on a board, what does not, and that nothing is left half-done."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_up_results import edited, write_card, write_dataset

from wildbench.errors import WildbenchError
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._results import KEPT, SUMS, read_results, result_id, unpacked
from wildbench.leaderboard.add import add, check
from wildbench.scorecard import read_scorecard


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set, and two detectors scored on it."""
    folder = tmp_path_factory.mktemp("cards")
    data = write_dataset(folder / "park.json")
    return {"data": data} | {
        name: write_card(folder, data, name, quality=quality, seed=seed)
        for seed, (name, quality) in enumerate({"good": 0.9, "poor": 0.4}.items())
    }


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(card: Path, board: Path, data: Path) -> WildbenchError:
    """Why a card is refused: the same by `add` and by `check`, in one line, with nothing changed."""
    before = files(board)
    with pytest.raises(WildbenchError) as error:
        add(card, board, datasets=[data])
    problems = check(card, board, datasets=[data])
    assert problems[0].code == error.value.code
    assert error.value.what.startswith(problems[0].what)
    assert "\n" not in str(error.value)
    assert str(card.parent) in str(error.value)
    assert files(board) == before
    return error.value


def test_what_is_added_is_kept_to_the_byte(cards: dict[str, Path], tmp_path: Path) -> None:
    assert check(cards["good"], tmp_path / "one", datasets=[cards["data"]]) == []
    assert files(tmp_path) == {}
    ids = {name: add(cards[name], tmp_path / "one", datasets=[cards["data"]]) for name in ("good", "poor")}
    results = {result.card.submission.name: result for result in read_results(tmp_path / "one")}
    assert {name: result.id for name, result in results.items()} == ids
    for name, result in results.items():
        folder = result.predictions.parent
        assert (folder / "card.json").read_bytes() == cards[name].read_bytes()
        assert unpacked(result.predictions) == cards[name].with_name(result.card.accuracy.predictions_file).read_bytes()
        assert result.samples.whole[0] == pytest.approx(result.card.accuracy.ap.value, abs=1e-12)
        assert (len(result.samples.drawn), len(result.samples.without)) == (2000, 20)
        assert sorted(path.name for path in folder.iterdir()) == sorted([*KEPT, SUMS])
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=folder, check=True)
    assert results["good"].samples.whole[0] > results["poor"].samples.whole[0] + 0.2
    for name in ("poor", "good"):
        add(cards[name], tmp_path / "two", datasets=[cards["data"]])
    assert files(tmp_path / "one") == files(tmp_path / "two")
    shutil.move(tmp_path / "two", tmp_path / "there")  # a board is only its files
    assert [result.id for result in read_results(tmp_path / "there")] == sorted(ids.values())


def test_the_same_submission_twice_and_a_name_that_is_taken(cards: dict[str, Path], tmp_path: Path) -> None:
    board = tmp_path / "board"
    name = add(cards["good"], board, datasets=[cards["data"]])
    renamed = edited(cards["good"], tmp_path / "renamed.json", ("submission.name", "another"))
    for card in (cards["good"], renamed):
        error = refusal(card, board, cards["data"])
        assert error.code == "scorecard/already-added"
        assert name in str(error)
    taken = edited(cards["poor"], tmp_path / "taken.json", ("submission.name", "GOOD"))
    assert refusal(taken, board, cards["data"]).code == "scorecard/name-taken"
    lookalike = edited(cards["poor"], tmp_path / "lookalike.json", ("submission.name", "g\u043eod"))
    assert refusal(lookalike, board, cards["data"]).code == "scorecard/name-taken"


REFUSED: list[tuple[tuple[str, Any], str, str]] = [
    (("format_version", 99), "", ""),
    (("accuracy", None), "", "accuracy"),
    (("submission.name", " "), "unprintable", ""),
    (("submission.name", "\u0301\u0301"), "unprintable", ""),
    (("submission.name", "\uff47ood"), "unprintable", ""),
    (("submission.name", "go\u00adod"), "unprintable", ""),
    (("submission.name", "good\u3164"), "unprintable", ""),
    (("submission.name", "n" * 81), "unprintable", "too long"),
    (("submission.method", "m" * 2001), "unprintable", "too long"),
    (("submission.method", "m" * (1 << 20)), "too-large", ""),
    (("submission.parent", "0" * 64), "parent-not-here", ""),
    (("accuracy.detections", 10**30), "damaged", "accuracy.detections"),
    (("accuracy.ap.unit", "AR"), "damaged", "accuracy.ap"),
    (("submission.name", "two\nlines"), "unprintable", r"submission.name: 'two\nlines'"),
    (("submission.authors", ["me", "\u202eem"]), "unprintable", r"submission.authors.1: '\u202eem'"),
    (("submission.method", "\x1b]0;owned\x07"), "unprintable", r"submission.method: '\x1b]0;owned\x07'"),
    (("dataset.categories", ["lion", "\u200fzebra"]), "unprintable", "dataset.categories.1: "),
    (("environment.cpu", "\x9b2J"), "unprintable", "environment.cpu: "),
    (("environment.packages", {"a\x1bb": "1"}), "unprintable", r"environment.packages: the key 'a\x1bb'"),
    (("submission.sha256", "A" * 64), "not-a-hash", "submission.sha256"),
    (("submission.parent", "../dense"), "not-a-hash", "submission.parent: '../dense'"),
    (("errors.images.sha256", ""), "not-a-hash", "errors.images.sha256: ''"),
    (("protocol.version", 2), "other-protocol", "protocol.version is 2"),
    (("protocol.iou_thresholds", [0.5]), "other-protocol", "protocol.iou_thresholds is [0.5]"),
    (("protocol.max_detections", [1, 10, 1000]), "other-protocol", "protocol.max_detections is [1, 10, 1000]"),
    (("protocol.batch_size", 8), "other-protocol", "protocol.batch_size is 8"),
    (("accuracy.unknown_categories", ["zebra"]), "unknown-but-detected", "zebra"),
    (("accuracy.unknown_categories", ["okapi"]), "figure-differs", "accuracy.unknown_categories is "),
    (("accuracy.predictions_file", "../good.score.predictions.json"), "", "accuracy.predictions_file"),
    (("accuracy.predictions_file", "none.json"), "unreadable", "none.json"),
    (("accuracy.predictions_sha256", "0"), "not-a-hash", "accuracy.predictions_sha256: '0'"),
    (("accuracy.predictions_sha256", "0" * 64), "not-as-scored", ""),
    (("accuracy.ap50.value", 0.99), "damaged", "accuracy.ap50"),
    (("accuracy.mean_iou50.n", 1), "figure-differs", "accuracy.mean_iou50.n is 1, its detections give "),
    (("accuracy.ap.interval", [0.9, 0.1]), "damaged", "accuracy.ap"),
    (("accuracy.ap.interval", [0.1, 0.9]), "figure-differs", "accuracy.ap.interval.0 is 0.1"),
    (("accuracy.ap.interval", None), "figure-differs", "accuracy.ap.interval is None"),
    (("accuracy.per_category", {}), "figure-differs", "accuracy.per_category.lion is None"),
    (("accuracy.uncertainty", None), "damaged", "accuracy.uncertainty"),
    (("accuracy.detections", 3), "figure-differs", "accuracy.detections is 3"),
    (("errors.calibration.ece.value", 0.5), "figure-differs", "errors.calibration.ece.value is 0.5"),
    (("errors.tide.cls.count", 999), "figure-differs", "errors.tide.cls.count is 999"),
    (("audits", [{"name": "a", "passed": False, "explanation": "its boxes are labels"}]), "audit-failed", "its boxes"),
    (("dataset.boxes", 999), "other-facts", ""),
    (("dataset.sha256", "0" * 64), "other-version", ""),
]


def test_a_card_that_does_not_hold_is_refused_in_one_line(cards: dict[str, Path], tmp_path: Path) -> None:
    for change, code, says in REFUSED:
        card = edited(cards["good"], tmp_path / "card.json", change)
        error = refusal(card, tmp_path / "board", cards["data"])
        assert not code or error.code.endswith(f"/{code}"), change
        assert says in str(error), change


def test_a_damaged_card_is_refused(cards: dict[str, Path], tmp_path: Path) -> None:
    card = edited(cards["good"], tmp_path / "card.json")
    text = card.read_text()
    for damaged in (text[:-900], text.replace('"name": "good"', '"name": "\\ud800"')):
        card.write_text(damaged)
        refusal(card, tmp_path / "board", cards["data"])


def test_a_data_set_is_known_by_its_labels_and_not_by_its_name(cards: dict[str, Path], tmp_path: Path) -> None:
    (problem,) = check(cards["good"], tmp_path)
    assert problem.code == "dataset/not-here"
    assert "--dataset" in problem.remedy
    add(cards["good"], tmp_path / "board", datasets=[cards["data"]])
    changes = ("dataset.name", "mine"), ("dataset.split", "easy")
    add(edited(cards["poor"], tmp_path / "poor.json", *changes), tmp_path / "board", datasets=[cards["data"]])
    (section,) = build_board(read_results(tmp_path / "board")).sections
    assert [row.name for row in section.rows] == ["good", "poor"]
    assert section.dataset.name == "park"


def test_a_script_in_a_name_is_a_name(cards: dict[str, Path], tmp_path: Path) -> None:
    card = edited(cards["good"], tmp_path / "card.json", ("submission.name", "<script>alert('x')</script>"))
    name = add(card, tmp_path / "board", datasets=[cards["data"]])
    assert name.startswith("script-alert-x-script-")


def test_of_those_who_add_the_same_at_once_one_does(cards: dict[str, Path], tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from wildbench.leaderboard.add import add; "
    program += "card, board, data = map(Path, sys.argv[1:]); add(card, board, datasets=[data])"
    arguments = [tmp_path / "board", cards["data"]]
    adding = [subprocess.Popen([sys.executable, "-c", program, cards["good"], *arguments]) for _ in range(2)]
    add(cards["poor"], tmp_path / "board", datasets=[cards["data"]])
    assert sorted(bool(one.wait()) for one in adding) == [False, True]
    results = read_results(tmp_path / "board")
    assert [result.card.submission.name for result in results] == ["good", "poor"]
    assert len(list((tmp_path / "board" / "results").iterdir())) == 2  # nothing half-made


def test_what_stands_in_its_place_stays(cards: dict[str, Path], tmp_path: Path) -> None:
    name = result_id(read_scorecard(cards["good"]))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).write_text("mine")
    with pytest.raises(WildbenchError) as error:
        add(cards["good"], tmp_path, datasets=[cards["data"]])
    assert error.value.code == "output/not-writable"
    assert files(tmp_path) == {f"results/{name}": b"mine"}


def test_a_board_that_cannot_be_written_is_said_so_first(cards: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WildbenchError) as error:
        add(cards["good"].with_name("none.json"), tmp_path / "file" / "board", datasets=[cards["data"]])
    assert error.value.code.startswith("output/")


def test_a_damaged_board_takes_no_more(cards: dict[str, Path], tmp_path: Path) -> None:
    name = add(cards["good"], tmp_path, datasets=[cards["data"]])
    (tmp_path / "results" / name / "curves.json").write_text("{}")
    with pytest.raises(WildbenchError) as error:
        add(cards["poor"], tmp_path, datasets=[cards["data"]])
    assert error.value.code == "scorecard/file-edited"


def test_the_same_submission_on_another_data_set_is_another_row(cards: dict[str, Path], tmp_path: Path) -> None:
    board = tmp_path / "board"
    other = write_dataset(tmp_path / "other.json", shift=3)
    again = write_card(tmp_path, other, "good", quality=0.9)
    document = json.loads(cards["good"].read_text())["submission"]
    same = edited(again, tmp_path / "same.json", ("submission", document))
    assert len({add(card, board, datasets=[cards["data"], other]) for card in (cards["good"], same)}) == 2
    assert len(read_results(board)) == 2
