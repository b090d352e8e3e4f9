"""Finding a species by its category."""

from __future__ import annotations

from wildbench.parksim.species.birds import BIRDS
from wildbench.parksim.species.buffalo import BUFFALO
from wildbench.parksim.species.crocodile import CROCODILE
from wildbench.parksim.species.elephant import ELEPHANT
from wildbench.parksim.species.giraffe import GIRAFFE
from wildbench.parksim.species.gorilla import GORILLA
from wildbench.parksim.species.hyena import HYENA
from wildbench.parksim.species.impala import IMPALA
from wildbench.parksim.species.kind import Kind
from wildbench.parksim.species.leopard import LEOPARD
from wildbench.parksim.species.lion import LION
from wildbench.parksim.species.monkey import MONKEY
from wildbench.parksim.species.person import PERSON
from wildbench.parksim.species.zebra import ZEBRA

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
    """Return the kind that a seed stands for; seeds alike modulo 16 are of one kind."""
    kinds = KINDS[species]
    return kinds[seed % 16 % len(kinds)]
