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
from made_up_results import edited, write_card, write_dataset

from wildbench.errors import WildbenchError
from wildbench.leaderboard.add import add
from wildbench.leaderboard.build import build
from wildbench.leaderboard.results._history import Entry, head, read_chain, write_chain
from wildbench.leaderboard.results._results import KEPT, chain_file, result_id
from wildbench.leaderboard.verify import verify
from wildbench.scorecard import read_scorecard

NOBODY = 65534


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of three rows, beside its data set."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_dataset(folder / "park.json")
    for seed, quality in enumerate((0.9, 0.6, 0.3)):
        card = write_card(folder / "cards", data, f"row{seed}", quality=quality, seed=seed)
        add(card, folder / "board", datasets=[data])
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


def found(board: Path, known: str | None = None) -> list[str]:
    return verify(board, datasets=[board.parent / "park.json"], known=known)


def folder(board: Path, number: int) -> Path:
    return board / "results" / read_chain(chain_file(board))[number].id


def readmit(board: Path, number: int, **changes: str) -> None:
    """Write the chain as a forger would: entry `number` changed, and all that follow made to fit."""
    entries: list[Entry] = []
    for place, entry in enumerate(read_chain(chain_file(board))):
        update = changes if place == number else {}
        entries.append(entry.model_copy(update={**update, "previous": head(entries)}))
    write_chain(chain_file(board), entries)


def sha256(path: Path) -> str:
    from wildbench.files import sha256_of

    return sha256_of(path)


def test_a_whole_board_holds(copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert found(copy) == []
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_build_is_the_same_again(copy: Path) -> None:
    before = [(copy / name).read_bytes() for name in ("leaderboard.json", "index.html")]
    build(copy)
    assert [(copy / name).read_bytes() for name in ("leaderboard.json", "index.html")] == before


def test_a_changed_digit_in_a_card_is_named(copy: Path) -> None:
    card = folder(copy, 1) / "card.json"
    value = str(json.loads(card.read_text())["accuracy"]["ap50"]["value"])
    text = card.read_text()
    card.write_text(text.replace(value, value[:-1] + str((int(value[-1]) + 1) % 10)))
    assert card.read_text() != text
    assert found(copy) == [f"{card.parent.name}: card.json is not the one that was added; restore it"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accuracy.ap50.value", 0.71),
        ("accuracy.ar_10.interval", [0.1, 0.9]),
        ("accuracy.per_category.lion.ap75.n", 7),
        ("errors.tide.loc.gain.value", 0.3),
    ],
)
def test_a_changed_digit_is_named_even_where_the_chain_was_forged_to_fit(key: str, value: object, copy: Path) -> None:
    card = folder(copy, 1) / "card.json"
    edited(card, card, (key, value))
    readmit(copy, 1, card_sha256=sha256(card))
    build(copy)
    assert all(line.startswith(f"{card.parent.name}: {key}") for line in found(copy))
    assert "its detections give" in found(copy)[0]


def test_swapped_predictions_are_named(copy: Path) -> None:
    one, other = (folder(copy, number) / "predictions.json.xz" for number in (0, 2))
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)
    lines = [f"{path.parent.name}: predictions.json.xz is not the one that was added" for path in (one, other)]
    assert found(copy) == lines


def test_a_detection_moved_by_a_pixel_is_named(copy: Path) -> None:
    path = folder(copy, 0) / "predictions.json.xz"
    results = json.loads(lzma.decompress(path.read_bytes()))
    results[0]["bbox"][0] += 1
    path.write_bytes(lzma.compress(json.dumps(results).encode()))
    assert found(copy) == [f"{path.parent.name}: predictions.json.xz is not the one that was added"]


@pytest.mark.parametrize("cut", [10, 200])
def test_predictions_cut_short_are_named(cut: int, copy: Path) -> None:
    path = folder(copy, 0) / "predictions.json.xz"
    path.write_bytes(path.read_bytes()[:-cut])
    (line,) = found(copy)
    assert line.startswith(f"{path.parent.name}: ")
    assert "cut short" in line or "damaged" in line


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("replaced", [False, True], ids=["missing", "a folder in its place"])
def test_a_missing_file_is_named(name: str, replaced: bool, copy: Path) -> None:
    path = folder(copy, 0) / name
    path.unlink()
    if replaced:
        path.mkdir()
    (line,) = found(copy)
    assert line == f"{path.parent.name}: its {name} is missing; restore it from version control"


