"""The record: null has a reason, bytes are stable, newer formats are refused."""

import json
from pathlib import Path

import pytest
from made_up_cards import make_card
from pydantic import ValidationError

from wildbench.errors import ScorecardError
from wildbench.scorecard import FORMAT_VERSION, Figure, Scorecard, json_schema, read_scorecard

SCHEMA_FILE = Path(__file__).parents[1] / "docs" / "scorecard.schema.json"


@pytest.fixture
def card() -> Scorecard:
    return make_card()


def test_a_null_needs_a_reason_and_a_value_must_have_none() -> None:
    with pytest.raises(ValidationError):
        Figure(value=None, unit="AP")
    with pytest.raises(ValidationError):
        Figure(value=0.3, unit="AP", reason="because")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_is_finite(value: float) -> None:
    with pytest.raises(ValidationError):
        Figure(value=value, unit="AP")


def test_a_card_survives_the_file_to_the_byte(card: Scorecard, tmp_path: Path) -> None:
    card.write(tmp_path / "card.json")
    again = read_scorecard(tmp_path / "card.json")
    assert again == card
    assert again.to_json().encode() == (tmp_path / "card.json").read_bytes()


def test_keys_are_sorted(card: Scorecard) -> None:
    document = json.loads(card.to_json())
    assert list(document) == sorted(document)
    assert set(document["accuracy"]["ap"]) == {"value", "unit", "interval", "n", "reason", "caution"}


def write(card: Scorecard, path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({**json.loads(card.to_json()), **changes}))
    return path


def refused(path: Path) -> ScorecardError:
    with pytest.raises(ScorecardError) as error:
        read_scorecard(path)
    assert "\n" not in str(error.value)
    assert path.name in error.value.what
    return error.value


def test_a_newer_format_is_refused_by_name(card: Scorecard, tmp_path: Path) -> None:
    path = write(card, tmp_path / "new.json", format_version=FORMAT_VERSION + 1)
    assert refused(path).code == "scorecard/newer-format"


def test_damage_is_named_in_one_line(card: Scorecard, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    damage = {"{": "not-json", "[" * 200_000: "not-json", "[]": "no-format-version", "{}": "no-format-version"}
    for text, code in (damage | {'{"format_version": 1}': "damaged"}).items():
        path.write_text(text)
        assert refused(path).code == f"scorecard/{code}"
    assert refused(tmp_path / "none.json").code == "scorecard/unreadable"
    assert refused(write(card, tmp_path / "extra.json", extra=1)).code == "scorecard/damaged"
    older = json.loads(card.to_json())
    del older["accuracy"]["uncertainty"]
    path.write_text(json.dumps(older))
    assert "accuracy.uncertainty" in refused(path).what


def test_the_published_schema_is_the_code_s() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema()
