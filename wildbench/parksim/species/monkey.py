"""Vervet monkey: grizzled fur, black face with a white brow, long tail."""

from __future__ import annotations

from wildbench.parksim.anatomy import GALLOP, PLAIN, Coat, Posture, figure, limb, part, turn
from wildbench.parksim.species.kind import Kind

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
        limb(
            "hind~3",
            "hind~2",
            "hand",
            "-.175 .075 .07 .022 > -.165 .018 .07 .018 > -.09 .014 .072 .014",
            0.01,
            joints=1,
        ),
        part("tail1", "coat", "-.22 .38 0 .032 > -.40 .44 0 .022", 0.03),
        part("tail2", "coat", "-.40 .44 0 .022 > -.58 .34 0 .02", 0.015),
        part("tail3", "coat", "-.58 .34 0 .02 > -.70 .20 0 .019 > -.76 .12 0 .018", 0.015),
        part("tail3", "face", "-.75 .13 0 .019 > -.78 .08 0 .016", 0.01),
    ),
    coat=Coat(
        PLAIN,
        (0.05, 0.04, 0.04),
        base="8b8468",
        mark="8b8468",
        core="6f6a52",
        strength=0.0,
        fade=0.0,
        paints=(
            (0.0, 0.26, 0.0, 0.22, 0.045, 0.08, 0.6, "e0dccd", 0.95),
            (0.2, 0.33, 0.0, 0.06, 0.08, 0.08, 0.6, "e0dccd", 0.9),
        ),
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
            turn(
                body=58.0,
                fore_1=-36.0,
                fore_2=22.0,
                fore_3=-40.0,
                hind_1=52.0,
                hind_2=-112.0,
                hind_3=2.0,
                tail1=-20.0,
                tail2=-68.0,
                tail3=-16.0,
                neck1=-22.0,
                head=-30.0,
            ),
            level=False,
            look=60.0,
            sway=40.0,
        ),
        "standing": Posture(look=50.0, sway=20.0, turns=turn(tail1=-6.0)),
        "walking": Posture(turn(tail1=-26.0, tail2=8.0), swing=26.0, lift=40.0, look=20.0, sway=15.0),
        "foraging": Posture(
            turn(
                body=46.0,
                foreR1=10.0,
                foreR2=80.0,
                foreL1=-40.0,
                foreL2=20.0,
                hind_1=66.0,
                hind_2=-112.0,
                tail1=-8.0,
                tail2=-68.0,
                tail3=-16.0,
                neck1=-30.0,
                head=-36.0,
            ),
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
