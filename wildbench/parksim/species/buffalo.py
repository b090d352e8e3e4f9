"""Buffalo: massive and dark, horns from a boss over the brow, ears drooping below them."""

from __future__ import annotations

from wildbench.parksim.anatomy import PLAIN, UNGULATE, Coat, Posture, figure, limb, part, turn
from wildbench.parksim.species.kind import Kind

BUFFALO = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.9, 0.0)),
            "neck1": ("body", (0.62, 1.18, 0.0)),
            "neck2": ("neck1", (0.88, 1.24, 0.0)),
            "head": ("neck2", (1.06, 1.28, 0.0)),
            "ear~": ("head", (1.06, 1.26, 0.14)),
            "tail1": ("body", (-0.92, 1.25, 0.0)),
            "tail2": ("tail1", (-1.0, 0.85, 0.0)),
        },
        part("body", "coat", "-.66 1.06 0 .34 > -.1 .98 0 .41 > .42 1.04 0 .41 > .62 1.1 0 .32", 0.2, flat=0.86),
        part("body", "coat", ".46 1.36 0 .14 > .1 1.28 0 .12", 0.25, flat=0.7),
        part("neck1", "coat", ".58 1.14 0 .32 > .88 1.22 0 .24", 0.18, flat=0.75),
        part("neck1", "coat", ".66 .92 0 .16 > .92 1.02 0 .12", 0.15, flat=0.5),
        part("neck2", "coat", ".88 1.22 0 .24 > 1.06 1.28 0 .2", 0.1, flat=0.8),
        part("head", "coat", "1.08 1.28 0 .2 > 1.24 1.12 0 .16 > 1.40 .95 0 .125", 0.08, flat=0.85),
        part("head", "muzzle", "1.43 .93 0 .125 > 1.48 .90 0 .105", 0.06),
        part("head", "nostril", "1.54 .935 .05 .03", 0.01),
        part("head", "coat", "1.22 1.25 .11 .06", 0.04),
        part("head", "eye", "1.25 1.245 .145 .03", 0.008),
        part("head", "horn", "1.08 1.46 .05 .10 > 1.08 1.45 .2 .095", 0.05, only="male adult"),
        part(
            "head",
            "horn",
            "1.08 1.44 .14 .085 > 1.05 1.34 .34 .074 > 1.04 1.24 .50 .06 > 1.06 1.30 .62 .048"
            " > 1.09 1.46 .62 .03 > 1.09 1.56 .55 .008",
            0.04,
            only="adult",
        ),
        part("head", "horn", "1.08 1.44 .10 .05 > 1.06 1.46 .22 .02", 0.03, only="juvenile"),
        part(
            "ear~",
            "coat",
            "1.04 1.22 .17 .05 > .98 1.12 .32 .085 > .96 1.04 .42 .02",
            0.04,
            flat=0.35,
            normal=(0.9, 0.0, 0.4),
            rough=0.012,
        ),
        limb(
            "fore~",
            "body",
            "coat",
            ".46 1.0 .2 .26 > .42 .72 .21 .155 > .47 .42 .2 .098 > .46 .15 .19 .07 > .47 .1 .19 .08",
            0.08,
        ),
        part("fore~3", "hoof", ".475 .1 .19 .078 > .50 .045 .19 .092", 0.015),
        limb(
            "hind~",
            "body",
            "coat",
            "-.66 1.04 .18 .30 > -.52 .72 .2 .18 > -.74 .44 .19 .088 > -.70 .15 .19 .066 > -.69 .1 .19 .078",
            0.09,
        ),
        part("hind~3", "hoof", "-.685 .1 .19 .075 > -.66 .045 .19 .09", 0.015),
        part("tail1", "coat", "-.92 1.25 0 .055 > -1.0 .85 0 .03", 0.04),
        part("tail2", "tail", "-1.0 .87 0 .03 > -1.02 .62 0 .06 > -1.01 .48 0 .02", 0.02, rough=0.02),
    ),
    coat=Coat(
        PLAIN,
        (0.2, 0.12, 0.12),
        base="2f2723",
        mark="2f2723",
        core="4a3b31",
        strength=0.0,
        fade=0.0,
        paints=(
            (0.0, 0.56, 0.0, 0.7, 0.15, 0.4, 0.7, "564538", 0.6),
            (1.3, 1.05, 0.0, 0.2, 0.2, 0.3, 0.7, "3a302b", 0.6),
        ),
    ),
    materials={
        "coat": ("ffffff", 0.45, 0.04),
        "muzzle": ("1b1715", 0.05, 0.2),
        "nostril": ("080606", 0.0, 0.3),
        "eye": ("0b0807", 0.0, 0.3),
        "horn": ("544b43", 0.3, 0.18),
        "hoof": ("1d1916", 0.05, 0.2),
        "tail": ("171310", 0.8, 0.05),
    },
    postures={
        **UNGULATE,
        "grazing": Posture(turn(neck1=-38.0, neck2=-24.0, head=-4.0), swing=8.0, lift=4.0, look=10.0),
    },
    female={"": (0.9, 0.9, 0.88)},
    tuft=0.022,
)
