"""Birds: ostrich, marabou stork, guineafowl and ground hornbill."""

from __future__ import annotations

from wildbench.parksim._coat import FEATHERS, SPOTS, Coat
from wildbench.parksim._skeleton import Kind, Posture, bones, figure, limb, part, turn

# Tables of numbers.
# fmt: off

STEPS = {"leg~L": 0.0, "leg~R": 0.5}
PECKING = Posture(turn(body=-24.0, neck1=-70.0, neck2=-30.0, head=10.0, leg_1=24.0), level=False, look=15.0)

OSTRICH = Kind(
    figure=figure(
        bones("body 0 1.2 0 > neck1 .42 1.36 0 > neck2 .56 1.80 0 > head .60 2.25 0"),
        bones("body > tail1 -.5 1.3 0"),
        part("body", "coat", "-.36 1.24 0 .26 > .05 1.22 0 .31 > .32 1.28 0 .2", 0.15, flat=0.9, rough=0.02,
            grain=26.0),
        part("body", "coat", ".22 1.26 .2 .2 > -.34 1.26 .22 .17", 0.06, flat=0.5, rough=0.02, grain=26.0),
        part("body", "plume", "-.34 1.14 .22 .1 > -.52 1.06 .2 .1", 0.05, flat=0.6, rough=0.025, grain=26.0),
        part("tail1", "plume", "-.50 1.3 0 .14 > -.72 1.24 0 .15 > -.8 1.12 0 .08", 0.05, rough=0.03, grain=26.0),
        part("neck1", "neck", ".34 1.30 0 .11 > .48 1.48 0 .062 > .56 1.80 0 .045", 0.06),
        part("neck2", "neck", ".56 1.80 0 .045 > .60 2.25 0 .04", 0.02),
        part("head", "neck", ".62 2.28 0 .062 > .66 2.27 0 .05", 0.02, flat=0.85),
        part("head", "beak", ".69 2.265 0 .034 > .79 2.24 0 .016", 0.012, flat=0.6, normal=(0.0, 1.0, 0.0)),
        part("head", "eye", ".645 2.30 .044 .02", 0.004),
        limb("leg~", "body", "thigh", ".06 1.12 .15 .16 > .16 .86 .16 .10 > -.08 .52 .15 .045", 0.06, joints=1),
        limb("leg~2", "leg~1", "leg", "-.08 .52 .15 .046 > .05 .06 .14 .034", 0.02, joints=1),
        limb("leg~3", "leg~2", "leg", ".05 .05 .14 .036 > .19 .028 .14 .026", 0.015, joints=1),
        part("leg~3", "leg", ".05 .045 .15 .03 > .13 .025 .19 .02", 0.01),
    ),
    coat=Coat(FEATHERS, (0.12, 0.06, 0.06), base="231e1c", mark="4a423d", core="3a322e", strength=0.5, fade=0.0),
    materials={"coat": ("ffffff", 0.8, 0.03), "plume": ("e6dfd2", 0.8, 0.03), "neck": ("b79a8a", 0.25, 0.05),
        "thigh": ("bf9c8c", 0.15, 0.08), "leg": ("a88878", 0.1, 0.1), "beak": ("b5947a", 0.0, 0.2),
        "eye": ("0a0706", 0.0, 0.3)},
    postures={
        "standing": Posture(level=False, look=70.0),
        "walking": Posture(turn(neck1=-4.0), swing=26.0, lift=46.0, gait=STEPS, level=False, look=20.0),
        "pecking": Posture(turn(body=-14.0, neck1=-100.0, neck2=-34.0, head=20.0, leg_1=14.0), level=False, look=10.0),
        "running": Posture(turn(neck1=-12.0, neck2=6.0), swing=46.0, lift=70.0, gait=STEPS, level=False, look=5.0),
    },
    juvenile={"": (0.5, 0.5, 0.5), "head": (1.4, 1.4, 1.4)}, female={"": (0.92, 0.92, 0.92)}, tuft=0.03, eye_shine=0.3,
)

