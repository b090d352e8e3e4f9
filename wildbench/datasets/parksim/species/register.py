"""Finding a species by its category."""

from __future__ import annotations

from wildbench.datasets.parksim.species.buffalo import BUFFALO
from wildbench.datasets.parksim.species.elephant import ELEPHANT
from wildbench.datasets.parksim.species.giraffe import GIRAFFE
from wildbench.datasets.parksim.species.hyena import HYENA
from wildbench.datasets.parksim.species.impala import IMPALA
from wildbench.datasets.parksim.species.kind import Kind
from wildbench.datasets.parksim.species.leopard import LEOPARD
from wildbench.datasets.parksim.species.lion import LION
from wildbench.datasets.parksim.species.zebra import ZEBRA

KINDS: dict[str, tuple[Kind, ...]] = {
    "giraffe": (GIRAFFE,),
    "zebra": (ZEBRA,),
    "elephant": (ELEPHANT,),
    "impala": (IMPALA,),
    "lion": (LION,),
    "leopard": (LEOPARD,),
    "buffalo": (BUFFALO,),
    "hyena": (HYENA,),
}


def kind_of(species: str, seed: int) -> Kind:
    """Return the kind that a seed stands for; seeds alike modulo 16 are of one kind."""
    kinds = KINDS[species]
    return kinds[seed % 16 % len(kinds)]
