"""Nothing steers a terminal, whatever it came from."""

import unicodedata

import pytest

from wildbench.errors import WildbenchError
from wildbench.text import printable

STEERING = ["\x1b[2J", "\x07", "\r", "\x9b31m", "\u202e", "\u2066", "\u200f", "\u2028", "\ud800", "\x00", "\x7f"]


@pytest.mark.parametrize("text", STEERING)
def test_what_steers_a_terminal_is_escaped(text: str) -> None:
    shown = printable(f"lion{text}zebra")
    assert shown.isprintable()
    assert shown.isascii()
    assert shown.startswith("lion\\")
    error = str(WildbenchError(f"{text}.json: not JSON", code="not-json", remedy=f"name {text}"))
    assert not {unicodedata.category(mark) for mark in error} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize("text", ["", "café 日本 стая 🦁", "a\\b", "two\nlines"])
def test_what_can_be_printed_stays(text: str) -> None:
    assert printable(text) == text
