"""The chain: every change of the past shows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wildbench.errors import ScorecardError
from wildbench.leaderboard.results._history import START, Entry, breaks, head, read_chain, write_chain


@pytest.fixture
def entries() -> list[Entry]:
    made: list[Entry] = []
    for name in ("a", "b", "c", "d"):
        made.append(Entry(id=name, card_sha256=name, predictions_sha256=name, samples_sha256=name, previous=head(made)))
    return made


def test_a_chain_survives_its_file(entries: list[Entry], tmp_path: Path) -> None:
    write_chain(tmp_path / "chain.jsonl", entries)
    assert read_chain(tmp_path / "chain.jsonl") == entries
    assert breaks(entries) == []
    assert entries[0].previous == START
    assert len({entry.hash for entry in entries}) == 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda e: [e[0], *e[2:]], "entry 2 (c) does not follow from entry 1 (a)"),
        (lambda e: e[1:], "entry 1 (b) does not follow from the start"),
        (lambda e: [e[0], e[2], e[1], e[3]], "entry 2 (c) does not follow from entry 1 (a)"),
        (lambda e: [e[0], e[1].model_copy(update={"card_sha256": "x"}), *e[2:]], "entry 3 (c)"),
        (lambda e: [e[0], e[0], *e[1:]], "entry 2 (a)"),
    ],
    ids=["removed", "first removed", "reordered", "edited", "repeated"],
)
def test_a_change_of_the_past_is_named(entries: list[Entry], change: object, named: str) -> None:
    found = breaks(change(entries))  # type: ignore[operator]
    assert named in found[0]
    assert "removed, reordered or edited" in found[0]


def test_a_shorter_history_shows_to_who_noted_its_head(entries: list[Entry]) -> None:
    assert breaks(entries[:-1]) == []
    (line,) = breaks(entries[:-1], known=head(entries))
    assert head(entries) in line
    assert breaks(entries, known=head(entries[:2])) == []


def test_damage_is_one_line(entries: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "chain.jsonl"
    write_chain(path, entries)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ScorecardError, match="line 4: not JSON, or cut short"):
        read_chain(path)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('", "', '",  "', 1),
        lambda text: text.replace("\n", "\r\n", 1),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace('{"card_sha256": "a"', '{"card_sha256": "b", "card_sha256": "a"'),
    ],
    ids=["a space", "an end of line", "the last end of line", "a key twice"],
)
def test_a_line_is_as_it_was_written_to_the_byte(
    edit: Callable[[str], str], entries: list[Entry], tmp_path: Path
) -> None:
    path = tmp_path / "chain.jsonl"
    write_chain(path, entries)
    path.write_bytes(edit(path.read_text()).encode())
    with pytest.raises(ScorecardError, match=r"line [14]: edited: not as wildbench writes it"):
        read_chain(path)


def test_an_empty_line_is_no_entry(entries: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "chain.jsonl"
    write_chain(path, entries)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ScorecardError, match="line 5: not JSON"):
        read_chain(path)


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ScorecardError, match=r"cannot be read \(Is a directory\)"):
        read_chain(tmp_path)
    assert read_chain(tmp_path / "none") == []


def test_an_entry_names_a_folder_of_results_and_no_other(tmp_path: Path) -> None:
    line = Entry(id="a", card_sha256="", predictions_sha256="", samples_sha256="", previous=START).line()
    (tmp_path / "chain.jsonl").write_text(line.replace('"a"', '"../../etc"') + "\n")
    with pytest.raises(ScorecardError, match="line 1: id"):
        read_chain(tmp_path / "chain.jsonl")
