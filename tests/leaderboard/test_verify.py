"""Each way a board can lie, done to a real one and named."""

import json
import lzma
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from made_up_results import edited, measured_here, write_card, write_dataset

from wildbench.errors import SubmissionError
from wildbench.leaderboard._results import KEPT, REPRODUCED, SUMS, result_id, sums_of
from wildbench.leaderboard.add import add
from wildbench.leaderboard.build import build
from wildbench.leaderboard.verify import verify
from wildbench.scorecard import read_scorecard

NOBODY = 65534
RESULTS = tuple(f"row{number}" for number in range(3))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of three rows, beside its data set."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_dataset(folder / "park.json")
    for seed, quality in enumerate((0.9, 0.6, 0.3)):
        card = write_card(folder / "cards", data, RESULTS[seed], quality=quality, seed=seed)
        measured_here(folder / "board" / "results" / add(card, folder / "board", datasets=[data]))
    build(folder / "board")
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole / "board", tmp_path / "board")
    shutil.copy(whole / "park.json", tmp_path)
    return tmp_path / "board"


@pytest.fixture
def bound_by_permissions(whole: Path) -> Iterator[Path]:
    """A board of somebody whom permissions bind, as they do not bind root."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(whole / "board", Path(place) / "board")
        shutil.copy(whole / "park.json", place)
        root = os.geteuid() == 0
        if root:
            for path in (Path(place), *Path(place).rglob("*")):
                os.chown(path, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield Path(place) / "board"
        if root:
            os.seteuid(0)


def problems(board: Path) -> list[tuple[str, str]]:
    """Codes and what is said; every problem is one printable line."""
    found = verify(board, datasets=[board.parent / "park.json"])
    assert all(str(problem).isprintable() for problem in found)
    return [(problem.code, problem.what) for problem in found]


def codes(board: Path) -> list[str]:
    return [code for code, _ in problems(board)]


def folder(board: Path, number: int) -> Path:
    return next(path for path in (board / "results").iterdir() if path.name.startswith(RESULTS[number]))


def forge(board: Path, *numbers: int) -> None:
    """Make the hashes of results fit their files again, as a forger would, and build the board."""
    for number in numbers:
        measured_here(folder(board, number))
    build(board)


def test_a_whole_board_holds_and_a_build_is_the_same_again(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert problems(copy) == []
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    build(copy)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_changed_file_is_named(copy: Path) -> None:
    for name in (*KEPT, SUMS):
        path = folder(copy, 1) / name
        stored = path.read_bytes()
        place = stored.rindex(b"0")
        for changed in (stored[:place] + b"1" + stored[place + 1 :], stored + b" ", stored[:-9]):
            path.write_bytes(changed)
            ((code, what),) = problems(copy)
            assert code == "scorecard/file-edited"
            assert what.startswith(f"{path.parent.name}: ")
            assert name in what or name == SUMS
        path.write_bytes(stored)
    assert problems(copy) == []


def test_a_missing_file_is_named(copy: Path) -> None:
    for name in (*KEPT, SUMS):
        path = folder(copy, 0) / name
        stored = path.read_bytes()
        path.unlink()
        expected = [("scorecard/file-missing", f"{path.parent.name}: {name} is missing")]
        assert problems(copy) == expected
        path.mkdir()
        assert problems(copy) == expected
        path.rmdir()
        path.write_bytes(stored)


def test_a_stray_file_is_named(copy: Path) -> None:
    (copy / "results" / "notes\x1b[2J.txt").write_text("hello")
    (copy / "results" / ".adding-1").mkdir()
    (folder(copy, 1) / "model.pt").write_bytes(b"weights")
    assert problems(copy) == [
        ("scorecard/stray-file", "results/.adding-1: not part of a result"),
        ("scorecard/stray-file", "results/notes\\x1b[2J.txt: not part of a result"),
        ("scorecard/stray-file", f"results/{folder(copy, 1).name}/model.pt: not part of a result"),
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accuracy.mean_iou50.n", 7),
        ("accuracy.ar_10.interval", [0.1, 0.9]),
        ("accuracy.per_category.lion.ap75.n", 7),
        ("errors.tide.loc.gain.value", 0.3),
    ],
)
def test_a_changed_digit_is_named_even_where_the_hashes_were_forged(key: str, value: object, copy: Path) -> None:
    card = folder(copy, 1) / "card.json"
    edited(card, card, (key, value))
    forge(copy, 1)
    found = problems(copy)
    assert {code for code, _ in found} == {"scorecard/figure-differs"}
    assert all(what.startswith(f"{card.parent.name}: {key}") for _, what in found)


def test_other_detections_are_named_even_where_the_hashes_were_forged(copy: Path) -> None:
    one, other = (folder(copy, number) / "predictions.json.xz" for number in (0, 2))
    swapped, results = one.read_bytes(), json.loads(lzma.decompress(other.read_bytes()))
    one.write_bytes(other.read_bytes())
    results[0]["bbox"][0] += 1
    other.write_bytes(lzma.compress(json.dumps(results).encode()))
    forge(copy, 0, 2)
    assert codes(copy) == ["predictions/not-as-scored"] * 2
    for damaged in (swapped[:-10], swapped[:-200], swapped + b"more"):
        one.write_bytes(damaged)
        forge(copy, 0)
        assert codes(copy) == ["predictions/damaged", "predictions/not-as-scored"]


def test_samples_and_curves_that_the_detections_do_not_give_are_named(copy: Path) -> None:
    place = folder(copy, 2)
    values = np.load(place / "samples.npy")
    np.save(place / "samples.npy", np.concatenate([values[:1], values[1:] + 0.2]))  # would rank it higher
    (place / "curves.json").write_text('{"by_iou":{},"per_category":{}}\n')
    forge(copy, 2)
    assert problems(copy) == [
        ("scorecard/samples-differ", f"{place.name}: samples.npy: its AP {name} is not what its detections give")
        for name in ("drawn", "without")
    ] + [("scorecard/curves-differ", f"{place.name}: curves.json: not what its detections give")]
    np.save(place / "samples.npy", values[:-1])
    measured_here(place)
    assert codes(copy) == [
        "scorecard/samples-differ",
        "scorecard/curves-differ",
        "scorecard/resampled-differently",
    ]


def test_a_forged_card_does_not_steer_the_terminal(copy: Path) -> None:
    card = folder(copy, 1) / "card.json"
    edited(card, card, ("environment.cpu", "\x1b[2J"), ("protocol.max_detections", [1]), ("submission.parent", "x"))
    forge(copy, 1)
    named = ["unprintable", "not-a-hash", "other-protocol", "parent-not-here"]
    assert codes(copy) == [f"scorecard/{code}" for code in named]


def test_an_edited_page_is_named(copy: Path) -> None:
    page = copy / "index.html"
    whole = page.read_bytes()
    for edited_page in (whole.replace(b'"rank":1', b'"rank":2', 1), whole + b" ", whole.replace(b"Every", b"Each", 1)):
        assert edited_page != whole
        page.write_bytes(edited_page)
        assert codes(copy) == ["scorecard/page-differs"]
    page.unlink()
    assert codes(copy) == ["scorecard/not-built"]
    page.mkdir()
    assert codes(copy) == ["scorecard/not-built"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda row: row["figures"]["ap"].update(value=0.999), "figures.ap.value is 0.999, the results give 0."),
        (lambda row: row["standing"].update(rank=7), "standing.rank is 7, the results give"),
        (lambda row: row.update(name="\x1b[2J"), 'name is "\\u001b[2J"'),
        (lambda row: row.update({"\x1b[2J": 1}), "\\x1b[2J is 1, the results give null"),
        (lambda row: row.update(id=7), "rows is [{"),
        (lambda row: row.pop("method"), ""),
    ],
)
def test_an_edited_row_is_named(change: Callable[[dict[str, object]], object], named: str, copy: Path) -> None:
    path = copy / "leaderboard.json"
    board = json.loads(path.read_text())
    row = board["sections"][0]["rows"][1]
    change(row)
    path.write_text(json.dumps(board))
    ((code, what),) = problems(copy)
    assert code == "scorecard/board-differs"
    assert named in what
    assert not named or f"{row['id']}" in what or "rows is" in what


def test_a_row_that_was_taken_out_is_named(copy: Path) -> None:
    path = copy / "leaderboard.json"
    board = json.loads(path.read_text())
    gone = board["sections"][0]["rows"].pop(0)["id"]
    path.write_text(json.dumps(board))
    ((code, what),) = problems(copy)
    assert (code, f"the results give {gone}, " in what) == ("scorecard/board-differs", True)
    build(copy)
    shutil.rmtree(copy / "results" / gone)
    assert set(codes(copy)) == {"scorecard/board-differs", "scorecard/page-differs"}
    for damaged in ("{", json.dumps({})):
        path.write_text(damaged)
        assert codes(copy)[0] == "scorecard/board-differs"
    path.unlink()
    path.mkdir()
    assert codes(copy)[0] == "scorecard/not-built"


def test_a_submission_under_another_name_is_named(copy: Path) -> None:
    old = folder(copy, 0)
    edited(old / "card.json", copy / "renamed.json", ("submission.name", "row0 again"))
    again = result_id(read_scorecard(copy / "renamed.json"))
    new = copy / "results" / again
    shutil.copytree(old, new)
    (copy / "renamed.json").rename(new / "card.json")
    measured_here(new)
    build(copy)
    assert codes(copy) == ["scorecard/already-added"]
    new.rename(new.with_name("row0-elsewhere"))
    build(copy)
    assert codes(copy) == ["scorecard/other-folder", "scorecard/already-added"]


def test_a_ring_of_parents_and_a_row_of_another_machine_are_named(copy: Path) -> None:
    for number in (0, 1):
        card = folder(copy, number) / "card.json"
        other = read_scorecard(folder(copy, 1 - number) / "card.json").submission.sha256
        edited(card, card, ("submission.parent", other))
    place = folder(copy, 2)
    forge(copy, 0, 1)
    edited(place / REPRODUCED, place / REPRODUCED, ("machine", "a faster one"))
    (place / SUMS).write_bytes(sums_of({name: (place / name).read_bytes() for name in (*KEPT, REPRODUCED)}))
    build(copy)
    assert codes(copy) == ["scorecard/other-machine", *["scorecard/parents-in-a-ring"] * 2]


def test_what_cannot_be_read_is_one_line(bound_by_permissions: Path) -> None:
    board = bound_by_permissions
    submissions = board.parent / "submissions"
    submissions.mkdir(mode=0)
    with pytest.raises(SubmissionError) as error:
        verify(board, submissions=submissions)
    assert error.value.code == "submission/unreadable"
    (board / "results").chmod(0o311)
    assert codes(board) == ["scorecard/unreadable"]
    (board / "results").chmod(0o755)
    for name in (*KEPT, SUMS):
        path = folder(board, 0) / name
        path.chmod(0)
        assert [(code, name in what) for code, what in problems(board)] == [("scorecard/unreadable", True)]
        path.chmod(0o644)


def test_another_version_of_the_data_set_is_named(copy: Path) -> None:
    write_dataset(copy.parent / "park.json", shift=2)
    assert codes(copy) == ["dataset/other-version"] * 3


def test_an_empty_board_is_one_line(tmp_path: Path) -> None:
    assert codes(tmp_path) == ["scorecard/no-results"]
