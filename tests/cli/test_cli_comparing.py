"""`wildbench compare` as a person uses it."""

import json
import subprocess
import sys
from pathlib import Path

from wildbench.resources import bundled

CARDS = [str(bundled(f"baselines/scorecards/{name}.json")) for name in ("reference", "reference-tiny")]


def compare(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", "compare", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_two_cards_are_tables_and_a_sentence(tmp_path: Path) -> None:
    result = compare(*CARDS, "--difference", "2", "--difference", "0.1", "--out", "found.json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "paired draws of 5 locations" in result.stdout
    assert "2 points" in result.stdout
    assert "0.1 points" in result.stdout
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 100
    assert result.stdout.splitlines()[-1].startswith(
        "reference-tiny against reference, AP: not distinguishable on 327 boxes; "
    )
    assert json.loads((tmp_path / "found.json").read_text())["boxes"] == 327


def test_a_card_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    result = compare(CARDS[0], "card.json", "--out", "found.json", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("wildbench: card.json: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "found.json").exists()
