"""Pairs of images that show the same, and groups of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from wildbench.datasets.duplicates._features import (
    Alignment,
    Floats,
    Keypoints,
    align,
    find_keypoints,
    likenesses,
    mirrored,
    thumbnail,
)
from wildbench.datasets.images import read_ahead
from wildbench.progress import Progress, silent

KINDS = ("same file", "same pixels", "same photograph", "same scene")
"""How strong the evidence is, strongest first."""

_MOST_CANDIDATES = 12
_LEAST_LIKENESS = 0.45
_SAME_PHOTOGRAPH = 0.75
"""Correlation of aligned pixels from which on two images are versions of one photograph."""

_SAME_SCENE = 16
"""Keypoints that have to agree where the pixels do not."""


@dataclass(frozen=True)
class Pair:
    """Two images that show the same.

    Attributes:
        a, b: Their places in the list, `a < b`.
        kind: One of `KINDS`. The same file has the same bytes. The same photograph is the same pixels after another
            encoding, scaling, cropping, mirroring, turning or recolouring. The same scene has the same background or
            the same subject, in other pixels: the next picture of a series, or of a fixed camera.
        score: Correlation of the aligned pixels, at most 1.
        matches: Keypoints that agree on how one image maps onto the other; None where pixels are equal.
        mirrored: Whether one is the mirror image of the other.
    """

    a: int
    b: int
    kind: str
    score: float
    matches: int | None = None
    mirrored: bool = False


def find_pairs(paths: Sequence[Path], *, parts: Sequence[int] | None = None, progress: Progress = silent) -> list[Pair]:
    """Find the images that show the same: equal bytes, equal pixels, then candidates by layout, proved by keypoints.

    A candidate is among the twelve images that look most like a window of another (`likenesses`). It is a pair
    if its keypoints agree on an affine transform, mirrored or not, under which its pixels correlate to 0.75 (the same
    photograph), or on which 16 of them agree (the same scene).

    Args:
        paths: Image files.
        parts: One number for each image. Only pairs of different numbers are looked for; by default, all.
        progress: Called as `progress(task, done, total)`.

    Returns:
        Pairs, strongest first.

    Raises:
        DatasetError: A file that cannot be decoded.

    Example:
        >>> find_pairs([])
        []
    """
    return pairs_among(look_at(paths, progress), parts=parts, progress=progress)


@dataclass(frozen=True, eq=False)
class Look:
    """What is kept of an image while all are compared."""

    file_hash: bytes
    pixels_hash: bytes
    small: Floats
    keypoints: Keypoints


def look_at(paths: Sequence[Path], progress: Progress = silent) -> list[Look]:
    """Decode images and keep what tells them apart: about 200 kB each.

    Raises:
        DatasetError: A file that cannot be decoded.
    """
    looks = []
    for path, pixels in zip(paths, read_ahead(paths), strict=True):
        looks.append(
            Look(
                hashlib.sha256(path.read_bytes()).digest(),
                hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest(),
                thumbnail(pixels),
                find_keypoints(pixels),
            )
        )
        progress("look at images", len(looks), len(paths))
    return looks


def pairs_among(
    looks: Sequence[Look], *, parts: Sequence[int] | None = None, progress: Progress = silent
) -> list[Pair]:
    """Find pairs as `find_pairs` does, among images that were looked at before."""
    parts = range(len(looks)) if parts is None else parts
    pairs = {(pair.a, pair.b): pair for pair in _equal(looks, parts)}
    candidates: set[tuple[int, int]] = set()
    rows = likenesses([look.small for look in looks], parts, _MOST_CANDIDATES, _LEAST_LIKENESS)
    for done, row in enumerate(rows, start=1):
        candidates.update((min(one.a, one.b), max(one.a, one.b)) for one in row)
        progress("compare layouts", done, len(looks))
    unproved = sorted(candidates - pairs.keys())
    for done, (a, b) in enumerate(unproved, start=1):
        pair = _prove(a, b, looks)
        if pair:
            pairs[a, b] = pair
        progress("compare keypoints", done, len(unproved))
    return sorted(pairs.values(), key=lambda pair: (KINDS.index(pair.kind), -pair.score, pair.a, pair.b))


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Put `count` images into groups that no pair crosses.

    Returns:
        Groups of places, each ascending, in the order of their first; most hold a single image.

    Example:
        >>> groups(5, [(3, 1), (1, 4)])
        [[0], [1, 3, 4], [2]]
    """
    leader = list(range(count))

    def leader_of(image: int) -> int:
        while leader[image] != image:
            image = leader[image]
        return image

    for a, b in pairs:
        first, second = sorted((leader_of(a), leader_of(b)))
        leader[second] = first
    members = defaultdict(list)
    for image in range(count):
        members[leader_of(image)].append(image)
    return [members[image] for image in sorted(members)]


def _equal(looks: Sequence[Look], parts: Sequence[int]) -> list[Pair]:
    """Pairs of equal pixels, and among them those of equal bytes."""
    same: dict[bytes, list[int]] = defaultdict(list)
    for number, look in enumerate(looks):
        same[look.pixels_hash].append(number)
    return [
        Pair(a, b, KINDS[0] if looks[a].file_hash == looks[b].file_hash else KINDS[1], 1.0)
        for numbers in same.values()
        for a, b in combinations(numbers, 2)
        if parts[a] != parts[b]
    ]


def _prove(a: int, b: int, looks: Sequence[Look]) -> Pair | None:
    """The pair of two candidates, as they are or mirrored, whichever agrees better; None where neither does."""
    one, other = looks[a].keypoints, looks[b].keypoints
    pairs = [_judge(a, b, align(one, other), False), _judge(a, b, align(one, mirrored(other)), True)]
    return max((pair for pair in pairs if pair), key=lambda pair: pair.score, default=None)


def _judge(a: int, b: int, alignment: Alignment | None, mirror: bool) -> Pair | None:
    if alignment is None:
        return None
    score = min(alignment.correlation, 1.0)
    if score >= _SAME_PHOTOGRAPH:
        return Pair(a, b, KINDS[2], score, alignment.matches, mirror)
    if alignment.matches >= _SAME_SCENE:
        return Pair(a, b, KINDS[3], score, alignment.matches, mirror)
    return None
