"""Giraffe: long neck and legs, ossicones, brown patches in a cream net."""

from __future__ import annotations

from wildbench.parksim.anatomy import PATCHES, UNGULATE, Coat, Posture, figure, limb, part, turn
from wildbench.parksim.species.kind import Kind

GIRAFFE = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 2.0, 0.0)),
            "neck1": ("body", (0.62, 2.72, 0.0)),
            "neck2": ("neck1", (0.98, 3.55, 0.0)),
            "head": ("neck2", (1.28, 4.34, 0.0)),
            "ear~": ("head", (1.26, 4.42, 0.10)),
            "tail1": ("body", (-0.90, 2.32, 0.0)),
            "tail2": ("tail1", (-1.0, 1.8, 0.0)),
        },
        part("body", "coat", "-.66 2.16 0 .36 > -.1 2.24 0 .45 > .42 2.42 0 .45 > .62 2.62 0 .33", 0.3, flat=0.8),
        part("body", "coat", ".42 2.82 0 .14 > .1 2.6 0 .14", 0.3, flat=0.7),
        part("neck1", "coat", ".56 2.66 0 .36 > .78 3.1 0 .25 > .98 3.55 0 .2", 0.2, flat=0.7),
        part("neck2", "coat", ".98 3.55 0 .2 > 1.28 4.34 0 .135", 0.1, flat=0.75),
        part("neck1", "mane", ".40 2.98 0 .05 > .60 3.2 0 .05 > .80 3.66 0 .05", 0.05, flat=0.5, rough=0.02),
        part("neck2", "mane", ".80 3.66 0 .05 > 1.16 4.45 0 .05", 0.05, flat=0.5, rough=0.02),
        part("head", "coat", "1.30 4.40 0 .15 > 1.48 4.28 0 .125 > 1.74 4.09 0 .085", 0.07, flat=0.85),
        part("head", "muzzle", "1.74 4.10 0 .088 > 1.83 4.04 0 .082", 0.06),
        part("head", "muzzle", "1.62 4.08 0 .07 > 1.80 3.99 0 .065", 0.05),
        part("head", "nostril", "1.87 4.08 .04 .02", 0.01),
        part("head", "coat", "1.44 4.40 .08 .06", 0.04),
        part("head", "eye", "1.475 4.375 .118 .034", 0.008),
        part("head", "coat", "1.26 4.5 .07 .05 > 1.21 4.66 .09 .034", 0.04),
        part("head", "horn", "1.21 4.66 .09 .038 > 1.20 4.70 .092 .042", 0.02),
        part("head", "coat", "1.40 4.47 0 .05 > 1.41 4.54 0 .04", 0.06, only="male"),
        part(
            "ear~",
            "ear",
            "1.24 4.44 .12 .03 > 1.17 4.47 .24 .055 > 1.12 4.48 .34 .015",
            0.03,
            flat=0.4,
            normal=(0.8, 0.5, 0.0),
        ),
        limb(
            "fore~",
            "body",
            "coat",
            ".50 2.42 .2 .3 > .44 1.84 .22 .17 > .50 1.02 .21 .105 > .48 .30 .2 .07 > .5 .16 .2 .085",
            0.1,
        ),
        part("fore~3", "hoof", ".505 .16 .2 .08 > .54 .07 .2 .105", 0.02),
        limb(
            "hind~",
            "body",
            "coat",
            "-.64 2.1 .18 .33 > -.46 1.62 .21 .2 > -.74 .98 .2 .095 > -.68 .30 .2 .068 > -.66 .16 .2 .082",
            0.12,
        ),
        part("hind~3", "hoof", "-.655 .16 .2 .078 > -.62 .07 .2 .102", 0.02),
        part("tail1", "coat", "-.90 2.32 0 .06 > -1.0 1.8 0 .035", 0.05),
        part("tail2", "mane_tip", "-1.0 1.82 0 .035 > -1.02 1.4 0 .06 > -1.0 1.1 0 .02", 0.03, rough=0.02),
    ),
    coat=Coat(
        PATCHES,
        (0.30, 0.34, 0.34),
        base="dcc59a",
        mark="7c4826",
        core="e8d2a4",
        strength=0.16,
        fade=0.95,
        paints=(
            (1.62, 4.13, 0.0, 0.22, 0.2, 0.2, 0.6, "b58a5a", 0.8),
            (0.0, 1.72, 0.0, 0.6, 0.16, 0.2, 0.5, "e6d3a8", 0.8),
        ),
    ),
    materials={
        "coat": ("ffffff", 0.3, 0.04),
        "mane": ("6b3a1a", 0.7, 0.03),
        "muzzle": ("8d6c52", 0.2, 0.08),
        "nostril": ("1a1210", 0.0, 0.1),
        "eye": ("0b0807", 0.0, 0.3),
        "horn": ("1e1613", 0.4, 0.05),
        "ear": ("c9a877", 0.3, 0.03),
        "hoof": ("3a3028", 0.05, 0.2),
        "mane_tip": ("17110e", 0.8, 0.05),
    },
    postures={
        "standing": Posture(look=55.0),
        "walking": Posture(turn(neck1=-8.0), swing=17.0, lift=30.0, look=20.0),
        "browsing": Posture(turn(neck1=6.0, neck2=8.0, head=26.0), look=60.0),
        "drinking": Posture(
            turn(neck1=-94.0, neck2=-34.0, head=12.0, fore_1=(0.0, 0.0, -24.0), fore_2=(0.0, 0.0, -6.0)), look=10.0
        ),
        "running": Posture(
            turn(neck1=-18.0, head=8.0), swing=30.0, lift=50.0, gait=UNGULATE["running"].gait, level=False, look=5.0
        ),
        "lying": Posture(
            turn(
                fore_1=-20.0,
                fore_2=106.0,
                fore_3=-172.0,
                hind_1=69.0,
                hind_2=-115.0,
                hind_3=131.0,
                neck1=8.0,
                tail1=-44.0,
                tail2=-44.0,
            ),
            look=40.0,
        ),
    },
    juvenile={"": (0.5, 0.5, 0.5), "head": (1.25, 1.25, 1.25), "neck1": (0.9, 0.82, 1.0), "neck2": (0.9, 0.85, 1.0)},
    female={"": (0.93, 0.93, 0.93)},
    tuft=0.02,
)
