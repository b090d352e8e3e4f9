"""Postures: which way the joints turn, and the gaits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from wildbench.parksim.anatomy._skeleton import Vector

WALK = {"hind~L": 0.0, "fore~L": 0.25, "hind~R": 0.5, "fore~R": 0.75}
GALLOP = {"hind~L": 0.0, "hind~R": 0.12, "fore~L": 0.5, "fore~R": 0.62}
# Share of the stride's lift that each joint of a limb bends: upper, middle, lower.
LIFT = {"fore": (0.1, 0.6, -1.4), "hind": (0.45, -1.0, 0.9), "leg": (0.5, -1.2, 0.3), "arm": (0.0, 0.25, 0.0)}


@dataclass(frozen=True)
class Posture:
    """How an animal holds itself.

    Attributes:
        turns: Degrees of pitch, yaw and roll by bone; ``~`` means both sides.
        swing: Degrees that the legs swing back and forth.
        lift: Degrees that the joints fold while a leg is in the air.
        gait: Phase of each limb in the stride, as a share of it.
        level: Whether fore and hind feet stand on the same ground.
        sway: Degrees that each joint of the tail may turn to either side.
        look: Degrees that the head may turn to either side.
    """

    turns: Mapping[str, Vector] = field(default_factory=dict)
    swing: float = 0.0
    lift: float = 0.0
    gait: Mapping[str, float] = field(default_factory=lambda: WALK)
    level: bool = True
    look: float = 30.0
    sway: float = 14.0


def turn(**pitches: float | Vector) -> dict[str, Vector]:
    """Write turns briefly: ``_`` stands for ``~``, a single number is a pitch.

    >>> turn(fore_1=20.0)
    {'fore~1': (20.0, 0.0, 0.0)}
    """
    return {
        name.replace("_", "~"): angles if isinstance(angles, tuple) else (angles, 0.0, 0.0)
        for name, angles in pitches.items()
    }


def stride(posture: Posture, phase: float) -> dict[str, Vector]:
    """Return the turns of the limbs at one moment of the stride, ``phase`` in 0..1."""
    turns: dict[str, Vector] = {}
    if posture.swing == 0.0:
        return turns
    for name, offset in posture.gait.items():
        limb, side = name.split("~")
        angle = 2.0 * math.pi * (phase + offset)
        back_and_forth, air = round(math.cos(angle), 6), round(max(0.0, -math.sin(angle)), 6)
        for n, share in enumerate(LIFT[limb], start=1):
            pitch = share * posture.lift * air + (posture.swing * back_and_forth if n == 1 else 0.0)
            turns[f"{limb}{side}{n}"] = (round(pitch, 4), 0.0, 0.0)
    return turns


UNGULATE: Mapping[str, Posture] = {
    "standing": Posture(look=50.0),
    "walking": Posture(turn(neck1=-6.0), swing=20.0, lift=38.0, look=12.0),
    "grazing": Posture(turn(neck1=-62.0, neck2=-14.0, head=22.0), swing=9.0, lift=4.0, look=10.0),
    "running": Posture(
        turn(neck1=-14.0, head=10.0, body=2.0), swing=36.0, lift=65.0, gait=GALLOP, level=False, look=5.0
    ),
    "lying": Posture(
        turn(
            fore_1=-16.0, fore_2=100.0, fore_3=-170.0, hind_1=56.0, hind_2=-69.0, hind_3=96.0, tail1=-44.0, tail2=-44.0
        ),
        look=40.0,
    ),
}
CAT: Mapping[str, Posture] = {
    "standing": Posture(look=50.0),
    "walking": Posture(turn(neck1=-14.0, head=10.0), swing=24.0, lift=34.0, look=15.0),
    "lying": Posture(
        turn(
            fore_1=-29.0,
            fore_2=106.0,
            fore_3=10.0,
            hind_1=27.0,
            hind_2=-46.0,
            hind_3=94.0,
            tail1=(-26.0, 14.0, 0.0),
            tail2=(-40.0, 14.0, 0.0),
            neck1=6.0,
        ),
        look=50.0,
    ),
    "sitting": Posture(
        turn(
            body=32.0,
            fore_1=-42.0,
            fore_2=10.0,
            hind_1=30.0,
            hind_2=-69.0,
            hind_3=82.0,
            tail1=-52.0,
            tail2=-46.0,
            neck1=-14.0,
            head=-16.0,
        ),
        look=40.0,
        sway=30.0,
    ),
    "running": Posture(turn(neck1=-14.0, head=8.0), swing=40.0, lift=55.0, gait=GALLOP, level=False, look=5.0),
    "stalking": Posture(
        turn(
            tail1=-20.0,
            neck1=-26.0,
            head=20.0,
            fore_1=-22.0,
            fore_2=44.0,
            fore_3=-22.0,
            hind_1=26.0,
            hind_2=-46.0,
            hind_3=24.0,
        ),
        swing=9.0,
        look=15.0,
    ),
}