def test_what_follows_the_detections_is_named(copy: Path) -> None:
    path = folder(copy, 0) / "predictions.json.xz"
    path.write_bytes(path.read_bytes() + b"more")
    (line,) = found(copy)
    assert line.startswith(f"{path.parent.name}: ")
    assert "something follows the detections" in line


def test_what_nobody_added_is_named(copy: Path) -> None:
    (copy / "results" / "notes\x1b[2J.txt").write_text("hello")
    (copy / "results" / ".hidden").mkdir()
    (folder(copy, 1) / "model.pt").write_bytes(b"weights")
    lines = found(copy)
    assert len(lines) == 3
    assert lines[0].startswith(".hidden: in results/, but no entry of the chain holds it")
    assert lines[1].startswith("notes\\x1b[2J.txt: in results/")
    assert lines[2].startswith(f"{folder(copy, 1).name}: model.pt in its folder is none of card.json, ")


def test_a_changed_space_in_the_history_is_named(copy: Path) -> None:
    chain = chain_file(copy)
    chain.write_text(chain.read_text().replace('": "', '":  "', 1))
    (line,) = found(copy)
    assert line.startswith(f"{chain}: line 1: edited")


def test_a_page_that_was_edited_is_named(copy: Path) -> None:
    page = copy / "index.html"
    whole = page.read_bytes()
    for edited_page in (whole.replace(b'"rank":1', b'"rank":2', 1), whole + b" ", whole.replace(b"Every", b"Each", 1)):
        assert edited_page != whole
        page.write_bytes(edited_page)
        (line,) = found(copy)
        assert line.startswith("index.html: not what the results give: edited, or built with other versions")
    page.unlink()
    assert found(copy) == ["index.html: cannot be read (No such file or directory); build it"]
    page.mkdir()
    assert found(copy) == ["index.html: cannot be read (Is a directory); build it"]


@pytest.mark.parametrize("place", ["results/chain.jsonl", "leaderboard.json"])
def test_a_folder_in_place_of_a_file_is_named(place: str, copy: Path) -> None:
    (copy / place).unlink()
    (copy / place).mkdir()
    (line,) = found(copy)
    assert "cannot be read (Is a directory)" in line


def test_a_history_of_a_forger_who_steers_the_terminal_is_named_without_doing_so(copy: Path) -> None:
    card = folder(copy, 1) / "card.json"
    edited(card, card, ("environment.cpu", "\x1b[2J"), ("protocol.max_detections", [1]), ("submission.parent", "x"))
    readmit(copy, 1, card_sha256=sha256(card))
    build(copy)
    lines = found(copy)
    assert [line.split(": ")[1].split(" is ")[0] for line in lines] == [
        "submission.parent",
        "environment.cpu",
        "protocol.max_detections",
    ]
    assert all(line.isprintable() for line in lines)


def test_what_cannot_be_read_is_one_line(bound_by_permissions: Path) -> None:
    board = bound_by_permissions
    submissions = board.parent / "submissions"
    submissions.mkdir(mode=0)
    with pytest.raises(WildbenchError, match=r"submissions: Permission denied; name a folder that can be read"):
        verify(board, submissions=submissions)
    (board / "results").chmod(0o311)
    (line,) = found(board)
    assert line.startswith(f"{board / 'results'}: cannot be read (Permission denied)")
    (board / "results").chmod(0o755)
    for name in KEPT:
        path = folder(board, 0) / name
        path.chmod(0)
        line = next(line for line in found(board) if not line.startswith("index.html"))
        assert name in line
        assert "Permission denied" in line
        path.chmod(0o644)


def test_another_version_of_the_data_set_is_named(copy: Path) -> None:
    write_dataset(copy.parent / "park.json", shift=2)
    lines = found(copy)
    assert len(lines) == 3
    assert all("scored on another version of park: its hash is" in line for line in lines)


def test_samples_that_the_detections_do_not_give_are_named(copy: Path) -> None:
    path = folder(copy, 2) / "samples.npy"
    values = np.load(path)
    values[1:] += 0.2  # would rank it higher
    np.save(path, values)
    readmit(copy, 2, samples_sha256=sha256(path))
    build(copy)
    assert found(copy) == [
        f"{path.parent.name}: samples.npy: its AP {name} is not what its detections give"
        for name in ("drawn", "without")
    ]


