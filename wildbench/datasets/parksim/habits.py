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
        front: Area of its front view as a share of its side view.
        mixes: Whether it is seen together with other species.
        wades: Whether it enters water.
    """

    savanna: int
    river: int
    forest: int
    herds: tuple[int, ...]
    nocturnal: float
    fill: float
    front: float
    mixes: bool = False
    wades: bool = False


HABITS: dict[str, Habit] = {
    "giraffe": Habit(6, 3, 0, (1, 1, 2, 2, 3), 0.1, 0.28, 0.7, mixes=True),
    "person": Habit(3, 3, 3, (1, 1, 2), 0.2, 0.6, 1.45),
    "zebra": Habit(6, 4, 0, (1, 2, 2, 3, 4, 5), 0.12, 0.37, 0.45, mixes=True),
    "elephant": Habit(4, 4, 2, (1, 1, 2, 2, 3, 4), 0.2, 0.6, 0.6, mixes=True, wades=True),
    "impala": Habit(6, 4, 0, (1, 2, 3, 4, 5, 6), 0.15, 0.24, 0.58, mixes=True),
    "monkey": Habit(1, 3, 5, (1, 2, 2, 3, 4), 0.05, 0.24, 0.87, mixes=True),
    "lion": Habit(7, 3, 0, (1, 1, 2, 2, 3), 0.4, 0.38, 0.44),
    "leopard": Habit(3, 3, 4, (1,), 0.55, 0.32, 0.41),
    "crocodile": Habit(0, 1, 0, (1, 1, 2, 2, 3), 0.1, 0.57, 0.5, wades=True),
    "buffalo": Habit(5, 4, 1, (1, 2, 2, 3, 4), 0.2, 0.53, 0.49, mixes=True, wades=True),
    "hyena": Habit(7, 3, 0, (1, 1, 2, 2, 3), 0.55, 0.38, 0.5),
    "bird": Habit(4, 4, 2, (1, 2, 2, 3, 4), 0.03, 0.27, 0.68, mixes=True),
    "gorilla": Habit(0, 0, 1, (1, 1, 2, 2, 3), 0.1, 0.57, 0.83),
}