MARABOU = Kind(
    figure=figure(
        bones("body 0 .72 0 > neck1 .2 .92 0 > neck2 .24 1.06 0 > head .28 1.20 0"),
        part("body", "white", "-.12 .72 0 .14 > .12 .80 0 .15 > .19 .92 0 .11", 0.08, rough=0.008, grain=30.0),
        part("body", "coat", ".17 .92 .09 .10 > -.08 .76 .12 .12 > -.40 .56 .06 .05", 0.03, flat=0.5, rough=0.008,
            grain=30.0),
        part("body", "coat", ".10 .95 0 .09 > -.2 .74 0 .11 > -.46 .54 0 .04", 0.05, flat=0.8),
        part("neck1", "white", ".2 .92 0 .10 > .22 .98 0 .085", 0.03, rough=0.014, grain=35.0),
        part("neck1", "skin", ".22 .95 0 .05 > .25 1.06 0 .042", 0.03),
        part("neck1", "skin", ".29 .93 0 .04 > .32 .82 0 .032", 0.03),
        part("neck2", "skin", ".25 1.06 0 .042 > .28 1.20 0 .042", 0.02),
        part("head", "skin", ".30 1.23 0 .06", 0.02, flat=0.85),
        part("head", "beak", ".33 1.22 0 .048 > .48 1.14 0 .034 > .66 1.04 0 .007", 0.01, flat=0.65),
        part("head", "eye", ".325 1.25 .045 .014", 0.003),
        limb("leg~", "body", "white", ".0 .66 .08 .085 > .05 .54 .08 .04 > -.05 .36 .08 .02", 0.03, joints=1),
        limb("leg~2", "leg~1", "leg", "-.05 .36 .08 .02 > .0 .03 .08 .015", 0.01, joints=1),
        limb("leg~3", "leg~2", "leg", ".0 .02 .08 .015 > .10 .012 .08 .01", 0.008, joints=1),
        part("leg~3", "leg", ".0 .018 .08 .012 > .07 .012 .12 .009", 0.005),
        part("leg~3", "leg", ".0 .018 .08 .012 > -.05 .012 .08 .009", 0.005),
    ),
    coat=Coat(FEATHERS, (0.10, 0.05, 0.05), base="3d4347", mark="23272a", core="50575b", strength=0.7, fade=0.0),
    materials={"coat": ("ffffff", 0.5, 0.06), "white": ("ded9cf", 0.6, 0.03), "skin": ("a9705f", 0.3, 0.06),
        "leg": ("b3aca3", 0.1, 0.1), "beak": ("a89a86", 0.08, 0.2), "eye": ("0a0706", 0.0, 0.3)},
    postures={
        "standing": Posture(level=False, look=70.0),
        "walking": Posture(swing=22.0, lift=44.0, gait=STEPS, level=False, look=20.0),
        "pecking": Posture(turn(body=-30.0, neck1=-52.0, neck2=-24.0, head=-6.0, leg_1=30.0), level=False, look=12.0),
        "running": Posture(turn(body=-8.0), swing=36.0, lift=60.0, gait=STEPS, level=False, look=10.0),
    },
    juvenile={"": (0.7, 0.7, 0.7), "head": (1.1, 1.1, 1.1)}, tuft=0.016, eye_shine=0.3,
)

GUINEAFOWL = Kind(
    figure=figure(
        bones("body 0 .3 0 > neck1 .15 .36 0 > head .20 .50 0"),
        bones("body > tail1 -.2 .28 0"),
        part("body", "coat", "-.13 .29 0 .115 > .03 .31 0 .135 > .12 .33 0 .095", 0.06, rough=0.004, grain=60.0),
        part("body", "coat", ".08 .33 .09 .075 > -.16 .27 .08 .055", 0.03, flat=0.5),
        part("tail1", "coat", "-.2 .28 0 .075 > -.30 .20 0 .03", 0.04, flat=0.7),
        part("neck1", "coat", ".12 .35 0 .065 > .17 .43 0 .034", 0.04),
        part("neck1", "blue", ".17 .43 0 .028 > .20 .50 0 .024", 0.015),
        part("head", "blue", ".21 .515 0 .034", 0.01, flat=0.85),
        part("head", "horn", ".20 .545 0 .018 > .185 .58 0 .008", 0.01),
        part("head", "red", ".235 .492 .016 .013 > .23 .475 .02 .009", 0.006),
        part("head", "beak", ".24 .508 0 .014 > .275 .497 0 .005", 0.006),
        part("head", "eye", ".222 .522 .026 .008", 0.002),
        limb("leg~", "body", "coat", ".02 .24 .06 .055 > .03 .18 .06 .03 > -.02 .12 .06 .013", 0.02, joints=1),
        limb("leg~2", "leg~1", "leg", "-.02 .12 .06 .012 > .01 .015 .06 .009", 0.008, joints=1),
        limb("leg~3", "leg~2", "leg", ".01 .012 .06 .009 > .06 .008 .06 .006", 0.005, joints=1),
        part("leg~3", "leg", ".01 .01 .06 .008 > .045 .008 .085 .006", 0.004),
    ),
    coat=Coat(SPOTS, (0.017, 0.017, 0.017), base="34363c", mark="dcdcdc", core="2a2b30", strength=0.36, fade=0.0),
    materials={"coat": ("ffffff", 0.25, 0.04), "blue": ("4a86b5", 0.1, 0.08), "red": ("b8322a", 0.05, 0.1),
        "horn": ("a8794a", 0.1, 0.1), "beak": ("b9a680", 0.0, 0.2), "eye": ("0a0706", 0.0, 0.3),
        "leg": ("3f3a38", 0.1, 0.1)},
    postures={
        "standing": Posture(level=False, look=70.0),
        "walking": Posture(swing=24.0, lift=44.0, gait=STEPS, level=False, look=20.0),
        "pecking": Posture(turn(body=-22.0, neck1=-90.0, head=-10.0, leg_1=22.0), level=False, look=12.0),
        "running": Posture(turn(neck1=-20.0), swing=38.0, lift=60.0, gait=STEPS, level=False, look=10.0),
    },
    juvenile={"": (0.55, 0.55, 0.55), "head": (1.3, 1.3, 1.3)}, tuft=0.008, eye_shine=0.3,
)

