"""Zebra."""

from __future__ import annotations

from wildbench.datasets.parksim.coat import STRIPES, Coat
from wildbench.datasets.parksim.postures import UNGULATE
from wildbench.datasets.parksim.skeleton import figure, limb, part
from wildbench.datasets.parksim.species.kind import Kind

ZEBRA = Kind(
    figure=figure(
        {
            "body": ("", (0.0, 0.75, 0.0)),
            "neck1": ("body", (0.52, 1.10, 0.0)),
            "neck2": ("neck1", (0.74, 1.34, 0.0)),
            "head": ("neck2", (0.95, 1.52, 0.0)),
            "ear~": ("head", (0.93, 1.60, 0.06)),
            "tail1": ("body", (-0.80, 1.18, 0.0)),
            "tail2": ("tail1", (-0.90, 0.90, 0.0)),
        },
        part("body", "coat", "-.56 1.03 0 .27 > -.1 .95 0 .315 > .38 .98 0 .285 > .52 1.06 0 .22", 0.18, flat=0.86),
        part("body", "coat", ".44 1.24 0 .06 > .1 1.2 0 .06", 0.2, flat=0.7),
        part("neck1", "coat", ".46 1.08 0 .23 > .74 1.34 0 .165", 0.16, flat=0.62),
        part("neck2", "coat", ".74 1.34 0 .165 > .95 1.53 0 .125", 0.08, flat=0.62),
        part("neck1", "coat", ".42 1.31 0 .05 > .66 1.54 0 .06", 0.03, flat=0.35, rough=0.012, grain=30.0),
        part("neck2", "coat", ".66 1.54 0 .06 > .93 1.69 0 .05", 0.03, flat=0.35, rough=0.012, grain=30.0),
        part("head", "coat", ".97 1.52 0 .125 > 1.14 1.39 0 .095 > 1.30 1.25 0 .078", 0.05, flat=0.78),
        part("head", "coat", "1.33 1.22 0 .078", 0.05),
        part("head", "coat", "1.0 1.45 .0 .1", 0.05, flat=0.7),
        part("head", "nostril", "1.38 1.242 .038 .016", 0.01),
        part("head", "eye", "1.095 1.49 .082 .023", 0.006),
        part("ear~", "coat", ".93 1.59 .065 .035 > .92 1.68 .085 .045 > .915 1.76 .09 .012", 0.02, flat=0.45),
        limb(
            "fore~",
            "body",
            "coat",
            ".42 .95 .13 .16 > .40 .72 .14 .095 > .44 .44 .13 .057 > .435 .14 .13 .036 > .45 .07 .13 .046",
            0.05,
        ),
        part("fore~3", "hoof", ".455 .075 .13 .042 > .475 .035 .13 .056", 0.01),
        limb(
            "hind~",
            "body",
            "coat",
            "-.56 1.0 .12 .22 > -.44 .73 .14 .13 > -.68 .46 .13 .06 > -.64 .15 .13 .038 > -.62 .07 .13 .046",
            0.06,
        ),
        part("hind~3", "hoof", "-.615 .075 .13 .042 > -.595 .035 .13 .055", 0.01),
        part("tail1", "coat", "-.80 1.18 0 .045 > -.90 .90 0 .03", 0.03),
        part("tail2", "tail", "-.90 .92 0 .03 > -.92 .70 0 .05 > -.92 .5 0 .02", 0.02, rough=0.012, grain=40.0),
    ),
    coat=Coat(
        STRIPES,
        (1.0, 1.0, 1.0),
        base="e9e4d8",
        mark="17130f",
        core="d9cdb8",
        strength=0.05,
        fade=0.0,
        flows=(
            (0.1, 1.0, 0.0, 0.5, 8.0, 0.6, 0.0, 0.0),
            (-0.62, 1.05, 0.0, 0.3, 4.5, 6.5, 0.0, -4.6),
            (-0.62, 0.45, 0.0, 0.34, 0.0, 13.0, 0.0, -10.7),
            (0.43, 0.45, 0.0, 0.3, 0.0, 14.0, 0.0, -1.7),
            (0.75, 1.4, 0.0, 0.25, 7.6, 6.6, 0.0, 6.9),
            (1.15, 1.4, 0.0, 0.14, 10.0, 12.0, 10.0, 9.6),
        ),
        paints=(
            (1.37, 1.20, 0.0, 0.13, 0.12, 0.14, 0.35, "1c1714", 1.0),
            (-0.05, 0.56, 0.0, 0.4, 0.10, 0.14, 0.5, "efe9dd", 0.9),
        ),
    ),
    materials={
        "coat": ("ffffff", 0.35, 0.05),
        "eye": ("0c0908", 0.0, 0.3),
        "nostril": ("0a0808", 0.0, 0.2),
        "hoof": ("2a2622", 0.05, 0.25),
        "tail": ("1a1613", 0.8, 0.05),
    },
    postures=UNGULATE,
    tuft=0.014,
)
