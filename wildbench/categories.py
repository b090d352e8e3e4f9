"""The thirteen animals of the paper: their order, their ids, their published counts.

Ids follow the order of the paper's table and start at 1: giraffe is 1, gorilla is 13. The published counts sum to 1409,
whereas the paper's text says 1309; parksim keeps the proportions of the counts and the total of the text.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache

from wildbench.resources import bundled

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


GENERIC = ("animal", "wildlife", "object")
"""What detectors and data sets call animals that they do not tell apart."""

KINDS = frozenset({*GENERIC, "person", "vehicle", "human"})
"""Categories of detectors that tell no species."""


@cache
def _species() -> dict[str, str]:
    """The animal of each name in `annotations/species.toml`, by its spelling."""
    table = tomllib.loads(bundled("annotations/species.toml").read_text(encoding="utf-8"))
    return {_spelling(name): animal for animal, others in table.items() for name in (animal, *others)}


def _spelling(name: str) -> str:
    return " ".join(re.sub(r"[-_\s]+", " ", re.sub("['\u2019`]", "", name.casefold())).split())


def species_of(name: str) -> str | None:
    """The animal that a name means by the table of species; None where it is not in it.

    Taxonomies with semicolons, as SpeciesNet writes them, are taken by their common or their scientific name.

    Example:
        >>> species_of("Loxodonta_africana"), species_of("carnivora;felidae;panthera;leo;lion"), species_of("x")
        ('elephant', 'lion', None)
    """
    *ranks, common = name.split(";")
    for spelt in (common, " ".join(ranks[-2:])):
        if animal := _species().get(_spelling(spelt)):
            return animal
    return None


class Names:
    """Which category of a data set a name means: as it is spelt, as a person says, or as the table of species has it.

    Args:
        levels: Ids by name; what the first has no name for, the next may have.
        aliases: Names that mean another, as a person says.

    Example:
        >>> names = Names([{"elephant": 4, "lionMale": 7, "lionFemale": 8}])
        >>> names.find("Elephant"), names.find("Loxodonta africana"), names.find("Panthera leo"), names.remarks()
        (4, 4, None, "'Loxodonta africana' as 'elephant'")
    """

    def __init__(self, levels: Iterable[Mapping[str, int]], aliases: Mapping[str, str] | None = None) -> None:
        self._aliases = {canonical(name): canonical(other) for name, other in (aliases or {}).items()}
        self._levels = []
        for level in levels:
            spelt = {canonical(name): (name, number) for name, number in reversed(list(level.items()))}
            animals: dict[str, list[tuple[str, int]]] = defaultdict(list)
            for name, number in level.items():
                animals[species_of(name) or ""].append((name, number))
            self._levels.append((spelt, animals))
        self._known = [name for spelt, _ in self._levels for name in spelt]
        self.synonyms: dict[str, str] = {}
        """Names that were found by the table alone, with what they were read as."""
        self._found: dict[str, int | None] = {}

    def find(self, name: str) -> int | None:
        """The id of a name's category; None where none, or more than one, is meant."""
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def _find(self, name: str) -> int | None:
        spelt = canonical(name)
        spelt = self._aliases.get(spelt, spelt)
        for level, animals in self._levels:
            if spelt in level:
                return level[spelt][1]
            meant = animals[animal] if (animal := species_of(spelt)) else []
            if len(meant) == 1:
                self.synonyms[name] = meant[0][0]
                return meant[0][1]
        return self._generic(name)

    def _generic(self, name: str) -> int | None:
        """A species is an animal, to a data set that has no species."""
        word = next((one for one in GENERIC if one in self._known), None)
        animal = species_of(name)
        if word is None or animal is None or animal in KINDS or not KINDS.issuperset(self._known):
            return None
        self.synonyms[name] = word
        return next(level[word][1] for level, _ in self._levels if word in level)

    def remarks(self) -> str:
        """What was read as another name; empty where nothing was."""
        return ", ".join(f"{name!r} as {other!r}" for name, other in sorted(self.synonyms.items()))


SPLITS = ("train", "val", "test")
