"""Lion, leopard and spotted hyena."""

from __future__ import annotations

from collections.abc import Mapping

from wildbench.parksim._coat import PLAIN, ROSETTES, SPOTS, Coat
from wildbench.parksim._skeleton import GALLOP, Kind, Posture, bones, figure, limb, part, turn

# Tables of numbers.
# fmt: off

CAT: Mapping[str, Posture] = {
    "standing": Posture(look=50.0),
    "walking": Posture(turn(neck1=-14.0, head=10.0), swing=24.0, lift=34.0, look=15.0),
    "lying": Posture(turn(fore_1=-29.0, fore_2=106.0, fore_3=10.0, hind_1=27.0, hind_2=-46.0, hind_3=94.0,
        tail1=(-26.0, 14.0, 0.0), tail2=(-40.0, 14.0, 0.0), neck1=6.0), look=50.0),
    "sitting": Posture(turn(body=32.0, fore_1=-42.0, fore_2=10.0, hind_1=30.0, hind_2=-69.0, hind_3=82.0, tail1=-52.0,
        tail2=-46.0, neck1=-14.0, head=-16.0), look=40.0, sway=30.0),
    "running": Posture(turn(neck1=-14.0, head=8.0), swing=40.0, lift=55.0, gait=GALLOP, level=False, look=5.0),
    "stalking": Posture(turn(tail1=-20.0, neck1=-26.0, head=20.0, fore_1=-22.0, fore_2=44.0, fore_3=-22.0, hind_1=26.0,
        hind_2=-46.0, hind_3=24.0), swing=9.0, look=15.0),
}

# Lion: tawny, tufted tail, a mane on grown males.
LION = Kind(
    figure=figure(
        bones("body 0 .65 0 > neck1 .52 .90 0 > neck2 .66 .98 0 > head .80 1.06 0 > jaw .90 .99 0"),
        bones("body > tail1 -.86 .90 0 > tail2 -1.08 .60 0 > tail3 -1.16 .34 0"),
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
        part("neck1", "mane_dark", ".50 .72 0 .16 > .60 .90 0 .25", 0.08, flat=0.9, rough=0.026, grain=30.0,
            only="male adult"),
        part("neck2", "mane_dark", ".60 1.0 0 .26 > .74 1.06 0 .26", 0.08, flat=0.9, rough=0.026, grain=30.0,
            only="male adult"),
        part("head", "mane", ".80 1.06 0 .215 > .80 1.12 0 .215", 0.05, flat=0.5, normal=(0.96, -0.2, 0.0), rough=0.02,
            grain=36.0, only="male adult"),
        part("head", "mane", ".84 .89 0 .11", 0.06, rough=0.02, grain=36.0, only="male adult"),
        limb("fore~", "body", "coat", ".46 .80 .12 .15 > .41 .55 .13 .095 > .46 .27 .125 .066 > .47 .09 .12 .058",
            0.06),
        part("fore~3", "coat", ".47 .07 .12 .06 > .545 .05 .12 .058", 0.03),
        limb("hind~", "body", "coat", "-.68 .80 .11 .18 > -.50 .54 .13 .115 > -.78 .31 .12 .052 > -.72 .08 .12 .05",
            0.07),
        part("hind~3", "coat", "-.72 .06 .12 .052 > -.64 .045 .12 .054", 0.03),
        part("tail1", "coat", "-.84 .90 0 .055 > -1.08 .60 0 .034", 0.05),
        part("tail2", "coat", "-1.08 .60 0 .034 > -1.16 .34 0 .028", 0.02),
        part("tail3", "tuft", "-1.16 .36 0 .028 > -1.21 .24 0 .055 > -1.26 .15 0 .02", 0.02, rough=0.02),
    ),
    coat=Coat(PLAIN, (0.12, 0.08, 0.08), base="b98d56", mark="b98d56", core="a57a48", strength=0.0, fade=0.0,
        paints=((0.0, 0.53, 0.0, 0.7, 0.1, 0.2, 0.6, "dcc39a", 0.9),
            (0.5, 0.2, 0.1, 0.14, 0.3, 0.1, 0.8, "c9a572", 0.6),
            (0.96, 1.03, 0.0, 0.10, 0.05, 0.12, 0.6, "d6b98c", 0.7),
            (1.0, 1.075, 0.075, 0.05, 0.028, 0.03, 0.5, "ead9b8", 0.8),
            (0.995, 1.122, 0.072, 0.034, 0.015, 0.026, 0.6, "4a3222", 0.6),
            (1.06, 1.07, 0.0, 0.1, 0.03, 0.03, 0.6, "96683c", 0.5))),
    materials={"coat": ("ffffff", 0.4, 0.03), "muzzle": ("e3d3b4", 0.3, 0.03), "nose": ("3a2420", 0.0, 0.12),
        "eye": ("130c05", 0.0, 0.3), "dark": ("4a3524", 0.4, 0.02), "mane": ("9a6430", 0.9, 0.04),
        "mane_dark": ("5f3a1c", 0.9, 0.04), "tuft": ("241812", 0.8, 0.03)},
    postures=CAT, juvenile={"": (0.42, 0.42, 0.42), "head": (1.42, 1.42, 1.42), "tail1": (0.8, 0.8, 0.9)},
    female={"": (0.87, 0.87, 0.84)}, tuft=0.012,
)

