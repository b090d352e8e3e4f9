"""Finding a species by its category."""

from __future__ import annotations

from wildbench.datasets.parksim.species.birds import BIRDS
from wildbench.datasets.parksim.species.buffalo import BUFFALO
from wildbench.datasets.parksim.species.crocodile import CROCODILE
from wildbench.datasets.parksim.species.elephant import ELEPHANT
from wildbench.datasets.parksim.species.giraffe import GIRAFFE
from wildbench.datasets.parksim.species.gorilla import GORILLA
from wildbench.datasets.parksim.species.hyena import HYENA
from wildbench.datasets.parksim.species.impala import IMPALA
from wildbench.datasets.parksim.species.kind import Kind
from wildbench.datasets.parksim.species.leopard import LEOPARD
from wildbench.datasets.parksim.species.lion import LION
from wildbench.datasets.parksim.species.monkey import MONKEY
from wildbench.datasets.parksim.species.person import PERSON
from wildbench.datasets.parksim.species.zebra import ZEBRA

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
