"""An individual: its species, age, sex, what it does; its size and its posed body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from wildbench.parksim.anatomy import Body, Pose, Vector, bounds, posed, stride
from wildbench.parksim.species import Kind, kind_of


@dataclass(frozen=True)
class Individual:
    """One animal.

    Attributes:
        species: One of the thirteen categories.
        age: "adult" or "juvenile".
        sex: "female" or "male"; decides about manes, horns and tusks.
        posture: One of `postures(species)`.
        seed: Varies size, coat, stride and where the head looks. Where a category holds several kinds (bird), seeds
            that leave the same remainder modulo 16 are of one kind.
    """

    species: str
    age: str
    sex: str
    posture: str
    seed: int


def postures(species: str) -> tuple[str, ...]:
    """Return what a species can be seen doing."""
    return tuple(kind_of(species, 0).postures)


def height_m(individual: Individual) -> float:
    """Return the standing height in metres."""
    return _size(individual)[1]


def length_m(individual: Individual) -> float:
    """Return the length from snout to tail while standing, in metres."""
    return _size(individual)[0]


def body_of(individual: Individual) -> Body:
    """Pose an individual in the world (x forward, y up, z to its right, metres, ground at 0)."""
    kind = kind_of(individual.species, individual.seed)
    posture = kind.postures[individual.posture]
    random = np.random.Generator(np.random.PCG64(individual.seed))
    size, look, nod, phase, sway = (round(float(number), 6) for number in random.random(5))
    pose: dict[str, Vector] = dict(posture.turns)
    for bone, angles in stride(posture, phase).items():
        pose[bone] = angles
    yaw = posture.look * (2.0 * look - 1.0)
    for bone, share in (("neck1", 0.35), ("neck2", 0.3), ("head", 0.35)):
        own = pose.get(bone, (0.0, 0.0, 0.0))
        pose[bone] = (round(own[0] + 6.0 * (nod - 0.5), 4), round(own[1] + share * yaw, 4), own[2])
    for bone in ("tail1", "tail2", "tail3"):
        own = pose.get(bone, (0.0, 0.0, 0.0))
        pose[bone] = (own[0], round(own[1] + posture.sway * (2.0 * sway - 1.0), 4), own[2])
    return _pose(kind, individual, pose, 0.94 + 0.12 * size, posture.level)


def _pose(kind: Kind, individual: Individual, pose: Pose, size: float, level: bool) -> Body:
    scale: dict[str, Vector] = dict(kind.juvenile) if individual.age == "juvenile" else {}
    if individual.sex == "female":
        for bone, own in kind.female.items():
            was = scale.get(bone, (1.0, 1.0, 1.0))
            scale[bone] = (own[0] * was[0], own[1] * was[1], own[2] * was[2])
    whole = scale.get("", (1.0, 1.0, 1.0))
    scale[""] = (round(whole[0] * size, 6), round(whole[1] * size, 6), round(whole[2] * size, 6))
    return posed(kind.figure, pose, scale, {individual.age, individual.sex}, level)


@lru_cache(maxsize=4096)
def _size(individual: Individual) -> tuple[float, float]:
    kind = kind_of(individual.species, individual.seed)
    size = round(float(np.random.Generator(np.random.PCG64(individual.seed)).random()), 6)
    level = next(iter(kind.postures.values())).level
    box = bounds(_pose(kind, individual, {}, 0.94 + 0.12 * size, level).capsules)
    return round(box[1] - box[0], 4), round(box[3] - box[2], 4)