HORNBILL = Kind(
    figure=figure(
        bones("body 0 .42 0 > neck1 .22 .55 0 > neck2 .28 .68 0 > head .31 .79 0"),
        bones("body > tail1 -.28 .42 0"),
        part("body", "coat", "-.20 .43 0 .12 > .04 .46 0 .15 > .18 .52 0 .12", 0.08, rough=0.006, grain=45.0),
        part("body", "coat", ".14 .52 .10 .09 > -.24 .40 .09 .065", 0.03, flat=0.5, rough=0.006, grain=45.0),
        part("tail1", "coat", "-.26 .42 0 .09 > -.52 .33 0 .075", 0.04, flat=0.35, normal=(0.2, 1.0, 0.0)),
        part("neck1", "coat", ".19 .54 0 .095 > .28 .68 0 .06", 0.05),
        part("neck2", "coat", ".28 .68 0 .06 > .31 .79 0 .052", 0.02),
        part("neck2", "red", ".33 .68 0 .04 > .345 .75 0 .04", 0.03),
        part("head", "coat", ".32 .82 0 .058", 0.02, flat=0.9),
        part("head", "red", ".345 .825 0 .045", 0.015, flat=0.95),
        part("head", "beak", ".37 .82 0 .042 > .48 .77 0 .03 > .58 .69 0 .008", 0.01, flat=0.55),
        part("head", "beak", ".36 .87 0 .022 > .42 .845 0 .012", 0.015, flat=0.6),
        part("head", "eye", ".355 .838 .043 .011", 0.003),
        limb("leg~", "body", "coat", ".02 .36 .07 .07 > .04 .28 .07 .036 > -.02 .19 .07 .018", 0.03, joints=1),
        limb("leg~2", "leg~1", "leg", "-.02 .19 .07 .018 > .01 .025 .07 .014", 0.01, joints=1),
        limb("leg~3", "leg~2", "leg", ".01 .02 .07 .015 > .08 .012 .07 .01", 0.008, joints=1),
        part("leg~3", "leg", ".01 .016 .07 .012 > .05 .012 .11 .009", 0.005),
    ),
    coat=Coat(FEATHERS, (0.08, 0.04, 0.04), base="1f1c1b", mark="3c3735", core="2b2725", strength=0.6, fade=0.0),
    materials={"coat": ("ffffff", 0.5, 0.08), "red": ("b52f22", 0.1, 0.1), "beak": ("26211e", 0.05, 0.25),
        "eye": ("c9b27a", 0.0, 0.3), "leg": ("2d2826", 0.1, 0.1)},
    postures={
        "standing": Posture(level=False, look=70.0),
        "walking": Posture(swing=22.0, lift=40.0, gait=STEPS, level=False, look=20.0),
        "pecking": PECKING,
        "running": Posture(turn(body=-6.0), swing=34.0, lift=55.0, gait=STEPS, level=False, look=10.0),
    },
    juvenile={"": (0.65, 0.65, 0.65), "head": (1.15, 1.15, 1.15)}, tuft=0.012, eye_shine=0.3,
)
BIRDS = (OSTRICH, MARABOU, GUINEAFOWL, HORNBILL)
