"""Elephant: trunk, sail ears, tusks, wrinkled grey."""

from __future__ import annotations

from wildbench.parksim._coat import WRINKLES, Coat
from wildbench.parksim._skeleton import Kind, Posture, figure, limb, part, turn

# Tables of numbers.
# fmt: off

ELEPHANT = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 1.5, 0.0)),
            "neck1": ("body", (0.95, 2.25, 0.0)),
            "head": ("neck1", (1.2, 2.4, 0.0)),
            "jaw": ("head", (1.5, 1.95, 0.0)),
            "ear~": ("head", (1.34, 2.55, 0.40)),
            "tail1": ("body", (-1.55, 2.2, 0.0)),
            "tail2": ("tail1", (-1.68, 1.5, 0.0)),
        },
        part("body", "coat", "-.92 2.0 0 .66 > -.1 1.92 0 .76 > .7 2.05 0 .68", 0.4, flat=0.82),
        part("body", "coat", "-.6 2.35 0 .35 > .2 2.5 0 .36 > .7 2.45 0 .38", 0.4, flat=0.7),
        part("neck1", "coat", ".9 2.2 0 .55 > 1.3 2.4 0 .46", 0.3, flat=0.8),
        part("head", "coat", "1.42 2.5 0 .45 > 1.62 2.2 0 .38", 0.2, flat=0.82),
        part("head", "coat", "1.42 2.72 .1 .28", 0.25),
        part("head", "coat", "1.5 2.15 .22 .22 > 1.75 1.98 .17 .16", 0.12),
        part("jaw", "coat", "1.5 1.95 0 .18 > 1.8 1.68 0 .09", 0.12),
        part("head", "coat", "1.76 2.4 .24 .08", 0.08),
        part("head", "eye", "1.79 2.37 .315 .034", 0.008),
        part("head", "tusk", "1.78 1.95 .2 .075 > 2.05 1.56 .26 .07 > 2.35 1.40 .27 .055 > 2.62 1.45 .25 .018", 0.02,
            only="male adult"),
        part("head", "tusk", "1.78 1.95 .2 .055 > 2.0 1.62 .24 .045 > 2.2 1.54 .24 .014", 0.02, only="female adult"),
        part("ear~", "ear", "1.30 2.56 .42 .34 > .98 2.42 .72 .46 > 1.02 2.0 .70 .40 > 1.2 1.62 .56 .2", 0.08,
            flat=0.10, normal=(0.62, 0.0, 0.78)),
        limb("trunk", "head", "coat",
            "1.74 2.22 0 .31 > 1.95 1.82 0 .225 > 2.05 1.4 0 .175 > 2.06 .98 0 .14 > 2.08 .62 0 .115 > 2.16 .32 0 .095",
            0.1, joints=5),
        part("trunk5", "nostril", "2.20 .25 .035 .03", 0.01),
        limb("fore~", "body", "coat", ".72 1.9 .38 .38 > .68 1.25 .42 .245 > .74 .64 .40 .178 > .76 .14 .40 .195", 0.2),
        part("fore~3", "coat", ".78 .12 .40 .205", 0.1),
        part("fore~3", "nail", ".965 .09 .34 .045 > .965 .09 .46 .045", 0.02),
        limb("hind~", "body", "coat", "-.92 1.9 .34 .43 > -.76 1.2 .4 .275 > -.95 .62 .38 .172 > -.9 .14 .38 .19", 0.2),
        part("hind~3", "coat", "-.88 .12 .38 .198", 0.1),
        part("hind~3", "nail", "-.70 .09 .32 .042 > -.70 .09 .44 .042", 0.02),
        part("tail1", "coat", "-1.52 2.25 0 .09 > -1.68 1.5 0 .045", 0.1),
        part("tail2", "tail", "-1.68 1.5 0 .045 > -1.68 1.1 0 .05 > -1.66 .9 0 .03", 0.03, flat=0.5, rough=0.02),
    ),
    coat=Coat(
        WRINKLES, (0.16, 0.055, 0.10), base="78706a", mark="5a534d", core="8d8175", strength=0.5, fade=0.0,
        paints=((0.0, 0.0, 0.0, 3.0, 0.75, 3.0, 0.7, "86705a", 0.55),
            (-0.2, 2.75, 0.0, 1.4, 0.35, 0.9, 0.8, "8f7a63", 0.45)),
    ),
    materials={
        "coat": ("ffffff", 0.22, 0.05),
        "eye": ("0d0907", 0.0, 0.3),
        "tusk": ("e9dfc6", 0.04, 0.35),
        "ear": ("746a62", 0.2, 0.04),
        "nostril": ("2a2321", 0.0, 0.1),
        "nail": ("b5a892", 0.05, 0.15),
        "tail": ("1d1917", 0.8, 0.05),
    },
    postures={
        "standing": Posture(turn(ear_=(0.0, 8.0, 0.0)), look=24.0, swing=5.0, lift=0.0),
        "walking": Posture(turn(trunk1=8.0, trunk2=6.0, ear_=(0.0, -6.0, 0.0)), swing=17.0, lift=20.0, look=10.0),
        "feeding": Posture(
            turn(trunk1=-6.0, trunk2=-12.0, trunk3=-46.0, trunk4=-62.0, trunk5=-50.0, jaw=-12.0), look=20.0
        ),
        "drinking": Posture(turn(neck1=-12.0, head=-8.0, trunk1=6.0, trunk2=24.0, trunk3=14.0), look=10.0),
        "alert": Posture(
            turn(neck1=8.0, head=6.0, ear_=(0.0, 42.0, 0.0), trunk1=24.0, trunk2=42.0, trunk3=44.0, trunk4=30.0,
                trunk5=30.0),
            look=20.0,
        ),
    },
    juvenile={"": (0.42, 0.42, 0.42), "head": (1.25, 1.25, 1.25), "trunk1": (1.0, 0.86, 1.0)},
    female={"": (0.86, 0.86, 0.86)},
    tuft=0.035,
)
