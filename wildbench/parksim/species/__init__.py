"""The thirteen species as data: drawings, coats, colours, postures; a new one is a line here."""

from __future__ import annotations

from wildbench.parksim._skeleton import Kind
from wildbench.parksim.species.birds import BIRDS
from wildbench.parksim.species.carnivores import HYENA, LEOPARD, LION
from wildbench.parksim.species.crocodile import CROCODILE
from wildbench.parksim.species.herbivores import BUFFALO, ELEPHANT, GIRAFFE, IMPALA, ZEBRA
from wildbench.parksim.species.primates import GORILLA, MONKEY, PERSON

KINDS: dict[str, tuple[Kind, ...]] = {
    "giraffe": (GIRAFFE,),
    "person": (PERSON,),
    "zebra": (ZEBRA,),
    "elephant": (ELEPHANT,),
    "impala": (IMPALA,),
    "monkey": (MONKEY,),
    "lion": (LION,),
    "leopard": (LEOPARD,),
    "crocodile": (CROCODILE,),
    "buffalo": (BUFFALO,),
    "hyena": (HYENA,),
    "bird": BIRDS,
    "gorilla": (GORILLA,),
}


def kind_of(species: str, seed: int) -> Kind:
    """Return the kind of an individual; seeds that are equal modulo 16 give the same one."""
    kinds = KINDS[species]
    return kinds[seed % 16 % len(kinds)]
