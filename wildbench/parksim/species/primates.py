"""Gorilla and vervet monkey."""

from __future__ import annotations

from wildbench.parksim._coat import PLAIN, Coat
from wildbench.parksim._skeleton import GALLOP, Kind, Posture, figure, limb, part, turn

# Tables of numbers.
# fmt: off

# Gorilla: black, on its knuckles, high crest and silver saddle on grown males.
GORILLA = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.7, 0.0)),
            "neck1": ("body", (0.42, 1.05, 0.0)),
            "head": ("neck1", (0.56, 1.16, 0.0)),
            "jaw": ("head", (0.62, 1.07, 0.0)),
        },
        part("body", "coat", "-.36 .66 0 .23", 0.2, rough=0.007, grain=50.0),
        part("body", "silver", "-.24 .72 0 .27 > -.02 .79 0 .31", 0.2, rough=0.007, grain=50.0, only="male adult"),
        part("body", "coat", "-.24 .72 0 .27 > -.02 .79 0 .31", 0.2, rough=0.007, grain=50.0, only="female"),
        part("body", "coat", "-.24 .72 0 .27 > -.02 .79 0 .31", 0.2, rough=0.007, grain=50.0, only="juvenile male"),
        part("body", "coat", ".06 .84 0 .32 > .30 .96 0 .28", 0.2, rough=0.007, grain=50.0),
        part("body", "coat", ".34 1.02 .16 .19", 0.15, rough=0.007, grain=50.0),
        part("neck1", "coat", ".40 1.06 0 .2 > .54 1.14 0 .16", 0.12, rough=0.007, grain=50.0),
        part("head", "coat", ".58 1.20 0 .15 > .53 1.30 0 .09", 0.06, flat=0.86, rough=0.008, grain=35.0),
        part("head", "coat", ".52 1.33 0 .08", 0.08, rough=0.008, grain=35.0, only="male adult"),
        part("head", "coat", ".56 1.10 .09 .09", 0.06, rough=0.008, grain=35.0),
        part("head", "face", ".665 1.20 0 .08 > .695 1.12 0 .085", 0.03, flat=0.9),
        part("head", "face", ".70 1.235 .0 .03 > .685 1.23 .07 .028", 0.025),
        part("head", "face", ".74 1.075 0 .065 > .73 1.04 0 .06", 0.03),
        part("jaw", "face", ".71 1.00 0 .055", 0.03),
        part("head", "nose", ".775 1.125 0 .03 > .765 1.12 .03 .03", 0.012),
        part("head", "nostril", ".786 1.118 .018 .013", 0.005),
        part("head", "eye", ".73 1.19 .042 .0155", 0.005),
        part("head", "face", ".57 1.19 .135 .03", 0.01, flat=0.5),
        limb("fore~", "body", "coat", ".36 .98 .26 .165 > .40 .56 .34 .115 > .48 .17 .30 .075", 0.08, joints=2,
            rough=0.007, grain=50.0),
        part("fore~2", "coat", ".41 .50 .34 .11 > .46 .3 .31 .095", 0.05, rough=0.007, grain=50.0),
        part("fore~2", "skin", ".48 .15 .30 .07 > .46 .06 .29 .06 > .52 .055 .29 .055", 0.03),
        limb("hind~", "body", "coat", "-.36 .64 .14 .19 > -.20 .37 .24 .135 > -.38 .13 .22 .08", 0.08, joints=2,
            rough=0.007, grain=50.0),
        limb("hind~3", "hind~2", "skin", "-.39 .08 .22 .07 > -.28 .05 .23 .055 > -.17 .045 .24 .045", 0.03, joints=1),
    ),
    coat=Coat(PLAIN, (0.1, 0.1, 0.1), base="231f1e", mark="231f1e", core="352f2c", strength=0.0, fade=0.0,
        paints=((0.54, 1.34, 0.0, 0.09, 0.10, 0.1, 0.8, "4a3226", 0.7),)),
    materials={
        "coat": ("ffffff", 0.55, 0.05),
        "silver": ("8f8c88", 0.55, 0.04),
        "face": ("2a2524", 0.12, 0.14),
        "nose": ("181514", 0.05, 0.2),
        "nostril": ("040303", 0.0, 0.1),
        "eye": ("2a1708", 0.0, 0.3),
        "skin": ("262120", 0.15, 0.2),
    },
    postures={
        "standing": Posture(look=50.0),
        "walking": Posture(turn(neck1=4.0), swing=19.0, lift=30.0, look=20.0),
        "sitting": Posture(
            turn(body=44.0, fore_1=-32.0, fore_2=-4.0, hind_1=52.0, hind_2=-84.0, hind_3=10.0, neck1=-24.0, head=-14.0),
            level=False,
            look=50.0,
        ),
        "feeding": Posture(
            turn(body=46.0, foreR1=(20.0, 0.0, 0.0), foreR2=(104.0, -30.0, 0.0), foreL1=-32.0, foreL2=-4.0, hind_1=52.0,
                hind_2=-84.0, hind_3=10.0, neck1=-26.0, head=-22.0),
            level=False,
            look=15.0,
        ),
        "upright": Posture(
            turn(body=50.0, fore_1=-46.0, fore_2=18.0, hind_1=-38.0, hind_2=-6.0, hind_3=-6.0, neck1=-24.0, head=-22.0),
            level=False,
            look=30.0,
        ),
        "lying": Posture(
            turn(fore_1=58.0, fore_2=24.0, hind_1=60.0, hind_2=-70.0, hind_3=10.0, neck1=2.0, head=-8.0), look=40.0
        ),
    },
    juvenile={"": (0.5, 0.5, 0.5), "head": (1.3, 1.3, 1.3)},
    female={"": (0.82, 0.82, 0.82)},
    tuft=0.013,
    eye_shine=0.1,
)


