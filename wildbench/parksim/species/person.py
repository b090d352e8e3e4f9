"""Person: a ranger, upright, hat and coloured clothes."""

from __future__ import annotations

from wildbench.parksim._coat import PLAIN, Coat
from wildbench.parksim._skeleton import Kind, Posture, figure, limb, part, turn

# Tables of numbers.
# fmt: off

STEPS = {"leg~L": 0.0, "leg~R": 0.5, "arm~L": 0.5, "arm~R": 0.0}
FRONT = (1.0, 0.0, 0.0)

PERSON = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.95, 0.0)),
            "spine": ("body", (0.0, 1.0, 0.0)),
            "neck1": ("spine", (0.0, 1.46, 0.0)),
            "head": ("neck1", (0.01, 1.54, 0.0)),
        },
        part("body", "trousers", "0 .93 0 .145", 0.05, flat=0.72, normal=FRONT),
        part("body", "trousers", "0 .93 .07 .105", 0.05, flat=0.85, normal=FRONT),
        part("body", "belt", "0 1.01 0 .142", 0.02, flat=0.74, normal=FRONT),
        part("spine", "coat", "0 1.08 0 .14 > 0 1.24 0 .148 > 0 1.37 0 .14", 0.06, flat=0.7, normal=FRONT),
        part("spine", "coat", "0 1.41 .03 .09 > -.005 1.40 .16 .075", 0.05),
        part("spine", "pack", "-.15 1.14 0 .11 > -.15 1.34 0 .115", 0.02, flat=0.75, normal=FRONT, only="male"),
        part("spine", "pack", ".075 1.42 .095 .034 > .09 1.2 .105 .03", 0.015, only="male"),
        part("neck1", "skin", "0 1.42 0 .058 > .01 1.54 0 .053", 0.03),
        part("head", "skin", ".015 1.63 0 .098 > .03 1.57 0 .078", 0.03, flat=0.84),
        part("head", "skin", ".065 1.535 0 .045", 0.03),
        part("head", "skin", ".112 1.605 0 .012 > .125 1.578 0 .019", 0.02),
        part("head", "skin", ".005 1.60 .085 .026", 0.01, flat=0.5),
        part("head", "eye", ".094 1.618 .033 .0125", 0.004),
        part("head", "lips", ".103 1.543 .008 .012", 0.006),
        part("head", "hair", "-.02 1.65 0 .1", 0.02, flat=0.85),
        part("head", "hair", "-.06 1.60 0 .075 > -.10 1.48 0 .05 > -.10 1.38 0 .02", 0.04, only="female", rough=0.006,
            grain=60.0),
        part("head", "hat", ".01 1.685 0 .178", 0.012, flat=0.09, normal=(-0.06, 1.0, 0.0)),
        part("head", "hat", ".0 1.70 0 .102 > .0 1.765 0 .088", 0.015),
        part("head", "belt", ".0 1.705 0 .105", 0.006, flat=0.2, normal=(-0.06, 1.0, 0.0)),
        limb("arm~", "spine", "coat", "0 1.40 .185 .068 > -.02 1.13 .235 .052", 0.03, joints=1),
        limb("arm~2", "arm~1", "coat", "-.02 1.13 .235 .052 > .01 1.02 .24 .046", 0.02, joints=1),
        part("arm~2", "skin", ".005 1.04 .24 .04 > .03 .90 .245 .032", 0.012),
        part("arm~2", "skin", ".035 .88 .245 .036 > .055 .80 .24 .036", 0.02, flat=0.7),
        limb("leg~", "body", "trousers", "0 .92 .085 .10 > .02 .51 .095 .068 > -.02 .20 .10 .058", 0.04, joints=2),
        part("leg~2", "boot", "-.02 .22 .10 .06 > -.025 .07 .10 .056", 0.01),
        limb("leg~3", "leg~2", "boot", "-.03 .055 .10 .055 > .07 .045 .105 .05 > .14 .035 .11 .036", 0.02, joints=1),
    ),
    coat=Coat(PLAIN, (0.08, 0.3, 0.08), base="5d6b3a", mark="5d6b3a", core="4d592f", strength=0.0, fade=0.0),
    materials={
        "coat": ("ffffff", 0.10, 0.0),
        "trousers": ("6b6244", 0.10, 0.0),
        "belt": ("33241a", 0.0, 0.15),
        "pack": ("4a4030", 0.12, 0.0),
        "skin": ("7a4e33", 0.04, 0.12),
        "eye": ("0c0908", 0.0, 0.3),
        "lips": ("5a2f28", 0.0, 0.1),
        "hair": ("15100d", 0.5, 0.1),
        "hat": ("8a7448", 0.10, 0.0),
        "boot": ("2f2118", 0.05, 0.15),
    },
    postures={
        "standing": Posture(turn(arm_1=(4.0, 0.0, 5.0), arm_2=10.0), look=50.0, swing=5.0, gait=STEPS, level=False),
        "walking": Posture(turn(arm_2=18.0), swing=26.0, lift=48.0, gait=STEPS, level=False, look=25.0),
        "crouching": Posture(
            turn(body=-8.0, spine=-22.0, leg_1=98.0, leg_2=-128.0, leg_3=34.0, arm_1=40.0, arm_2=50.0, neck1=12.0,
                head=10.0),
            level=False,
        ),
        "pointing": Posture(
            turn(armR1=(84.0, 0.0, -10.0), armR2=4.0, armL1=(0.0, 0.0, 6.0), armL2=10.0), level=False, look=10.0
        ),
        "photographing": Posture(turn(arm_1=(52.0, 0.0, 0.0), arm_2=(92.0, -38.0, 0.0)), level=False, look=6.0),
        "running": Posture(turn(spine=-14.0, arm_2=85.0), swing=42.0, lift=85.0, gait=STEPS, level=False, look=8.0),
    },
    juvenile={"": (0.68, 0.66, 0.68), "head": (1.18, 1.18, 1.18)},
    female={"": (0.93, 0.94, 0.91)},
    variants={
        "coat": ("5d6b3a", "b59c68", "3f5f86", "8f3a2c", "cfc8b6", "4e6f55", "c07a2a", "39393d"),
        "trousers": ("6b6244", "3a4630", "8a7a56", "34405a", "403a36"),
        "skin": ("5a3825", "7a4e33", "a8744f", "d3a280", "402a1e", "6a4229"),
        "hat": ("8a7448", "5b5a3a", "c9b98c", "4a3a28", "6a6f52"),
        "pack": ("4a4030", "3d4a3a", "6a3a2a", "2f3a4a"),
    },
    tuft=0.012,
    eye_shine=0.0,
)
