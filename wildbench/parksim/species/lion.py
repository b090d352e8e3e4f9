"""Lion: tawny, tufted tail, a mane on grown males."""

from __future__ import annotations

from wildbench.parksim.anatomy._coat import PLAIN, Coat
from wildbench.parksim.anatomy._postures import CAT
from wildbench.parksim.anatomy._skeleton import figure, limb, part
from wildbench.parksim.species.kind import Kind

LION = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.65, 0.0)),
            "neck1": ("body", (0.52, 0.90, 0.0)),
            "neck2": ("neck1", (0.66, 0.98, 0.0)),
            "head": ("neck2", (0.80, 1.06, 0.0)),
            "jaw": ("head", (0.90, 0.99, 0.0)),
            "tail1": ("body", (-0.86, 0.90, 0.0)),
            "tail2": ("tail1", (-1.08, 0.60, 0.0)),
            "tail3": ("tail2", (-1.16, 0.34, 0.0)),
        },
        part("body", "coat", "-.70 .82 0 .185 > -.2 .76 0 .195 > .30 .78 0 .225 > .50 .84 0 .2", 0.14, flat=0.8),
        part("body", "coat", ".42 1.0 0 .06 > .1 .93 0 .06", 0.15, flat=0.7),
        part("neck1", "coat", ".50 .90 0 .19 > .66 .98 0 .16", 0.1, flat=0.85),
        part("neck2", "coat", ".66 .98 0 .16 > .80 1.06 0 .14", 0.08),
        part("head", "coat", ".86 1.09 0 .14", 0.06),
        part("head", "coat", ".96 1.05 0 .095 > 1.09 1.01 0 .072", 0.06),
        part("head", "muzzle", "1.08 .98 .03 .05", 0.03),
        part("jaw", "muzzle", ".95 .97 0 .07 > 1.07 .935 0 .045", 0.03),
        part("head", "nose", "1.15 1.032 0 .027 > 1.145 1.03 .022 .017", 0.015),
        part("head", "coat", ".965 1.135 .07 .035", 0.03),
        part("head", "eye", ".998 1.112 .070 .022", 0.005),
        part("head", "coat", ".82 1.20 .105 .05 > .80 1.24 .12 .045", 0.03, flat=0.5, normal=(1.0, 0.0, -0.4)),
        part("head", "dark", ".845 1.22 .115 .026", 0.015, flat=0.5, normal=(1.0, 0.0, -0.4)),
        part(
            "neck1",
            "mane_dark",
            ".50 .72 0 .16 > .60 .90 0 .25",
            0.08,
            flat=0.9,
            rough=0.026,
            grain=30.0,
            only="male adult",
        ),
        part(
            "neck2",
            "mane_dark",
            ".60 1.0 0 .26 > .74 1.06 0 .26",
            0.08,
            flat=0.9,
            rough=0.026,
            grain=30.0,
            only="male adult",
        ),
        part(
            "head",
            "mane",
            ".80 1.06 0 .215 > .80 1.12 0 .215",
            0.05,
            flat=0.5,
            normal=(0.96, -0.2, 0.0),
            rough=0.02,
            grain=36.0,
            only="male adult",
        ),
        part("head", "mane", ".84 .89 0 .11", 0.06, rough=0.02, grain=36.0, only="male adult"),
        limb(
            "fore~", "body", "coat", ".46 .80 .12 .15 > .41 .55 .13 .095 > .46 .27 .125 .066 > .47 .09 .12 .058", 0.06
        ),
        part("fore~3", "coat", ".47 .07 .12 .06 > .545 .05 .12 .058", 0.03),
        limb(
            "hind~", "body", "coat", "-.68 .80 .11 .18 > -.50 .54 .13 .115 > -.78 .31 .12 .052 > -.72 .08 .12 .05", 0.07
        ),
        part("hind~3", "coat", "-.72 .06 .12 .052 > -.64 .045 .12 .054", 0.03),
        part("tail1", "coat", "-.84 .90 0 .055 > -1.08 .60 0 .034", 0.05),
        part("tail2", "coat", "-1.08 .60 0 .034 > -1.16 .34 0 .028", 0.02),
        part("tail3", "tuft", "-1.16 .36 0 .028 > -1.21 .24 0 .055 > -1.26 .15 0 .02", 0.02, rough=0.02),
    ),
    coat=Coat(
        PLAIN,
        (0.12, 0.08, 0.08),
        base="b98d56",
        mark="b98d56",
        core="a57a48",
        strength=0.0,
        fade=0.0,
        paints=(
            (0.0, 0.53, 0.0, 0.7, 0.1, 0.2, 0.6, "dcc39a", 0.9),
            (0.5, 0.2, 0.1, 0.14, 0.3, 0.1, 0.8, "c9a572", 0.6),
            (0.96, 1.03, 0.0, 0.10, 0.05, 0.12, 0.6, "d6b98c", 0.7),
            (1.0, 1.075, 0.075, 0.05, 0.028, 0.03, 0.5, "ead9b8", 0.8),
            (0.995, 1.122, 0.072, 0.034, 0.015, 0.026, 0.6, "4a3222", 0.6),
            (1.06, 1.07, 0.0, 0.1, 0.03, 0.03, 0.6, "96683c", 0.5),
        ),
    ),
    materials={
        "coat": ("ffffff", 0.4, 0.03),
        "muzzle": ("e3d3b4", 0.3, 0.03),
        "nose": ("3a2420", 0.0, 0.12),
        "eye": ("130c05", 0.0, 0.3),
        "dark": ("4a3524", 0.4, 0.02),
        "mane": ("9a6430", 0.9, 0.04),
        "mane_dark": ("5f3a1c", 0.9, 0.04),
        "tuft": ("241812", 0.8, 0.03),
    },
    postures=CAT,
    juvenile={"": (0.42, 0.42, 0.42), "head": (1.42, 1.42, 1.42), "tail1": (0.8, 0.8, 0.9)},
    female={"": (0.87, 0.87, 0.84)},
    tuft=0.012,
)
