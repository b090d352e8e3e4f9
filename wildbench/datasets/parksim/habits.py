"""How the thirteen animals live, as far as a camera notices: where, in what company, by day or by night."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Habit:
    """What planning knows of a species.

    Attributes:
        savanna: Weight of the habitat among the three; likewise `river` and `forest`.
        river: See `savanna`.
        forest: See `savanna`.
        herds: Group sizes, drawn evenly.
        nocturnal: Share of its pictures taken at night, where the flash reaches.
        fill: Share of the box around its side view that the body covers.
        mixes: Whether it is seen together with other species.
        wades: Whether it enters water.
    """

    savanna: int
    river: int
    forest: int
    herds: tuple[int, ...]
    nocturnal: float
    fill: float
    mixes: bool = False
    wades: bool = False


HABITS: dict[str, Habit] = {
    "giraffe": Habit(6, 3, 0, (1, 1, 2, 2, 3), 0.1, 0.24, mixes=True),
    "person": Habit(3, 3, 3, (1, 1, 2), 0.2, 0.42),
    "zebra": Habit(6, 4, 0, (1, 2, 2, 3, 4, 5), 0.12, 0.42, mixes=True),
    "elephant": Habit(4, 4, 2, (1, 1, 2, 2, 3, 4), 0.2, 0.6, mixes=True, wades=True),
    "impala": Habit(6, 4, 0, (1, 2, 3, 4, 5, 6), 0.15, 0.36, mixes=True),
    "monkey": Habit(1, 3, 5, (1, 2, 2, 3, 4), 0.05, 0.3, mixes=True),
    "lion": Habit(7, 3, 0, (1, 1, 2, 2, 3), 0.4, 0.42),
    "leopard": Habit(3, 3, 4, (1,), 0.55, 0.34),
    "crocodile": Habit(0, 1, 0, (1, 1, 2, 2, 3), 0.1, 0.42, wades=True),
    "buffalo": Habit(5, 4, 1, (1, 2, 2, 3, 4), 0.2, 0.55, mixes=True, wades=True),
    "hyena": Habit(7, 3, 0, (1, 1, 2, 2, 3), 0.55, 0.42),
    "bird": Habit(4, 4, 2, (1, 2, 2, 3, 4), 0.03, 0.33, mixes=True),
    "gorilla": Habit(0, 0, 1, (1, 1, 2, 2, 3), 0.1, 0.5),
}
