"""`wildbench compare` as a person uses it."""

import json
from pathlib import Path

from commands import Run

from wildbench.resources import bundled

CARDS = [str(bundled(f"baselines/scorecards/{name}.json")) for name in ("reference", "reference-tiny")]


def test_two_cards_are_tables_and_a_sentence(run: Run, tmp_path: Path) -> None:
    result = run("compare", *CARDS, "--difference", "2", "--difference", "0.1", "--out", "found.json")
    assert result.status == 0, result.stderr
    assert "paired draws of 5 locations" in result.stdout
    assert "2 points" in result.stdout
    assert "0.1 points" in result.stdout
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 100
    assert result.stdout.splitlines()[-1].startswith(
        "reference-tiny against reference, AP: not distinguishable on 327 boxes; "
    )
    assert json.loads((tmp_path / "found.json").read_text())["boxes"] == 327


def test_a_card_that_is_none_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    result = run("compare", CARDS[0], "card.json", "--out", "found.json")
    result.refused("card.json: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "found.json").exists()