# Vervet monkey: grizzled fur, black face with a white brow, long tail.
MONKEY = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.32, 0.0)),
            "neck1": ("body", (0.19, 0.40, 0.0)),
            "head": ("neck1", (0.25, 0.46, 0.0)),
            "tail1": ("body", (-0.22, 0.38, 0.0)),
            "tail2": ("tail1", (-0.40, 0.44, 0.0)),
            "tail3": ("tail2", (-0.58, 0.34, 0.0)),
        },
        part(
            "body", "coat", "-.17 .35 0 .085 > 0 .34 0 .085 > .14 .365 0 .09", 0.08, flat=0.85, rough=0.004, grain=110.0
        ),
        part("neck1", "coat", ".16 .38 0 .075 > .25 .46 0 .06", 0.05),
        part("head", "coat", ".255 .49 0 .072", 0.03, rough=0.004, grain=110.0),
        part("head", "white", ".305 .515 0 .03 > .295 .51 .035 .026", 0.015, rough=0.004, grain=110.0),
        part("head", "white", ".275 .455 .05 .034", 0.02, rough=0.004, grain=110.0),
        part("head", "face", ".305 .48 0 .045 > .345 .455 0 .03", 0.015),
        part("head", "face", ".335 .44 0 .028", 0.02),
        part("head", "nostril", ".369 .464 .008 .005", 0.003),
        part("head", "eye", ".337 .497 .0185 .0092", 0.002),
        part("head", "face", ".25 .50 .072 .018", 0.008, flat=0.6),
        limb("fore~", "body", "coat", ".14 .36 .055 .058 > .11 .225 .075 .032 > .15 .08 .065 .021", 0.03, joints=2),
        limb("fore~3", "fore~2", "hand", ".15 .075 .065 .021 > .16 .02 .065 .018 > .21 .013 .067 .013", 0.01, joints=1),
        limb("hind~", "body", "coat", "-.16 .34 .05 .072 > -.08 .21 .085 .045 > -.17 .08 .07 .024", 0.035, joints=2),
        limb("hind~3", "hind~2", "hand", "-.175 .075 .07 .022 > -.165 .018 .07 .018 > -.09 .014 .072 .014", 0.01,
            joints=1),
        part("tail1", "coat", "-.22 .38 0 .032 > -.40 .44 0 .022", 0.03),
        part("tail2", "coat", "-.40 .44 0 .022 > -.58 .34 0 .02", 0.015),
        part("tail3", "coat", "-.58 .34 0 .02 > -.70 .20 0 .019 > -.76 .12 0 .018", 0.015),
        part("tail3", "face", "-.75 .13 0 .019 > -.78 .08 0 .016", 0.01),
    ),
    coat=Coat(
        PLAIN, (0.05, 0.04, 0.04), base="8b8468", mark="8b8468", core="6f6a52", strength=0.0, fade=0.0,
        paints=((0.0, 0.26, 0.0, 0.22, 0.045, 0.08, 0.6, "e0dccd", 0.95),
            (0.2, 0.33, 0.0, 0.06, 0.08, 0.08, 0.6, "e0dccd", 0.9)),
    ),
    materials={
        "coat": ("ffffff", 0.6, 0.02),
        "white": ("e8e4d8", 0.5, 0.02),
        "face": ("1d1a19", 0.1, 0.2),
        "nostril": ("050404", 0.0, 0.1),
        "eye": ("5a3410", 0.0, 0.3),
        "hand": ("262220", 0.2, 0.1),
    },
    postures={
        "sitting": Posture(
            turn(body=58.0, fore_1=-36.0, fore_2=22.0, fore_3=-40.0, hind_1=52.0, hind_2=-112.0, hind_3=2.0,
                tail1=-20.0, tail2=-68.0, tail3=-16.0, neck1=-22.0, head=-30.0),
            level=False,
            look=60.0,
            sway=40.0,
        ),
        "standing": Posture(look=50.0, sway=20.0, turns=turn(tail1=-6.0)),
        "walking": Posture(turn(tail1=-26.0, tail2=8.0), swing=26.0, lift=40.0, look=20.0, sway=15.0),
        "foraging": Posture(
            turn(body=46.0, foreR1=10.0, foreR2=80.0, foreL1=-40.0, foreL2=20.0, hind_1=66.0, hind_2=-112.0, tail1=-8.0,
                tail2=-68.0, tail3=-16.0, neck1=-30.0, head=-36.0),
            level=False,
            look=25.0,
            sway=40.0,
        ),
        "running": Posture(turn(tail1=-16.0, tail2=-6.0), swing=42.0, lift=55.0, gait=GALLOP, level=False, look=10.0),
        "upright": Posture(
            turn(
                body=66.0, fore_1=-50.0, fore_2=30.0, hind_1=-46.0, hind_2=-14.0, tail1=-70.0, neck1=-26.0, head=-34.0
            ),
            level=False,
            look=50.0,
            sway=30.0,
        ),
    },
    juvenile={"": (0.55, 0.55, 0.55), "head": (1.35, 1.35, 1.35)},
    female={"": (0.86, 0.86, 0.86)},
    tuft=0.008,
    eye_shine=0.1,
)
