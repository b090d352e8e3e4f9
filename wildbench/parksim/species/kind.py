"""What a species is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wildbench.parksim.anatomy import Coat, Figure, Posture, Vector

NEWBORN: Mapping[str, Vector] = {"": (0.55, 0.55, 0.55), "head": (1.3, 1.3, 1.3)}


@dataclass(frozen=True)
class Kind:
    """One kind of animal.

    Attributes:
        figure: The drawing of an adult, standing.
        coat: The pattern of material ``coat``.
        materials: name -> (sRGB hex, fur strength 0..1, gloss 0..1).
        postures: What it can be seen doing.
        juvenile: Stretch of bones for the young; ``""`` is the whole animal.
        female: Stretch of bones for females.
        tuft: Size of a tuft of hair, metres.
        eye_shine: How brightly the eyes return a flash; animals of the day lack the mirror behind the retina.
        variants: sRGB hex colours to choose from, by material (clothes, skin).
    """

    figure: Figure
    coat: Coat
    materials: Mapping[str, tuple[str, float, float]]
    postures: Mapping[str, Posture]
    juvenile: Mapping[str, Vector] = field(default_factory=lambda: NEWBORN)
    female: Mapping[str, Vector] = field(default_factory=dict)
    tuft: float = 0.012
    eye_shine: float = 1.0
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
