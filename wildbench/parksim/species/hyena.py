"""Spotted hyena: sloping back, heavy neck, round ears, dark muzzle."""

from __future__ import annotations

from wildbench.parksim.anatomy import CAT, SPOTS, Coat, Posture, figure, limb, part, turn
from wildbench.parksim.species.kind import Kind

HYENA = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.5, 0.0)),
            "neck1": ("body", (0.36, 0.74, 0.0)),
            "neck2": ("neck1", (0.50, 0.84, 0.0)),
            "head": ("neck2", (0.64, 0.93, 0.0)),
            "jaw": ("head", (0.72, 0.87, 0.0)),
            "tail1": ("body", (-0.52, 0.58, 0.0)),
            "tail2": ("tail1", (-0.60, 0.42, 0.0)),
        },
        part("body", "coat", "-.42 .53 0 .145 > -.05 .58 0 .17 > .28 .66 0 .195 > .38 .72 0 .17", 0.12, flat=0.8),
        part(
            "body", "mane", ".36 .88 0 .04 > .05 .76 0 .035 > -.25 .67 0 .03", 0.08, flat=0.6, rough=0.018, grain=35.0
        ),
        part("neck1", "coat", ".34 .74 0 .18 > .50 .84 0 .14", 0.1, flat=0.78),
        part("neck1", "mane", ".32 .90 0 .045 > .52 .98 0 .035", 0.05, flat=0.5, rough=0.02, grain=35.0),
        part("neck2", "coat", ".50 .84 0 .14 > .64 .93 0 .11", 0.06, flat=0.85),
        part("head", "coat", ".68 .945 0 .105", 0.05),
        part("head", "dark", ".75 .915 0 .075 > .88 .875 0 .058", 0.05),
        part("jaw", "dark", ".74 .86 0 .055 > .86 .825 0 .038", 0.03),
        part("head", "nose", ".935 .89 0 .028", 0.015),
        part("head", "coat", ".75 .975 .05 .03", 0.025),
        part("head", "eye", ".772 .962 .054 .016", 0.004),
        part("head", "ear", ".645 1.02 .07 .044 > .635 1.045 .082 .044", 0.012, flat=0.4, normal=(1.0, 0.0, -0.3)),
        limb("fore~", "body", "coat", ".32 .70 .1 .13 > .28 .48 .11 .078 > .32 .25 .105 .048 > .325 .07 .1 .04", 0.05),
        part("fore~3", "dark", ".325 .055 .1 .04 > .375 .04 .1 .042", 0.02),
        limb(
            "hind~", "body", "coat", "-.42 .55 .09 .13 > -.32 .37 .11 .085 > -.48 .22 .1 .038 > -.44 .06 .1 .036", 0.06
        ),
        part("hind~3", "dark", "-.44 .05 .1 .036 > -.39 .036 .1 .04", 0.02),
        part("tail1", "coat", "-.50 .58 0 .04 > -.60 .42 0 .026", 0.04),
        part("tail2", "dark", "-.60 .43 0 .03 > -.64 .30 0 .04 > -.66 .22 0 .015", 0.02, rough=0.015, grain=35.0),
    ),
    coat=Coat(
        SPOTS,
        (0.085, 0.08, 0.08),
        base="a5906a",
        mark="332619",
        core="94805a",
        strength=0.34,
        fade=0.2,
        paints=(
            (0.6, 0.8, 0.0, 0.2, 0.35, 0.3, 0.7, "9c8663", 0.75),
            (0.33, 0.12, 0.1, 0.12, 0.16, 0.1, 0.7, "5c4632", 0.7),
            (-0.45, 0.12, 0.1, 0.12, 0.16, 0.1, 0.7, "5c4632", 0.7),
        ),
    ),
    materials={
        "coat": ("ffffff", 0.55, 0.02),
        "mane": ("8a7350", 0.8, 0.02),
        "dark": ("33281f", 0.4, 0.04),
        "nose": ("0f0c0b", 0.0, 0.45),
        "eye": ("120c07", 0.0, 0.3),
        "ear": ("6b5640", 0.4, 0.02),
    },
    postures={
        "standing": Posture(turn(neck1=-4.0), look=50.0),
        "walking": Posture(turn(neck1=-18.0, head=8.0), swing=22.0, lift=34.0, look=15.0),
        "sniffing": Posture(turn(neck1=-58.0, neck2=-18.0, head=14.0), swing=10.0, look=15.0),
        "running": Posture(
            turn(neck1=-16.0, head=8.0), swing=34.0, lift=55.0, gait=CAT["running"].gait, level=False, look=5.0
        ),
        "lying": CAT["lying"],
        "sitting": CAT["sitting"],
    },
    juvenile={"": (0.5, 0.5, 0.5), "head": (1.3, 1.3, 1.3)},
    tuft=0.014,
)