# Leopard: long and low, rosettes, a long thick tail.
LEOPARD = Kind(
    figure=figure(
        bones("body 0 .42 0 > neck1 .42 .56 0 > neck2 .52 .62 0 > head .62 .67 0 > jaw .68 .63 0"),
        bones("body > tail1 -.62 .58 0 > tail2 -.84 .36 0 > tail3 -1.06 .26 0"),
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
        limb("fore~", "body", "coat", ".36 .51 .08 .105 > .32 .36 .09 .068 > .36 .18 .085 .047 > .365 .06 .08 .042",
            0.045),
        part("fore~3", "coat", ".365 .05 .08 .043 > .42 .036 .08 .042", 0.02),
        limb("hind~", "body", "coat", "-.50 .51 .075 .12 > -.37 .34 .09 .08 > -.56 .2 .085 .038 > -.52 .055 .08 .037",
            0.05),
        part("hind~3", "coat", "-.52 .045 .08 .038 > -.46 .033 .08 .039", 0.02),
        part("tail1", "coat", "-.60 .57 0 .05 > -.84 .36 0 .037", 0.04),
        part("tail2", "coat", "-.84 .36 0 .037 > -1.06 .26 0 .034", 0.02),
        part("tail3", "coat", "-1.06 .26 0 .034 > -1.26 .30 0 .033 > -1.36 .38 0 .028", 0.02),
    ),
    coat=Coat(ROSETTES, (0.062, 0.056, 0.056), base="cfa25c", mark="1c140e", core="a8733a", strength=0.36, fade=0.34,
        paints=((0.0, 0.34, 0.0, 0.5, 0.07, 0.12, 0.6, "ece0c4", 0.7),
            (0.72, 0.60, 0.0, 0.08, 0.05, 0.1, 0.6, "efe3ca", 0.7),
            (0.76, 0.685, 0.052, 0.03, 0.018, 0.02, 0.4, "ece0c4", 0.7),
            (0.75, 0.712, 0.05, 0.026, 0.012, 0.02, 0.5, "2a1c12", 0.8))),
    materials={"coat": ("ffffff", 0.35, 0.05), "muzzle": ("efe4cf", 0.25, 0.03), "nose": ("6a3e38", 0.0, 0.35),
        "eye": ("5a4410", 0.0, 0.3), "ear": ("2b2018", 0.4, 0.03)},
    postures={
        **CAT,
        "lying": Posture({**CAT["lying"].turns, **turn(tail1=-10.0, tail2=(-20.0, 16.0, 0.0), tail3=10.0)}, look=50.0),
        "sitting": Posture({**CAT["sitting"].turns, **turn(tail1=-40.0, tail2=-20.0, tail3=16.0)}, look=40.0,
            sway=30.0),
    },
    juvenile={"": (0.5, 0.5, 0.5), "head": (1.35, 1.35, 1.35)}, female={"": (0.9, 0.9, 0.88)}, tuft=0.009,
)

# Spotted hyena: sloping back, heavy neck, round ears, dark muzzle.
HYENA = Kind(
    figure=figure(
        bones("body 0 .5 0 > neck1 .36 .74 0 > neck2 .50 .84 0 > head .64 .93 0 > jaw .72 .87 0"),
        bones("body > tail1 -.52 .58 0 > tail2 -.60 .42 0"),
        part("body", "coat", "-.42 .53 0 .145 > -.05 .58 0 .17 > .28 .66 0 .195 > .38 .72 0 .17", 0.12, flat=0.8),
        part("body", "mane", ".36 .88 0 .04 > .05 .76 0 .035 > -.25 .67 0 .03", 0.08, flat=0.6, rough=0.018,
            grain=35.0),
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
        limb("hind~", "body", "coat", "-.42 .55 .09 .13 > -.32 .37 .11 .085 > -.48 .22 .1 .038 > -.44 .06 .1 .036",
            0.06),
        part("hind~3", "dark", "-.44 .05 .1 .036 > -.39 .036 .1 .04", 0.02),
        part("tail1", "coat", "-.50 .58 0 .04 > -.60 .42 0 .026", 0.04),
        part("tail2", "dark", "-.60 .43 0 .03 > -.64 .30 0 .04 > -.66 .22 0 .015", 0.02, rough=0.015, grain=35.0),
    ),
    coat=Coat(SPOTS, (0.085, 0.08, 0.08), base="a5906a", mark="332619", core="94805a", strength=0.34, fade=0.2,
        paints=((0.6, 0.8, 0.0, 0.2, 0.35, 0.3, 0.7, "9c8663", 0.75),
            (0.33, 0.12, 0.1, 0.12, 0.16, 0.1, 0.7, "5c4632", 0.7),
            (-0.45, 0.12, 0.1, 0.12, 0.16, 0.1, 0.7, "5c4632", 0.7))),
    materials={"coat": ("ffffff", 0.55, 0.02), "mane": ("8a7350", 0.8, 0.02), "dark": ("33281f", 0.4, 0.04),
        "nose": ("0f0c0b", 0.0, 0.45), "eye": ("120c07", 0.0, 0.3), "ear": ("6b5640", 0.4, 0.02)},
    postures={
        "standing": Posture(turn(neck1=-4.0), look=50.0),
        "walking": Posture(turn(neck1=-18.0, head=8.0), swing=22.0, lift=34.0, look=15.0),
        "sniffing": Posture(turn(neck1=-58.0, neck2=-18.0, head=14.0), swing=10.0, look=15.0),
        "running": Posture(turn(neck1=-16.0, head=8.0), swing=34.0, lift=55.0, gait=CAT["running"].gait, level=False,
            look=5.0),
        "lying": CAT["lying"],
        "sitting": CAT["sitting"],
    },
    juvenile={"": (0.5, 0.5, 0.5), "head": (1.3, 1.3, 1.3)}, tuft=0.014,
)
