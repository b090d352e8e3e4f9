"""Gorilla: black, on its knuckles, high crest and silver saddle on grown males."""

from __future__ import annotations

from wildbench.parksim.anatomy import PLAIN, Coat, Posture, figure, limb, part, turn
from wildbench.parksim.species.kind import Kind

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
        limb(
            "fore~",
            "body",
            "coat",
            ".36 .98 .26 .165 > .40 .56 .34 .115 > .48 .17 .30 .075",
            0.08,
            joints=2,
            rough=0.007,
            grain=50.0,
        ),
        part("fore~2", "coat", ".41 .50 .34 .11 > .46 .3 .31 .095", 0.05, rough=0.007, grain=50.0),
        part("fore~2", "skin", ".48 .15 .30 .07 > .46 .06 .29 .06 > .52 .055 .29 .055", 0.03),
        limb(
            "hind~",
            "body",
            "coat",
            "-.36 .64 .14 .19 > -.20 .37 .24 .135 > -.38 .13 .22 .08",
            0.08,
            joints=2,
            rough=0.007,
            grain=50.0,
        ),
        limb("hind~3", "hind~2", "skin", "-.39 .08 .22 .07 > -.28 .05 .23 .055 > -.17 .045 .24 .045", 0.03, joints=1),
    ),
    coat=Coat(
        PLAIN,
        (0.1, 0.1, 0.1),
        base="231f1e",
        mark="231f1e",
        core="352f2c",
        strength=0.0,
        fade=0.0,
        paints=((0.54, 1.34, 0.0, 0.09, 0.10, 0.1, 0.8, "4a3226", 0.7),),
    ),
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
            turn(
                body=46.0,
                foreR1=(20.0, 0.0, 0.0),
                foreR2=(104.0, -30.0, 0.0),
                foreL1=-32.0,
                foreL2=-4.0,
                hind_1=52.0,
                hind_2=-84.0,
                hind_3=10.0,
                neck1=-26.0,
                head=-22.0,
            ),
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
