"""Bones and parts of a species, and their posing into capsules of the world.

A species is drawn once, standing, in metres: x forward, y up, z to the animal's right. Bones have a pivot in that
drawing; a pose turns bones about their pivots. Parts with a point off the middle plane exist twice.
Trigonometry is rounded to six decimals before use so that masks do not depend on a machine's libm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from wildbench.parksim._coat import Coat
from wildbench.parksim._sdf import COLUMNS, Array

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
Pose = Mapping[str, Vector]  # bone -> degrees (pitch about z, yaw about y, roll about x)
IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Bone:
    """A joint: its parent and where it sits in the drawing."""

    parent: str
    at: Vector


@dataclass(frozen=True)
class Part:
    """A chain of round cones that moves with one bone."""

    bone: str
    material: str
    points: tuple[tuple[float, float, float, float], ...]
    blend: float
    flat: float = 1.0
    normal: Vector = (0.0, 0.0, 1.0)
    rough: float = 0.0
    grain: float = 20.0
    only: str = ""


@dataclass(frozen=True)
class Figure:
    """The drawing of a species: bones and parts."""

    bones: dict[str, Bone]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Body:
    """A posed figure in the world: capsules, what each is made of, and the way back into the drawing."""

    capsules: Array
    """[n, 16], see `_sdf.COLUMNS`."""
    materials: tuple[str, ...]
    """Name of each capsule's material."""
    rest: Array
    """[n, 3, 4] affine map from the world into the drawing."""
    bones: tuple[str, ...]
    """Name of each capsule's bone."""


@dataclass
class _Frame:
    turn: Matrix
    origin: Vector
    scale: Vector
    bone: Bone = field(default_factory=lambda: Bone("", (0.0, 0.0, 0.0)))

    def place(self, q: Vector) -> Vector:
        at, size = self.bone.at, self.scale
        local = (size[0] * (q[0] - at[0]), size[1] * (q[1] - at[1]), size[2] * (q[2] - at[2]))
        return _add(self.origin, _times(self.turn, local))


def points(text: str) -> tuple[tuple[float, float, float, float], ...]:
    """Read ``"x y z r > x y z r"`` (metres).

    >>> points("0 1 0 .2 > .5 1 0 .1")
    ((0.0, 1.0, 0.0, 0.2), (0.5, 1.0, 0.0, 0.1))
    """
    rows = [tuple(float(number) for number in row.split()) for row in text.split(">")]
    return tuple((x, y, z, r) for x, y, z, r in rows)


def part(bone: str, material: str, chain: str, blend: float = 0.05, **options: object) -> Part:
    """Draw a part from a text chain."""
    return Part(bone, material, points(chain), blend, **options)  # type: ignore[arg-type]


def limb(name: str, parent: str, material: str, chain: str, blend: float, joints: int = 3, **options: object) -> Figure:
    """Draw a jointed limb: bone ``name1`` turns at the first point, ``name2`` at the second, and so on.

    A name that ends in a digit is one bone for the whole chain.
    """
    chain_points = points(chain)
    bones: dict[str, Bone] = {}
    parts: list[Part] = []
    for n in range(len(chain_points) - 1):
        bone = name if name[-1].isdigit() else f"{name}{min(n, joints - 1) + 1}"
        if bone not in bones:
            bones[bone] = Bone(parent, chain_points[n][:3])
            parent = bone
        parts.append(Part(bone, material, chain_points[n : n + 2], blend, **options))  # type: ignore[arg-type]
    return Figure(bones, tuple(parts))


def bones(chain: str) -> Figure:
    """Read a chain of bones, each the child of the one before; a first bone without a point is there already.

    >>> bones("body > tail1 -.5 1 0 > tail2 -.7 .8 0").bones["tail2"]
    Bone(parent='tail1', at=(-0.7, 0.8, 0.0))
    """
    read: dict[str, Bone] = {}
    parent = ""
    for name, *at in (step.split() for step in chain.split(">")):
        if at:
            x, y, z = map(float, at)
            read[name] = Bone(parent, (x, y, z))
        parent = name
    return Figure(read, ())


def figure(*pieces: Figure | Part) -> Figure:
    """Join bones, limbs and parts into one drawing."""
    joined: dict[str, Bone] = {}
    parts: list[Part] = []
    for piece in pieces:
        if isinstance(piece, Part):
            parts.append(piece)
        else:
            joined |= piece.bones
            parts += piece.parts
    return Figure(joined, tuple(parts))


