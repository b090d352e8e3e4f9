"""Images that show the same: pairs, groups of them, and leaks, which are pairs in different parts of a data set."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2

from wildbench.datasets.coco import Dataset
from wildbench.datasets.duplicates._likeness import (
    Floats,
    Keypoints,
    align,
    find_keypoints,
    likenesses,
    mirrored,
    thumbnail,
)
from wildbench.datasets.image_groups import shared_values
from wildbench.datasets.images import decode, read_ahead
from wildbench.errors import DatasetError
from wildbench.files import sha256_of
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

    file_sha256: str
    pixels_sha256: str
    small: Floats
    keypoints: Keypoints


def look_at(paths: Sequence[Path], progress: Progress = silent) -> list[Look]:
    """Decode images and keep what tells them apart, about 200 kB each; a DatasetError where one cannot be decoded."""
    looks = []
    for path, pixels in zip(paths, read_ahead(paths), strict=True):
        own = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
        looks.append(Look(sha256_of(path), own, thumbnail(pixels), find_keypoints(pixels)))
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
        if pair := _prove(a, b, looks):
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
    same: dict[str, list[int]] = defaultdict(list)
    for number, look in enumerate(looks):
        same[look.pixels_sha256].append(number)
    return [
        Pair(a, b, KINDS[0] if looks[a].file_sha256 == looks[b].file_sha256 else KINDS[1], 1.0)
        for numbers in same.values()
        for a, b in combinations(numbers, 2)
        if parts[a] != parts[b]
    ]


def _prove(a: int, b: int, looks: Sequence[Look]) -> Pair | None:
    """The pair of two candidates, as they are or mirrored, whichever agrees better; None where neither does."""
    one, other = looks[a].keypoints, looks[b].keypoints
    pairs = []
    for alignment, mirror in ((align(one, other), False), (align(one, mirrored(other)), True)):
        if alignment and (alignment.correlation >= _SAME_PHOTOGRAPH or alignment.matches >= _SAME_SCENE):
            kind = KINDS[2] if alignment.correlation >= _SAME_PHOTOGRAPH else KINDS[3]
            pairs.append(Pair(a, b, kind, min(alignment.correlation, 1.0), alignment.matches, mirror))
    return max(pairs, key=lambda pair: pair.score, default=None)


@dataclass(frozen=True)
class Place:
    """Where an image is: its part, its `file_name`, and its file."""

    part: str
    file_name: str
    path: Path


@dataclass(frozen=True)
class Leak:
    """Two images of different parts, and why they are taken for the same."""

    a: Place
    b: Place
    pair: Pair


@dataclass(frozen=True)
class LeakReport:
    """What the parts of a data set have in common.

    Attributes:
        images: Number of images by part.
        leaks: Pairs across parts, strongest first.
        shared_locations: Values of `location` that occur in more than one part.
        shared_sequences: The same of `seq_id`.
    """

    images: dict[str, int]
    leaks: list[Leak]
    shared_locations: list[str]
    shared_sequences: list[str]


def find_leaks(parts: Sequence[Dataset], progress: Progress = silent) -> LeakReport:
    """Look for images of different parts that show the same (`duplicates.find_pairs`), and for shared locations.

    Args:
        parts: The parts, images at hand. A part is called by its split, or by its name where it has none.
        progress: Called as `progress(task, done, total)`.

    Raises:
        DatasetError: Fewer than two parts, two of one name, or an image that cannot be decoded.

    Example:
        >>> parts = [Dataset("d", split, {"images": [], "annotations": []}, Path()) for split in ("train", "test")]
        >>> find_leaks(parts)
        LeakReport(images={'train': 0, 'test': 0}, leaks=[], shared_locations=[], shared_sequences=[])
    """
    names = [part.split or part.name for part in parts]
    if len(parts) < 2:
        remedy = "name the other parts' files, or a --split-file"
        raise DatasetError(f"{' '.join(names)} is one part, which cannot leak", code="one-part", remedy=remedy)
    if len(set(names)) < len(names):
        what = f"two parts are called {max(names, key=names.count)}"
        raise DatasetError(what, code="parts-of-one-name", remedy="rename one of the files")
    places = [
        Place(name, str(image["file_name"]), part.image_path(image))
        for name, part in zip(names, parts, strict=True)
        for image in part.images
    ]
    numbers = [names.index(place.part) for place in places]
    pairs = find_pairs([place.path for place in places], parts=numbers, progress=progress)
    return LeakReport(
        images={name: len(part.images) for name, part in zip(names, parts, strict=True)},
        leaks=[Leak(places[pair.a], places[pair.b], pair) for pair in pairs],
        shared_locations=shared_values([part.images for part in parts], "location"),
        shared_sequences=shared_values([part.images for part in parts], "seq_id"),
    )


_PAGE = Path(__file__).with_name("leaks.html")
_SHOWN = 300
_LONG_SIDE = 280
_EXPLAINED = {
    "same file": "the same bytes",
    "same pixels": "other bytes, the same pixels",
    "same photograph": "the same pixels once one is scaled, cropped, turned, mirrored or recoloured as the other",
    "same scene": "the same background or subject, in other pixels",
}


def leaks_page(report: LeakReport) -> str:
    """Show each pair side by side, strongest first and at most 300 of them, in HTML that needs no other file.

    Raises:
        DatasetError: An image that cannot be decoded.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(_PAGE.read_text("utf-8"))
    counts = Counter(leak.pair.kind for leak in report.leaks)
    return template.render(report=report, counts=counts, kinds=_EXPLAINED, shown=_SHOWN, thumbnail=_thumbnail)


def _thumbnail(path: Path) -> str:
    pixels = decode(path)
    factor = min(1.0, _LONG_SIDE / max(pixels.shape[:2]))
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return base64.b64encode(data.tobytes()).decode("ascii")
