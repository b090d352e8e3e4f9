"""Crocodile: flat and long, scutes along the back, ridged tail, teeth on the lips."""

from __future__ import annotations

from wildbench.parksim._coat import SCALES, Coat
from wildbench.parksim._skeleton import Kind, Part, Posture, bones, figure, limb, part, turn

# Tables of numbers.
# fmt: off

UP = (0.0, 1.0, 0.0)


def _ridge(
    bone: str, start: float, end: float, count: int, heights: tuple[float, float], side: float, tall: float
) -> list[Part]:
    """Set a row of pointed scutes along the back."""
    scutes = []
    for n in range(count):
        t = n / (count - 1)
        x, y = start + t * (end - start), heights[0] + t * (heights[1] - heights[0])
        chain = f"{x:.3f} {y:.3f} {side} {0.5 * tall:.3f} > {x - 0.5 * tall:.3f} {y + tall:.3f} {side} .006"
        scutes.append(part(bone, "scute", chain, 0.03, flat=0.45))
    return scutes


def _teeth(bone: str, y: float, down: float) -> list[Part]:
    return [
        part(bone, "tooth",
            f"{x:.3f} {y} {0.098 - 0.055 * n / 6:.3f} .012 > {x:.3f} {y + down:.3f} {0.1 - 0.055 * n / 6:.3f} .003",
            0.004)
        for n, x in enumerate(1.12 + 0.075 * n for n in range(7))
    ]

CROCODILE = Kind(
    figure=figure(
        bones("body 0 .2 0 > neck1 .62 .25 0 > head .82 .26 0 > jaw .90 .19 0"),
        bones("body > tail1 -.70 .23 0 > tail2 -1.15 .20 0 > tail3 -1.60 .15 0"),
        part("body", "coat", "-.70 .22 0 .21 > -.1 .24 0 .30 > .35 .24 0 .27 > .62 .25 0 .2", 0.12, flat=0.68,
            normal=UP),
        part("neck1", "coat", ".60 .25 0 .2 > .84 .26 0 .16", 0.08, flat=0.75, normal=UP),
        part("head", "coat", ".84 .275 0 .15 > 1.02 .275 0 .125", 0.05, flat=0.62, normal=UP),
        part("head", "coat", "1.02 .265 0 .115 > 1.32 .24 0 .075 > 1.60 .23 0 .062", 0.04, flat=0.55, normal=UP),
        part("head", "coat", "1.60 .25 0 .05", 0.03),
        part("head", "nostril", "1.615 .28 .02 .014", 0.006),
        part("head", "coat", "1.0 .335 .075 .042", 0.03),
        part("head", "eye", "1.015 .345 .098 .022", 0.005),
        part("jaw", "lip", ".88 .19 0 .11 > 1.2 .18 0 .075 > 1.58 .175 0 .05", 0.03, flat=0.5, normal=UP),
        *_teeth("head", 0.205, -0.04),
        part("tail1", "coat", "-.68 .23 0 .2 > -1.15 .2 0 .14", 0.1, flat=0.85),
        part("tail2", "coat", "-1.15 .2 0 .14 > -1.60 .15 0 .1", 0.06, flat=0.7),
        part("tail3", "coat", "-1.60 .15 0 .1 > -2.05 .1 0 .055 > -2.35 .07 0 .02", 0.05, flat=0.55),
        *_ridge("body", 0.55, -0.66, 9, (0.405, 0.37), 0.06, 0.055),
        *_ridge("body", 0.4, -0.6, 8, (0.375, 0.34), 0.16, 0.045),
        *_ridge("tail1", -0.74, -1.12, 4, (0.39, 0.32), 0.05, 0.05),
        *_ridge("tail2", -1.2, -1.58, 5, (0.32, 0.245), 0.0, 0.06),
        *_ridge("tail3", -1.64, -2.2, 6, (0.24, 0.115), 0.0, 0.055),
        limb("fore~", "body", "coat", ".46 .23 .2 .10 > .38 .19 .42 .068 > .52 .08 .46 .05", 0.05, joints=2),
        part("fore~2", "coat", ".52 .06 .46 .045 > .62 .03 .47 .045", 0.03),
        part("fore~2", "claw", ".62 .03 .45 .022 > .69 .018 .44 .01", 0.015),
        part("fore~2", "claw", ".62 .03 .48 .022 > .68 .018 .52 .01", 0.015),
        limb("hind~", "body", "coat", "-.56 .23 .18 .13 > -.44 .21 .46 .085 > -.66 .09 .48 .058", 0.06, joints=2),
        part("hind~2", "coat", "-.66 .07 .48 .05 > -.50 .032 .52 .05", 0.03),
        part("hind~2", "claw", "-.50 .032 .50 .024 > -.42 .018 .50 .01", 0.015),
        part("hind~2", "claw", "-.50 .032 .54 .024 > -.43 .018 .58 .01", 0.015),
    ),
    coat=Coat(SCALES, (0.06, 0.045, 0.05), base="6e6b4c", mark="4c4a33", core="4f4c35", strength=0.2, fade=0.0,
        paints=((0.0, 0.09, 0.0, 2.6, 0.08, 0.7, 0.5, "b8ab7c", 0.85),)),
    materials={"coat": ("ffffff", 0.2, 0.14), "nostril": ("14120c", 0.0, 0.3), "eye": ("b99a2a", 0.0, 0.3),
        "lip": ("b5a878", 0.15, 0.12), "tooth": ("efe8d2", 0.0, 0.3), "scute": ("4c4a30", 0.15, 0.12),
        "claw": ("2c2a1e", 0.05, 0.2)},
    postures={
        "basking": Posture(turn(neck1=3.0), level=False, look=30.0, sway=26.0),
        "gaping": Posture(turn(neck1=6.0, head=12.0, jaw=-26.0), level=False, look=24.0, sway=26.0),
        "crawling": Posture(turn(foreR1=(0.0, 28.0, 0.0), foreL1=(0.0, -24.0, 0.0), hindR1=(0.0, -24.0, 0.0),
            hindL1=(0.0, 26.0, 0.0), neck1=5.0), level=False, look=16.0, sway=34.0),
        "high walk": Posture(turn(fore_1=(0.0, 10.0, 40.0), fore_2=(0.0, 0.0, -22.0), hind_1=(0.0, -8.0, 40.0),
            hind_2=(0.0, 0.0, -22.0), neck1=4.0, tail1=-3.0), level=False, look=16.0, sway=20.0),
    },
    juvenile={"": (0.4, 0.4, 0.4), "head": (1.2, 1.25, 1.25)}, female={"": (0.86, 0.86, 0.86)}, tuft=0.02,
)
