"""Leopard: long and low, rosettes, a long thick tail."""

from __future__ import annotations

from wildbench.parksim.anatomy import CAT, ROSETTES, Coat, Posture, figure, limb, part, turn
from wildbench.parksim.species.kind import Kind

LEOPARD = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.42, 0.0)),
            "neck1": ("body", (0.42, 0.56, 0.0)),
            "neck2": ("neck1", (0.52, 0.62, 0.0)),
            "head": ("neck2", (0.62, 0.67, 0.0)),
            "jaw": ("head", (0.68, 0.63, 0.0)),
            "tail1": ("body", (-0.62, 0.58, 0.0)),
            "tail2": ("tail1", (-0.84, 0.36, 0.0)),
            "tail3": ("tail2", (-1.06, 0.26, 0.0)),
        },
        part("body", "coat", "-.52 .52 0 .125 > -.12 .46 0 .135 > .26 .49 0 .15 > .40 .53 0 .13", 0.1, flat=0.8),
        part("body", "coat", ".34 .62 0 .045 > .1 .58 0 .045", 0.1, flat=0.7),
        part("neck1", "coat", ".38 .55 0 .13 > .52 .62 0 .105", 0.07, flat=0.9),
        part("neck2", "coat", ".52 .62 0 .105 > .62 .67 0 .095", 0.05),
        part("head", "coat", ".655 .685 0 .095", 0.04),
        part("head", "coat", ".71 .66 0 .066 > .79 .635 0 .046", 0.04),
        part("head", "muzzle", ".785 .617 .02 .034", 0.02),
        part("jaw", "muzzle", ".71 .61 0 .048 > .775 .588 0 .03", 0.02),
        part("head", "nose", ".826 .648 0 .018 > .823 .645 .014 .012", 0.01),
        part("head", "coat", ".722 .715 .045 .024", 0.02),
        part("head", "eye", ".747 .704 .049 .0145", 0.004),
        part("head", "ear", ".63 .765 .066 .034 > .62 .79 .078 .028", 0.02, flat=0.5, normal=(1.0, 0.0, -0.4)),
        limb(
            "fore~",
            "body",
            "coat",
            ".36 .51 .08 .105 > .32 .36 .09 .068 > .36 .18 .085 .047 > .365 .06 .08 .042",
            0.045,
        ),
        part("fore~3", "coat", ".365 .05 .08 .043 > .42 .036 .08 .042", 0.02),
        limb(
            "hind~",
            "body",
            "coat",
            "-.50 .51 .075 .12 > -.37 .34 .09 .08 > -.56 .2 .085 .038 > -.52 .055 .08 .037",
            0.05,
        ),
        part("hind~3", "coat", "-.52 .045 .08 .038 > -.46 .033 .08 .039", 0.02),
        part("tail1", "coat", "-.60 .57 0 .05 > -.84 .36 0 .037", 0.04),
        part("tail2", "coat", "-.84 .36 0 .037 > -1.06 .26 0 .034", 0.02),
        part("tail3", "coat", "-1.06 .26 0 .034 > -1.26 .30 0 .033 > -1.36 .38 0 .028", 0.02),
    ),
    coat=Coat(
        ROSETTES,
        (0.062, 0.056, 0.056),
        base="cfa25c",
        mark="1c140e",
        core="a8733a",
        strength=0.36,
        fade=0.34,
        paints=(
            (0.0, 0.34, 0.0, 0.5, 0.07, 0.12, 0.6, "ece0c4", 0.7),
            (0.72, 0.60, 0.0, 0.08, 0.05, 0.1, 0.6, "efe3ca", 0.7),
            (0.76, 0.685, 0.052, 0.03, 0.018, 0.02, 0.4, "ece0c4", 0.7),
            (0.75, 0.712, 0.05, 0.026, 0.012, 0.02, 0.5, "2a1c12", 0.8),
        ),
    ),
    materials={
        "coat": ("ffffff", 0.35, 0.05),
        "muzzle": ("efe4cf", 0.25, 0.03),
        "nose": ("6a3e38", 0.0, 0.35),
        "eye": ("5a4410", 0.0, 0.3),
        "ear": ("2b2018", 0.4, 0.03),
    },
    postures={
        **CAT,
        "lying": Posture({**CAT["lying"].turns, **turn(tail1=-10.0, tail2=(-20.0, 16.0, 0.0), tail3=10.0)}, look=50.0),
        "sitting": Posture(
            {**CAT["sitting"].turns, **turn(tail1=-40.0, tail2=-20.0, tail3=16.0)}, look=40.0, sway=30.0
        ),
    },
    juvenile={"": (0.5, 0.5, 0.5), "head": (1.35, 1.35, 1.35)},
    female={"": (0.9, 0.9, 0.88)},
    tuft=0.009,
)
