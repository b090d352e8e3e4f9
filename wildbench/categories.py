"""The thirteen animals of the paper: their order, their ids, their published counts.

Ids follow the order of the paper's table and start at 1: giraffe is 1, gorilla is 13. The published counts sum to 1409,
whereas the paper's text says 1309; parksim keeps the proportions of the counts and the total of the text.
"""

from __future__ import annotations

PAPER_COUNTS: dict[str, int] = {
    "giraffe": 101,
    "person": 152,
    "zebra": 131,
    "elephant": 166,
    "impala": 169,
    "monkey": 80,
    "lion": 108,
    "leopard": 63,
    "crocodile": 61,
    "buffalo": 97,
    "hyena": 70,
    "bird": 123,
    "gorilla": 88,
}
"""Instances of each category as the paper's table gives them."""

CATEGORIES: tuple[str, ...] = tuple(PAPER_COUNTS)
"""Names in the paper's order; the id of a category is its place here, counted from 1."""

ALIASES: dict[str, str] = {"hyna": "hyena"}
"""Other spellings found in the paper's files."""


def canonical(name: str) -> str:
    """The one spelling of a category's name: lower case, without surrounding space, aliases resolved.

    A name outside the thirteen is cleaned in the same way and returned.

    Example:
        >>> canonical(" Hyna ")
        'hyena'
    """
    cleaned = name.strip().lower()
    return ALIASES.get(cleaned, cleaned)


SPLITS = ("train", "val", "test")