def test_samples_of_another_number_of_images_are_named(copy: Path) -> None:
    path = folder(copy, 2) / "samples.npy"
    np.save(path, np.load(path)[:-1])
    readmit(copy, 2, samples_sha256=sha256(path))
    assert found(copy) == [
        f"{path.parent.name}: samples.npy: its AP without is not what its detections give",
        "park: its results were resampled differently; score them with one wildbench",
    ]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda row: row["accuracy"]["ap"].update(value=0.999), "accuracy.ap.value is 0.999, the results give 0."),
        (lambda row: row["standing"].update(rank=7), "standing.rank is 7, the results give"),
        (lambda row: row.update(name="me"), 'name is "me"'),
        (lambda row: row.update(name="\x1b[2J"), 'name is "\\u001b[2J"'),
        (lambda row: row.update({"\x1b[2J": 1}), "\\x1b[2J is 1, the results give null"),
        (lambda row: row.update(id=7), "rows is [{"),
        (lambda row: row.update(id=["a"]), "rows is [{"),
        (lambda row: row.pop("method"), ""),
    ],
)
def test_an_edited_row_is_named(change: Callable[[dict[str, object]], object], named: str, copy: Path) -> None:
    path = copy / "leaderboard.json"
    board = json.loads(path.read_text())
    row = board["sections"][0]["rows"][1]
    change(row)
    path.write_text(json.dumps(board))
    (line,) = found(copy)
    assert line.startswith("leaderboard.json")
    assert named in line
    assert not named or f"{row['id']}" in line or "rows is" in line


def test_a_row_that_was_taken_out_of_the_board_is_named(copy: Path) -> None:
    path = copy / "leaderboard.json"
    board = json.loads(path.read_text())
    gone = board["sections"][0]["rows"].pop(0)["id"]
    path.write_text(json.dumps(board))
    (line,) = found(copy)
    assert f"the results give {gone}, " in line


def test_removed_history_is_named(copy: Path) -> None:
    chain = chain_file(copy)
    entries = read_chain(chain)
    write_chain(chain, [entries[0], entries[2]])
    lines = found(copy)
    assert "entry 2" in lines[0]
    assert "removed, reordered or edited" in lines[0]
    assert lines[1].startswith(f"{entries[1].id}: in results/, but no entry of the chain holds it")


def test_reordered_history_is_named(copy: Path) -> None:
    chain = chain_file(copy)
    one, two, three = read_chain(chain)
    write_chain(chain, [one, three, two])
    assert f"chain: entry 2 ({three.id}) does not follow from entry 1 ({one.id})" in found(copy)[0]


def test_a_whole_history_written_anew_shows_to_who_noted_a_hash(copy: Path) -> None:
    noted = head(read_chain(chain_file(copy)))
    shutil.rmtree(folder(copy, 0))
    entries: list[Entry] = []
    for entry in read_chain(chain_file(copy))[1:]:
        entries.append(entry.model_copy(update={"previous": head(entries)}))
    write_chain(chain_file(copy), entries)
    build(copy)
    assert found(copy) == []
    (line,) = found(copy, known=noted)
    assert "no entry has the hash" in line


def test_a_result_that_was_added_twice_is_named(copy: Path) -> None:
    entries = read_chain(chain_file(copy))
    write_chain(chain_file(copy), [*entries, entries[0].model_copy(update={"previous": head(entries)})])
    assert f"chain: {entries[0].id} was added twice" in found(copy)


def test_a_submission_under_another_name_is_named(copy: Path) -> None:
    entries, old = read_chain(chain_file(copy)), folder(copy, 0)
    edited(old / "card.json", old / "renamed.json", ("submission.name", "another"))
    again = result_id(read_scorecard(old / "renamed.json"))
    shutil.copytree(old, copy / "results" / again)
    (old / "renamed.json").rename(copy / "results" / again / "card.json")
    (copy / "results" / again / "renamed.json").unlink()
    changes = {"id": again, "card_sha256": sha256(copy / "results" / again / "card.json"), "previous": head(entries)}
    write_chain(chain_file(copy), [*entries, entries[0].model_copy(update=changes)])
    build(copy)
    assert found(copy) == [f"{again}: the same submission as {old.name}"]


def test_an_empty_board_is_one_line(tmp_path: Path) -> None:
    assert found(tmp_path) == [f"{tmp_path}: no results: add a scorecard first"]