def posed(drawing: Figure, pose: Pose, scale: Mapping[str, Vector], traits: set[str], level: bool) -> Body:
    """Turn the bones, keep the parts that fit the individual, and stand the result on the ground, at height 0.

    Args:
        drawing: Of the species.
        pose: Degrees by bone; a name with ``~`` turns both sides alike.
        scale: Stretch of single bones' parts along x, y, z of the drawing; ``""`` scales the whole animal.
        traits: What the individual is ("adult", "male", …); parts may ask for some.
        level: Pitch the animal until fore and hind feet stand equally low.
    """
    parts = [p for p in drawing.parts if set(p.only.split()) <= traits]
    body = _assemble(drawing, parts, pose, scale)
    turned = dict(pose)
    for _ in range(4 if level else 0):
        reach = 0.06 * float(np.ptp(body.capsules[:, 0]))
        fore, hind = (_lowest(body, side * reach, side) for side in (1, -1))
        pitch = math.degrees(math.atan2(hind[1] - fore[1], fore[0] - hind[0]))
        pitch = min(max(pitch, -8.0), 8.0)
        own = turned.get("body", (0.0, 0.0, 0.0))
        turned["body"] = (round(own[0] + pitch, 3), own[1], own[2])
        body = _assemble(drawing, parts, turned, scale)
    drop = _lowest(body, -1e9, 1)[1]
    body.capsules[:, 1] -= drop
    body.rest[:, :, 3] += body.rest[:, :, 1] * drop
    return body


def _lowest(body: Body, start: float, side: int) -> tuple[float, float]:
    """Return x and y of the lowest point beyond ``start`` on that side; tails and trunks bear no weight."""
    best = (0.0, 1e9)
    rows = zip(body.capsules.tolist(), body.bones, strict=True)
    for c in (row for row, bone in rows if not bone.startswith(("tail", "trunk"))):
        # A flattened capsule reaches less far across its axis.
        for x, y, r in ((c[0], c[1], c[7]), (c[0] + c[3], c[1] + c[4], c[7] + c[8])):
            reach = r * math.sqrt(1.0 - c[10] * c[10] * (1.0 - 1.0 / (1.0 + c[12]) ** 2))
            if side * x > side * start and y - reach < best[1]:
                best = (x, y - reach)
    return best


def _assemble(drawing: Figure, parts: list[Part], pose: Pose, scale: Mapping[str, Vector]) -> Body:
    whole = scale.get("", (1.0, 1.0, 1.0))
    capsules: list[list[float]] = []
    materials: list[str] = []
    rest: list[list[list[float]]] = []
    bones: list[str] = []
    frames = {side: _frames(drawing, pose, scale, whole, side) for side in (1, -1)}
    for piece in parts:
        paired = "~" in piece.bone or any(p[2] != 0.0 for p in piece.points)
        for side in (1, -1) if paired else (1,):
            frame = frames[side][piece.bone]
            for row in _cones(piece, frame, side):
                capsules.append(row)
                materials.append(piece.material)
                rest.append(_inverse(frame))
                bones.append(piece.bone)
    assert all(len(row) == COLUMNS for row in capsules)
    return Body(np.array(capsules), tuple(materials), np.array(rest), tuple(bones))


def _frames(drawing: Figure, pose: Pose, scale: Mapping[str, Vector], whole: Vector, side: int) -> dict[str, _Frame]:
    frames = {"": _Frame(IDENTITY, (0.0, 0.0, 0.0), whole)}
    for name, bone in drawing.bones.items():
        at = (bone.at[0], bone.at[1], side * bone.at[2]) if "~" in name else bone.at
        parent = frames[bone.parent]
        turn = parent.turn
        both, one = pose.get(name), pose.get(name.replace("~", "R" if side > 0 else "L")) if "~" in name else None
        for angles, sign in ((both, side if "~" in name else 1), (one, side)):
            if angles:
                turn = _product(turn, rotation(angles[0], sign * angles[1], sign * angles[2]))
        own = scale.get(name, (1.0, 1.0, 1.0))
        size = tuple(a * b for a, b in zip(parent.scale if name not in scale else whole, own, strict=True))
        frames[name] = _Frame(turn, parent.place(at), size, Bone(bone.parent, at))  # type: ignore[arg-type]
    return frames


def _cones(piece: Part, frame: _Frame, side: int) -> Iterator[list[float]]:
    ends = [(frame.place((x, y, side * z)), r * sum(frame.scale) / 3.0) for x, y, z, r in piece.points]
    if len(ends) == 1:
        ends = ends * 2
    normal = _times(frame.turn, (piece.normal[0], piece.normal[1], side * piece.normal[2]))
    size = sum(frame.scale) / 3.0
    for (a, ra), (b, rb) in pairwise(ends):
        axis = (b[0] - a[0], b[1] - a[1], b[2] - a[2])
        span = _dot(axis, axis)
        across = normal
        if span > 1e-10:
            along = _dot(axis, normal) / span
            across = (normal[0] - along * axis[0], normal[1] - along * axis[1], normal[2] - along * axis[2])
        norm = math.sqrt(_dot(across, across)) or 1.0
        inverse = 1.0 / span if span > 1e-10 else 0.0
        texture = (max(piece.blend * size, 1e-6), piece.rough * size, piece.grain / size)
        yield [*a, *axis, inverse, ra, rb - ra, *(c / norm for c in across), 1.0 / piece.flat - 1.0, *texture]


