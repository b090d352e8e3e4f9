"""What gets on a board, what does not, and that nothing is left half-done."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_results import edited, write_card, write_dataset

from wildbench.errors import WildbenchError
from wildbench.leaderboard.add import add, check
from wildbench.leaderboard.board._board import build_board
from wildbench.leaderboard.results._history import breaks, read_chain
from wildbench.leaderboard.results._results import chain_file, read_results, result_id, unpacked
from wildbench.scorecard import read_scorecard

LOCKS = Path("/proc/locks")


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


def refusal(card: Path, board: Path, data: Path) -> str:
    """Why a card is refused: in one line, by `add` and by `check`, with nothing changed."""
    before = files(board) if board.exists() else {}
    with pytest.raises(WildbenchError) as error:
        add(card, board, datasets=[data])
    found = check(card, board, datasets=[data])
    assert "\n" not in str(error.value)
    assert str(card.parent) in str(error.value)
    assert found
    assert found[0].split("; ")[0].partition(" (and")[0] in str(error.value)
    assert (files(board) if board.exists() else {}) == before
    return str(error.value)


def test_what_is_added_is_kept_to_the_byte(cards: dict[str, Path], tmp_path: Path) -> None:
    assert check(cards["good"], tmp_path, datasets=[cards["data"]]) == []
    assert files(tmp_path) == {}
    names = [add(cards[name], tmp_path, datasets=[cards["data"]]) for name in ("good", "poor")]
    results, entries = read_results(tmp_path)
    assert [result.id for result in results] == [entry.id for entry in entries] == names
    assert [result.entry for result in results] == [1, 2]
    assert breaks(entries) == []
    for result, name in zip(results, ("good", "poor"), strict=True):
        card = cards[name]
        assert (result.predictions.parent / "card.json").read_bytes() == card.read_bytes()
        assert unpacked(result.predictions) == card.with_name(result.card.accuracy.predictions_file).read_bytes()
        assert result.samples.whole[0] == pytest.approx(result.card.accuracy.ap.value, abs=1e-12)
        assert (len(result.samples.drawn), len(result.samples.without)) == (2000, 20)
    assert results[0].samples.whole[0] > results[1].samples.whole[0] + 0.2


def test_the_same_cards_make_the_same_files(cards: dict[str, Path], tmp_path: Path) -> None:
    for board in ("one", "two"):
        for name in ("good", "poor"):
            add(cards[name], tmp_path / board, datasets=[cards["data"]])
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 2 * 4 + 1


def test_the_same_submission_twice_and_a_name_that_is_taken(cards: dict[str, Path], tmp_path: Path) -> None:
    board = tmp_path / "board"
    name = add(cards["good"], board, datasets=[cards["data"]])
    assert f"is on the board for park as {name}" in refusal(cards["good"], board, cards["data"])
    renamed = edited(cards["good"], tmp_path / "renamed.json", ("submission.name", "another"))
    assert f"is on the board for park as {name}" in refusal(renamed, board, cards["data"])
    taken = edited(cards["poor"], tmp_path / "taken.json", ("submission.name", " GOOD"))
    assert "another submission is named ' GOOD'" in refusal(taken, board, cards["data"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("format_version", 99), "upgrade wildbench"),
        (("accuracy", None), "accuracy"),
        (("submission.name", " "), "cannot be printed"),
        (("submission.name", "a\x1b[31mred"), "cannot be printed"),
        (("submission.name", "two\nlines"), "submission.name: 'two\\nlines' cannot be printed"),
        (("submission.authors", ["me", "\u202eem"]), "submission.authors.1: '\\u202eem' cannot be printed"),
        (("submission.method", "\x1b]0;owned\x07"), "submission.method: '\\x1b]0;owned\\x07' cannot be printed"),
        (("dataset.name", "park\x07"), "dataset.name: "),
        (("dataset.categories", ["lion", "\u200fzebra"]), "dataset.categories.1: "),
        (("environment.cpu", "\x9b2J"), "environment.cpu: "),
        (("environment.gpu", "\x00"), "environment.gpu: "),
        (("environment.packages", {"a\x1bb": "1"}), "environment.packages: the name 'a\\x1bb' in it"),
        (("submission.sha256", "mine"), "submission.sha256: 'mine' is no SHA-256"),
        (("submission.sha256", "A" * 64), "is no SHA-256"),
        (("submission.parent", "../dense"), "submission.parent: '../dense' is no SHA-256"),
        (("errors.images.sha256", ""), "errors.images.sha256: '' is no SHA-256"),
        (("protocol.version", 2), "protocol.version is 2, here it is 1"),
        (("protocol.version", 0), "protocol.version is 0, here it is 1"),
        (("protocol.iou_thresholds", [0.5]), "protocol.iou_thresholds is [0.5], here it is [0.5, 0.55,"),
        (
            ("protocol.max_detections", [1, 10, 1000]),
            "protocol.max_detections is [1, 10, 1000], here it is [1, 10, 100]",
        ),
        (("protocol.batch_size", 8), "protocol.batch_size is 8, here it is 1"),
        (("accuracy.unknown_categories", ["zebra"]), "unknown_categories holds zebra, which its detections hold too"),
        (("accuracy.unknown_categories", ["okapi"]), "accuracy.unknown_categories is "),
        (("accuracy.predictions_file", "../good.score.predictions.json"), "accuracy.predictions_file"),
        (("accuracy.predictions_file", "none.json"), "No such file"),
        (("accuracy.predictions_sha256", "0"), "accuracy.predictions_sha256: '0' is no SHA-256"),
        (("accuracy.predictions_sha256", "0" * 64), "not the detections that were scored"),
        (("accuracy.ap50.value", 0.99), "accuracy.ap50.value is 0.99, its detections give 0."),
        (("accuracy.ap.interval", [0.1, 0.9]), "accuracy.ap.interval.0 is 0.1, its detections give 0."),
        (("accuracy.ap.interval", None), "accuracy.ap.interval is None, its detections give ["),
        (("accuracy.per_category", {}), "accuracy.per_category.lion is None"),
        (("accuracy.uncertainty", None), "no intervals"),
        (("accuracy.detections", 3), "accuracy.detections is 3"),
        (("errors.calibration.ece.value", 0.5), "errors.calibration.ece.value is 0.5"),
        (("errors.tide.cls.count", 999), "errors.tide.cls.count is 999"),
        (("dataset.boxes", 999), "dataset: its images, boxes or categories"),
        (("dataset.sha256", "0" * 64), "another version of park"),
        (("dataset.name", "elsewhere"), ""),
    ],
)
def test_a_card_that_does_not_hold_is_refused_in_one_line(
    change: tuple[str, object], says: str, cards: dict[str, Path], tmp_path: Path
) -> None:
    card = edited(cards["good"], tmp_path / "card.json", change)
    if change == ("dataset.name", "elsewhere"):  # a name says nothing: the hash does
        assert check(card, tmp_path / "board", datasets=[cards["data"]]) == []
        return
    assert says in refusal(card, tmp_path / "board", cards["data"])


def test_a_file_cut_short_is_refused(cards: dict[str, Path], tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    card.write_bytes(cards["good"].read_bytes()[:-900])
    assert "not JSON, or cut short" in refusal(card, tmp_path / "board", cards["data"])


def test_a_data_set_that_is_not_here_is_asked_for(cards: dict[str, Path], tmp_path: Path) -> None:
    (line,) = check(cards["good"], tmp_path)
    assert "scored on park, which is not here; name its COCO JSON by --dataset" in line


def test_a_script_in_a_name_is_a_name(cards: dict[str, Path], tmp_path: Path) -> None:
    card = edited(cards["good"], tmp_path / "card.json", ("submission.name", "<script>alert('x')</script>"))
    name = add(card, tmp_path / "board", datasets=[cards["data"]])
    assert name.startswith("script-alert-x-script-")


def test_what_a_stopped_add_left_is_replaced(cards: dict[str, Path], tmp_path: Path) -> None:
    name = add(cards["good"], tmp_path, datasets=[cards["data"]])
    whole = files(tmp_path)
    chain_file(tmp_path).unlink()
    (tmp_path / "results" / name / "card.json").write_text("{")
    assert add(cards["good"], tmp_path, datasets=[cards["data"]]) == name
    assert files(tmp_path) == whole


@pytest.mark.skipif(not LOCKS.exists(), reason="needs Linux's list of locks, to see who waits")
def test_those_who_add_at_once_wait_for_each_other(cards: dict[str, Path], tmp_path: Path) -> None:
    """Two processes are made to arrive together: both results are kept, and of the same card one is refused."""
    results = tmp_path / "board" / "results"
    results.mkdir(parents=True)
    program = "import sys; from pathlib import Path; from wildbench.leaderboard.add import add; "
    program += "card, board, data = map(Path, sys.argv[1:]); add(card, board, datasets=[data])"
    handle = os.open(results, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    adding = [
        subprocess.Popen(
            [sys.executable, "-c", program, cards[name], tmp_path / "board", cards["data"]],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("good", "poor", "good")
    ]
    waiting: set[int] = set()
    while waiting != {one.pid for one in adding}:
        with contextlib.suppress(subprocess.TimeoutExpired):
            adding[0].wait(0.02)
        assert all(one.poll() is None for one in adding), "one did not wait"
        found = re.findall(r"-> FLOCK +ADVISORY +WRITE (\d+)", LOCKS.read_text())
        waiting = {one.pid for one in adding} & set(map(int, found))
    os.close(handle)
    told = [one.communicate()[1] for one in adding]
    kept, entries = read_results(tmp_path / "board")
    assert sorted(result.card.submission.name for result in kept) == ["good", "poor"]
    assert breaks(entries) == []
    assert sum("its submission is on the board for park" in line for line in told) == 1
    assert sorted(path.name for path in results.iterdir()) == sorted([*(entry.id for entry in entries), "chain.jsonl"])


def test_half_a_character_is_refused(cards: dict[str, Path], tmp_path: Path) -> None:
    card = edited(cards["good"], tmp_path / "card.json")
    card.write_text(card.read_text().replace('"name": "good"', '"name": "\\ud800"'))
    assert "submission.name: " in refusal(card, tmp_path / "board", cards["data"])


def test_a_card_of_another_name_for_the_same_images_meets_the_others(cards: dict[str, Path], tmp_path: Path) -> None:
    add(cards["good"], tmp_path / "board", datasets=[cards["data"]])
    changes = ("dataset.name", "mine"), ("dataset.split", "easy")
    add(edited(cards["poor"], tmp_path / "poor.json", *changes), tmp_path / "board", datasets=[cards["data"]])
    (section,) = build_board(*read_results(tmp_path / "board")).sections
    assert [row.name for row in section.rows] == ["good", "poor"]
    assert section.dataset.name == "park"


def test_a_file_where_its_folder_belongs_is_one_line(cards: dict[str, Path], tmp_path: Path) -> None:
    name = result_id(read_scorecard(cards["good"]))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).write_text("mine")
    with pytest.raises(WildbenchError, match=rf"{name}: cannot be written \(Not a directory\); make room for it"):
        add(cards["good"], tmp_path, datasets=[cards["data"]])
    assert files(tmp_path) == {f"results/{name}": b"mine"}


def test_a_broken_history_takes_no_more(cards: dict[str, Path], tmp_path: Path) -> None:
    for name in ("good", "poor"):
        add(cards[name], tmp_path, datasets=[cards["data"]])
    chain = chain_file(tmp_path)
    chain.write_text(chain.read_text().splitlines()[1] + "\n")
    with pytest.raises(WildbenchError, match="does not follow from the start"):
        add(cards["good"], tmp_path, datasets=[cards["data"]])


def test_a_board_that_cannot_be_written_is_said_so_first(cards: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WildbenchError, match="no folder that can be written"):
        add(cards["good"], tmp_path / "file" / "board", datasets=[cards["data"]])


def test_the_same_submission_on_another_data_set_is_another_row(cards: dict[str, Path], tmp_path: Path) -> None:
    board = tmp_path / "board"
    other = write_dataset(tmp_path / "other.json", shift=3)
    again = write_card(tmp_path, other, "good", quality=0.9)
    document = json.loads(cards["good"].read_text())["submission"]
    same = edited(again, tmp_path / "same.json", ("submission", document))
    names = {add(card, board, datasets=[cards["data"], other]) for card in (cards["good"], same)}
    assert len(names) == 2
    assert len(read_chain(chain_file(board))) == 2


def test_a_board_is_only_its_files(cards: dict[str, Path], tmp_path: Path) -> None:
    add(cards["good"], tmp_path / "here", datasets=[cards["data"]])
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert [result.card.submission.name for result in read_results(tmp_path / "there")[0]] == ["good"]
