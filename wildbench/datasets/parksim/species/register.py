"""Finding a species by its category."""

from __future__ import annotations

from wildbench.datasets.parksim.species.kind import Kind
from wildbench.datasets.parksim.species.ungulates import ZEBRA

KINDS: dict[str, tuple[Kind, ...]] = {"zebra": (ZEBRA,)}


def kind_of(species: str, seed: int) -> Kind:
    """Return the kind that a seed stands for; seeds alike modulo 16 are of one kind."""
    kinds = KINDS[species]
    return kinds[seed % 16 % len(kinds)]
