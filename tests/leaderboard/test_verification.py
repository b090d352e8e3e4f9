"""Each way a board can lie, done to a real one and named."""

import json
import lzma
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_results import edited, write_card, write_dataset

from wildbench.leaderboard.admission import add
from wildbench.leaderboard.chain import Entry, head, read_chain, write_chain
from wildbench.leaderboard.publishing import build
from wildbench.leaderboard.results import chain_file
from wildbench.leaderboard.verification import verify


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
    before = (copy / "leaderboard.json").read_bytes()
    build(copy)
    assert (copy / "leaderboard.json").read_bytes() == before


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


@pytest.mark.parametrize("name", ["card.json", "samples.npy", "predictions.json.xz"])
def test_a_missing_file_is_named(name: str, copy: Path) -> None:
    path = folder(copy, 0) / name
    path.unlink()
    (line,) = found(copy)
    assert line.startswith(f"{path.parent.name}: ")
    assert name in line


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


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda row: row["accuracy"]["ap"].update(value=0.999), "accuracy.ap.value is 0.999, the results give 0."),
        (lambda row: row["standing"].update(rank=7), "standing.rank is 7, the results give"),
        (lambda row: row.update(name="me"), 'name is "me"'),
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
    assert not named or row["id"] in line


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


def test_an_empty_board_is_one_line(tmp_path: Path) -> None:
    assert found(tmp_path) == [f"{tmp_path}: no results: add a scorecard first"]
