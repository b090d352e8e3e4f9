"""Names that look alike: the skeleton of Unicode's Technical Standard 39, as far as it leads to ASCII.

`assets/confusables.txt` holds what looks like each letter, digit or sign of ASCII, out of Unicode's confusables.txt by
way of confusable-homoglyphs 3.3.1. That package is no dependency: it brings 0.9 MB of which 3 kB serve here.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

_ASCII = {"0": "o", "1": "l", "I": "l", "|": "l", "m": "rn"}
"""Of ASCII itself."""


@cache
def _table() -> dict[int, str]:
    lines = Path(__file__).with_name("assets").joinpath("confusables.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("# "))
    return {ord(mark): like for like, marks in pairs for mark in marks} | {ord(one): to for one, to in _ASCII.items()}


def skeleton(name: str) -> str:
    r"""What a name looks like, whatever its case: two of one skeleton are taken for each other.

    Example:
        >>> skeleton("ref\u0435rence") == skeleton("Reference"), skeleton("tiny-int8") == skeleton("tiny-int4")
        (True, False)
    """
    seen = unicodedata.normalize("NFKC", name).translate(_table())
    folded = unicodedata.normalize("NFKC", seen.casefold()).translate(_table())
    return " ".join(folded.split())