def _inverse(frame: _Frame) -> list[list[float]]:
    rows = []
    for n in range(3):
        row = [frame.turn[m][n] / frame.scale[n] for m in range(3)]
        rows.append([*row, frame.bone.at[n] - _dot((row[0], row[1], row[2]), frame.origin)])
    return rows


def rotation(pitch: float, yaw: float, roll: float) -> Matrix:
    """Return the matrix that pitches (about z), then rolls (about x), then yaws (about y); degrees."""
    (cp, sp), (cy, sy), (cr, sr) = (
        (round(math.cos(math.radians(a)), 6), round(math.sin(math.radians(a)), 6)) for a in (pitch, yaw, roll)
    )
    about_z: Matrix = ((cp, -sp, 0.0), (sp, cp, 0.0), (0.0, 0.0, 1.0))
    about_x: Matrix = ((1.0, 0.0, 0.0), (0.0, cr, -sr), (0.0, sr, cr))
    about_y: Matrix = ((cy, 0.0, sy), (0.0, 1.0, 0.0), (-sy, 0.0, cy))
    return _product(about_y, _product(about_x, about_z))


def _product(m: Matrix, n: Matrix) -> Matrix:
    columns = tuple(_times(m, (n[0][k], n[1][k], n[2][k])) for k in range(3))
    return tuple(tuple(columns[k][r] for k in range(3)) for r in range(3))  # type: ignore[return-value]


def _times(m: Matrix, v: Vector) -> Vector:
    return (_dot(m[0], v), _dot(m[1], v), _dot(m[2], v))


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _add(a: Vector, b: Vector) -> Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


WALK = {"hind~L": 0.0, "fore~L": 0.25, "hind~R": 0.5, "fore~R": 0.75}
GALLOP = {"hind~L": 0.0, "hind~R": 0.12, "fore~L": 0.5, "fore~R": 0.62}
# Share of the stride's lift that each joint of a limb bends: upper, middle, lower.
LIFT = {"fore": (0.1, 0.6, -1.4), "hind": (0.45, -1.0, 0.9), "leg": (0.5, -1.2, 0.3), "arm": (0.0, 0.25, 0.0)}


@dataclass(frozen=True)
class Posture:
    """How an animal holds itself."""

    turns: Mapping[str, Vector] = field(default_factory=dict)
    """Degrees of pitch, yaw and roll by bone; ``~`` means both sides."""
    swing: float = 0.0
    """Degrees that the legs swing back and forth."""
    lift: float = 0.0
    """Degrees that the joints fold while a leg is in the air."""
    gait: Mapping[str, float] = field(default_factory=lambda: WALK)
    """Phase of each limb in the stride, as a share of it."""
    level: bool = True
    """Whether fore and hind feet stand on the same ground."""
    look: float = 30.0
    """Degrees that the head may turn to either side."""
    sway: float = 14.0
    """Degrees that each joint of the tail may turn to either side."""


def turn(**pitches: float | Vector) -> dict[str, Vector]:
    """Write turns briefly: ``_`` stands for ``~``, a single number is a pitch.

    >>> turn(fore_1=20.0)
    {'fore~1': (20.0, 0.0, 0.0)}
    """
    return {
        name.replace("_", "~"): angles if isinstance(angles, tuple) else (angles, 0.0, 0.0)
        for name, angles in pitches.items()
    }


def stride(posture: Posture, phase: float) -> dict[str, Vector]:
    """Return the turns of the limbs at one moment of the stride, ``phase`` in 0..1."""
    turns: dict[str, Vector] = {}
    if posture.swing == 0.0:
        return turns
    for name, offset in posture.gait.items():
        limb, side = name.split("~")
        angle = 2.0 * math.pi * (phase + offset)
        back_and_forth, air = round(math.cos(angle), 6), round(max(0.0, -math.sin(angle)), 6)
        for n, share in enumerate(LIFT[limb], start=1):
            pitch = share * posture.lift * air + (posture.swing * back_and_forth if n == 1 else 0.0)
            turns[f"{limb}{side}{n}"] = (round(pitch, 4), 0.0, 0.0)
    return turns


NEWBORN: Mapping[str, Vector] = {"": (0.55, 0.55, 0.55), "head": (1.3, 1.3, 1.3)}


@dataclass(frozen=True)
class Kind:
    """One kind of animal."""

    figure: Figure
    """The drawing of an adult, standing."""
    coat: Coat
    """The pattern of material ``coat``."""
    materials: Mapping[str, tuple[str, float, float]]
    """By name: sRGB hex, fur strength 0..1, gloss 0..1."""
    postures: Mapping[str, Posture]
    """What it can be seen doing."""
    juvenile: Mapping[str, Vector] = field(default_factory=lambda: NEWBORN)
    """Stretch of bones for the young; ``""`` is the whole animal."""
    female: Mapping[str, Vector] = field(default_factory=dict)
    """Stretch of bones for females."""
    tuft: float = 0.012
    """Size of a tuft of hair, metres."""
    eye_shine: float = 1.0
    """How brightly the eyes return a flash; animals of the day lack the mirror behind the retina."""
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Colours to choose from, sRGB hex, by material (clothes, skin)."""
